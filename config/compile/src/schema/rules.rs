//! CEL rules, compiled once per kind.
//!
//! A rule costs far more than all else that is done to a spec, and rules see little of it: whether a few fields are there,
//! and the values of even fewer. So each node that has rules is evaluated with what its rules name and nothing else, and
//! outcomes are remembered.

use crate::finding::{Finding, Reason};
use kube_cel::{CompiledSchema, ErrorKind, Validator};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

static VALIDATOR: OnceLock<Validator> = OnceLock::new();
/// Most outcomes that a node remembers.
const MOST_KNOWN: usize = 1024;

/// Rules of one kind's `spec`.
pub(super) enum Rules {
    /// Node by node.
    Nodes(Vec<Ruled>),
    /// All of it at once: rules stand where a node is there many times (in lists and maps).
    Whole(Box<CompiledSchema>),
}

/// A node that has rules.
pub(super) struct Ruled {
    /// From the spec to the node.
    steps: Vec<String>,
    /// Fields that its rules name; `true` = only whether the field is there matters.
    fields: BTreeMap<String, bool>,
    rules: CompiledSchema,
    known: Mutex<HashMap<String, Arc<[Broken]>>>,
}

/// A rule that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Broken {
    rule: String,
    message: String,
    path: String,
    /// It was evaluated, and is false.
    failed: bool,
}

impl Rules {
    /// Rules of a `spec`.
    pub(super) fn of(spec: &Value) -> Self {
        let mut nodes = Vec::new();
        if collect(spec, &mut Vec::new(), &mut nodes) {
            Self::Nodes(nodes)
        } else {
            Self::Whole(Box::new(compile(spec)))
        }
    }

    fn broken(&self, spec: &Value) -> Vec<Broken> {
        match self {
            Self::Nodes(nodes) => nodes.iter().flat_map(|n| n.broken(spec).to_vec()).collect(),
            Self::Whole(rules) => evaluate(rules, spec),
        }
    }
}

impl Ruled {
    fn broken(&self, spec: &Value) -> Arc<[Broken]> {
        let node = self.steps.iter().try_fold(spec, |here, step| here.get(step));
        let Some(Value::Object(node)) = node else { return Arc::default() };
        let seen: Map<String, Value> = self
            .fields
            .iter()
            .filter_map(|(name, presence)| {
                let value = node.get(name)?;
                Some((name.clone(), if *presence { Value::Bool(true) } else { value.clone() }))
            })
            .collect();
        let seen = Value::Object(seen);
        let key = seen.to_string();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = known.get(&key) {
            return outcome.clone();
        }
        let spec = self.steps.iter().rev().fold(seen, |inner, step| json!({ step: inner }));
        let outcome: Arc<[Broken]> = evaluate(&self.rules, &spec).into();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key, outcome.clone());
        outcome
    }
}

/// Under a root that has the spec as its field, so that paths begin with `spec`.
fn compile(spec: &Value) -> CompiledSchema {
    kube_cel::compile_schema(&json!({ "type": "object", "properties": { "spec": spec } }))
}

fn evaluate(rules: &CompiledSchema, spec: &Value) -> Vec<Broken> {
    let validator = VALIDATOR.get_or_init(Validator::new);
    let Err(broken) = validator.validate_compiled(rules, &json!({ "spec": spec }), None) else {
        return Vec::new();
    };
    let failed = |kind: &ErrorKind| *kind == ErrorKind::ValidationFailure;
    let broken = broken.into_iter().map(|error| Broken {
        failed: failed(&error.kind),
        rule: error.rule,
        message: error.message,
        path: error.field_path,
    });
    broken.collect()
}

