//! What every schema must keep, walked node by node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

/// Calls `look` with kind, path and schema of every node below `spec` and `status`, both included.
fn walk(look: &mut dyn FnMut(&str, &str, &Value)) {
    for definition in smartflow_crds::all().unwrap() {
        let kind = definition.spec.names.kind.clone();
        let root = schema(&definition);
        for part in ["spec", "status"] {
            descend(&kind, part, &root["properties"][part], look);
        }
    }
}

fn schema(
    definition: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> Value {
    let schema = definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    serde_json::to_value(schema).unwrap()
}

fn descend(kind: &str, path: &str, node: &Value, look: &mut dyn FnMut(&str, &str, &Value)) {
    look(kind, path, node);
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        descend(kind, &format!("{path}.{name}"), field, look);
    }
    if node.get("items").is_some() {
        descend(kind, &format!("{path}[]"), &node["items"], look);
    }
    if node.get("additionalProperties").is_some() {
        descend(kind, &format!("{path}{{}}"), &node["additionalProperties"], look);
    }
}

/// Paths of nodes that break `rule`; also holds that the walk is not empty.
fn offenders(rule: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let (mut seen, mut bad) = (0, Vec::new());
    walk(&mut |kind, path, node| {
        seen += 1;
        if !rule(path, node) {
            bad.push(format!("{kind} {path}"));
        }
    });
    assert!(seen > 100, "walked only {seen} nodes");
    bad
}

#[test]
fn every_field_is_described() {
    let described = |path: &str, node: &Value| {
        let scalar_item = (path.ends_with("[]") || path.ends_with("{}")) && node["type"] == "string";
        scalar_item || node["description"].as_str().is_some_and(|d| d.len() > 4)
    };
    assert_eq!(offenders(described), Vec::<String>::new());
}

#[test]
fn strings_lists_maps_and_integers_are_bounded() {
    let bounded = |_: &str, node: &Value| match node["type"].as_str() {
        Some("string") => node["maxLength"].is_u64() || node["enum"].is_array(),
        Some("array") => node["maxItems"].is_u64(),
        Some("object") => node.get("additionalProperties").is_none() || node["maxProperties"].is_u64(),
        Some("integer") => {
            node["minimum"].is_number()
                && node["maximum"].is_number()
                && matches!(node["format"].as_str(), Some("int32" | "int64"))
        }
        Some("boolean") => true,
        _ => false,
    };
    assert_eq!(offenders(bounded), Vec::<String>::new());
}

#[test]
fn every_list_says_how_it_merges() {
    let merges = |_: &str, node: &Value| {
        let kind = node["x-kubernetes-list-type"].as_str();
        match (node["type"] == "array", node["items"]["type"].as_str()) {
            (false, _) => kind.is_none(),
            (true, Some("object")) => {
                let keys = node["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
                let required = node["items"]["required"].as_array().cloned().unwrap_or_default();
                kind == Some("map") && !keys.is_empty() && keys.iter().all(|k| required.contains(k))
            }
            (true, _) => kind == Some("set"),
        }
    };
    assert_eq!(offenders(merges), Vec::<String>::new());
}

#[test]
fn only_keywords_that_structural_schemas_allow() {
    const ALLOWED: [&str; 20] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
    ];
    let known = |_: &str, node: &Value| {
        node.as_object().unwrap().keys().all(|k| ALLOWED.contains(&&**k) || k == "x-kubernetes-validations")
    };
    assert_eq!(offenders(known), Vec::<String>::new(), "nullable, oneOf, $ref and the like are not allowed");
}

#[test]
fn defaults_fit_their_own_schema() {
    let fits = |_: &str, node: &Value| match (&node["default"], node["type"].as_str()) {
        (Value::Null, _) => true,
        (Value::String(text), Some("string")) => {
            node["enum"].as_array().is_none_or(|values| values.contains(&json!(text)))
        }
        (Value::Bool(_), Some("boolean")) => true,
        (Value::Number(n), Some("integer")) => n.as_f64() >= node["minimum"].as_f64(),
        (Value::Object(_), Some("object")) => true,
        _ => false,
    };
    assert_eq!(offenders(fits), Vec::<String>::new());
}

#[test]
fn a_new_object_has_a_status_that_nobody_takes_for_finished() {
    for definition in smartflow_crds::all().unwrap() {
        let schema = schema(&definition);
        assert_eq!(schema["properties"]["status"]["default"], json!({ "observedGeneration": -1 }));
        assert!(definition.spec.versions[0].subresources.as_ref().unwrap().status.is_some());
    }
}

#[test]
fn names_and_columns() {
    let seen: Vec<_> = smartflow_crds::all().unwrap().iter().map(names).collect();
    assert_eq!(
        seen,
        [
            "FallbackChain fallbackchains fbc: Strategy Targets Ready Age",
            "LLMProvider llmproviders llmp: Provider Models Ready Age",
            "Policy policies sfpol: Mode Ready Age",
            "VirtualKey virtualkeys vkey: Owner Spent Budget Period Resets Ready Age",
        ]
    );
}

fn names(
    definition: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> String {
    let names = &definition.spec.names;
    assert_eq!(names.categories.as_deref(), Some(&["smartflow".to_owned()][..]));
    assert_eq!((&*definition.spec.group, &*definition.spec.scope), (smartflow_crds::GROUP, "Namespaced"));
    let version = &definition.spec.versions[0];
    assert_eq!((&*version.name, version.served, version.storage), (smartflow_crds::VERSION, true, true));
    let columns = version.additional_printer_columns.as_deref().unwrap();
    let shown: Vec<_> = columns.iter().map(|c| &*c.name).collect();
    for column in columns.iter().filter(|c| c.name != "Age") {
        assert!(has_source(&schema(definition), &column.json_path), "{} has no source", column.name);
    }
    let short = names.short_names.as_deref().unwrap().join(" ");
    format!("{} {} {short}: {}", names.kind, names.plural, shown.join(" "))
}

/// True when a printer column's path leads to a field of the schema.
fn has_source(schema: &Value, path: &str) -> bool {
    let path = path.replace("conditions[?(@.type==\"Ready\")]", "conditions");
    let mut node = schema;
    for step in path.trim_start_matches('.').split('.') {
        let inner = if node["type"] == "array" { &node["items"] } else { node };
        node = &inner["properties"][step];
    }
    node["type"].is_string()
}
