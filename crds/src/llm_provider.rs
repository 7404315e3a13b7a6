//! LLMProvider: where models are, how to authenticate, what they cost.

use crate::condition::unobserved;
use crate::{Access, Auth, Condition, Endpoint, Header, Model, Network, Queue, Simulation, Timeouts, Tls};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What an LLMProvider declares.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "smartflow.dev",
    version = "v1alpha1",
    kind = "LLMProvider",
    plural = "llmproviders",
    singular = "llmprovider",
    shortname = "llmp",
    category = "smartflow",
    namespaced,
    status = "LLMProviderStatus",
    derive = "PartialEq",
    doc = "Where language models are, how to authenticate to them, and what they cost.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "Models", type_ = "integer", json_path = ".status.models"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.provider != 'simulated' || !has(self.baseURL)")
        .message("provider simulated answers in process: remove baseURL").reason(Reason::FieldValueForbidden).field_path(".baseURL"),
    validation = Rule::new("!has(self.baseURL) || !has(self.endpoints)")
        .message("baseURL and endpoints say the same thing: remove baseURL").reason(Reason::FieldValueForbidden).field_path(".baseURL"),
    validation = Rule::new("self.provider != 'simulated' || !has(self.endpoints)")
        .message("provider simulated answers in process: remove endpoints").reason(Reason::FieldValueForbidden).field_path(".endpoints"),
    validation = Rule::new("has(self.maxConcurrency) || !has(self.queue)")
        .message("nobody waits without a bound: set maxConcurrency, or remove queue").reason(Reason::FieldValueForbidden).field_path(".queue"),
    validation = Rule::new("self.provider == 'simulated' || !has(self.simulation)")
        .message("simulation is only for provider simulated: remove it, or set provider: simulated").reason(Reason::FieldValueForbidden).field_path(".simulation")
)]
pub struct LLMProviderSpec {
    /// Name of the provider in the catalog (openai, anthropic, groq, mistral, deepseek, together, fireworks, openrouter, xai, ollama, vllm), or
    /// `openai-compatible` or `anthropic-compatible` for anything else that speaks one of those APIs, or `simulated` for made-up answers without an account.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub provider: String,
    /// Where the API is, such as `https://api.openai.com/v1`. Default: the catalog's; needed where it has none.
    #[serde(rename = "baseURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://"))]
    pub base_url: Option<String>,
    /// Where the API is, in several places: calls are shared out by weight, and one that cannot be connected to is left alone for a
    /// few seconds while the others take its calls. Instead of `baseURL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["url".into()]))]
    pub endpoints: Vec<Endpoint>,
    /// Most calls in flight at once, over all its models, in one gateway; the others wait in `queue`. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrency: Option<i32>,
    /// Calls that wait until there is room; only with `maxConcurrency`. Default: 100 of them, each for at most 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// How calls are authenticated. May be left out only where the catalog says that the provider asks for no credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The models that are offered. Empty = all that the catalog has of this provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub models: Vec<Model>,
    /// Deadlines of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// Headers added to every call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<Header>,
    /// What the gateway trusts when it connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Which addresses may be connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Who may use this provider. Default: keys of its own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// How provider `simulated` behaves; only for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
}

/// What is known of an LLMProvider.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LLMProviderStatus {
    /// The generation that this status describes; -1 = not seen yet.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: i64,
    /// `Accepted`, `ResolvedRefs`, `Programmed` and their summary `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How many models are offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub models: Option<i32>,
}
