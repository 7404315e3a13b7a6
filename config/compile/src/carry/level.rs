//! Which version of the gateway can read what.
//!
//! Whoever adds a field to a kind adds it to [`NEWER`], with a new [`LEVEL`], unless a gateway that does not know it
//! does the same without it: an older gateway would otherwise leave out what it says. A test compares the schemas with
//! the fields that were looked at (`fields.txt`), so that none is forgotten.

use crate::object::Kind;
use serde_json::Value;

/// The level that this version reads and, at most, writes.
pub const LEVEL: u32 = 2;

/// Where everything began.
const FIRST: u32 = 1;

/// What needs more than the first level: kind, field (empty = the whole kind), level.
const NEWER: [(Kind, &str, u32); 9] = [
    (Kind::FallbackChain, "", 2),
    (Kind::LLMProvider, "/endpoints", 2),
    (Kind::LLMProvider, "/maxConcurrency", 2),
    (Kind::LLMProvider, "/queue", 2),
    (Kind::VirtualKey, "/overrides", 2),
    (Kind::VirtualKey, "/unsupported", 2),
    // Lists that are left out, and none that are empty: before that, an empty one meant everything.
    (Kind::Policy, "/access/groups", 2),
    (Kind::Policy, "/access/models", 2),
    (Kind::Policy, "/targets/providers", 2),
];

/// The lowest level that can express `spec`.
pub(crate) fn needed(kind: Kind, spec: Option<&Value>) -> u32 {
    let used = |path: &str| {
        let field = spec.and_then(|s| s.pointer(path));
        path.is_empty() || field.is_some_and(|f| !f.is_null() && f.as_array().is_none_or(|a| !a.is_empty()))
    };
    let newer = NEWER.iter().filter(|(of, path, _)| *of == kind && used(path));
    newer.map(|(_, _, level)| *level).max().unwrap_or(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Every field of every kind was looked at by somebody who knew of levels.
    #[test]
    fn every_field_has_a_level() {
        let mut fields = String::new();
        for definition in smartflow_crds::all().unwrap() {
            let value = serde_json::to_value(&definition).unwrap();
            let kind = value["spec"]["names"]["kind"].as_str().unwrap();
            let spec = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
            walk(spec, kind, &mut fields);
        }
        let known = include_str!("fields.txt");
        let unknown: Vec<&str> = fields.lines().filter(|f| !known.lines().any(|k| k == *f)).collect();
        assert!(
            unknown.is_empty(),
            "decide for these fields whether gateways that do not know them may be given them (carry/level.rs), then \
             add them to carry/fields.txt: {unknown:#?}"
        );
    }

    fn walk(node: &Value, path: &str, fields: &mut String) {
        for (name, below) in node["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            fields.push_str(&format!("{path}\n"));
            walk(below, &path, fields);
        }
        for inner in ["items", "additionalProperties"].into_iter().filter(|i| node[*i].is_object()) {
            walk(&node[inner], path, fields);
        }
    }

    #[test]
    fn the_lowest_level_that_expresses_it() {
        assert_eq!(needed(Kind::VirtualKey, Some(&json!({ "models": ["*"], "overrides": [] }))), 1);
        assert_eq!(needed(Kind::VirtualKey, Some(&json!({ "overrides": ["Model"] }))), 2);
        assert_eq!(needed(Kind::FallbackChain, None), 2);
        assert_eq!(needed(Kind::Policy, Some(&json!({ "limits": {} }))), 1);
        assert!(NEWER.iter().all(|(_, _, level)| (FIRST..=LEVEL).contains(level)));
    }
}
