//! FallbackChain: a model name that leads to several targets.

use crate::chain_target::ChainTarget;
use crate::condition::unobserved;
use crate::{Condition, Retry};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a FallbackChain declares.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "smartflow.dev",
    version = "v1alpha1",
    kind = "FallbackChain",
    plural = "fallbackchains",
    singular = "fallbackchain",
    shortname = "fbc",
    category = "smartflow",
    namespaced,
    status = "FallbackChainStatus",
    derive = "PartialEq",
    doc = "Model names that callers use, and the targets that serve them: in which order, and when the next one is tried.",
    printcolumn(name = "Strategy", type_ = "string", json_path = ".spec.strategy"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct FallbackChainSpec {
    /// Names that callers write: exact, or `prefix*`. An exact name goes before a model of the same name, a model before a prefix.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253), regex(pattern = r"^[!-)+-~]+\*?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub models: Vec<String>,
    /// Which of the targets with the lowest `priority` goes first. `Priority`: the first in the list. `RoundRobin`: each in turn.
    /// `Weighted`: by `weight`. `Random`: any. `LeastBusy`: the one with the fewest calls in flight here.
    #[serde(default)]
    pub strategy: Strategy,
    /// Who serves.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub targets: Vec<ChainTarget>,
    /// After which failures the next target is tried. Default: `RateLimited`, `QuotaExhausted`, `ServerError`, `Timeout`, `Connect`,
    /// `Auth` and `NotFound`; not those that are the caller's own: `ContextWindow`, `ContentPolicy`, `BadRequest`. Empty = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub fallback_on: Option<Vec<FallbackOn>>,
    /// How often one target is tried again before the next one is. Default: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Failures in a row after which a target is left alone. After `cooldown` one call tries it again.
    #[serde(default = "failure_threshold")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: i32,
    /// How long a target that keeps failing is left alone; at most one hour.
    #[serde(default = "cooldown")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub cooldown: String,
    /// The whole call, over all attempts and waits; at most one hour. Each attempt also has the deadlines of its provider.
    #[serde(default = "timeout")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub timeout: String,
}

fn failure_threshold() -> i32 {
    5
}

fn cooldown() -> String {
    "30s".to_owned()
}

fn timeout() -> String {
    "600s".to_owned()
}

/// Which target goes first.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first in the list.
    #[default]
    Priority,
    /// Each in turn.
    RoundRobin,
    /// By weight.
    Weighted,
    /// Any.
    Random,
    /// The one with the fewest calls in flight.
    LeastBusy,
}

/// A kind of failure.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackOn {
    /// 429: too many requests or tokens for now.
    RateLimited,
    /// The provider's account has no money or quota left.
    QuotaExhausted,
    /// 5xx, an answer that cannot be used, or one that breaks off before the caller got any of it.
    ServerError,
    /// One of the provider's deadlines passed.
    Timeout,
    /// It cannot be connected to, or the connection broke.
    Connect,
    /// It refuses the credential.
    Auth,
    /// It does not know the model.
    NotFound,
    /// The prompt is too long for the model.
    ContextWindow,
    /// A filter of the provider refuses the prompt.
    ContentPolicy,
    /// It says that the request is wrong.
    BadRequest,
}

/// What is known of a FallbackChain.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FallbackChainStatus {
    /// The generation that this status describes; -1 = not seen yet.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: i64,
    /// `Accepted`, `ResolvedRefs`, `Programmed` and their summary `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How many targets serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub targets: Option<i32>,
}
