//! How long to wait before a target is tried again: exponential, with full jitter, so that callers who failed together
//! do not come back together.

use smartflow_snapshot::Retry;
use std::time::Duration;

/// The wait before try `n` (1 = the first further one): random between nothing and `backoff * 2^(n-1)`, at most
/// `max_backoff`. `random` is any 64 bits.
#[must_use]
pub fn backoff(retry: &Retry, n: u32, random: u64) -> Duration {
    let doubled = 2u32.checked_pow(n.saturating_sub(1)).and_then(|f| retry.backoff.checked_mul(f));
    let most = doubled.unwrap_or(retry.max_backoff).min(retry.max_backoff);
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    // The upper half of the product: the remainder would favour short waits.
    let part = u64::try_from((u128::from(random) * (u128::from(nanos) + 1)) >> 64).unwrap_or(nanos);
    Duration::from_nanos(part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn retry(backoff: u64, max_backoff: u64) -> Retry {
        let ms = Duration::from_millis;
        Retry { attempts: 9, backoff: ms(backoff), max_backoff: ms(max_backoff) }
    }

    #[test]
    fn it_doubles_up_to_its_bound() {
        let r = retry(100, 1000);
        let longest: Vec<u128> =
            (1..=6).map(|n| backoff(&r, n, u64::MAX).as_nanos().div_ceil(1_000_000)).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(&r, u32::MAX, u64::MAX), r.max_backoff);
        assert_eq!(backoff(&r, 3, 0), Duration::ZERO);
    }

    #[test]
    fn the_jitter_is_full_and_even() {
        let r = retry(1000, 1000);
        let mut quarters = [0u32; 4];
        for i in 0..4000u64 {
            let wait = backoff(&r, 1, i.wrapping_mul(u64::MAX / 4000));
            quarters[usize::try_from(wait.as_millis() / 250).unwrap().min(3)] += 1;
        }
        assert!(quarters.iter().all(|q| (990..=1010).contains(q)), "{quarters:?}");
    }
}
