//! Rates.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Rates that hold at every moment; at least one of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
        "has(self.requestsPerMinute) || has(self.tokensPerMinute) || has(self.maxParallel) || has(self.tokensPerDay)",
    ).message("set at least one of requestsPerMinute, tokensPerMinute, maxParallel, tokensPerDay"))]
pub struct Limits {
    /// Calls in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub requests_per_minute: Option<i32>,
    /// Tokens, input and output, in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub tokens_per_minute: Option<i32>,
    /// Calls in flight at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_parallel: Option<i32>,
    /// Tokens, input and output, in a calendar day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub tokens_per_day: Option<i64>,
}
