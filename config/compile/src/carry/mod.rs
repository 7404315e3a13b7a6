//! Objects as they travel from the operator to the pods: what of an object is in force, and nothing else.
//!
//! Pods do not read what people wrote again: that was done. They take a spec that was found valid (today's, or the last
//! valid one) and compile it, so that they come to the same snapshot as the operator; a property test holds that.
//! [`Compiler::carry`](crate::Compiler::carry) makes a [`Carried`], [`Object::carried`] takes it.

mod level;
mod receive;
mod restraint;
mod wire;

pub use level::LEVEL;
pub(crate) use level::needed;
pub use restraint::Restraint;

use crate::kind::namespace::Labels;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smartflow_snapshot::TokenHash;
use std::collections::BTreeMap;
use wire::{CarriedFinding, CarriedValue};

/// What pods are told of one object. It knows no name: whoever carries it does.
///
/// Its serialised form holds the credentials of providers **in the clear**: seal it at once, and wipe the text.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// When it was created, Unix seconds; 0 = not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) created: i64,
    /// The spec that is in force, with its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spec: Option<Box<RawValue>>,
    /// That spec is not today's, which is invalid.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) last_good: bool,
    /// A key's token, whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "wire::token")]
    pub(crate) token: Option<TokenHash>,
    /// What today's text of a key takes away from a spec that was kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) disabled: bool,
    /// The same: Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
    /// A policy without a valid spec is closed on this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Restraint>,
    /// A Secret carries the label that opens it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) labelled: bool,
    /// Values of a Secret, those that providers refer to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) values: BTreeMap<Box<str>, CarriedValue>,
    /// Labels of a Namespace.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    /// What is wrong with it by itself, for the pods' own pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<CarriedFinding>,
    /// Readers below this level cannot read it.
    #[serde(skip)]
    pub(crate) level: u32,
    /// What readers who cannot read it have to close.
    #[serde(skip)]
    pub(crate) restraint: Option<Restraint>,
}

impl Carried {
    /// The level that a reader needs ([`LEVEL`] is what this version reads). Of what was made by
    /// [`Compiler::carry`](crate::Compiler::carry) only.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// What must be closed where the object cannot be read; `None`: it only grants, or does nothing. Of what was made by
    /// [`Compiler::carry`](crate::Compiler::carry) only.
    #[must_use]
    pub fn restraint(&self) -> Option<&Restraint> {
        self.restraint.as_ref()
    }

    /// The spec that is in force, as JSON: what serves on as the last valid one when the object becomes invalid.
    #[must_use]
    pub fn spec(&self) -> Option<&str> {
        self.spec.as_ref().map(|s| s.get())
    }

    /// When the object was created, Unix seconds; 0 = not known.
    #[must_use]
    pub fn created(&self) -> i64 {
        self.created
    }

    /// True when today's spec has fields that this version does not know: whoever wrote it knows more.
    #[must_use]
    pub fn has_unknown_fields(&self) -> bool {
        self.findings.iter().any(CarriedFinding::is_unknown_field)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks.
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks.
fn is_false(flag: &bool) -> bool {
    !*flag
}
