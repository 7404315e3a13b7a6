//! In which order targets are tried. Pure: what a strategy looks at is passed in. Targets stand by priority; a strategy
//! orders those of one priority among themselves, and those of a higher number come after all of a lower one.

pub mod least_busy;
pub mod priority;
pub mod random;
pub mod round_robin;
pub mod weighted;

use smartflow_snapshot::Strategy;

/// Most targets of a chain; the CRD has the same bound.
pub const MOST: usize = 16;

/// What strategies look at of one target.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its place among the chain's targets.
    pub index: u8,
    /// Those with a lower number go first.
    pub priority: u32,
    /// Share of the calls.
    pub weight: u32,
    /// Calls in flight.
    pub busy: u32,
}

/// Chance and turn of one call.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Calls of the chain before this one.
    pub turn: u64,
    /// Any 64 bits.
    pub random: u64,
}

/// Puts `candidates`, which stand by priority, into the order in which they are tried.
pub fn order(strategy: Strategy, candidates: &mut [Candidate], draw: Draw) {
    for group in candidates.chunk_by_mut(|a, b| a.priority == b.priority) {
        match strategy {
            Strategy::Priority => priority::order(group),
            Strategy::RoundRobin => round_robin::order(group, draw),
            Strategy::Weighted => weighted::order(group, draw),
            Strategy::Random => random::order(group, draw),
            Strategy::LeastBusy => least_busy::order(group, draw),
        }
    }
}

/// Well mixed bits from any (splitmix64): the next of a sequence whose state is passed in.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `part` (of 2^64) of `whole`, rounded down: below `whole`.
fn share(part: u64, whole: u64) -> u64 {
    u64::try_from((u128::from(part) * u128::from(whole)) >> 64).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::routing) fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let one = |(i, w): (usize, &u32)| Candidate {
            index: u8::try_from(i).unwrap_or(0),
            priority: 0,
            weight: *w,
            busy: 0,
        };
        weights.iter().enumerate().map(one).collect()
    }

    pub(in crate::routing) fn indices(candidates: &[Candidate]) -> Vec<u8> {
        candidates.iter().map(|c| c.index).collect()
    }

    #[test]
    fn no_strategy_puts_a_higher_number_first_or_loses_a_target() {
        for strategy in [
            Strategy::Priority,
            Strategy::RoundRobin,
            Strategy::Weighted,
            Strategy::Random,
            Strategy::LeastBusy,
        ] {
            for turn in 0..200 {
                let mut all = candidates(&[1, 5, 0, 2, 1]);
                all[3].priority = 1;
                all[4].priority = 7;
                order(strategy, &mut all, Draw { turn, random: turn.wrapping_mul(0x1234_5678_9abc_def1) });
                let mut first = indices(&all[..3]);
                first.sort_unstable();
                assert_eq!((first, indices(&all[3..])), (vec![0, 1, 2], vec![3, 4]), "{strategy:?}");
            }
        }
    }
}
