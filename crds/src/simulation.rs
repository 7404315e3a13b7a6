//! The provider that needs no account.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How provider `simulated` behaves. Delays are durations such as `150ms`; shares are percent of calls.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// Wait before the first byte of an answer. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub first_byte_delay: Option<String>,
    /// Wait between two events of a stream. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub chunk_delay: Option<String>,
    /// Percent of calls that are answered 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub rate_limited_percent: Option<i32>,
    /// Percent of calls that are answered 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub server_error_percent: Option<i32>,
    /// Percent of streams that are cut half-way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub cut_percent: Option<i32>,
}
