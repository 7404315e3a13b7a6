//! Pods that are told of objects come to what the operator compiled: the same snapshot, the same state of every object.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::edit::{Edit, edit};
use declare::{key, name, object, policy, provider, secret, simulated};
use proptest::prelude::*;
use serde_json::json;
use smartflow_compile::{
    Carried, Change, Compiler, Finding, Kind, LEVEL, Object, ObjectRef, Resources, Serving, Settings,
};
use smartflow_snapshot::{Effect, Enforcement, TokenHash};
use std::collections::BTreeMap;

/// An operator, and a pod that is told what changed as text.
struct Fleet {
    operator: Compiler,
    resources: BTreeMap<ObjectRef, Object>,
    pod: Compiler,
    texts: BTreeMap<ObjectRef, String>,
}

impl Fleet {
    fn new() -> Self {
        let settings = Settings::default();
        let (operator, pod) = (Compiler::new(&settings), Compiler::new(&settings));
        Self { operator, resources: BTreeMap::new(), pod, texts: BTreeMap::new() }
    }

    fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut fleet = Self::new();
        fleet.apply(objects.into_iter().map(|o| Change::Set(Box::new(o))).collect());
        fleet
    }

    fn apply(&mut self, changes: Vec<Change>) {
        let mut touched = Vec::new();
        for change in &changes {
            match change {
                Change::Set(object) => {
                    self.resources.insert(object.id().clone(), Object::clone(object));
                }
                Change::Remove(id) => {
                    self.resources.remove(id);
                    touched.push(id.clone());
                }
            }
        }
        let compiled = self.operator.apply(changes);
        touched.extend(compiled.reports.into_iter().map(|r| r.object));
        let told: Vec<Change> = touched.into_iter().filter_map(|id| self.tell(id)).collect();
        self.pod.apply(told);
    }

    fn tell(&mut self, id: ObjectRef) -> Option<Change> {
        let carried = self.resources.get(&id).and_then(|o| self.operator.carry(o));
        let text = carried.map(|c| serde_json::to_string(&c).unwrap());
        let told = match &text {
            Some(text) if self.texts.get(&id) == Some(text) => return None,
            Some(text) => Change::Set(Box::new(received(id.clone(), text))),
            None => Change::Remove(id.clone()),
        };
        match text {
            Some(text) => self.texts.insert(id, text),
            None => self.texts.remove(&id),
        };
        Some(told)
    }

    fn serving(&self, compiler: &Compiler) -> BTreeMap<ObjectRef, Serving> {
        let ours = |id: &ObjectRef| !matches!(id.kind, Kind::Secret);
        compiler
            .objects()
            .filter(ours)
            .map(|id| (id.clone(), compiler.report(&id).unwrap().serving))
            .collect()
    }
}

fn received(id: ObjectRef, text: &str) -> Object {
    let carried: Carried = serde_json::from_str(text).unwrap();
    Object::carried(id, carried).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pods_come_to_what_the_operator_compiled(
        batches in prop::collection::vec(prop::collection::vec(edit(), 1..5), 1..14)
    ) {
        let mut fleet = Fleet::new();
        for batch in batches {
            fleet.apply(batch.iter().map(Edit::change).collect());
            let text = |compiler: &Compiler| serde_json::to_string_pretty(compiler.snapshot()).unwrap();
            prop_assert_eq!(text(&fleet.pod), text(&fleet.operator));
            prop_assert_eq!(fleet.pod.snapshot().hash, fleet.operator.snapshot().hash);
            prop_assert_eq!(fleet.serving(&fleet.pod), fleet.serving(&fleet.operator));
        }
    }
}

/// The property would hold of worlds without what it is about.
#[test]
fn what_is_carried_is_not_trivial() {
    let broken = object(Kind::VirtualKey, "a", "k", json!({ "models": ["*"], "tpyo": 1, "disabled": true }));
    let kept = key("a", "k", json!({ "models": ["*"], "sha256": TokenHash::of(b"t").to_string() }));
    let fleet = Fleet::of([
        broken.with_last_good(kept.spec().unwrap()),
        policy("a", "closed", json!({ "targets": { "teams": ["red"] }, "tpyo": 1 })),
        provider("a", "p", simulated(&["simulated-a"])),
    ]);
    let serving: Vec<Serving> = fleet.serving(&fleet.pod).into_values().collect();
    assert_eq!(serving, [Serving::Current, Serving::LastGood, Serving::Closed]);
    let key = fleet.pod.snapshot().keys_by_name.get(&name("a", "k")).unwrap();
    assert!(key.disabled, "what today's text takes away is carried beside the spec that was kept");
    let report = fleet.pod.report(&ObjectRef { kind: Kind::VirtualKey, name: name("a", "k") }).unwrap();
    assert_eq!(report.findings.len(), 1, "pods say what is wrong with it: {:?}", report.findings);
}

