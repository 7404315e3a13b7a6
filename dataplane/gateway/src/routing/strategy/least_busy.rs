//! LeastBusy: the target with the fewest calls in flight in this process.

use super::{Candidate, Draw, round_robin};

/// By calls in flight; among equals each in turn, so that an idle process does not send everything to the first.
pub fn order(group: &mut [Candidate], draw: Draw) {
    round_robin::order(group, draw);
    group.sort_by_key(|c| c.busy);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidates, indices};
    use super::*;

    #[test]
    fn the_idle_one_goes_first_and_equals_take_turns() {
        let busy = |calls: [u32; 3], turn| {
            let mut group = candidates(&[1, 1, 1]);
            group.iter_mut().zip(calls).for_each(|(c, n)| c.busy = n);
            order(&mut group, Draw { turn, random: 0 });
            indices(&group)
        };
        assert_eq!(busy([5, 0, 3], 0), [1, 2, 0]);
        assert_eq!(busy([5, 0, 3], 1), [1, 2, 0]);
        assert_eq!((busy([1, 1, 1], 0)[0], busy([1, 1, 1], 1)[0], busy([1, 1, 1], 2)[0]), (0, 1, 2));
    }
}
