//! Whether what was published runs everywhere: `Programmed`, from one watermark for the whole fleet, latched per
//! generation (config-transport.md T7).

use super::{Fleet, Known, Revision};
use serde_json::Value;
use smartflow_compile::{ObjectRef, Programmed};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long a status waits for the gateways, so that `Accepted` and `Programmed` are told in one write.
const TOGETHER: Duration = Duration::from_millis(500);

/// How far an object is.
#[derive(Debug, Clone, Copy)]
struct Stage {
    /// Since when it says what it says.
    since: Instant,
    /// The first revision that contains it as it is.
    published: Option<Revision>,
    /// The generation that every gateway ran at some time.
    latched: Option<i64>,
}

/// Whether an object runs, and until when it is worth waiting with its status.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it runs.
    pub programmed: Programmed,
    /// More may be known by then.
    pub wait: Option<Instant>,
}

/// How far all objects are.
#[derive(Debug, Default)]
pub struct Progress {
    stages: HashMap<ObjectRef, Stage>,
    /// Those that do not run everywhere yet, as far as was looked at.
    pending: BTreeSet<ObjectRef>,
}

impl Progress {
    /// `id` says something else than before, or is new.
    pub fn changed(&mut self, id: &ObjectRef, now: Instant) {
        self.stages.insert(id.clone(), Stage { since: now, published: None, latched: None });
    }

    /// This replica begins to write: it knows nothing of the gateways yet.
    pub fn begin(&mut self, now: Instant) {
        self.stages.values_mut().for_each(|stage| stage.since = now);
    }

    /// `id` is gone.
    pub fn forget(&mut self, id: &ObjectRef) {
        self.stages.remove(id);
        self.pending.remove(id);
    }

    /// `ids` are published as they are.
    pub fn published<'a>(&mut self, ids: impl IntoIterator<Item = &'a ObjectRef>, revision: Revision) {
        for id in ids {
            if let Some(stage) = self.stages.get_mut(id) {
                stage.published = Some(revision);
            }
        }
    }

    /// Objects whose standing may change with the fleet.
    pub fn pending(&self) -> impl Iterator<Item = &ObjectRef> {
        self.pending.iter()
    }

    /// Where `id` stands, given the status that is there.
    pub fn standing(&mut self, id: &ObjectRef, generation: i64, status: &Value, fleet: &Fleet) -> Standing {
        let Some(stage) = self.stages.get_mut(id) else {
            return Standing { programmed: Programmed::No, wait: None };
        };
        if was_programmed(status, generation) {
            stage.latched = Some(generation);
        }
        let programmed = match fleet {
            Fleet::Known(Known { unusable, .. })
                if !unusable.is_empty() && unusable.contains(&id.to_string()) =>
            {
                refused()
            }
            _ if stage.latched == Some(generation) => Programmed::Yes,
            Fleet::Unreadable => unreadable(),
            Fleet::Known(Known { ready: 0, .. }) => lonely(),
            Fleet::Known(Known { unnamed: true, .. }) => unnamed(),
            Fleet::Known(Known { watermark, .. }) => match (stage.published, watermark) {
                (Some(published), Some(watermark)) if *watermark >= published => Programmed::Yes,
                _ => Programmed::No,
            },
        };
        if programmed == Programmed::Yes {
            stage.latched = Some(generation);
            self.pending.remove(id);
        } else {
            self.pending.insert(id.clone());
        }
        let wait = (programmed != Programmed::Yes).then(|| stage.since + TOGETHER);
        Standing { programmed, wait }
    }
}

fn was_programmed(status: &Value, generation: i64) -> bool {
    let conditions = status.get("conditions").and_then(Value::as_array);
    let is = |c: &Value| {
        c["type"] == "Programmed" && c["status"] == "True" && c["observedGeneration"] == generation
    };
    conditions.is_some_and(|all| all.iter().any(is))
}

fn unreadable() -> Programmed {
    let message = "The store cannot be read, so that nobody knows what the gateways run.";
    Programmed::Unknown("StoreUnavailable", message.to_owned())
}

fn lonely() -> Programmed {
    Programmed::Unknown("NoGateways", "No gateway is ready: it is in force as soon as one is.".to_owned())
}

