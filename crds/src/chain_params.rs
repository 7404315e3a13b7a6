//! What a target of a chain does otherwise.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Parameters that a target sets, whatever the caller wrote; at least one of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct TargetParams {
    /// Sampling temperature, a decimal from 0 to 2 in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), regex(pattern = r"^([01](\.\d{1,4})?|2(\.0{1,4})?)$"))]
    pub temperature: Option<String>,
    /// Nucleus sampling, a decimal from 0 to 1 in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), regex(pattern = r"^(0(\.\d{1,4})?|1(\.0{1,4})?)$"))]
    pub top_p: Option<String>,
    /// Most output tokens of one answer, where the caller asks for more or says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_output_tokens: Option<i32>,
}

/// Deadlines of a target in place of its provider's, each a duration such as `500ms`, `30s`, `5m`; at least one of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct TargetTimeouts {
    /// From the sent request to the first byte of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub first_byte: Option<String>,
    /// Between two reads of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub idle: Option<String>,
    /// The whole attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub total: Option<String>,
}
