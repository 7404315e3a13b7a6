//! Which calls fail: a fixed share of them, spread evenly, the same on every run.

use smartflow_snapshot::Simulation;

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// 429.
    RateLimited,
    /// 500.
    ServerError,
    /// The stream breaks off half-way; a call without a stream succeeds.
    Cut,
}

const CALLS: u64 = 10_000;

/// Coprime to [`CALLS`]: multiples visit every number below it once before any comes again, far apart.
const STRIDE: u64 = 7_919;

/// How call number `call` fails.
pub(super) fn failure(settings: &Simulation, call: u64) -> Option<Failure> {
    let place = (call % CALLS + 1) * STRIDE % CALLS;
    let limited = u64::from(settings.rate_limited_per_10k);
    let failed = limited + u64::from(settings.server_error_per_10k);
    let cut = failed + u64::from(settings.cut_per_10k);
    match place {
        _ if place < limited => Some(Failure::RateLimited),
        _ if place < failed => Some(Failure::ServerError),
        _ if place < cut => Some(Failure::Cut),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, failure};
    use smartflow_snapshot::Simulation;

    fn settings(limited: u16, failed: u16, cut: u16) -> Simulation {
        Simulation {
            rate_limited_per_10k: limited,
            server_error_per_10k: failed,
            cut_per_10k: cut,
            ..Simulation::default()
        }
    }

    #[test]
    fn shares_are_exact_in_any_ten_thousand_calls() {
        let settings = settings(300, 25, 1);
        for start in [0, 5_555, 20_001] {
            let count =
                |kind| (start..start + 10_000).filter(|call| failure(&settings, *call) == kind).count();
            assert_eq!(count(Some(Failure::RateLimited)), 300);
            assert_eq!(count(Some(Failure::ServerError)), 25);
            assert_eq!(count(Some(Failure::Cut)), 1);
        }
    }

    #[test]
    fn extremes_and_spread() {
        assert!((0..10_000).all(|call| failure(&Simulation::default(), call).is_none()));
        assert!((0..10_000).all(|call| failure(&settings(10_000, 0, 0), call) == Some(Failure::RateLimited)));
        let failing: Vec<_> =
            (0..10_000).filter(|call| failure(&settings(100, 0, 0), *call).is_some()).collect();
        assert!(failing.windows(2).all(|pair| pair[1] - pair[0] > 1), "no two in a row at 1 %");
    }
}
