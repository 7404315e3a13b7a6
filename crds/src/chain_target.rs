//! One target of a chain.

use crate::{TargetParams, TargetTimeouts};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A model of a provider that serves a chain.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ChainTarget {
    /// What it is called within the chain.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The provider.
    pub provider_ref: ProviderRef,
    /// One of the provider's models, by its name or an alias.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[!-)+-~]+$"))]
    pub model: String,
    /// Share of the calls beside the other targets; 0 = only when the others fail. Only with strategy `Weighted`; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub weight: Option<i32>,
    /// Targets with a higher number are tried after all those with a lower one.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: i32,
    /// Parameters that this target sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<TargetParams>,
    /// Deadlines in place of the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TargetTimeouts>,
}

/// An LLMProvider.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRef {
    /// Name of the LLMProvider.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Its namespace, whose LLMProvider must allow this one in `access`. Default: the chain's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
}
