//! VirtualKey: who may call what, within which budget and rate.

use crate::condition::unobserved;
use crate::{Budget, Condition, Limits, Owner, SecretRef};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a VirtualKey declares.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "smartflow.dev",
    version = "v1alpha1",
    kind = "VirtualKey",
    plural = "virtualkeys",
    singular = "virtualkey",
    shortname = "vkey",
    category = "smartflow",
    namespaced,
    status = "VirtualKeyStatus",
    derive = "PartialEq",
    doc = "A token for callers: what it may be used for, within which budget and rates.",
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.user"),
    printcolumn(name = "Spent", type_ = "string", json_path = ".status.spentUSD"),
    printcolumn(name = "Budget", type_ = "string", json_path = ".spec.budget.limitUSD"),
    printcolumn(name = "Period", type_ = "string", json_path = ".spec.budget.period"),
    printcolumn(name = "Resets", type_ = "string", json_path = ".status.resetsAt"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.secretName) ? 1 : 0) + (has(self.existingSecretRef) ? 1 : 0) + (has(self.sha256) ? 1 : 0) <= 1",
    ).message("set at most one of secretName, existingSecretRef, sha256; without any, a token is generated")
)]
pub struct VirtualKeySpec {
    /// Who the key was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Model names that callers may write: exact, `prefix*` or `*` for all. Empty = none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 512),
        inner(length(min = 1, max = 253), regex(pattern = r"^([!-)+-~]+\*?|\*)$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub models: Vec<String>,
    /// What a call may say of its own way by headers. `Model`: `x-smartflow-model` names the model in place of the body.
    /// `Provider`: `x-smartflow-provider` names the only LLMProvider that may serve. `Timeout`: `x-smartflow-timeout-ms` shortens the
    /// call's deadline. `Retries`: `x-smartflow-max-retries` bounds the further attempts. `Tags` and `Metadata`: `x-smartflow-tags` and
    /// `x-smartflow-metadata` are kept in the usage line. `Unsupported`: `x-smartflow-unsupported` may ask for less than `unsupported` does.
    /// A header that is not allowed is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub overrides: Vec<Override>,
    /// What to do about fields of a request that the provider's format does not have. `Drop` (the default): leave them out and list
    /// them in `x-smartflow-dropped`. `Reject`: refuse the request. A call may always ask for `reject` by `x-smartflow-unsupported`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<Unsupported>,
    /// How much may be spent. Without it: no cap of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Rates of the key. Without it: no rates of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// From this moment on the key is refused, RFC 3339 such as `2027-01-31T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// Refuse the key now.
    #[serde(default)]
    pub disabled: bool,
    /// Name of the Secret that the generated token is written to; without a cluster, of its file in the data folder
    /// (`keys/<namespace>/<secretName>.token`). Default: the key's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub secret_name: Option<String>,
    /// A token that you bring along in a Secret; at least 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_secret_ref: Option<SecretRef>,
    /// SHA-256 of a token that was issued elsewhere, 64 lower-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Another VirtualKey of the namespace, whose budget and limits every call pays as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<ParentRef>,
}

/// Something that a call may say by a header.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// `x-smartflow-model`
    Model,
    /// `x-smartflow-provider`
    Provider,
    /// `x-smartflow-timeout-ms`
    Timeout,
    /// `x-smartflow-max-retries`
    Retries,
    /// `x-smartflow-tags`
    Tags,
    /// `x-smartflow-metadata`
    Metadata,
    /// `x-smartflow-unsupported`
    Unsupported,
}

/// What to do about fields of a request that the provider's format does not have.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Leave them out, and say so.
    Drop,
    /// Refuse the request.
    Reject,
}

/// Another VirtualKey of the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the VirtualKey.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// What is known of a VirtualKey.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VirtualKeyStatus {
    /// The generation that this status describes; -1 = not seen yet.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: i64,
    /// `Accepted`, `ResolvedRefs`, `Programmed` and their summary `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Spent in the running period, US dollars.
    #[serde(rename = "spentUSD", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub spent_usd: Option<String>,
    /// Left in the running period, US dollars.
    #[serde(rename = "remainingUSD", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub remaining_usd: Option<String>,
    /// When the budget starts anew, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub resets_at: Option<String>,
    /// What gateways that were lost may have spent beyond `spentUSD`, US dollars; it cannot be spent again in this period.
    #[serde(rename = "unattributedUSD", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub unattributed_usd: Option<String>,
    /// The part of both that is of gateways which ended, US dollars: from it a store that lost its data is told what was spent.
    #[serde(rename = "closedUSD", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub closed_usd: Option<String>,
    /// Name of the Secret that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// First characters of the token, to recognise it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub token_prefix: Option<String>,
}
