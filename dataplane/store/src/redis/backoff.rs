//! How long to wait before the next attempt: exponential with full jitter, so that many clients do not come back at once.

use std::time::Duration;

/// The first attempts are at most this far apart.
const FIRST: Duration = Duration::from_millis(50);
/// Later ones at most this far: a server that is back is found within a second or so.
const MOST: Duration = Duration::from_secs(1);

/// The wait after `failures` in a row; `dice` is uniform in [0, 1).
pub(super) fn wait(failures: u32, dice: f64) -> Duration {
    let most = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(MOST);
    most.mul_f64(dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_a_second_for_ever() {
        assert_eq!(wait(1, 1.0), FIRST);
        assert_eq!(wait(2, 1.0), FIRST * 2);
        assert_eq!(wait(u32::MAX, 1.0), MOST);
        assert_eq!(wait(7, 0.0), Duration::ZERO);
        assert_eq!(wait(9, 0.5), MOST / 2);
    }
}
