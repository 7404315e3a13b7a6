//! What a controller says of an object.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that is said of an object's state.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is said: `Accepted`, `ResolvedRefs`, `Programmed` or `Ready`.
    #[serde(rename = "type")]
    #[schemars(
        length(min = 1, max = 316),
        regex(pattern = r"^([a-z0-9.-]+/)?[A-Za-z]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    )]
    pub type_: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// The generation of the object that this was said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// When the status last changed, RFC 3339.
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, in one CamelCase word.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"))]
    pub reason: String,
    /// Why, for people: the field and the fix.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Whether something is so.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody looked yet.
    Unknown,
}

/// `observedGeneration` of an object that no controller has seen.
pub(crate) fn unobserved() -> i64 {
    -1
}
