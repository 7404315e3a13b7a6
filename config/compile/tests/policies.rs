//! Policies: reach, last-good, failing closed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{policy, report, said, world};
use serde_json::{Value, json};
use smartflow_compile::{Compiled, Kind, Object, Reason, Serving};
use smartflow_snapshot::{BudgetPer, Effect, Enforcement, Policy};

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
    assert_eq!(only(&other), None);
    assert_eq!(said(&other, Kind::Policy, "a", "p"), fault);
    assert_eq!(report(&other, Kind::Policy, "a", "p").serving, Serving::Nothing);
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
    assert_eq!(namespaces(&closed(policy("platform", "p", none))), ["platform"], "else on its namespace");
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
