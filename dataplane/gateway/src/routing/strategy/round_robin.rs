//! RoundRobin: each in turn, over all runtimes.

use super::{Candidate, Draw};

/// The one whose turn it is, then those behind it.
pub fn order(group: &mut [Candidate], draw: Draw) {
    if let Ok(len) = u64::try_from(group.len())
        && len > 0
    {
        group.rotate_left(usize::try_from(draw.turn % len).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidates, indices};
    use super::*;

    #[test]
    fn each_in_turn() {
        for (turn, expected) in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]].into_iter().enumerate() {
            let mut group = candidates(&[1, 1, 1]);
            order(&mut group, Draw { turn: turn as u64, random: 0 });
            assert_eq!(indices(&group), expected);
        }
        order(&mut [], Draw { turn: 1, random: 0 });
    }
}
