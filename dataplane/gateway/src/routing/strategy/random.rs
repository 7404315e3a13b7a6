//! Random: any order is as likely as any other.

use super::{Candidate, Draw, mix, share};

/// Fisher and Yates.
pub fn order(group: &mut [Candidate], draw: Draw) {
    let mut state = draw.random;
    for left in (2..=group.len()).rev() {
        let pick = share(mix(&mut state), u64::try_from(left).unwrap_or(0));
        group.swap(left - 1, usize::try_from(pick).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{candidates, indices};
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn all_orders_are_alike() {
        let (mut seen, mut seed) = (HashMap::new(), 7);
        for turn in 0..60_000 {
            let mut group = candidates(&[1, 1, 1]);
            order(&mut group, Draw { turn, random: mix(&mut seed) });
            *seen.entry(indices(&group)).or_insert(0u32) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
    }
}
