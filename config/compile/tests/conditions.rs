//! Conditions, as people and tools wait for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{key, provider, report, simulated, world};
use serde_json::{Value, json};
use smartflow_compile::{Compiled, Kind, Object, Programmed};

fn compiled(object: Object) -> Compiled {
    world([object, provider("platform", "shared", simulated(&["simulated-x"]))])
}

/// Type, status and reason of each condition.
fn conditions(
    compiled: &Compiled,
    programmed: &Programmed,
) -> Vec<(&'static str, &'static str, &'static str)> {
    let report = report(compiled, Kind::VirtualKey, "a", "k");
    report.conditions(programmed).iter().map(|c| (c.kind, c.status, c.reason)).collect()
}

fn look(spec: Value, programmed: &Programmed) -> Vec<(&'static str, &'static str, &'static str)> {
    conditions(&compiled(key("a", "k", spec)), programmed)
}

#[test]
fn a_sound_object_is_ready_once_it_runs() {
    let spec = json!({ "models": ["*"] });
    let accepted = [("Accepted", "True", "Accepted"), ("ResolvedRefs", "True", "ResolvedRefs")];
    let all = |rest: &[(&'static str, &'static str, &'static str)]| [&accepted[..], rest].concat();
    let runs = all(&[("Programmed", "True", "Programmed"), ("Ready", "True", "Ready")]);
    assert_eq!(look(spec.clone(), &Programmed::Yes), runs);
    let waits = all(&[
        ("Programmed", "False", "Pending"),
        ("Ready", "Unknown", "Pending"),
        ("Reconciling", "True", "Pending"),
    ]);
    assert_eq!(look(spec.clone(), &Programmed::No), waits);
    let unknown = Programmed::Unknown("NoGateways", "No gateway is there.".to_owned());
    assert_eq!(
        look(spec, &unknown),
        all(&[("Programmed", "Unknown", "NoGateways"), ("Ready", "Unknown", "NoGateways")])
    );
}

#[test]
fn a_warning_changes_no_condition() {
    assert!(
        look(json!({ "models": ["nothing"] }), &Programmed::Yes)
            .iter()
            .all(|(_, status, _)| *status == "True")
    );
}

#[test]
fn an_invalid_object_is_stalled_and_a_missing_reference_is_not() {
    let invalid = look(json!({ "modles": [] }), &Programmed::Yes);
    assert_eq!(invalid[0], ("Accepted", "False", "UnknownField"));
    assert_eq!(
        invalid[2..],
        [
            ("Programmed", "False", "NotServed"),
            ("Ready", "False", "UnknownField"),
            ("Stalled", "True", "UnknownField"),
        ]
    );
    let missing = look(json!({ "models": ["*"], "parentRef": { "name": "p" } }), &Programmed::Yes);
    assert_eq!(
        missing[1..],
        [
            ("ResolvedRefs", "False", "ParentNotFound"),
            ("Programmed", "False", "NotServed"),
            ("Ready", "False", "ParentNotFound"),
        ]
    );
}

#[test]
fn the_message_names_field_fix_and_what_serves() {
    let kept = key("a", "k", json!({ "models": ["*"] }));
    let object =
        key("a", "k", json!({ "modles": [], "disabledd": true })).with_last_good(kept.spec().unwrap());
    let compiled = compiled(object);
    let conditions = report(&compiled, Kind::VirtualKey, "a", "k").conditions(&Programmed::Yes);
    let expected = "spec.disabledd: There is no field disabledd here. Fix: Did you mean disabled? (1 more) The last valid spec serves.";
    assert_eq!(conditions[0].message, expected);
    assert_eq!((conditions[2].status, conditions[2].reason), ("False", "LastGood"));
}

#[test]
fn secrets_and_namespaces_are_not_ours_to_write_to() {
    let compiled = world([declare::secret("a", "k", true, json!({}))]);
    assert!(report(&compiled, Kind::Secret, "a", "k").conditions(&Programmed::Yes).is_empty());
}
