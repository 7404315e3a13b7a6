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
            let message = format!("{}.", sentence(&error.message));
            findings.push(Finding::error(
                Reason::RuleBroken,
                &error.field_path,
                message,
                fix(&error.message),
            ));
        }
    }
}

/// Rules' messages say what to do; the sentence for people repeats them with a capital.
fn sentence(message: &str) -> String {
    let mut letters = message.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What follows the colon of `reason: what to do`, or the whole.
fn fix(message: &str) -> String {
    let todo = message.split_once(": ").map_or(message, |(_, todo)| todo);
    format!("{}.", sentence(todo))
}
