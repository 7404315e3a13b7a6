//! Unknown fields, defaults and structure, in one walk that never stops at the first fault.

use super::nearest;
use super::node::{Bounds, Kind, List, Node, exact};
use crate::finding::{Finding, Reason};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Walks `value` beside its schema: removes unknown fields and nulls, adds defaults, reports what does not fit.
pub(crate) fn admit(node: &Node, value: &mut Value, path: &str, findings: &mut Vec<Finding>) {
    if !node.kind.admits(value) {
        findings.push(wrong_type(node.kind, value, path));
        return;
    }
    match value {
        Value::Object(fields) => object(node, fields, path, findings),
        Value::Array(items) => list(node, items, path, findings),
        Value::String(text) => string(node, text, path, findings),
        Value::Number(number) => {
            let whole = number.as_i64().or_else(|| number.as_f64().and_then(exact));
            if let Some(whole) = whole {
                *number = whole.into();
            }
            if !within(node.range, whole.unwrap_or(i64::MAX)) || whole.is_none() {
                let message = format!("{number} is out of range.");
                let fix = format!("Write a whole number {}.", bounds(node.range));
                findings.push(Finding::error(Reason::Invalid, path, message, fix));
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
    if !node.values.is_empty() && !node.values.contains(value) {
        findings.push(not_supported(&node.values, value, path));
    }
}

fn object(node: &Node, fields: &mut Map<String, Value>, path: &str, findings: &mut Vec<Finding>) {
    // A null is as good as absent: a default takes its place.
    fields.retain(|name, value| !(value.is_null() && node.properties.contains_key(name)));
    unknown(node, fields, path, findings);
    for (name, property) in &node.properties {
        if let (None, Some(default)) = (fields.get(name), &property.default) {
            fields.insert(name.clone(), default.clone());
        }
    }
    for name in node.required.iter().filter(|name| !fields.contains_key(*name)) {
        let path = join(path, name);
        let expected = node.properties.get(name).map_or("a value", |p| p.kind.words());
        let fix = format!("Add it: {expected} belongs here.");
        findings.push(Finding::error(Reason::Required, &path, format!("The field {name} is missing."), fix));
    }
    let count = fields.len() as u64;
    if !within(node.entries, count) {
        let message = format!("This has {count} entries.");
        let fix = format!("Keep {} entries.", bounds(node.entries));
        findings.push(Finding::error(Reason::Invalid, path, message, fix));
    }
    for (name, value) in fields.iter_mut() {
        if let Some(property) = node.properties.get(name) {
            admit(property, value, &join(path, name), findings);
        } else if let Some(additional) = &node.additional {
            admit(additional, value, &entry(path, name), findings);
        }
    }
}

fn unknown(node: &Node, fields: &mut Map<String, Value>, path: &str, findings: &mut Vec<Finding>) {
    if node.additional.is_some() {
        return;
    }
    fields.retain(|name, _| {
        let known = node.properties.contains_key(name);
        if !known {
            findings.push(unknown_field(name, path, node.properties.keys().map(String::as_str)));
        }
        known
    });
}

/// The finding for a field that is not among `known`.
pub(crate) fn unknown_field<'a>(
    name: &str,
    path: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Finding {
    let fix = match nearest(name, known.clone()) {
        Some(near) => format!("Did you mean {near}?"),
        None => match known.collect::<Vec<_>>() {
            all if all.is_empty() => "Remove it: nothing belongs here.".to_owned(),
            all => format!("Remove it; what belongs here: {}.", all.join(", ")),
        },
    };
    Finding::error(Reason::UnknownField, &join(path, name), format!("There is no field {name} here."), fix)
}

fn list(node: &Node, items: &mut [Value], path: &str, findings: &mut Vec<Finding>) {
    if !within(node.count, items.len() as u64) {
        let message = format!("This has {} entries.", items.len());
        let fix = format!("Keep {} entries.", bounds(node.count));
        findings.push(Finding::error(Reason::Invalid, path, message, fix));
    }
    if let Some(schema) = &node.items {
        for (i, item) in items.iter_mut().enumerate() {
            admit(schema, item, &format!("{path}[{i}]"), findings);
        }
    }
    let identity = |item: &Value| match &node.list {
        List::Atomic => None,
        List::Set => Some(item.to_string()),
        List::Map(keys) => {
            Some(keys.iter().map(|k| item.get(k).unwrap_or(&Value::Null).to_string()).collect())
        }
    };
    let mut seen = HashSet::new();
    for (i, item) in items.iter().enumerate() {
        if let Some(id) = identity(item)
            && !seen.insert(id.clone())
        {
            let message = format!("{id} is in the list twice.");
            findings.push(Finding::error(
                Reason::Duplicate,
                &format!("{path}[{i}]"),
                message,
                "Keep one of the two.",
            ));
        }
    }
}

fn string(node: &Node, text: &str, path: &str, findings: &mut Vec<Finding>) {
    let length = text.chars().count() as u64;
    if let Some((source, pattern)) = &node.pattern
        && !pattern.is_match(text)
    {
        let message = format!("{} does not have the form that belongs here.", shown(text));
        findings.push(Finding::error(Reason::Invalid, path, message, format!("{}.", form(source))));
    } else if !within(node.length, length) {
        let message = format!("This has {length} characters.");
        let fix = format!("Write {} characters.", bounds(node.length));
        findings.push(Finding::error(Reason::Invalid, path, message, fix));
    }
    if node.date_time && crate::value::time(text).is_none() {
        let message = format!("{} is not a moment in time.", shown(text));
        let fix = "Write it as RFC 3339, such as 2027-01-31T00:00:00Z.";
        findings.push(Finding::error(Reason::Invalid, path, message, fix));
    }
}

/// A pattern in words, where people meet it often.
fn form(pattern: &str) -> String {
    match pattern {
        r"^\d{1,9}(\.\d{1,6})?$" => {
            "Write a decimal with at most 6 places, in quotes, such as \"0.15\"".to_owned()
        }
        r"^\d{1,9}(\.\d{1,9})?$" => "Write US dollars as a decimal in quotes, such as \"100.50\"".to_owned(),
        r"^\d{1,6}(ms|s|m|h)$" => "Write a whole number and a unit, such as 500ms, 30s, 5m or 1h".to_owned(),
        r"^https?://" => "Begin it with https:// or http://".to_owned(),
        other => format!("It must match {other}"),
    }
}

fn wrong_type(kind: Kind, value: &Value, path: &str) -> Finding {
    let found = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    let fix = match (kind, value) {
        (Kind::String, Value::Number(_) | Value::Bool(_)) => format!("Put it in quotes: \"{value}\"."),
        (Kind::Array, Value::String(text)) => format!("Write it as a list: [{}].", shown(text)),
        (Kind::Integer | Kind::Boolean, Value::String(_)) => {
            format!("Write {} without quotes.", kind.words())
        }
        _ => format!("Write {}.", kind.words()),
    };
    let message = format!("This is {found}, but {} belongs here.", kind.words());
    Finding::error(Reason::WrongType, path, message, fix)
}

fn not_supported(values: &[Value], value: &Value, path: &str) -> Finding {
    let words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    let fix = match value.as_str().and_then(|v| nearest(v, words.iter().copied())) {
        Some(near) => format!("Did you mean {near}?"),
        None => format!("Write one of {}.", words.join(", ")),
    };
    let message = format!(
        "{} is not one of the values allowed here.",
        value.as_str().map_or_else(|| value.to_string(), shown)
    );
    Finding::error(Reason::NotSupported, path, message, fix)
}

/// Short text in quotes. Long text may be a credential in the wrong place, so that it is not repeated.
fn shown(text: &str) -> String {
    if text.chars().count() <= 16 { format!("{text:?}") } else { "This text".to_owned() }
}

fn within<T: PartialOrd + Copy>(bounds: Bounds<T>, value: T) -> bool {
    bounds.min.is_none_or(|min| value >= min) && bounds.max.is_none_or(|max| value <= max)
}

fn bounds<T: std::fmt::Display>(bounds: Bounds<T>) -> String {
    match (bounds.min, bounds.max) {
        (Some(min), Some(max)) => format!("between {min} and {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any number of".to_owned(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Path of an entry of a map: its name may hold dots.
fn entry(path: &str, name: &str) -> String {
    format!("{path}[{name}]")
}
