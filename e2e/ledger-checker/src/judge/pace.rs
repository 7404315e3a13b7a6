//! Requests per minute (ledger.md L23): over all pods, in any 60 consecutive seconds of the lender's clock.

use super::trial::{Rule, Verdict, Violation};
use crate::evidence::Pace;

const SECOND: u64 = 1_000_000;
/// Slots in which the limit holds.
const MINUTE: u64 = 60;
/// After so many slots what was taken in the first of them is there again.
const RING: u64 = 61;
/// Of 60 calls at least so many can be made.
const USABLE: usize = 57;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Most calls in any 60 slots that surely fell into them.
    pub most: usize,
    /// Calls in each round of the ring while callers wanted more, on the average.
    pub usual: Option<usize>,
}

/// Judges a run about requests per minute.
#[must_use]
pub fn judge_pace(pace: &Pace) -> (Measured, Verdict) {
    let measured = Measured { most: most(pace), usual: usual(pace) };
    let mut violations = Vec::new();
    let mut find = |rule, what| violations.push(Violation { rule, what });
    if measured.most > pace.limit {
        find(Rule::Pace, format!("{} calls in 60 slots, {} are allowed", measured.most, pace.limit));
    }
    match measured.usual {
        Some(usual) if usual * 60 < pace.limit * USABLE => {
            find(Rule::Usable, format!("{usual} of {} calls could be made in a minute", pace.limit));
        }
        Some(_) => {}
        None => find(Rule::Usable, "callers did not want more for a whole minute".to_owned()),
    }
    if pace.refused == 0 {
        find(Rule::Usable, "nobody was refused: the limit was not reached".to_owned());
    }
    (measured, Verdict { violations, ..Verdict::default() })
}

/// A call belongs to the slot in which it was admitted: between its sending and its arrival at the vendor.
fn most(pace: &Pace) -> usize {
    let within = |slot: u64| {
        let (from, to) = (slot * SECOND, (slot + MINUTE) * SECOND);
        pace.served.iter().filter(|(sent, arrived)| *sent >= from && *arrived < to).count()
    };
    pace.served.iter().map(|(sent, _)| within(sent / SECOND)).max().unwrap_or(0)
}

fn usual(pace: &Pace) -> Option<usize> {
    let (from, to) = pace.saturated;
    // By whole slots: what was taken in the first is there again in the first of the next round, and not before.
    let first = from / SECOND;
    let rounds = (to / SECOND).saturating_sub(first) / RING;
    let end = (first + rounds * RING) * SECOND;
    let count = pace.served.iter().filter(|(sent, _)| *sent < end).count();
    count.checked_div(usize::try_from(rounds).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Sixty calls in the first seconds of each round.
    fn well() -> Pace {
        let at = |round: u64, n: u64| (1_000 + round * RING) * SECOND + n * 50_000;
        let served =
            (0..2).flat_map(|round| (0..60).map(move |n| (at(round, n), at(round, n) + 2_000))).collect();
        Pace { limit: 60, saturated: (1_000 * SECOND, 1_124 * SECOND), served, refused: 9 }
    }

    fn rules(pace: &Pace) -> Vec<Rule> {
        judge_pace(pace).1.violations.iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_minute_holds_sixty_and_no_more() {
        let pace = well();
        assert_eq!(judge_pace(&pace).0, Measured { most: 60, usual: Some(60) });
        assert_eq!(rules(&pace), []);
        let mut one_more = pace.clone();
        one_more.served.push((1_059 * SECOND, 1_059 * SECOND + 900_000));
        assert_eq!(rules(&one_more), [Rule::Pace]);
        // Admitted in this minute or in the next one: nobody can tell.
        let mut unsure = pace;
        unsure.served.truncate(60);
        unsure.served.push((1_059 * SECOND, 1_060 * SECOND));
        assert_eq!(judge_pace(&unsure).0.most, 60);
    }

    #[test]
    fn a_limit_that_cannot_be_used_and_a_run_that_proves_nothing_are_seen() {
        let mut few = well();
        few.served.truncate(112);
        assert_eq!(rules(&few), [Rule::Usable]);
        let idle = Pace { refused: 0, ..well() };
        assert_eq!(rules(&idle), [Rule::Usable]);
        let short = Pace { saturated: (1_000 * SECOND, 1_060 * SECOND), ..well() };
        assert_eq!(rules(&short), [Rule::Usable]);
    }
}
