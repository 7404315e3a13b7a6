//! What is gathered of objects that come, change and go.

use super::*;
use serde_json::json;
use smartflow_compile::{Compiler, Serving, Settings};
use smartflow_snapshot::TokenHash;

fn id(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef { kind, name: ObjectName::new("n", name) }
}

fn seen(kind: Kind, name: &str, spec: Value) -> Seen {
    let manifest = json!({
        "apiVersion": kind.api_version(), "kind": kind.as_str(),
        "metadata": { "name": name, "namespace": "n" }, "spec": spec,
    });
    let body = Body::Declared { manifest, status: Value::Null };
    Seen { id: id(kind, name), uid: "u1".into(), generation: 1, version: "1".into(), leaving: false, body }
}

fn key(spec: Value) -> Seen {
    seen(Kind::VirtualKey, "k", spec)
}

fn token(secret: &str, owner: &str) -> Seen {
    let body = Body::Token(TokenSecret {
        owner: Some(owner.into()),
        token: Some(TokenHash::of(b"t")),
        prefix: "sk-sf-0000".into(),
    });
    let id = id(Kind::Secret, secret);
    Seen { id, uid: "s1".into(), generation: 0, version: "1".into(), leaving: false, body }
}

struct World {
    gather: Gather,
    compiler: Compiler,
}

impl World {
    fn of(seen: impl IntoIterator<Item = Seen>) -> Self {
        let mut world = Self { gather: Gather::default(), compiler: Compiler::new(&Settings::default()) };
        world.take(seen);
        world
    }

    fn take(&mut self, seen: impl IntoIterator<Item = Seen>) {
        for seen in seen {
            self.gather.take(seen);
        }
        self.compiler.apply(self.gather.changes());
    }

    fn reasons(&self, kind: Kind, name: &str) -> Vec<Reason> {
        let report = self.compiler.report(&id(kind, name)).unwrap();
        report.findings.iter().map(|f| f.reason).collect()
    }

    fn serving(&self, kind: Kind, name: &str) -> Option<Serving> {
        self.compiler.report(&id(kind, name)).map(|r| r.serving)
    }
}

#[test]
fn a_generated_token_is_asked_for_until_its_secret_is_seen() {
    let mut world = World::of([key(json!({ "models": ["*"] }))]);
    let wanted = Wanted { secret: ObjectName::new("n", "k"), owner: "u1".into() };
    assert_eq!(world.gather.wanted().get(&ObjectName::new("n", "k")), Some(&wanted));
    assert_eq!(world.reasons(Kind::VirtualKey, "k")[0], Reason::TokenPending);
    world.take([token("k", "u1")]);
    assert!(world.gather.wanted().is_empty());
    assert_eq!(world.serving(Kind::VirtualKey, "k"), Some(Serving::Current));
    world.gather.lose(&id(Kind::Secret, "k"));
    world.compiler.apply(world.gather.changes());
    assert_eq!(world.gather.wanted().len(), 1, "deleting the Secret asks for a new token");
    assert_eq!(world.serving(Kind::VirtualKey, "k"), Some(Serving::Nothing));
}

#[test]
fn a_secret_of_somebody_else_is_no_token_and_none_is_written_to_it() {
    let spec = json!({ "models": ["*"], "secretName": "s" });
    let mut world = World::of([key(spec), token("s", "other")]);
    assert!(world.reasons(Kind::VirtualKey, "k").contains(&Reason::SecretNotOwned));
    assert!(world.gather.wanted().is_empty());
    world.gather.lose(&id(Kind::Secret, "s"));
    world.compiler.apply(world.gather.changes());
    assert_eq!(world.gather.wanted().len(), 1);
    world.gather.is_foreign(&ObjectName::new("n", "s"));
    world.compiler.apply(world.gather.changes());
    assert!(world.reasons(Kind::VirtualKey, "k").contains(&Reason::SecretNotOwned));
    assert!(world.gather.wanted().is_empty());
    world.gather.look_again();
    world.compiler.apply(world.gather.changes());
    assert_eq!(world.gather.wanted().len(), 1, "from time to time it is tried again");
}

