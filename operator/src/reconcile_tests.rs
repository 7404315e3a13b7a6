//! The world of one replica, told by hand: what it wants written and published.

use super::*;
use crate::watch::{Body, Seen, sources};
use std::time::Duration;

const AT: Revision = Revision { epoch: 5, number: 1 };

struct World {
    world: Reconciler,
    now: Instant,
}

fn id(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef { kind, name: ObjectName::new("n", name) }
}

fn provider(name: &str, spec: Value) -> Seen {
    let manifest = json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": "LLMProvider",
        "metadata": { "name": name, "namespace": "n" }, "spec": spec,
    });
    let body = Body::Declared { manifest, status: json!({ "observedGeneration": -1 }) };
    let id = id(Kind::LLMProvider, name);
    Seen { id, uid: name.into(), generation: 1, version: "1".into(), leaving: false, body }
}

fn simulated(name: &str) -> Seen {
    provider(name, json!({ "provider": "simulated" }))
}

impl World {
    /// Every kind was listed; `seen` is all that there is.
    fn of(seen: impl IntoIterator<Item = Seen>) -> Self {
        let mut world = Self::unlisted();
        for source in 0..sources(&[]).len() {
            world.world.take(Note::Listing { source }, world.now);
        }
        seen.into_iter().for_each(|seen| world.see(seen));
        for source in 0..sources(&[]).len() {
            world.world.take(Note::Listed { source }, world.now);
        }
        world
    }

    fn unlisted() -> Self {
        let now = Instant::now();
        Self { world: Reconciler::new(&sources(&[]), &Settings::default(), now), now }
    }

    fn see(&mut self, seen: Seen) {
        self.world.take(Note::Set { source: 0, seen: Box::new(seen) }, self.now);
    }

    fn leading(mut self) -> Self {
        self.world.compile(self.now);
        self.world.lead(self.now);
        self
    }

    fn publish(&mut self, revision: Revision) -> Vec<(ObjectRef, bool)> {
        let entries = self.world.take_unpublished().entries;
        let ids: Vec<ObjectRef> = entries.iter().map(|(id, _)| id.clone()).collect();
        self.world.published(&ids, revision, self.now);
        entries.into_iter().map(|(id, object)| (id, object.is_some())).collect()
    }

    fn acknowledged(&mut self, watermark: Revision) {
        let fleet = Fleet::Known(Known { ready: 3, watermark: Some(watermark), ..Known::default() });
        self.world.fleet(fleet, self.now);
    }

    /// Statuses that are written now, as type=status of each condition.
    fn writes(&mut self) -> Vec<(ObjectRef, String)> {
        let mut written = Vec::new();
        while let Some(write) = self.world.next_write(self.now) {
            let conditions = write.status["conditions"].as_array().unwrap().iter();
            let words = conditions.map(|c| format!("{}={}", c["type"], c["status"]).replace('"', ""));
            written.push((write.id.clone(), words.collect::<Vec<_>>().join(" ")));
            self.world.statuses.end(&write.id, Outcome::Done, self.now);
            // As the watch shows it.
            let held = self.world.gather.held(&write.id).unwrap();
            assert_eq!(held.version, write.version);
            let mut seen = self.seen_again(&write.id);
            let Body::Declared { status, .. } = &mut seen.body else { unreachable!() };
            *status = write.status;
            self.see(seen);
        }
        written
    }

    fn seen_again(&self, id: &ObjectRef) -> Seen {
        let held = self.world.gather.held(id).unwrap();
        let next = held.version.parse::<u64>().unwrap() + 1;
        Seen { version: next.to_string().into(), generation: held.generation, ..simulated(&id.name.name) }
    }

