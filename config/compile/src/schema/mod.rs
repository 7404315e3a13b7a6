//! The kinds' schemas, as an API server applies them: unknown fields, defaults, structure, CEL rules.

mod admit;
mod nearest;
mod node;
mod rules;

use admit::admit;
pub(crate) use admit::unknown_field;
pub(crate) use nearest::nearest;
use rules::{Rules, check_rules};

use crate::finding::Finding;
use node::Node;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Schema of one kind's `spec`.
pub(crate) struct Schema {
    node: Node,
    rules: Rules,
}

/// Schemas by kind, made from the definitions on first use and kept.
static SCHEMAS: OnceLock<HashMap<String, Schema>> = OnceLock::new();

/// The schema of `kind`; `None` for kinds that are not ours.
pub(crate) fn of_kind(kind: &str) -> Option<&'static Schema> {
    SCHEMAS.get_or_init(all).get(kind)
}

fn all() -> HashMap<String, Schema> {
    // The definitions are data of this program; the tests of `crds` read them, so that a failure cannot get here.
    let definitions = smartflow_crds::all().unwrap_or_default();
    let schema = |d| {
        let value = serde_json::to_value(d).unwrap_or_default();
        let kind = value.pointer("/spec/names/kind")?.as_str()?.to_owned();
        let spec = value.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")?;
        Some((kind, Schema { node: Node::of(spec), rules: Rules::of(spec) }))
    };
    definitions.iter().filter_map(schema).collect()
}

impl Schema {
    /// Does to `spec` what an API server does: drops (and reports) unknown fields, adds defaults, checks structure
    /// and rules. `path` is where `spec` is, for findings.
    pub(crate) fn apply(&self, spec: &mut Value, path: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        admit(&self.node, spec, path, &mut findings);
        check_rules(&self.rules, spec, &mut findings);
        findings
    }
}

/// Checks a value against a part of a kind's schema (`spec.models[]` of LLMProvider: `["models", "[]"]`).
#[cfg(test)]
pub(crate) fn check_part(kind: &str, steps: &[&str], value: &mut Value) -> Vec<Finding> {
    let mut node = of_kind(kind).map(|s| &s.node).unwrap();
    for step in steps {
        node = if *step == "[]" { node.items.as_deref().unwrap() } else { &node.properties[*step] };
    }
    let mut findings = Vec::new();
    admit(node, value, "", &mut findings);
    findings
}
