//! Namespace: only its labels matter.

use crate::finding::Finding;
use serde_json::Value;
use std::collections::BTreeMap;

/// Label that every namespace has, with its name as value.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Labels of an object.
pub(crate) type Labels = BTreeMap<Box<str>, Box<str>>;

/// `metadata.labels` of a manifest. What is not text is left out, and what is there twice: labels grant.
pub(crate) fn labels(manifest: &Value, findings: &[Finding]) -> Labels {
    let doubled = |path: &str| findings.iter().any(|f| f.doubles(path));
    let labels = manifest.pointer("/metadata/labels").and_then(Value::as_object);
    let labels = labels.filter(|_| !doubled("metadata.labels"));
    let labels = labels.into_iter().flatten().filter(|(k, _)| !doubled(&format!("metadata.labels.{k}")));
    let pair = |(k, v): (&String, &Value)| Some((k.as_str().into(), v.as_str()?.into()));
    labels.filter_map(pair).collect()
}
