//! What a model costs.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Prices in US dollars per million tokens, as decimal strings such as `"0.15"`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Input tokens, US dollars per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub input: Option<String>,
    /// Output tokens, US dollars per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub output: Option<String>,
    /// Input tokens that the provider had in its prompt cache, US dollars per million. Default: `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub cached_input: Option<String>,
    /// Input tokens that the provider writes to its prompt cache, US dollars per million. Default: `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub cache_write: Option<String>,
    /// Input tokens that the provider writes to its prompt cache to be kept for an hour, US dollars per million. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub cache_write_hour: Option<String>,
    /// Hidden reasoning tokens, US dollars per million. Default: `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub reasoning: Option<String>,
    /// Audio input tokens, US dollars per million. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub audio_input: Option<String>,
    /// Audio output tokens, US dollars per million. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub audio_output: Option<String>,
    /// Each search of the web that the provider makes, US dollars per search. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub web_search: Option<String>,
    /// Each call, US dollars per call, on top of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub request: Option<String>,
    /// Other prices for calls with a long input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongContext>,
}

/// Prices of calls whose input is longer than a threshold; they replace the ordinary ones for the whole call.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LongContext {
    /// Input tokens above which these prices hold.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub above_tokens: i32,
    /// Input tokens, US dollars per million.
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub input: String,
    /// Output tokens, US dollars per million.
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub output: String,
    /// Input tokens that the provider had in its prompt cache, US dollars per million. Default: `input` of this block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d{1,9}(\.\d{1,6})?$"))]
    pub cached_input: Option<String>,
}
