//! Policies: reach, last-good, failing closed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{policy, report, said, world};
use serde_json::{Value, json};
use smartflow_compile::{Change, Compiled, Compiler, Kind, Object, Reason, Serving, Settings};
use smartflow_snapshot::{BudgetPer, Effect, Enforcement, Policy, Targets};

fn only(compiled: &Compiled) -> Option<&Policy> {
    assert!(compiled.snapshot.policies.len() < 2);
    compiled.snapshot.policies.first().map(|p| &**p)
}

fn limited(change: Value) -> Value {
    let mut spec = json!({ "limits": { "requestsPerMinute": 5 } });
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    spec
}

fn namespaces(policy: &Policy) -> Vec<&str> {
    policy.targets.namespaces.iter().map(|n| &**n).collect()
}

#[test]
fn a_policy_reaches_its_own_namespace_and_a_platform_policy_everywhere() {
    let at_home = world([policy("a", "p", limited(json!({})))]);
    assert_eq!(namespaces(only(&at_home).unwrap()), ["a"]);
    let everywhere = world([policy("platform", "p", limited(json!({})))]);
    assert!(namespaces(only(&everywhere).unwrap()).is_empty());
    let chosen =
        world([policy("platform", "p", limited(json!({ "targets": { "namespaces": ["b", "a"] } })))]);
    assert_eq!(namespaces(only(&chosen).unwrap()), ["a", "b"]);
}

#[test]
fn a_policy_cannot_reach_into_other_namespaces() {
    let both = world([policy("a", "p", limited(json!({ "targets": { "namespaces": ["a", "b"] } })))]);
    assert_eq!(namespaces(only(&both).unwrap()), ["a"]);
    let fault = vec![(Reason::NotAllowed, "spec.targets.namespaces".to_owned())];
    assert_eq!(said(&both, Kind::Policy, "a", "p"), fault);
    let other = world([policy("a", "p", limited(json!({ "targets": { "namespaces": ["b"] } })))]);
    let closed = only(&other).unwrap();
    assert!(matches!(closed.effect, Effect::Closed { .. }), "it does not drop what it restricts");
    assert_eq!(namespaces(closed), ["a"]);
    assert_eq!(said(&other, Kind::Policy, "a", "p"), fault);
    assert_eq!(report(&other, Kind::Policy, "a", "p").serving, Serving::Closed);
}

#[test]
fn an_edit_that_names_other_namespaces_only_lifts_nothing() {
    let settings = Settings { platform_namespaces: vec!["platform".to_owned()] };
    let away = json!({ "targets": { "namespaces": ["typo"] } });
    let before = policy("a", "p", limited(json!({}))).confined(&settings);
    assert!(before.is_valid());
    let kept = before.spec().unwrap();
    let edited = policy("a", "p", limited(away.clone())).confined(&settings);
    assert!(!edited.is_valid() && edited.spec().is_none());
    let fault = vec![(Reason::NotAllowed, "spec.targets.namespaces".to_owned())];
    let served = world([edited.clone().with_last_good(kept)]);
    assert!(matches!(only(&served).unwrap().effect, Effect::Restrict { .. }));
    assert_eq!(report(&served, Kind::Policy, "a", "p").serving, Serving::LastGood);
    assert_eq!(said(&served, Kind::Policy, "a", "p"), fault);
    // Pods are told of it what the operator found.
    for object in [edited.clone().with_last_good(kept), edited] {
        let compiled = |object: Object| {
            let mut compiler = Compiler::new(&settings);
            compiler.apply([Change::Set(Box::new(object))]);
            compiler
        };
        let operator = compiled(object.clone());
        let carried = serde_json::to_vec(&operator.carry(&object).unwrap()).unwrap();
        let carried = serde_json::from_slice(&carried).unwrap();
        let pod = compiled(Object::carried(object.id().clone(), carried).unwrap());
        assert_eq!(pod.snapshot().hash, operator.snapshot().hash);
    }
    assert!(policy("platform", "p", limited(away)).confined(&settings).is_valid());
}

