//! One model of a provider.

use crate::Price;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model that is offered. What is left out comes from the catalog's model of the same `upstreamName` (else `name`).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The name that callers write.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[!-)+-~]+$"))]
    pub name: String,
    /// The name that the provider knows. Default: `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[!-)+-~]+$"))]
    pub upstream_name: Option<String>,
    /// Further names that callers may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253), regex(pattern = r"^[!-)+-~]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub aliases: Vec<String>,
    /// What it is for: chat completions or embeddings. Default: what the catalog says, else `Chat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ModelKind>,
    /// What it costs. Default: the catalog's price. Without any, keys with a budget are refused (`price_unknown`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Tokens that fit into one call, input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub context_window: Option<i32>,
    /// Most output tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_output: Option<i32>,
    /// Upper bound of the input tokens that one image costs; used to reserve budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub image_tokens: Option<i32>,
    /// Whether it bills output that it does not stream (hidden reasoning). Default: what the catalog says, else `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_output: Option<HiddenOutput>,
    /// What the provider calls the cap on output tokens. Default: what the catalog says, else `MaxCompletionTokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_cap: Option<OutputCap>,
    /// How it is told to think when the request comes in another format: by a number of tokens, or by an effort. Default: what the
    /// catalog says, else `Effort` where `hiddenOutput` is `Reasoning`, else not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Whether it keeps to a JSON schema by itself (`output_config.format` of Anthropic's API); else it is made to by a forced tool.
    /// Default: what the catalog says, else false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_output: Option<bool>,
    /// What the model refuses although its provider's format has it; left out of requests that come in another format, and listed in
    /// `x-smartflow-dropped`. `Sampling`: `temperature`, `top_p`, `top_k`. `ForcedTools`: to be made to call a tool. `NoThinking`: not to
    /// think. `Prefill`: to go on with the beginning of an answer. Default: what the catalog says, else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub refuses: Option<Vec<Refused>>,
}

/// Something that a model refuses although its provider's format has it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `temperature`, `top_p` and `top_k`.
    Sampling,
    /// To be made to call a tool.
    ForcedTools,
    /// Not to think.
    NoThinking,
    /// To go on with the beginning of an answer.
    Prefill,
}

/// What a model is for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelKind {
    /// Chat completions.
    #[default]
    Chat,
    /// Embeddings.
    Embedding,
}

/// Output that is billed but not streamed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HiddenOutput {
    /// None.
    #[default]
    None,
    /// Reasoning tokens.
    Reasoning,
}

/// How a model is told to think.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// By a number of tokens.
    Budget,
    /// By an effort.
    Effort,
}

/// What a provider calls the cap on output tokens.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputCap {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    #[default]
    MaxCompletionTokens,
}