    fn later(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

const READY: &str = "Accepted=True ResolvedRefs=True Programmed=True Ready=True";
const PENDING: &str = "Accepted=True ResolvedRefs=True Programmed=False Ready=Unknown Reconciling=True";

#[test]
fn accepted_and_programmed_are_told_in_one_write_when_the_gateways_are_quick() {
    let mut world = World::of([simulated("a")]).leading();
    world.acknowledged(AT);
    assert_eq!(world.writes(), [], "more is known soon");
    assert_eq!(world.publish(Revision { number: 2, ..AT }), [(id(Kind::LLMProvider, "a"), true)]);
    world.later(20);
    assert_eq!(world.writes(), []);
    world.acknowledged(Revision { number: 2, ..AT });
    assert_eq!(world.writes(), [(id(Kind::LLMProvider, "a"), READY.to_owned())]);
    world.later(60_000);
    world.acknowledged(Revision { number: 9, ..AT });
    assert_eq!(world.writes(), [], "it says it all");
}

#[test]
fn when_the_gateways_are_slow_it_is_said_that_it_is_on_its_way() {
    let mut world = World::of([simulated("a")]).leading();
    world.acknowledged(AT);
    world.publish(Revision { number: 2, ..AT });
    world.later(501);
    assert_eq!(world.writes(), [(id(Kind::LLMProvider, "a"), PENDING.to_owned())]);
    world.later(5_000);
    assert_eq!(world.writes(), []);
    world.acknowledged(Revision { number: 2, ..AT });
    assert_eq!(world.writes(), [(id(Kind::LLMProvider, "a"), READY.to_owned())]);
}

#[test]
fn what_is_wrong_is_said_at_once_and_told_as_an_event_once() {
    let mut world = World::of([provider("a", json!({ "provider": "nonsense" }))]).leading();
    let write = world.world.next_write(world.now).unwrap();
    let notice = write.notice.expect("it is not accepted");
    assert_eq!(notice.reason, Reason::Rejected);
    assert!(notice.message.contains("spec.provider"), "{}", notice.message);
    let stalled = write.status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "Stalled");
    assert!(stalled, "{}", write.status);
    world.world.statuses.end(&write.id, Outcome::Failed, world.now);
    let mut again = provider("a", json!({ "provider": "nonsense" }));
    let Body::Declared { status, .. } = &mut again.body else { unreachable!() };
    *status = write.status.clone();
    status["conditions"][1]["reason"] = json!("Touched");
    world.see(again);
    world.later(60_000);
    assert_eq!(world.world.next_write(world.now).unwrap().notice, None);
}

#[test]
fn nothing_is_done_before_every_kind_was_listed() {
    let mut world = World::unlisted();
    world.see(simulated("a"));
    let all = sources(&[]).len();
    for source in 0..all {
        world.world.compile(world.now);
        assert!(!world.world.is_due(), "{source} is not listed");
        world.world.take(Note::Listing { source }, world.now);
        world.world.take(Note::Listed { source }, world.now);
    }
    // The list of the first kind did not name it: it is gone before it was ever compiled.
    assert!(world.world.is_due());
}

#[test]
fn a_watch_that_breaks_takes_nothing_away() {
    let mut world = World::of([simulated("a")]).leading();
    world.publish(AT);
    world.world.take(Note::Failed { source: 0, why: "403 Forbidden".to_owned() }, world.now);
    world.world.take(Note::Listing { source: 0 }, world.now);
    world.world.compile(world.now);
    assert!(!world.world.is_unpublished());
    world.world.take(Note::Listed { source: 0 }, world.now);
    world.world.compile(world.now);
    assert_eq!(world.publish(AT), [(id(Kind::LLMProvider, "a"), false)], "a list that is through proves it");
}

#[test]
fn only_the_leader_writes_and_publishes() {
    let mut world = World::of([simulated("a")]);
    world.world.compile(world.now);
    world.later(1_000);
    assert_eq!(world.writes(), []);
    assert!(!world.world.is_unpublished());
    world.world.lead(world.now);
    assert!(world.world.is_unpublished());
    world.world.resign();
    world.see(simulated("b"));
    world.world.compile(world.now);
    world.later(1_000);
    assert_eq!(world.writes(), []);
    assert!(!world.world.is_unpublished());
}

#[test]
fn what_changes_while_it_is_published_is_published_again_and_not_taken_for_programmed() {
    let mut world = World::of([simulated("a")]).leading();
    let batch = world.world.take_unpublished().entries;
    let ids: Vec<ObjectRef> = batch.into_iter().map(|(id, _)| id).collect();
    world.see(Seen {
        generation: 2,
        ..provider("a", json!({ "provider": "simulated", "maxConcurrency": 2 }))
    });
    world.world.compile(world.now);
    world.world.published(&ids, AT, world.now);
    world.acknowledged(AT);
    world.later(501);
    assert_eq!(world.writes(), [(id(Kind::LLMProvider, "a"), PENDING.to_owned())]);
    assert_eq!(world.publish(Revision { number: 2, ..AT }).len(), 1);
}

#[test]
fn a_batch_that_was_not_published_is_published_later() {
    let mut world = World::of([simulated("a"), simulated("b")]).leading();
    let ids: Vec<ObjectRef> = world.world.take_unpublished().entries.into_iter().map(|(id, _)| id).collect();
    assert!(!world.world.is_unpublished());
    world.world.unpublished(ids.clone());
    let again: Vec<ObjectRef> = world.publish(AT).into_iter().map(|(id, _)| id).collect();
    assert_eq!(again, ids);
}