#[test]
fn modes() {
    let dry = world([policy("a", "p", limited(json!({ "enforcement": "DryRun" })))]);
    assert_eq!(only(&dry).unwrap().enforcement, Enforcement::DryRun);
    let off = world([policy("a", "p", limited(json!({ "enforcement": "Off" })))]);
    assert_eq!(only(&off), None);
    assert!(report(&off, Kind::Policy, "a", "p").is_ready());
}

#[test]
fn restrictions_carry_over() {
    let compiled = world([policy(
        "a",
        "p",
        json!({
            "limits": { "per": "User", "tokensPerDay": 9 },
            "budget": { "per": "Team", "limitUSD": "0.5", "period": "Monthly" },
            "access": { "groups": { "deny": ["z", "b"] }, "models": { "allow": ["x*"] } },
        }),
    )]);
    let Effect::Restrict { limits, budget, access } = &only(&compiled).unwrap().effect else { panic!() };
    let limits = limits.as_ref().unwrap();
    assert_eq!((limits.per, limits.limits.tokens_per_day.map(|n| n.get())), (BudgetPer::User, Some(9)));
    assert_eq!(
        (budget.as_ref().unwrap().per, budget.as_ref().unwrap().budget.limit.0),
        (BudgetPer::Team, 500_000_000)
    );
    let access = access.as_ref().unwrap();
    assert_eq!(access.deny_groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["b", "z"]);
    assert!(access.allow_models.allows("xy") && !access.allow_models.allows("y"));
}

fn closed(object: Object) -> Policy {
    let compiled = world([object]);
    let policy = only(&compiled).unwrap().clone();
    assert!(matches!(policy.effect, Effect::Closed { .. }), "{policy:?}");
    policy
}

#[test]
fn an_invalid_policy_is_closed_on_what_can_be_read_of_its_targets() {
    let broken = json!({ "limits": { "requestsPerMinute": "many" }, "targets": { "teams": ["red"], "models": ["x*"] } });
    let whole = closed(policy("platform", "p", broken.clone()));
    assert_eq!(
        (whole.targets.teams.len(), whole.targets.models.0.len(), namespaces(&whole).len()),
        (1, 1, 0)
    );
    let mut half = broken.clone();
    half["targets"]["models"] = json!(["x*y"]);
    let half = closed(policy("platform", "p", half));
    assert_eq!(
        (half.targets.teams.len(), half.targets.models.0.len()),
        (1, 0),
        "wider, so that nothing slips through"
    );
    let mut none = broken.clone();
    none["targets"] = json!(7);
    let everywhere = closed(policy("platform", "p", none.clone()));
    assert_eq!(everywhere.targets, Targets::default(), "a platform policy may concern every call");
    assert_eq!(namespaces(&closed(policy("a", "p", none))), ["a"], "any other one its namespace");
    let mut silent = broken.clone();
    silent.as_object_mut().unwrap().remove("targets");
    assert_eq!(closed(policy("platform", "p", silent)).targets, Targets::default(), "as it says itself");
    let compiled = world([policy("a", "p", broken)]);
    assert_eq!(report(&compiled, Kind::Policy, "a", "p").serving, Serving::Closed);
    assert_eq!(namespaces(only(&compiled).unwrap()), ["a"]);
}

#[test]
fn an_invalid_policy_with_a_valid_predecessor_goes_on_as_before() {
    let kept = policy("a", "p", limited(json!({ "targets": { "users": ["u"] } })));
    let object = policy("a", "p", json!({ "limit": {} })).with_last_good(kept.spec().unwrap());
    let compiled = world([object]);
    assert_eq!(report(&compiled, Kind::Policy, "a", "p").serving, Serving::LastGood);
    let policy = only(&compiled).unwrap();
    assert!(matches!(policy.effect, Effect::Restrict { .. }) && policy.targets.users.len() == 1);
}

