//! What each kind says by itself, before anything is looked up: one file per kind. A draft is what is left when the
//! spec alone is sound; the compiler adds what it refers to.

pub(crate) mod chain;
pub(crate) mod namespace;
pub(crate) mod policy;
pub(crate) mod provider;
pub(crate) mod provider_models;
pub(crate) mod restriction;
pub(crate) mod secret;
pub(crate) mod virtual_key;

use crate::finding::{Finding, Reason};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A key of a Secret in the object's own namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SecretKey {
    pub(crate) name: Box<str>,
    pub(crate) key: Box<str>,
}

impl From<&smartflow_crds::SecretRef> for SecretKey {
    fn from(r: &smartflow_crds::SecretRef) -> Self {
        Self { name: r.name.as_str().into(), key: r.key.as_str().into() }
    }
}

/// The typed form of a spec that passed its schema.
fn typed<T: DeserializeOwned>(spec: &Value, findings: &mut Vec<Finding>) -> Option<T> {
    match T::deserialize(spec) {
        Ok(typed) => Some(typed),
        // The schema is made from the type, so that this is a fault of ours; it is still only this object's.
        Err(error) => {
            let message = format!("The spec cannot be read: {error}.");
            findings.push(Finding::error(
                Reason::Invalid,
                "spec",
                message,
                "Compare it with the documentation.",
            ));
            None
        }
    }
}
