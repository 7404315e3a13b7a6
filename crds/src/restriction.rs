//! What a policy restricts.

use crate::{Budget, Limits};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom one account of a shared limit or budget is for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Per {
    /// One for all that the policy targets.
    #[default]
    Policy,
    /// One for each user; keys without a user count by key.
    User,
    /// One for each team; keys without a team count by key.
    Team,
    /// One for each key.
    Key,
    /// One for each model, over all callers.
    Model,
}

/// Rates shared by what a policy targets; at least one of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyLimits {
    /// Who shares: everyone that the policy targets, or each user, team, key or model by itself.
    #[serde(default)]
    pub per: Per,
    /// The rates.
    #[serde(flatten)]
    pub limits: Limits,
}

/// Money shared by what a policy targets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBudget {
    /// Who shares: everyone that the policy targets, or each user, team, key or model by itself.
    #[serde(default)]
    pub per: Per,
    /// The budget.
    #[serde(flatten)]
    pub budget: Budget,
}

/// Who may use what; at least one of the two.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.groups) || has(self.models)").message("set at least one of groups, models"))]
pub struct PolicyAccess {
    /// Groups of the key's owner that may, or may not, make the calls that the policy targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<AllowDeny>,
    /// Models that the targeted callers may, or may not, use: exact, `prefix*` or `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<AllowDenyModels>,
}

/// Groups that may, and groups that may not. Deny wins.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.allow) || has(self.deny)").message("set at least one of allow, deny"))]
pub struct AllowDeny {
    /// Only owners in one of these. Left out = all; it cannot be empty, as nobody could tell whether that is all or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allow: Vec<String>,
    /// Never owners in one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub deny: Vec<String>,
}

/// Models that may be used, and models that may not. Deny wins.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.allow) || has(self.deny)").message("set at least one of allow, deny"))]
pub struct AllowDenyModels {
    /// Only these: exact, `prefix*` or `*`. Left out = all; it cannot be empty, as nobody could tell whether that is all or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253), regex(pattern = r"^([!-)+-~]+\*?|\*)$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allow: Vec<String>,
    /// Never these: exact, `prefix*` or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253), regex(pattern = r"^([!-)+-~]+\*?|\*)$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub deny: Vec<String>,
}
