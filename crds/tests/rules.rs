//! Every CEL rule accepts a good object and refuses a bad one, evaluated here without an API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pairs;

use pairs::all_pairs;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A rule by where it stands: kind, path of the schema node, expression.
type Place = (String, String, String);

fn schemas() -> BTreeMap<String, Value> {
    let all = smartflow_crds::all().unwrap();
    let schema =
        |d: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
            serde_json::to_value(
                d.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap(),
            )
            .unwrap()
        };
    all.iter().map(|d| (d.spec.names.kind.clone(), schema(d))).collect()
}

fn rules(kind: &str, path: &str, node: &Value, found: &mut Vec<(Place, Value)>) {
    for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let place = (kind.to_owned(), path.to_owned(), rule["rule"].as_str().unwrap().to_owned());
        found.push((place, rule.clone()));
    }
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rules(kind, &below, field, found);
    }
    for (suffix, inner) in [("[]", "items"), ("{}", "additionalProperties")] {
        if let Some(inner) = node.get(inner) {
            rules(kind, &format!("{path}{suffix}"), inner, found);
        }
    }
}

fn all_rules() -> Vec<(Place, Value)> {
    let mut found = Vec::new();
    for (kind, schema) in schemas() {
        rules(&kind, "", &schema, &mut found);
    }
    found
}

/// Faults of `spec`, as (rule, where).
fn faults(schema: &Value, spec: &Value) -> Vec<(String, String)> {
    let object = json!({ "metadata": { "name": "sample" }, "spec": spec });
    match kube_cel::Validator::new().validate_with_defaults(schema, &object, None) {
        Ok(()) => Vec::new(),
        Err(faults) => faults.into_vec().into_iter().map(|f| (f.rule, f.field_path)).collect(),
    }
}

#[test]
fn good_passes_and_bad_is_refused_by_its_rule_alone() {
    let schemas = schemas();
    for pair in all_pairs() {
        let schema = &schemas[pair.kind];
        assert_eq!(faults(schema, &pair.good), [], "{} {}", pair.kind, pair.about);
        let refused = faults(schema, &pair.bad);
        assert_eq!(refused.len(), 1, "{} {}: {refused:?}", pair.kind, pair.about);
        assert!(refused[0].0.contains(pair.about), "refused by another rule: {refused:?}");
        assert_eq!(refused[0].1, pair.reported);
    }
}

#[test]
fn every_rule_has_a_pair() {
    let mut covered = BTreeSet::new();
    let rules = all_rules();
    for pair in all_pairs() {
        let fits = |p: &Place| p.0 == pair.kind && p.1 == pair.node && p.2.contains(pair.about);
        let places: Vec<_> = rules.iter().map(|(place, _)| place).filter(|p| fits(p)).collect();
        assert_eq!(places.len(), 1, "{} {} {}", pair.kind, pair.node, pair.about);
        covered.extend(places.into_iter().cloned());
    }
    let all: BTreeSet<Place> = rules.into_iter().map(|(place, _)| place).collect();
    assert!(!all.is_empty());
    assert_eq!(covered, all, "every rule needs a good and a bad sample");
}

#[test]
fn every_rule_has_a_message_of_its_own() {
    for ((kind, path, rule), value) in all_rules() {
        let message = value["message"].as_str().unwrap_or_default();
        assert!(message.len() > 15 && !message.contains('\n'), "{kind} {path}: {rule}");
    }
}

#[test]
fn one_of_holds_at_both_ends() {
    let schemas = schemas();
    let provider = |auth: Value| json!({ "provider": "openai", "auth": auth });
    assert_eq!(faults(&schemas["LLMProvider"], &provider(json!({}))).len(), 1, "none of three");
    assert_eq!(faults(&schemas["LLMProvider"], &provider(json!({ "none": {} }))), []);
    assert_eq!(faults(&schemas["LLMProvider"], &provider(json!({ "passthrough": {} }))), []);
    let selected =
        |namespaces: Value| json!({ "provider": "openai", "access": { "namespaces": namespaces } });
    assert_eq!(faults(&schemas["LLMProvider"], &selected(json!({ "from": "Selector" }))).len(), 1);
    assert_eq!(faults(&schemas["LLMProvider"], &selected(json!({}))), [], "from defaults to Same");
    assert_eq!(faults(&schemas["VirtualKey"], &json!({})), [], "a token is generated");
}
