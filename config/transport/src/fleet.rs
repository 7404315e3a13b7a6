//! What the operator knows of the gateways, by their heartbeats. Pure: ages are told by Redis, which has one clock.

use crate::beat::Beat;
use crate::key::KeyId;
use crate::revision::Revision;
use std::collections::BTreeMap;
use std::time::Duration;

/// A gateway that said so within this time counts as ready.
pub const FRESH: Duration = Duration::from_secs(3);
/// A gateway that was silent for this long is gone.
pub const GONE: Duration = Duration::from_secs(60);

/// A heartbeat with its age.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// What was said.
    pub beat: Beat,
    /// How long ago, by the clock of Redis.
    pub age: Duration,
}

/// The gateways. Feed it with what [`Publisher::look`](crate::publisher::Publisher::look) hears.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    gateways: BTreeMap<String, Heard>,
    /// The newest beat that each pod was heard with: incarnation and number.
    newest: BTreeMap<String, (u64, u64)>,
}

impl Fleet {
    /// Takes what was heard. A beat that is older than one that was heard before of the same pod was brought back by
    /// somebody, and does not count.
    pub fn hear(&mut self, heard: Vec<Heard>) {
        let (mut now, mut newest) = (BTreeMap::new(), BTreeMap::new());
        for heard in heard.into_iter().filter(|h| h.age < GONE) {
            let order = (heard.beat.incarnation, heard.beat.number);
            let known = self.newest.get(&heard.beat.pod).copied().unwrap_or_default();
            newest.insert(heard.beat.pod.clone(), known.max(order));
            if known <= order {
                now.insert(heard.beat.pod.clone(), heard);
            }
        }
        (self.gateways, self.newest) = (now, newest);
    }

    /// All gateways that were heard of within [`GONE`], by pod.
    pub fn all(&self) -> impl Iterator<Item = &Heard> {
        self.gateways.values()
    }

    /// Gateways that count: a heartbeat that says ready within [`FRESH`].
    pub fn ready(&self) -> impl Iterator<Item = &Beat> {
        self.gateways.values().filter(|h| h.beat.ready && h.age < FRESH).map(|h| &h.beat)
    }

    /// The revision that all ready gateways have reached; `None` without any.
    #[must_use]
    pub fn reached(&self) -> Option<Revision> {
        self.ready().map(|b| b.at).min()
    }

    /// Ready gateways below `at`.
    pub fn behind(&self, at: Revision) -> impl Iterator<Item = &Beat> {
        self.ready().filter(move |b| b.at < at)
    }

    /// The highest level that all ready gateways read; `None` without any.
    #[must_use]
    pub fn reads(&self) -> Option<u32> {
        self.ready().map(|b| b.reads).min()
    }

    /// True when every gateway that was heard of within [`GONE`] knows the sealing key, also one that is not ready or was
    /// silent for a moment. False when none was: whoever is not heard cannot say what it lacks.
    #[must_use]
    pub fn knows(&self, key: KeyId) -> bool {
        !self.gateways.is_empty() && self.all().all(|h| h.beat.keys.contains(&key))
    }

    /// The highest epoch that any gateway runs: a new one must be later.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.all().map(|h| h.beat.at.epoch).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartflow_snapshot::ContentHash;

    fn heard(pod: &str, number: u64, at: u64, ready: bool, age: u64) -> Heard {
        let beat = Beat {
            pod: pod.to_owned(),
            incarnation: 1,
            number,
            ready,
            at: Revision { epoch: 1, number: at },
            keys: vec![KeyId([1; 4])],
            reads: u32::try_from(at).unwrap(),
            unusable: Vec::new(),
            unusable_count: 0,
            refused: 0,
            content: ContentHash::default(),
            version: String::new(),
        };
        Heard { beat, age: Duration::from_millis(age) }
    }

    /// T7
    #[test]
    fn those_count_that_said_ready_within_three_seconds() {
        let mut fleet = Fleet::default();
        assert_eq!((fleet.reached(), fleet.reads()), (None, None));
        fleet.hear(vec![
            heard("a", 1, 5, true, 100),
            heard("b", 1, 7, true, 2999),
            heard("late", 1, 1, true, 3000),
            heard("starting", 1, 2, false, 0),
            heard("gone", 1, 1, true, 60_000),
        ]);
        assert_eq!(fleet.reached(), Some(Revision { epoch: 1, number: 5 }));
        assert_eq!(fleet.reads(), Some(5));
        let behind: Vec<&str> =
            fleet.behind(Revision { epoch: 1, number: 6 }).map(|b| b.pod.as_str()).collect();
        assert_eq!(behind, ["a"]);
        assert_eq!(fleet.all().count(), 4);
    }

    /// T9: a pause of Redis, or the loss of its data, is no proof that everybody knows a key.
    #[test]
    fn a_key_is_known_only_when_all_that_may_be_there_said_so() {
        let (key, other) = (KeyId([1; 4]), KeyId([2; 4]));
        let mut fleet = Fleet::default();
        assert!(!fleet.knows(key), "nobody said so");
        fleet.hear(vec![heard("a", 1, 5, true, 5_000), heard("b", 1, 5, false, 0)]);
        assert!(fleet.knows(key) && !fleet.knows(other));
        let mut lacks = heard("late", 1, 5, true, 5_000);
        lacks.beat.keys = vec![other];
        fleet.hear(vec![heard("a", 2, 5, true, 0), lacks]);
        assert!(!fleet.knows(key), "one that was silent for five seconds lacks it");
        fleet.hear(Vec::new());
        assert!(!fleet.knows(key), "what Redis forgot is not gone");
    }

    #[test]
    fn a_beat_that_is_brought_back_does_not_count() {
        let mut fleet = Fleet::default();
        fleet.hear(vec![heard("a", 5, 5, true, 0)]);
        for _ in 0..2 {
            fleet.hear(vec![heard("a", 4, 9, true, 0)]);
            assert_eq!(fleet.reached(), None);
        }
        fleet.hear(vec![heard("a", 5, 5, true, 500)]);
        assert_eq!(fleet.reached(), Some(Revision { epoch: 1, number: 5 }));
    }
}