/// Nodes with rules, below `steps`. False when some stand in a list or map.
fn collect(schema: &Value, steps: &mut Vec<String>, nodes: &mut Vec<Ruled>) -> bool {
    let has_rules = |s: &Value| s.to_string().contains("x-kubernetes-validations");
    if ["items", "additionalProperties"].iter().any(|k| schema.get(k).is_some_and(has_rules)) {
        return false;
    }
    if let Some(rules) = schema.get("x-kubernetes-validations") {
        let Some(fields) = named(rules) else { return false };
        // Without types of its fields: a value that stands for presence has another.
        let own = json!({ "type": "object", "x-kubernetes-validations": rules });
        let above = steps.iter().rev();
        let spec = above.fold(own, |inner, step| json!({ "type": "object", "properties": { step: inner } }));
        let (steps, rules) = (steps.clone(), compile(&spec));
        nodes.push(Ruled { steps, fields, rules, known: Mutex::default() });
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().all(|(name, property)| {
        steps.push(name.clone());
        let all = collect(property, steps, nodes);
        steps.pop();
        all
    })
}

/// Fields that rules name, and whether it only matters that they are there. `None` when rules look at the node as a whole,
/// or at what it was before.
fn named(rules: &Value) -> Option<BTreeMap<String, bool>> {
    let field = Regex::new(r"(has\(\s*)?\bself\.([A-Za-z_][A-Za-z0-9_]*)(\s*\))?([.\[])?").ok()?;
    let mut fields = BTreeMap::new();
    for rule in rules.as_array()? {
        let text = rule.get("rule")?.as_str()?;
        let mentions = text.matches("self").count() + text.matches("Self").count();
        let mut seen = 0;
        for found in field.captures_iter(text) {
            seen += 1;
            let presence = found.get(1).is_some() && found.get(3).is_some() && found.get(4).is_none();
            *fields.entry(found.get(2)?.as_str().to_owned()).or_insert(true) &= presence;
        }
        if seen != mentions || rule.get("messageExpression").is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Adds a finding for each broken rule. Where structure is already at fault, a rule that cannot be evaluated, or that
/// looks at a field of the wrong type, says nothing new.
pub(crate) fn check_rules(rules: &Rules, spec: &Value, findings: &mut Vec<Finding>) {
    let structure = findings.len();
    for error in rules.broken(spec) {
        let misled = |f: &Finding| {
            let mut steps = f.path.split(['.', '[', ']']).skip(1).filter(|s| !s.is_empty());
            f.reason == Reason::WrongType && steps.any(|step| error.rule.contains(&format!("self.{step}")))
        };
        if structure == 0 || (error.failed && !findings[..structure].iter().any(misled)) {
            let (message, fix) = words(&error.message);
            findings.push(Finding::error(Reason::RuleBroken, &error.path, message, fix));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Node, admit};

    fn specs() -> BTreeMap<String, Value> {
        let schema = |d| {
            let value = serde_json::to_value(d).unwrap();
            let kind = value["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            let spec = value.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
            (kind, spec.clone())
        };
        smartflow_crds::all().unwrap().iter().map(schema).collect()
    }

    /// Every choice of the fields that rules name, there or not, and of the values that matter.
    fn choices(ruled: &Ruled) -> Vec<Value> {
        let mut all = vec![json!({})];
        for (name, presence) in &ruled.fields {
            let values = if *presence {
                vec![json!({})]
            } else {
                ["simulated", "openai", "Selector", "All"].map(|v| json!(v)).to_vec()
            };
            let with = |value: &Value| {
                all.iter()
                    .cloned()
                    .map(|mut o| {
                        o[name] = value.clone();
                        o
                    })
                    .collect::<Vec<_>>()
            };
            let more: Vec<Value> = values.iter().flat_map(with).collect();
            all.extend(more);
        }
        all
    }

    #[test]
    fn node_by_node_says_what_the_whole_says() {
        let mut compared = 0;
        for (kind, schema) in specs() {
            let (rules, whole, form) = (Rules::of(&schema), compile(&schema), Node::of(&schema));
            let Rules::Nodes(nodes) = &rules else { panic!("{kind} is evaluated as a whole") };
            assert!(!nodes.is_empty());
            for ruled in nodes {
                for node in choices(ruled) {
                    let mut spec = ruled.steps.iter().rev().fold(node, |inner, step| json!({ step: inner }));
                    // Defaults are there before rules are looked at.
                    admit(&form, &mut spec, "spec", &mut Vec::new());
                    let sorted = |mut broken: Vec<Broken>| {
                        broken.retain(|b| b.failed);
                        broken.sort_by(|a, b| (&a.path, &a.rule).cmp(&(&b.path, &b.rule)));
                        broken
                    };
                    assert_eq!(sorted(rules.broken(&spec)), sorted(evaluate(&whole, &spec)), "{kind} {spec}");
                    assert_eq!(rules.broken(&spec), rules.broken(&spec), "and once more");
                    compared += 1;
                }
            }
        }
        assert!(compared > 80, "{compared}");
    }

    #[test]
    fn what_rules_look_at() {
        let of = |rule: &str| named(&json!([{ "rule": rule }]));
        assert_eq!(
            of("has(self.a) || has(self.b)"),
            Some([("a".to_owned(), true), ("b".to_owned(), true)].into())
        );
        assert_eq!(of("!has(self.a) || self.a == 'x'"), Some([("a".to_owned(), false)].into()));
        assert_eq!(of("has(self.a.b)"), Some([("a".to_owned(), false)].into()));
        assert_eq!(of("size(self) > 1"), None);
        assert_eq!(of("self.a == oldSelf.a"), None);
    }

    #[test]
    fn rules_in_lists_are_evaluated_with_the_whole() {
        let rule = json!([{ "rule": "has(self.a)", "message": "set a" }]);
        let item = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "x-kubernetes-validations": rule });
        let rules = Rules::of(
            &json!({ "type": "object", "properties": { "l": { "type": "array", "items": item } } }),
        );
        assert!(matches!(rules, Rules::Whole(_)));
        assert_eq!(rules.broken(&json!({ "l": [{ "a": "x" }, {}] })).len(), 1);
    }
}
