//! Block YAML of a definition: the same bytes for the same definition.

use crate::DefinitionError;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// `definition` as YAML with sorted fields, ending in a line break.
///
/// # Errors
/// Only when the definition has no JSON form.
pub fn yaml(definition: &CustomResourceDefinition) -> Result<String, DefinitionError> {
    let kind = definition.spec.names.kind.clone();
    let value = serde_json::to_value(definition).map_err(|source| DefinitionError::Form { kind, source })?;
    let mut out = String::from("# Written by `cargo xtask crds` from the types in crds/src. Do not edit.\n");
    block(&mut out, &value, 0);
    Ok(out)
}

/// Writes a non-empty container as lines indented by `depth`.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter().collect::<BTreeMap<_, _>>() {
                let _ = write!(out, "{:depth$}{}:", "", scalar(name));
                entry(out, field, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                // A mapping starts on the dash's line.
                let _ = write!(out, "{:depth$}-", "");
                let dash = out.len();
                entry(out, item, depth);
                if item.is_object() && out[dash..].starts_with('\n') {
                    out.replace_range(dash..dash + 1 + depth + 2, " ");
                }
            }
        }
        other => {
            let _ = writeln!(out, "{:depth$}{}", "", inline(other));
        }
    }
}

/// Writes what follows `name:` or `-`.
fn entry(out: &mut String, value: &Value, depth: usize) {
    let nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        block(out, value, depth + 2);
    } else {
        let _ = writeln!(out, " {}", inline(value));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        // kube keeps bounds as floats.
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    }
}

/// A string without quotes where no YAML reader can take it for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}