fn refused() -> Programmed {
    let message = "A gateway cannot use it: what it grants is absent there, what it restricts is closed.";
    Programmed::Unknown("GatewayRefused", message.to_owned())
}

fn unnamed() -> Programmed {
    let message =
        "A gateway cannot use more entries than it names: this may be one of them. Its /snapshot names all.";
    Programmed::Unknown("GatewayRefused", message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use smartflow_compile::Kind;
    use smartflow_snapshot::ObjectName;

    fn id() -> ObjectRef {
        ObjectRef { kind: Kind::Policy, name: ObjectName::new("n", "p") }
    }

    fn at(number: u64) -> Revision {
        Revision { epoch: 7, number }
    }

    fn fleet(ready: usize, watermark: Option<Revision>) -> Fleet {
        Fleet::Known(Known { ready, watermark, ..Known::default() })
    }

    fn look(progress: &mut Progress, fleet: &Fleet) -> Programmed {
        progress.standing(&id(), 1, &Value::Null, fleet).programmed
    }

    fn published() -> Progress {
        let mut progress = Progress::default();
        progress.changed(&id(), Instant::now());
        progress.published([&id()], at(3));
        progress
    }

    #[test]
    fn it_runs_once_every_ready_gateway_has_its_revision() {
        let mut progress = Progress::default();
        let now = Instant::now();
        progress.changed(&id(), now);
        let standing = progress.standing(&id(), 1, &Value::Null, &fleet(3, Some(at(9))));
        assert_eq!(standing, Standing { programmed: Programmed::No, wait: Some(now + TOGETHER) });
        progress.published([&id()], at(3));
        assert_eq!(look(&mut progress, &fleet(3, Some(at(2)))), Programmed::No);
        assert_eq!(progress.pending().collect::<Vec<_>>(), [&id()]);
        assert_eq!(look(&mut progress, &fleet(3, Some(at(3)))), Programmed::Yes);
        assert_eq!(progress.pending().count(), 0);
    }

    #[test]
    fn what_ran_once_is_not_unset_by_gateways_that_come_and_go() {
        let mut progress = published();
        assert_eq!(look(&mut progress, &fleet(1, Some(at(3)))), Programmed::Yes);
        for fleet in [fleet(0, None), fleet(2, Some(at(1))), Fleet::Unreadable] {
            assert_eq!(look(&mut progress, &fleet), Programmed::Yes, "{fleet:?}");
        }
        progress.changed(&id(), Instant::now());
        assert_eq!(look(&mut progress, &fleet(2, Some(at(3)))), Programmed::No, "it says something else now");
    }

    #[test]
    fn a_new_leader_takes_the_word_of_the_status() {
        let mut progress = published();
        let status =
            json!({ "conditions": [{ "type": "Programmed", "status": "True", "observedGeneration": 1 }] });
        let mut of = |generation| progress.standing(&id(), generation, &status, &fleet(0, None)).programmed;
        assert!(matches!(of(2), Programmed::Unknown("NoGateways", _)));
        assert_eq!(of(1), Programmed::Yes);
    }

    #[test]
    fn what_nobody_can_tell_is_unknown_and_says_why() {
        let mut progress = published();
        assert!(matches!(
            look(&mut progress, &Fleet::Unreadable),
            Programmed::Unknown("StoreUnavailable", _)
        ));
        assert!(matches!(look(&mut progress, &fleet(0, None)), Programmed::Unknown("NoGateways", _)));
        let unusable = [id().to_string()].into();
        let fleet = Fleet::Known(Known { ready: 1, watermark: Some(at(3)), unusable, ..Known::default() });
        assert!(matches!(look(&mut progress, &fleet), Programmed::Unknown("GatewayRefused", _)));
        // More than they name: whatever is not known to have run may be among them.
        let known = Known { ready: 1, watermark: Some(at(3)), unnamed: true, ..Known::default() };
        let more = Fleet::Known(known.clone());
        assert!(matches!(look(&mut progress, &more), Programmed::Unknown("GatewayRefused", _)));
        let none = Fleet::Known(Known { unnamed: false, ..known });
        assert_eq!(look(&mut progress, &none), Programmed::Yes);
    }
}