/// T1, and the rule that secrets go nowhere without need.
#[test]
fn only_credentials_of_providers_are_carried_and_never_tokens() {
    let token = "canary-token-0123456789-0123456789";
    let spec = json!({
        "provider": "openai-compatible",
        "baseURL": "https://llm.example.com/v1",
        "auth": { "apiKey": { "secretRef": { "name": "used", "key": "api-key" } } },
        "models": [{ "name": "m", "price": { "input": "1", "output": "1" } }],
    });
    let mut fleet = Fleet::of([
        provider("a", "p", spec),
        secret("a", "used", true, json!({ "api-key": "sk-used", "other": "canary-other" })),
        secret("a", "unused", true, json!({ "api-key": "canary-unused" })),
        secret("a", "tokens", true, json!({ "token": token })),
        key("a", "k", json!({ "models": ["*"], "existingSecretRef": { "name": "tokens", "key": "token" } })),
    ]);
    let all: String = fleet.texts.values().map(String::as_str).collect();
    assert!(all.contains("sk-used") && !all.contains("canary"), "{all}");
    assert!(all.contains(&TokenHash::of(token.as_bytes()).to_string()));
    let used = ObjectRef { kind: Kind::Secret, name: name("a", "used") };
    assert!(fleet.texts.contains_key(&used));
    fleet.apply(vec![Change::Remove(ObjectRef { kind: Kind::LLMProvider, name: name("a", "p") })]);
    assert!(!fleet.texts.contains_key(&used), "nobody refers to it any more");
    let closed = secret("a", "closed", false, json!({ "api-key": "canary" }));
    let refers = json!({
        "provider": "openai",
        "auth": { "apiKey": { "secretRef": { "name": "closed", "key": "api-key" } } },
    });
    let fleet = Fleet::of([provider("a", "p", refers), closed]);
    assert!(!fleet.texts.values().any(|t| t.contains("canary")), "without the label it is not opened");
}

#[test]
fn the_earliest_key_has_the_token_on_pods_as_well() {
    let hash = TokenHash::of(b"shared").to_string();
    let made =
        |n: &str, created| key("a", n, json!({ "models": ["*"], "sha256": hash })).with_created(created);
    let fleet = Fleet::of([made("a", 30), made("b", 10), made("c", 20)]);
    for compiler in [&fleet.operator, &fleet.pod] {
        let owner = compiler.snapshot().keys.get(&TokenHash::of(b"shared")).unwrap();
        assert_eq!(&*owner.name.name, "b");
    }
}

/// T8
#[test]
fn what_cannot_be_read_is_absent_where_it_grants_and_closed_where_it_restricts() {
    let spec = json!({
        "targets": { "teams": ["red"], "models": ["gpt-*"] },
        "enforcement": "DryRun",
        "access": { "groups": { "deny": ["x"] } },
    });
    let object = policy("a", "p", spec);
    let resources: Resources = [object.clone()].into_iter().collect();
    let mut compiler = Compiler::new(&Settings::default());
    compiler.apply(resources.iter().map(|o| Change::Set(Box::new(o.clone()))));
    let carried = compiler.carry(&object).unwrap();
    assert_eq!(carried.level(), 2);
    let why = Finding::too_new(LEVEL + 1, LEVEL);
    let unusable = Object::unusable(object.id().clone(), carried.restraint(), why.clone());
    let mut pod = Compiler::new(&Settings::default());
    pod.apply([Change::Set(Box::new(unusable))]);
    let closed = &pod.snapshot().policies[0];
    assert!(matches!(closed.effect, Effect::Closed { .. }));
    assert_eq!(closed.enforcement, Enforcement::DryRun, "what only reports does not block");
    assert_eq!(closed.targets, compiler.snapshot().policies[0].targets);
    let id = ObjectRef { kind: Kind::VirtualKey, name: name("a", "k") };
    pod.apply([Change::Set(Box::new(Object::unusable(id.clone(), None, why)))]);
    assert_eq!(pod.report(&id).unwrap().serving, Serving::Nothing);
}

#[test]
fn a_switched_off_policy_that_cannot_be_read_closes_nothing() {
    let object = policy("a", "p", json!({ "enforcement": "Off", "access": { "groups": { "deny": ["x"] } } }));
    let mut compiler = Compiler::new(&Settings::default());
    compiler.apply([Change::Set(Box::new(object.clone()))]);
    let carried = compiler.carry(&object).unwrap();
    let unusable =
        Object::unusable(object.id().clone(), carried.restraint(), Finding::too_new(LEVEL + 1, LEVEL));
    let mut pod = Compiler::new(&Settings::default());
    pod.apply([Change::Set(Box::new(unusable))]);
    assert!(pod.snapshot().policies.is_empty());
}
