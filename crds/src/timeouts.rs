//! Deadlines of calls to a provider.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Deadlines, each a duration such as `500ms`, `30s`, `5m`, `1h`; at most one hour.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// To a connected socket, TLS included.
    #[serde(default = "connect")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub connect: String,
    /// From the sent request to the first byte of the answer.
    #[serde(default = "first_byte")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub first_byte: String,
    /// Between two reads of the answer.
    #[serde(default = "idle")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub idle: String,
    /// The whole call.
    #[serde(default = "total")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub total: String,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: connect(), first_byte: first_byte(), idle: idle(), total: total() }
    }
}

fn connect() -> String {
    "5s".to_owned()
}

fn first_byte() -> String {
    "60s".to_owned()
}

fn idle() -> String {
    "60s".to_owned()
}

fn total() -> String {
    "600s".to_owned()
}
