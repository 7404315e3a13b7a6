//! Policy: what is restricted.

use crate::condition::unobserved;
use crate::{Condition, PolicyAccess, PolicyBudget, PolicyLimits, Targets};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a Policy declares. Policies only restrict: all that match a call apply, and the strictest answer wins.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "smartflow.dev",
    version = "v1alpha1",
    kind = "Policy",
    plural = "policies",
    singular = "policy",
    shortname = "sfpol",
    category = "smartflow",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "A restriction on calls: shared rates, a shared budget, who may use which model.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.enforcement"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.limits) || has(self.budget) || has(self.access)")
    .message("set at least one of limits, budget, access"))]
pub struct PolicySpec {
    /// Whom the policy concerns. Default: every call by a key of its own namespace; in a platform namespace, every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
    /// `Enforce`: it blocks. `DryRun`: it only says what it would have blocked. `Off` (in YAML with quotes): it does nothing.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// Rates shared by what is targeted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PolicyLimits>,
    /// Money shared by what is targeted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<PolicyBudget>,
    /// Who may use what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<PolicyAccess>,
}

/// Whether a policy blocks.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// It blocks.
    #[default]
    Enforce,
    /// It says what it would have blocked.
    DryRun,
    /// It does nothing.
    Off,
}

/// What is known of a Policy.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation that this status describes; -1 = not seen yet.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: i64,
    /// `Accepted`, `ResolvedRefs`, `Programmed` and their summary `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
