//! What every manifest has: kind, name, metadata.

use crate::finding::{Finding, Reason};
use crate::object::{Kind, ObjectRef};
use crate::schema::{nearest, unknown_field};
use serde_json::{Map, Value};
use smartflow_snapshot::ObjectName;

/// Namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// A manifest whose object is known.
pub(crate) struct Manifest {
    pub(crate) id: ObjectRef,
    pub(crate) value: Value,
}

impl Manifest {
    /// Tells which object it is, and what is wrong around its spec.
    pub(crate) fn read(value: Value) -> Result<(Self, Vec<Finding>), Finding> {
        let Value::Object(fields) = &value else {
            let fix = "Write apiVersion, kind, metadata and spec.";
            return Err(Finding::error(Reason::WrongType, "", "This is not an object.", fix));
        };
        let kind = kind(fields)?;
        let Some(name) = value.pointer("/metadata/name").and_then(Value::as_str) else {
            let fix = "Add metadata: {name: <name>}.";
            return Err(Finding::error(Reason::Required, "metadata.name", "The object has no name.", fix));
        };
        let namespace = match value.pointer("/metadata/namespace") {
            _ if kind == Kind::Namespace => "",
            None | Some(Value::Null) => DEFAULT_NAMESPACE,
            Some(namespace) => namespace.as_str().unwrap_or_default(),
        };
        if kind != Kind::Namespace && !is_label(namespace) {
            let message =
                "A namespace has at most 63 of a-z, 0-9 and -, and begins and ends with a letter or digit.";
            return Err(Finding::error(Reason::InvalidName, "metadata.namespace", message, "Change it."));
        }
        let proper = if kind == Kind::Namespace { is_label(name) } else { is_subdomain(name) };
        if !proper {
            let message =
                "A name has at most 253 of a-z, 0-9, - and ., and begins and ends with a letter or digit.";
            return Err(Finding::error(Reason::InvalidName, "metadata.name", message, "Change it."));
        }
        let id = ObjectRef { kind, name: ObjectName::new(namespace, name) };
        let findings = around(kind, fields);
        Ok((Self { id, value }, findings))
    }
}

fn kind(fields: &Map<String, Value>) -> Result<Kind, Finding> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let unknown =
        |path: &str, message: String, fix: String| Finding::error(Reason::UnknownKind, path, message, fix);
    let Some(found) = Kind::ALL.into_iter().find(|k| k.as_str() == kind) else {
        let known = Kind::ALL.map(Kind::as_str);
        let fix = match nearest(kind, known) {
            Some(near) => format!("Did you mean {near}?"),
            None => format!("Remove it from here; known are {}.", known.join(", ")),
        };
        let message = if kind.is_empty() {
            "The object has no kind.".to_owned()
        } else {
            format!("There is no kind {kind} here.")
        };
        return Err(unknown("kind", message, fix));
    };
    if found.api_version() == api_version {
        return Ok(found);
    }
    let message = format!("{kind} is not of apiVersion {api_version:?}.");
    Err(unknown("apiVersion", message, format!("Write apiVersion: {}.", found.api_version())))
}

/// Fields beside the spec.
fn around(kind: Kind, fields: &Map<String, Value>) -> Vec<Finding> {
    const METADATA: [&str; 15] = [
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    let top: &[&str] = match kind {
        Kind::Secret => &["apiVersion", "data", "immutable", "kind", "metadata", "stringData", "type"],
        _ => &["apiVersion", "kind", "metadata", "spec", "status"],
    };
    let mut findings = Vec::new();
    unknown(fields, top, "", &mut findings);
    if let Some(metadata) = fields.get("metadata").and_then(Value::as_object) {
        unknown(metadata, &METADATA, "metadata", &mut findings);
        for field in ["labels", "annotations"] {
            pairs(metadata.get(field), &format!("metadata.{field}"), &mut findings);
        }
    }
    if kind == Kind::Secret {
        for field in ["data", "stringData"] {
            if fields.get(field).is_some_and(|v| !v.is_object() && !v.is_null()) {
                findings.push(mapping(field));
            }
        }
    } else if kind != Kind::Namespace && fields.get("spec").is_none_or(Value::is_null) {
        findings.push(Finding::error(Reason::Required, "spec", "The object has no spec.", "Add spec."));
    }
    findings
}

fn unknown(fields: &Map<String, Value>, known: &[&str], path: &str, findings: &mut Vec<Finding>) {
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        findings.push(unknown_field(name, path, known.iter().copied()));
    }
}

fn pairs(value: Option<&Value>, path: &str, findings: &mut Vec<Finding>) {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Object(pairs)) => {
            for (name, value) in pairs.iter().filter(|(_, v)| !v.is_string()) {
                let path = format!("{path}[{name}]");
                let fix = format!("Put it in quotes: \"{value}\".");
                findings.push(Finding::error(Reason::WrongType, &path, "This is not text.", fix));
            }
        }
        Some(_) => findings.push(mapping(path)),
    }
}

fn mapping(path: &str) -> Finding {
    Finding::error(Reason::WrongType, path, "A mapping belongs here.", "Write fields with their values.")
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_subdomain(text)
}

fn is_subdomain(text: &str) -> bool {
    let part = |p: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !p.is_empty() && p.chars().all(inner) && !p.starts_with('-') && !p.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}
