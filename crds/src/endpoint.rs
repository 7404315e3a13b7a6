//! Where a provider is, and how much it takes at once.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One of several addresses of a provider: another region, another server with the same models.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Where the API is, as in `baseURL`.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://"))]
    pub url: String,
    /// Share of the calls beside the other endpoints; 0 = only when the others cannot be connected to.
    #[serde(default = "weight")]
    #[schemars(range(min = 0, max = 10_000))]
    pub weight: i32,
}

fn weight() -> i32 {
    1
}

/// Calls that wait until the provider has room, in the order in which they came.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Most calls that wait; 0 = none. A call that finds the queue full is told so at once, or goes to the next target.
    #[serde(default = "length")]
    #[schemars(range(min = 0, max = 100_000))]
    pub length: i32,
    /// Longest wait; at most one hour.
    #[serde(default = "timeout")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub timeout: String,
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: length(), timeout: timeout() }
    }
}

fn length() -> i32 {
    100
}

fn timeout() -> String {
    "10s".to_owned()
}
