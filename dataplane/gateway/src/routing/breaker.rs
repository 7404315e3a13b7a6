//! A circuit breaker: a target that keeps failing is left alone for a while, then one call tries it again.
//!
//! One word says it all: 0 = closed; otherwise the moment until which nobody may call. Whoever finds that moment passed
//! and moves it on is the probe; all others still find it in the future. So there is no lock, and no state that a call
//! which never ends could hold on to. The clock (monotonic nanoseconds) is passed in.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// When it opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Failures in a row that open it.
    pub threshold: NonZeroU32,
    /// How long it stays open.
    pub cooldown: Duration,
}

/// May a call go ahead?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Yes.
    Closed,
    /// Yes: it is the one that finds out whether the target is well again.
    Probe,
    /// Not before this long.
    Open(Duration),
}

/// State of one target.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Failures in a row while closed.
    failures: AtomicU32,
    /// 0 = closed.
    open_until: AtomicU64,
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Never 0, which means closed.
fn moment(now: u64, after: Duration) -> u64 {
    now.saturating_add(nanos(after)).max(1)
}

impl Breaker {
    /// Asks whether a call may be made at `now`. A probe that never says how it ended (its caller left) gives way to the
    /// next one after `probe_for`.
    pub fn admit(&self, now: u64, probe_for: Duration) -> Admission {
        let until = self.open_until.load(Ordering::Relaxed);
        if until == 0 {
            return Admission::Closed;
        }
        if now < until {
            return Admission::Open(Duration::from_nanos(until - now));
        }
        let next = moment(now, probe_for.max(Duration::from_millis(1)));
        match self.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Admission::Probe,
            Err(0) => Admission::Closed,
            Err(other) => Admission::Open(Duration::from_nanos(other.saturating_sub(now))),
        }
    }

    /// Whether a call would be refused at `now`, and for how long. Takes no probe.
    #[must_use]
    pub fn open_for(&self, now: u64) -> Option<Duration> {
        let until = self.open_until.load(Ordering::Relaxed);
        (now < until).then(|| Duration::from_nanos(until - now))
    }

    /// A call that was admitted went well. Of calls from before it opened only the probe's word counts.
    pub fn succeeded(&self, probe: bool) {
        if probe {
            self.failures.store(0, Ordering::Relaxed);
            self.open_until.store(0, Ordering::Relaxed);
        } else if self.failures.load(Ordering::Relaxed) != 0 && self.open_until.load(Ordering::Relaxed) == 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A call that was admitted failed. True when this opened it.
    pub fn failed(&self, probe: bool, now: u64, settings: &Settings) -> bool {
        let until = moment(now, settings.cooldown);
        if probe {
            self.open_until.store(until, Ordering::Relaxed);
            return false;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < settings.threshold.get() {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.open_until.compare_exchange(0, until, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A probe ended without a word about the target (the caller left, or it was refused before it was sent): the next
    /// call may be one.
    pub fn unsettled(&self, probe: bool) {
        if probe {
            self.open_until.store(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    const S: u64 = 1_000_000_000;
    const CALL: Duration = Duration::from_secs(600);

    fn settings(threshold: u32) -> Settings {
        Settings { threshold: NonZeroU32::new(threshold).unwrap(), cooldown: Duration::from_secs(30) }
    }

    fn opened(now: u64) -> Breaker {
        let breaker = Breaker::default();
        assert!(breaker.failed(false, now, &settings(1)));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row() {
        let b = Breaker::default();
        assert!(!b.failed(false, S, &settings(3)) && !b.failed(false, S, &settings(3)));
        b.succeeded(false);
        assert!(!b.failed(false, S, &settings(3)) && !b.failed(false, S, &settings(3)));
        assert_eq!(b.admit(S, CALL), Admission::Closed);
        assert!(b.failed(false, 2 * S, &settings(3)));
        assert_eq!(b.admit(12 * S, CALL), Admission::Open(Duration::from_secs(20)));
        assert_eq!(b.open_for(12 * S), Some(Duration::from_secs(20)));
    }

    #[test]
    fn after_the_cooldown_one_call_finds_out() {
        let b = opened(0);
        assert_eq!(b.open_for(30 * S), None);
        assert_eq!(b.admit(30 * S, CALL), Admission::Probe);
        assert!(matches!(b.admit(30 * S, CALL), Admission::Open(_)), "one at a time");
        b.succeeded(true);
        assert_eq!(b.admit(31 * S, CALL), Admission::Closed);
    }

    #[test]
    fn a_probe_that_fails_opens_it_again() {
        let b = opened(0);
        assert_eq!(b.admit(30 * S, CALL), Admission::Probe);
        b.failed(true, 40 * S, &settings(5));
        assert_eq!(b.admit(69 * S, CALL), Admission::Open(Duration::from_secs(1)));
        assert_eq!(b.admit(70 * S, CALL), Admission::Probe);
    }

    #[test]
    fn a_probe_that_nobody_hears_of_gives_way() {
        let b = opened(0);
        assert_eq!(b.admit(30 * S, CALL), Admission::Probe);
        b.unsettled(true);
        assert_eq!(b.admit(31 * S, CALL), Admission::Probe);
        assert!(matches!(b.admit(630 * S, CALL), Admission::Open(_)));
        assert_eq!(b.admit(631 * S, CALL), Admission::Probe);
    }

    #[test]
    fn calls_from_before_have_no_say() {
        let b = opened(0);
        b.succeeded(false);
        assert!(matches!(b.admit(S, CALL), Admission::Open(_)));
        assert!(!b.failed(false, 29 * S, &settings(1)), "nor do they keep it open");
        assert_eq!(b.admit(30 * S, CALL), Admission::Probe);
    }

    #[test]
    fn of_many_at_once_one_is_the_probe() {
        for round in 1..50 {
            let (b, start, probes) = (opened(0), Barrier::new(4), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        start.wait();
                        if b.admit(30 * S + round, CALL) == Admission::Probe {
                            probes.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            assert_eq!(probes.into_inner(), 1);
        }
    }
}
