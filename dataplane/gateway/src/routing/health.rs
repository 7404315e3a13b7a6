//! How targets are doing: their breakers, the calls in flight at them, whose turn it is. Kept by name, beside the
//! snapshot, so that it survives every swap; shared by all runtimes. Who calls holds on to what he needs of it: the map
//! is looked into when a route is prepared, not on the path of a call.

use super::breaker::{Admission, Breaker, Settings};
use smartflow_snapshot::{ObjectName, Snapshot};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One model of one provider.
#[derive(Debug, Default)]
pub struct Health {
    breaker: Breaker,
    busy: AtomicU32,
}

impl Health {
    /// Calls in flight.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// How long nobody may call, at `now` (monotonic nanoseconds).
    #[must_use]
    pub fn open_for(&self, now: u64) -> Option<Duration> {
        self.breaker.open_for(now)
    }

    /// Leave to make one call that takes at most `at_most`.
    ///
    /// # Errors
    /// How long to wait, where the target is left alone.
    pub fn permit(self: &Arc<Self>, now: u64, at_most: Duration) -> Result<Permit, Duration> {
        let probe = match self.breaker.admit(now, at_most) {
            Admission::Closed => false,
            Admission::Probe => true,
            Admission::Open(left) => return Err(left),
        };
        self.busy.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { health: self.clone(), probe, told: Told::Nothing })
    }
}

/// Leave to make one call. Dropped at its end; until it says how the target did, a probe is taken for one that never was.
#[derive(Debug)]
#[must_use = "dropping it says that the call is over"]
pub struct Permit {
    health: Arc<Health>,
    probe: bool,
    told: Told,
}

/// What was said of the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Nothing,
    /// It answers; whether to the end is not known.
    Began,
    All,
}

impl Permit {
    /// The target answers, and the answer goes to the caller. That is enough for a probe, which others wait for; whether
    /// the target did well is known at the end.
    pub fn began(&mut self) {
        if self.told == Told::Nothing {
            self.told = Told::Began;
            if self.probe {
                self.health.breaker.succeeded(true);
            }
        }
    }

    /// True from [`Permit::began`] on.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.told == Told::Began
    }

    /// The target did well.
    pub fn succeeded(&mut self) {
        let told = std::mem::replace(&mut self.told, Told::All);
        if told != Told::All {
            self.health.breaker.succeeded(self.probe && told == Told::Nothing);
        }
    }

    /// The target failed. True when it is left alone from now on.
    pub fn failed(&mut self, now: u64, settings: &Settings) -> bool {
        let told = std::mem::replace(&mut self.told, Told::All);
        told != Told::All && self.health.breaker.failed(self.probe, now, settings)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.health.busy.fetch_sub(1, Ordering::Relaxed);
        if self.told == Told::Nothing {
            self.health.breaker.unsettled(self.probe);
        }
    }
}

/// Healths of all targets, and turns of all chains.
#[derive(Debug, Default)]
pub struct Wards {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    targets: HashMap<(ObjectName, Box<str>), Arc<Health>>,
    turns: HashMap<ObjectName, Arc<AtomicU64>>,
}

impl Wards {
    /// The health of `model` at `provider`.
    #[must_use]
    pub fn health(&self, provider: &ObjectName, model: &str) -> Arc<Health> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.targets.entry((provider.clone(), model.into())).or_default().clone()
    }

    /// The counter of calls of `chain`.
    #[must_use]
    pub fn turns(&self, chain: &ObjectName) -> Arc<AtomicU64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.turns.entry(chain.clone()).or_default().clone()
    }

    /// Forgets what `snapshot` does not have, once no call holds it any more.
    pub fn sweep(&self, snapshot: &Snapshot) {
        let serves = |provider: &ObjectName, model: &str| {
            snapshot.providers.get(provider).is_some_and(|p| p.models.iter().any(|m| *m.name == *model))
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.targets.retain(|(provider, model), h| serves(provider, model) || Arc::strong_count(h) > 1);
        known.turns.retain(|chain, t| snapshot.chains.contains_key(chain) || Arc::strong_count(t) > 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::num::NonZeroU32;

    const CALL: Duration = Duration::from_secs(60);
    const ONCE: Settings = Settings { threshold: NonZeroU32::MIN, cooldown: Duration::from_secs(1) };

    fn provider() -> ObjectName {
        ObjectName::new("default", "vendor")
    }

    #[test]
    fn calls_in_flight_are_counted_however_they_end() {
        let health = Wards::default().health(&provider(), "m");
        let (mut a, b) = (health.permit(0, CALL).unwrap(), health.permit(0, CALL).unwrap());
        assert_eq!(health.busy(), 2);
        a.succeeded();
        drop(a);
        drop(b);
        assert_eq!(health.busy(), 0);
    }

    #[test]
    fn a_probe_that_is_dropped_leaves_its_place_to_the_next() {
        let health = Wards::default().health(&provider(), "m");
        assert!(health.permit(0, CALL).unwrap().failed(0, &ONCE));
        assert_eq!(health.permit(1, CALL).unwrap_err(), Duration::from_nanos(999_999_999));
        let probe = health.permit(1_000_000_000, CALL).unwrap();
        assert!(health.permit(1_000_000_000, CALL).is_err());
        drop(probe);
        health.permit(1_000_000_000, CALL).unwrap().succeeded();
        assert_eq!(health.open_for(1_000_000_000), None);
    }

    #[test]
    fn a_permit_tells_once() {
        let health = Wards::default().health(&provider(), "m");
        let mut permit = health.permit(0, CALL).unwrap();
        permit.succeeded();
        assert!(!permit.failed(0, &ONCE));
        assert_eq!(health.open_for(0), None);
    }

    #[test]
    fn answers_that_break_off_count_although_they_began() {
        let twice = Settings { threshold: NonZeroU32::new(2).unwrap(), ..ONCE };
        let health = Wards::default().health(&provider(), "m");
        let cut = |now| {
            let mut permit = health.permit(now, CALL).unwrap();
            permit.began();
            permit.failed(now, &twice)
        };
        assert!(!cut(0) && cut(0), "a beginning does not make up for the cut before");
        let mut probe = health.permit(1_000_000_000, CALL).unwrap();
        probe.began();
        assert!(health.permit(1_000_000_000, CALL).is_ok(), "others need not wait for its end");
        probe.failed(1_000_000_000, &twice);
        assert!(health.permit(1_000_000_000, CALL).is_err(), "it was a probe, and failed");
        let mut probe = health.permit(2_000_000_000, CALL).unwrap();
        probe.began();
        drop(probe);
        assert!(health.permit(2_000_000_000, CALL).is_ok(), "its caller left; the target is well");
    }

    #[test]
    fn what_is_known_survives_a_snapshot_that_has_it_and_no_other() {
        let wards = Wards::default();
        assert!(wards.health(&provider(), "m").permit(0, CALL).unwrap().failed(0, &ONCE));
        assert!(wards.health(&provider(), "m").open_for(0).is_some(), "it is the same one");
        let held = wards.health(&provider(), "held");
        wards.sweep(&Snapshot::default());
        assert_eq!(wards.health(&provider(), "m").open_for(0), None, "it is gone from the snapshot");
        assert!(Arc::ptr_eq(&held, &wards.health(&provider(), "held")), "somebody uses it");
    }
}