#[test]
fn a_credential_is_not_overwritten_by_a_token() {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "data": {},
        "metadata": { "name": "k", "namespace": "n", "labels": { "smartflow.dev/credential": "true" } },
    });
    let mut secret = seen(Kind::Secret, "k", Value::Null);
    secret.body = Body::Declared { manifest, status: Value::Null };
    let world = World::of([secret, key(json!({ "models": ["*"] }))]);
    assert!(world.gather.wanted().is_empty());
    assert!(world.reasons(Kind::VirtualKey, "k").contains(&Reason::SecretNotOwned));
}

#[test]
fn the_last_valid_spec_serves_and_a_new_object_of_the_name_does_not_inherit_it() {
    let good = json!({ "models": ["*"], "sha256": "ab".repeat(32) });
    let bad = json!({ "modles": [] });
    let mut world = World::of([key(good.clone())]);
    world.take([key(bad.clone())]);
    assert_eq!(world.serving(Kind::VirtualKey, "k"), Some(Serving::LastGood));
    world.take([key(json!({ "modles": [], "disabledd": 1 }))]);
    assert_eq!(
        world.serving(Kind::VirtualKey, "k"),
        Some(Serving::LastGood),
        "through any number of mistakes"
    );
    world.take([Seen { uid: "u2".into(), ..key(bad) }]);
    assert_eq!(world.serving(Kind::VirtualKey, "k"), Some(Serving::Nothing));
    // It was deleted and made again while no operator ran: what is published is of the first one.
    let published = |created| LastGood { spec: good.to_string(), created };
    world.gather.recall(&id(Kind::VirtualKey, "k"), &published(1));
    world.compiler.apply(world.gather.changes());
    assert_eq!(world.serving(Kind::VirtualKey, "k"), Some(Serving::Nothing), "of another object");
    world.gather.recall(&id(Kind::VirtualKey, "k"), &published(0));
    world.compiler.apply(world.gather.changes());
    assert_eq!(world.serving(Kind::VirtualKey, "k"), Some(Serving::LastGood), "known from what is published");
}

#[test]
fn a_policy_that_is_edited_to_concern_others_only_restricts_as_before() {
    let limited = |namespaces: &[&str]| json!({ "limits": { "requestsPerMinute": 1 }, "targets": { "namespaces": namespaces } });
    let mut world = World::of([seen(Kind::Policy, "p", limited(&["n"]))]);
    assert_eq!(world.serving(Kind::Policy, "p"), Some(Serving::Current));
    world.take([seen(Kind::Policy, "p", limited(&["typo"]))]);
    assert_eq!(world.serving(Kind::Policy, "p"), Some(Serving::LastGood));
    assert_eq!(world.reasons(Kind::Policy, "p"), [Reason::NotAllowed]);
    world.take([Seen { uid: "u2".into(), ..seen(Kind::Policy, "p", limited(&["typo"])) }]);
    assert_eq!(world.serving(Kind::Policy, "p"), Some(Serving::Closed), "nothing is known of a new one");
}

#[test]
fn a_status_alone_compiles_nothing() {
    let mut world = World::of([key(json!({ "models": ["*"] }))]);
    let mut again = key(json!({ "models": ["*"] }));
    again.version = "2".into();
    let Body::Declared { status, .. } = &mut again.body else { panic!() };
    *status = json!({ "observedGeneration": 1 });
    assert_eq!(world.gather.take(again), Taken::Status);
    assert!(!world.gather.is_dirty());
    let held = world.gather.held(&id(Kind::VirtualKey, "k")).unwrap();
    assert_eq!((&*held.version, &held.status), ("2", &json!({ "observedGeneration": 1 })));
}

#[test]
fn what_grants_ends_when_its_end_is_wished_for_and_what_restricts_when_it_is_gone() {
    let spec = json!({ "models": ["*"], "sha256": "ab".repeat(32) });
    let policy = || seen(Kind::Policy, "p", json!({ "limits": { "requestsPerMinute": 1 } }));
    let mut world = World::of([key(spec.clone()), policy()]);
    assert_eq!(world.serving(Kind::Policy, "p"), Some(Serving::Current));
    world.take([Seen { leaving: true, ..key(spec) }, Seen { leaving: true, ..policy() }]);
    assert_eq!(world.serving(Kind::VirtualKey, "k"), None);
    assert_eq!(world.serving(Kind::Policy, "p"), Some(Serving::Current));
    world.gather.lose(&id(Kind::Policy, "p"));
    world.compiler.apply(world.gather.changes());
    assert_eq!(world.serving(Kind::Policy, "p"), None);
}
