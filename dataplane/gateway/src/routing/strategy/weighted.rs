//! Weighted: calls are shared out by weight.
//!
//! Turns are spread by multiples of the golden ratio, which come closer to the shares than chance does: after n calls a
//! target is off by about log(n)/n, not by 1/sqrt(n). One counter serves all runtimes.

use super::{Candidate, Draw, mix, share};

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The first by the turn; those that would follow it by their weights and chance. Weight 0 comes last.
pub fn order(group: &mut [Candidate], draw: Draw) {
    let mut point = draw.turn.wrapping_mul(GOLDEN);
    let mut state = draw.random;
    for at in 0..group.len() {
        let Some(rest) = group.get_mut(at..) else { return };
        let total: u64 = rest.iter().map(|c| u64::from(c.weight)).sum();
        if total == 0 {
            return;
        }
        let mut left = share(point, total);
        let hit = rest.iter().position(|c| {
            let weight = u64::from(c.weight);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        });
        // Moved to the front; those that it passes keep their order.
        rest.get_mut(..=hit.unwrap_or(0)).unwrap_or_default().rotate_right(1);
        point = mix(&mut state);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{candidates, indices};
    use super::*;

    /// How often each goes first in `calls` calls, starting at `turn`.
    fn firsts(weights: &[u32], turn: u64, calls: u64) -> Vec<u64> {
        let mut counts = vec![0; weights.len()];
        for turn in turn..turn + calls {
            let mut group = candidates(weights);
            order(&mut group, Draw { turn, random: turn });
            counts[usize::from(group[0].index)] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_off_by_at_most_two_percent_over_ten_thousand_calls() {
        for weights in
            [&[1, 1][..], &[9, 1], &[7, 2, 1], &[50, 30, 15, 5], &[99, 1], &[3, 3, 3], &[1000, 10, 10]]
        {
            let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
            for turn in [0, 1, 12_345, 1 << 40, u64::MAX / 3] {
                for (count, weight) in firsts(weights, turn, 10_000).into_iter().zip(weights) {
                    let due = 10_000 * u64::from(*weight) / total;
                    let off = count.abs_diff(due);
                    assert!(off * 100 <= due * 2 + 100, "{weights:?} from {turn}: {count}, due {due}");
                }
            }
        }
    }

    #[test]
    fn weight_zero_only_stands_in() {
        for turn in 0..1000 {
            let mut group = candidates(&[0, 3, 1]);
            order(&mut group, Draw { turn, random: turn });
            assert_eq!(group[2].index, 0, "{:?}", indices(&group));
        }
        assert_eq!(firsts(&[0, 0], 0, 10), [10, 0]);
    }

    #[test]
    fn what_a_failed_target_leaves_is_shared_by_weight() {
        let mut second = [0u32; 3];
        for turn in 0..30_000u64 {
            let mut group = candidates(&[6, 3, 1]);
            order(&mut group, Draw { turn, random: turn.wrapping_mul(GOLDEN) });
            if group[0].index == 0 {
                second[usize::from(group[1].index)] += 1;
            }
        }
        let share = f64::from(second[1]) / f64::from(second[1] + second[2]);
        assert!((0.72..0.78).contains(&share), "{second:?}");
    }
}
