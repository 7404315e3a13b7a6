//! Secret (v1): values that were brought along.

use super::namespace::labels;
use crate::finding::{Finding, Reason};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use smartflow_crds::CREDENTIAL_LABEL;
use smartflow_snapshot::Secret;
use std::collections::BTreeMap;

/// One value of a Secret. Whoever gathers resources replaces references (`env://NAME`, `file://path`) by what they
/// refer to, or by a finding that says why that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretValue {
    /// The value.
    Known(Secret),
    /// It could not be had. Reported on every object that refers to it, and on the Secret.
    Missing(Box<Finding>),
}

/// A Secret's values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SecretData {
    /// It carries the label that opens it for use as a credential.
    pub(crate) labelled: bool,
    pub(crate) values: BTreeMap<Box<str>, SecretValue>,
}

impl SecretData {
    pub(crate) fn of(manifest: &Value, findings: &mut Vec<Finding>) -> Self {
        let mut values = BTreeMap::new();
        for (key, value) in fields(manifest, "data") {
            let decoded = value.as_str().and_then(|v| STANDARD.decode(v.trim()).ok());
            let value = match decoded.map(String::from_utf8) {
                Some(Ok(text)) => SecretValue::Known(Secret::new(&text)),
                Some(Err(_)) => missing(key, "data", "is not UTF-8 text", "Store text.", findings),
                None => missing(
                    key,
                    "data",
                    "is not base64",
                    "Encode it, or write plain text under stringData.",
                    findings,
                ),
            };
            values.insert(key.as_str().into(), value);
        }
        for (key, value) in fields(manifest, "stringData") {
            let value = match value.as_str() {
                Some(text) => SecretValue::Known(Secret::new(text)),
                None => missing(key, "stringData", "is not text", "Put it in quotes.", findings),
            };
            values.insert(key.as_str().into(), value);
        }
        let labelled = labels(manifest, findings).get(CREDENTIAL_LABEL).is_some_and(|v| &**v == "true");
        Self { labelled, values }
    }
}

fn fields<'a>(manifest: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    manifest.get(field).and_then(Value::as_object).into_iter().flatten()
}

fn missing(key: &str, field: &str, what: &str, fix: &str, findings: &mut Vec<Finding>) -> SecretValue {
    let path = format!("{field}[{key}]");
    let finding = Finding::error(Reason::SecretInvalid, &path, format!("The value of {key} {what}."), fix);
    findings.push(finding.clone());
    SecretValue::Missing(Box::new(finding))
}
