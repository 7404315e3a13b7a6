//! CEL rules, compiled once per kind.

use crate::finding::{Finding, Reason};
use kube_cel::{CompiledSchema, ErrorKind, Validator};
use serde_json::{Value, json};
use std::sync::OnceLock;

static VALIDATOR: OnceLock<Validator> = OnceLock::new();

/// Rules of a `spec`, under a root that has it as its field, so that paths begin with `spec`.
pub(super) fn compile(spec: &Value) -> CompiledSchema {
    kube_cel::compile_schema(&json!({ "type": "object", "properties": { "spec": spec } }))
}

/// Adds a finding for each broken rule. Where structure is already at fault, a rule that cannot be evaluated, or that
/// looks at a field of the wrong type, says nothing new.
pub(crate) fn check_rules(rules: &CompiledSchema, spec: &Value, findings: &mut Vec<Finding>) {
    let object = json!({ "spec": spec });
    let Err(broken) = VALIDATOR.get_or_init(Validator::new).validate_compiled(rules, &object, None) else {
        return;
    };
    let structure = findings.len();
    for error in broken {
        let misled = |f: &Finding| {
            let mut steps = f.path.split(['.', '[', ']']).skip(1).filter(|s| !s.is_empty());
            f.reason == Reason::WrongType && steps.any(|step| error.rule.contains(&format!("self.{step}")))
        };
        let failed = error.kind == ErrorKind::ValidationFailure;
        if structure == 0 || (failed && !findings[..structure].iter().any(misled)) {
            let (message, fix) = words(&error.message);
            findings.push(Finding::error(Reason::RuleBroken, &error.field_path, message, fix));
        }
    }
}

/// Rules' messages are `what to do`, or `why: what to do`.
fn words(message: &str) -> (String, String) {
    let (why, todo) = message.split_once(": ").unwrap_or(("these fields do not go together", message));
    (sentence(why), sentence(todo))
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let capital: String =
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    format!("{capital}.")
}
