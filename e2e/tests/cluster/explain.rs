//! `kubectl explain` has words for every field.

use crate::KINDS;
use serde_json::Value;
use smartflow_rig::cluster::Cluster;

#[tokio::test]
async fn every_field_is_explained() {
    let cluster = Cluster::shared().await;
    let mut fields = 0;
    for definition in smartflow_crds::all().unwrap() {
        let kind = &definition.spec.names.kind;
        let plural = KINDS.iter().find(|(k, ..)| k == kind).unwrap().1;
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        let mut nodes = Vec::new();
        objects(&schema["openAPIV3Schema"], plural, &mut nodes);
        for (path, names) in nodes {
            let text = cluster.kubectl().run(&["explain", &path]).await.done();
            let text = text.split_once("\nFIELDS:\n").map_or("", |(_, fields)| fields);
            let told = told(text);
            for name in names {
                let words = told.iter().find(|(n, _)| *n == name).map(|(_, words)| words.as_str());
                let words = words.unwrap_or_else(|| panic!("{path}: {name} is missing in\n{text}"));
                let known = matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                assert!(
                    known || (words.len() > 3 && words != "<no description>"),
                    "{path}.{name}: `{words}`"
                );
                fields += 1;
            }
        }
    }
    println!("{fields} fields");
    assert!(fields > 150, "only {fields} fields: is the schema walked to its leaves?");
}

/// Every node with fields: its path for `kubectl explain`, and their names.
fn objects(node: &Value, path: &str, found: &mut Vec<(String, Vec<String>)>) {
    let inner = node.get("items").or_else(|| node.get("additionalProperties").filter(|a| a.is_object()));
    if let Some(inner) = inner {
        objects(inner, path, found);
    }
    let Some(fields) = node["properties"].as_object().filter(|fields| !fields.is_empty()) else { return };
    found.push((path.to_owned(), fields.keys().cloned().collect()));
    for (name, field) in fields {
        objects(field, &format!("{path}.{name}"), found);
    }
}

/// Names and words, as `kubectl explain` lists them: a name with its type, maybe its values, then its words.
fn told(text: &str) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let field = line.strip_prefix("  ").and_then(|line| line.split_once("\t<"));
        match (field, told.last_mut()) {
            (Some((name, _)), _) => told.push((name.to_owned(), String::new())),
            (None, Some((_, words))) if line.starts_with("    ") => words.push_str(line.trim()),
            _ => {}
        }
    }
    told
}
