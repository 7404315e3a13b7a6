//! Namespace: only its labels matter.

use serde_json::Value;
use std::collections::BTreeMap;

/// Label that every namespace has, with its name as value.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Labels of an object.
pub(crate) type Labels = BTreeMap<Box<str>, Box<str>>;

/// `metadata.labels` of a manifest; what is not text is left out.
pub(crate) fn labels(manifest: &Value) -> Labels {
    let labels = manifest.pointer("/metadata/labels").and_then(Value::as_object);
    let pair = |(k, v): (&String, &Value)| Some((k.as_str().into(), v.as_str()?.into()));
    labels.into_iter().flatten().filter_map(pair).collect()
}