#[test]
fn a_readable_mode_holds_in_an_invalid_policy() {
    let dry = closed(policy("a", "p", json!({ "enforcement": "DryRun" })));
    assert_eq!(dry.enforcement, Enforcement::DryRun);
    let off = world([policy("a", "p", json!({ "enforcement": "Off", "typo": 1 }))]);
    assert_eq!(only(&off), None);
}

/// What is there twice may mean either, so that neither is relied on.
#[test]
fn fields_that_are_there_twice_do_not_open_a_policy() {
    let text = |spec: &str| {
        let head =
            "apiVersion: smartflow.dev/v1alpha1\nkind: Policy\nmetadata: {name: p, namespace: platform}\n";
        let mut loaded = smartflow_compile::load(&format!("{head}{spec}")).unwrap();
        closed(loaded.objects.remove(0))
    };
    let limits = "  limits: {requestsPerMinute: 5}\n";
    let off = text(&format!("spec:\n  enforcement: Off\n  enforcement: Enforce\n{limits}"));
    assert_eq!(off.enforcement, Enforcement::Enforce);
    let narrow = "  targets: {users: [a], namespaces: [x]}\n  targets: {users: [b], namespaces: [x]}\n";
    let targets = text(&format!("spec:\n{narrow}{limits}"));
    assert_eq!(targets.targets, Targets::default(), "neither of them is relied on");
    let spec = text(&format!(
        "spec:\n  enforcement: DryRun\n  targets: {{users: [a]}}\n{limits}spec:\n  targets: {{users: [b]}}\n{limits}"
    ));
    assert!(spec.targets.users.is_empty() && spec.enforcement == Enforcement::Enforce);
}

#[test]
fn a_policy_that_is_declared_twice_is_closed_on_what_either_concerns() {
    let copy = |namespace: &str, targets: Value, mode: &str| {
        policy(namespace, "p", limited(json!({ "targets": targets, "enforcement": mode })))
    };
    let both = |a: Object, b: &Object| {
        let why = smartflow_compile::Finding::error(
            Reason::DuplicateObject,
            "metadata.name",
            "Twice.",
            "Delete one.",
        );
        closed(a.restricted_by(b).refuse(why))
    };
    let vendor = smartflow_snapshot::ObjectName::new("x", "v");
    let concerns =
        |p: &Policy, namespace: &str, model: &str| p.targets.matches(namespace, None, model, model, &vendor);
    let a = copy("platform", json!({ "namespaces": ["a"], "models": ["m"] }), "DryRun");
    let b = copy("platform", json!({ "namespaces": ["b"], "models": ["n*"] }), "Enforce");
    for policy in [both(a.clone(), &b), both(b.clone(), &a)] {
        assert_eq!(policy.enforcement, Enforcement::Enforce);
        assert!(concerns(&policy, "a", "m") && concerns(&policy, "b", "nn"));
        assert!(!concerns(&policy, "c", "m") && !concerns(&policy, "a", "x"));
    }
    let all = copy("platform", json!({}), "Enforce");
    assert!(concerns(&both(a.clone(), &all), "c", "x"), "one of them concerns everything");
    let unreadable = policy("platform", "p", json!({ "targets": 7 }));
    let policy = both(a, &unreadable);
    assert!(concerns(&policy, "a", "m") && concerns(&policy, "platform", "x") && concerns(&policy, "c", "m"));
    let own =
        both(copy("a", json!({ "users": ["u"] }), "Enforce"), &copy("a", json!({ "users": ["w"] }), "Off"));
    assert_eq!((namespaces(&own), own.targets.users.len()), (vec!["a"], 1), "Off restricts nothing");
}

/// An allow list that says nothing must not be read as one that allows everything.
#[test]
fn an_access_without_content_is_refused() {
    for access in [
        json!({}),
        json!({ "groups": {} }),
        json!({ "models": {} }),
        json!({ "groups": { "allow": [] } }),
        json!({ "models": { "allow": [], "deny": ["x"] } }),
        json!({ "models": { "deny": [] } }),
    ] {
        closed(policy("a", "p", json!({ "access": access })));
    }
}
