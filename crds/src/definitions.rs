//! The definitions that a cluster installs, made from the types.

use crate::{FallbackChain, LLMProvider, Policy, VirtualKey};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

/// A definition could not be finished: always a mistake in this crate.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// kube's form of the definition is not what this crate expects.
    #[error("definition of {kind} could not be read or written: {source}")]
    Form {
        /// The kind.
        kind: String,
        /// What serde said.
        source: serde_json::Error,
    },
}

/// All definitions, ordered by kind, ready to be applied.
///
/// kube's derive makes them; then `nullable` goes (an explicit null is refused by every client that validates), formats
/// that OpenAPI v3 does not know go, and `status` gets a default, so that tools that wait never take an object
/// without a status for a finished one.
///
/// # Errors
/// Only when a type of this crate has no proper schema.
pub fn all() -> Result<Vec<CustomResourceDefinition>, DefinitionError> {
    [FallbackChain::crd(), LLMProvider::crd(), Policy::crd(), VirtualKey::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

fn finish(definition: CustomResourceDefinition) -> Result<CustomResourceDefinition, DefinitionError> {
    let kind = definition.spec.names.kind.clone();
    let form = |source| DefinitionError::Form { kind: kind.clone(), source };
    let mut value = serde_json::to_value(definition).map_err(form)?;
    if let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        tidy(schema);
        if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
            status.insert("default".to_owned(), json!({ "observedGeneration": -1 }));
        }
    }
    serde_json::from_value(value).map_err(form)
}

/// Formats that the API server knows and checks.
const FORMATS: [&str; 3] = ["date-time", "int32", "int64"];

fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            if fields.get("format").and_then(Value::as_str).is_some_and(|f| !FORMATS.contains(&f)) {
                fields.remove("format");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
