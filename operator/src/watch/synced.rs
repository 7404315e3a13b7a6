//! Which watches are through their list, and what each of them has: absence must be proven (config-transport.md T6).

use super::{Note, Source};
use smartflow_compile::ObjectRef;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// A watch that fails is begun again after at most half of this.
const FORGIVEN: Duration = Duration::from_secs(super::WATCH_SECONDS as u64);

/// How far each watch is.
#[derive(Debug)]
pub struct Synced {
    watches: Vec<Watch>,
}

#[derive(Debug)]
struct Watch {
    source: Source,
    /// It was through a list once.
    listed: bool,
    /// What it has.
    has: BTreeSet<ObjectRef>,
    /// What the list that is going on has named so far.
    listing: Option<BTreeSet<ObjectRef>>,
    /// Why it does not work at present, and when that was said.
    fault: Option<(String, Instant)>,
}

impl Synced {
    /// Nothing is listed yet.
    #[must_use]
    pub fn new(sources: &[Source]) -> Self {
        let watch = |source: &Source| Watch {
            source: source.clone(),
            listed: false,
            has: BTreeSet::new(),
            listing: None,
            fault: None,
        };
        Self { watches: sources.iter().map(watch).collect() }
    }

    /// True when every watch has been through a list, so that what is in none of them is not there.
    #[must_use]
    pub fn all(&self) -> bool {
        self.watches.iter().all(|w| w.listed)
    }

    /// Watches that never were through a list, or do not work at present, with the reason where there is one.
    pub fn behind(&self) -> impl Iterator<Item = (&Source, Option<&str>)> {
        let behind = self.watches.iter().filter(|w| !w.listed || w.fault.is_some());
        behind.map(|w| (&w.source, w.fault.as_ref().map(|(why, _)| why.as_str())))
    }

    /// Forgets what was said of watches so long ago that they would have failed again if they did not work: nothing is
    /// said when a watch goes on. True when there were some.
    pub fn forgive(&mut self, now: Instant) -> bool {
        let mut some = false;
        for watch in self.watches.iter_mut().filter(|w| w.listed) {
            some |= watch.fault.take_if(|(_, at)| *at + FORGIVEN <= now).is_some();
        }
        some
    }

    /// When there is something to forgive.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let faults = self.watches.iter().filter(|w| w.listed).filter_map(|w| w.fault.as_ref());
        faults.map(|(_, at)| *at + FORGIVEN).min()
    }

    /// Takes note; returns which objects are proven to be gone.
    pub fn take(&mut self, note: &Note) -> Vec<ObjectRef> {
        let (Note::Listing { source }
        | Note::Set { source, .. }
        | Note::Gone { source, .. }
        | Note::Listed { source }
        | Note::Failed { source, .. }) = note;
        let Some(watch) = self.watches.get_mut(*source) else { return Vec::new() };
        match note {
            Note::Listing { .. } => {
                watch.listing = Some(BTreeSet::new());
                Vec::new()
            }
            Note::Set { seen, .. } => {
                watch.fault = None;
                watch.listing.iter_mut().for_each(|listing| {
                    listing.insert(seen.id.clone());
                });
                watch.has.insert(seen.id.clone());
                Vec::new()
            }
            Note::Gone { id, .. } => {
                watch.fault = None;
                watch.has.remove(id);
                vec![id.clone()]
            }
            Note::Listed { .. } => {
                (watch.listed, watch.fault) = (true, None);
                let Some(listed) = watch.listing.take() else { return Vec::new() };
                let gone = watch.has.difference(&listed).cloned().collect();
                watch.has = listed;
                gone
            }
            Note::Failed { why, .. } => {
                watch.fault = Some((why.clone(), Instant::now()));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Body, Seen, sources};
    use serde_json::Value;
    use smartflow_compile::Kind;
    use smartflow_snapshot::ObjectName;

    fn id(name: &str) -> ObjectRef {
        ObjectRef { kind: Kind::LLMProvider, name: ObjectName::new("n", name) }
    }

    fn set(name: &str) -> Note {
        let body = Body::Declared { manifest: Value::Null, status: Value::Null };
        let seen =
            Seen { id: id(name), uid: name.into(), generation: 1, version: "1".into(), leaving: false, body };
        Note::Set { source: 0, seen: Box::new(seen) }
    }

    fn after(synced: &mut Synced, notes: &[Note]) -> Vec<ObjectRef> {
        notes.iter().flat_map(|n| synced.take(n)).collect()
    }

    #[test]
    fn nothing_is_absent_before_every_watch_was_listed() {
        let sources = sources(&[]);
        let mut synced = Synced::new(&sources);
        for (source, named) in sources.iter().enumerate() {
            assert!(!synced.all(), "without {named}");
            after(&mut synced, &[Note::Listing { source }, Note::Listed { source }]);
        }
        assert!(synced.all());
    }

    #[test]
    fn a_forbidden_watch_stays_behind_and_says_why() {
        let sources = sources(&["a".to_owned()]);
        let mut synced = Synced::new(&sources);
        after(&mut synced, &[Note::Listing { source: 0 }, Note::Listed { source: 0 }]);
        synced.take(&Note::Failed { source: 1, why: "forbidden".to_owned() });
        let behind: Vec<_> = synced.behind().map(|(s, why)| (s.to_string(), why)).collect();
        assert_eq!(behind[0], ("FallbackChain in a".to_owned(), Some("forbidden")));
        assert!(!synced.all());
    }

    #[test]
    fn a_list_that_is_going_on_takes_nothing_away_and_one_that_is_through_does() {
        let mut synced = Synced::new(&sources(&[]));
        let first = [Note::Listing { source: 0 }, set("a"), set("b"), Note::Listed { source: 0 }];
        assert_eq!(after(&mut synced, &first), []);
        // 410 Gone: the list begins again, breaks, and begins once more.
        let again = [
            Note::Listing { source: 0 },
            set("b"),
            Note::Failed { source: 0, why: "410".to_owned() },
            Note::Listing { source: 0 },
            set("b"),
            set("c"),
        ];
        assert_eq!(after(&mut synced, &again), []);
        assert_eq!(synced.take(&Note::Listed { source: 0 }), [id("a")]);
        assert_eq!(synced.take(&Note::Gone { source: 0, id: id("c") }), [id("c")]);
    }

    #[test]
    fn what_is_deleted_and_made_again_while_a_list_runs_is_there() {
        let mut synced = Synced::new(&sources(&[]));
        after(&mut synced, &[Note::Listing { source: 0 }, set("a"), Note::Listed { source: 0 }]);
        assert_eq!(
            after(&mut synced, &[Note::Listing { source: 0 }, set("a"), Note::Listed { source: 0 }]),
            []
        );
    }
}
