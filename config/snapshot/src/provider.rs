//! Providers: where models are and how to reach them.

use crate::{ObjectName, Price, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A provider, complete: catalog defaults are already merged in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Provider {
    /// The LLMProvider object.
    pub name: ObjectName,
    /// Its entry in the catalog, for metrics and logs (`openai`, `groq`, `openai-compatible`, `anthropic-compatible`, `simulated`).
    pub catalog: Box<str>,
    /// What it speaks.
    pub protocol: Protocol,
    /// What it does otherwise than others who speak the same.
    #[serde(skip_serializing_if = "<[Habit]>::is_empty")]
    pub habits: Box<[Habit]>,
    /// Absolute http or https URL without a trailing slash; paths such as `/chat/completions` are added to it.
    /// Empty for `simulated`.
    pub base_url: Box<str>,
    /// All places of the API, the first of which `base_url` is, where there are several; else empty.
    pub endpoints: Box<[Endpoint]>,
    /// How many calls it gets at once; `None` = any number.
    pub concurrency: Option<Concurrency>,
    /// How calls are authenticated.
    pub auth: Auth,
    /// Headers added to every call, sorted by name; never `authorization`, `host` or hop-by-hop names.
    pub headers: Box<[(Box<str>, Box<str>)]>,
    /// Its models, by the name that callers use.
    pub models: Box<[Arc<Model>]>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Loopback, link-local and private addresses may be connected to.
    pub allow_private: bool,
    /// PEM certificates trusted beside the public roots.
    pub ca: Option<Box<str>>,
    /// Namespaces that may use it, its own included; `None` = all.
    pub access: Namespaces,
}

impl Provider {
    /// True when it has this habit.
    #[must_use]
    pub fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }
}

/// Something that a provider does otherwise than others who speak the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Habit {
    /// It speaks OpenAI's API and takes what several resellers and servers share beside OpenAI's own fields:
    /// `reasoning_content`, `thinking_blocks`, `cache_control`, `top_k`.
    SharedFields,
    /// It speaks OpenAI's API and refuses the first two of these in a history: they are taken out.
    RefusesThoughts,
    /// Its models that think refuse `temperature`, `top_p` and `stop`.
    FixedSampling,
    /// It speaks Anthropic's API and refuses thinking without its own signature: such is taken out.
    ChecksSignatures,
}

/// One of several places of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Endpoint {
    /// As [`Provider::base_url`].
    pub url: Box<str>,
    /// Share of the calls.
    pub weight: u32,
}

/// How many calls a provider gets at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Concurrency {
    /// Calls in flight in one process.
    pub most: NonZeroU32,
    /// Calls that wait until there is room.
    pub queue: u32,
    /// Longest wait.
    pub wait: Duration,
}

/// A set of namespaces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Namespaces {
    /// Every namespace.
    All,
    /// These.
    Only(BTreeSet<Box<str>>),
}

impl Namespaces {
    /// True when `namespace` is in it.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }
}

/// What a provider speaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Protocol {
    /// OpenAI's chat completions and embeddings.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Nobody: answers are made up in process.
    Simulated(Simulation),
}

/// How the simulated provider behaves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Simulation {
    /// Before the first byte.
    pub first_byte_delay: Duration,
    /// Between stream events.
    pub chunk_delay: Duration,
    /// Of 10,000 calls, how many are answered 429.
    pub rate_limited_per_10k: u16,
    /// Of 10,000 calls, how many are answered 500.
    pub server_error_per_10k: u16,
    /// Of 10,000 streams, how many are cut half-way.
    pub cut_per_10k: u16,
}

/// How calls are authenticated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Auth {
    /// `<header>: <prefix><secret>`; `authorization: Bearer ...` for most.
    ApiKey {
        /// Header name, lower case.
        header: Box<str>,
        /// What precedes the secret, e.g. `Bearer `.
        prefix: Box<str>,
        /// The key.
        secret: Secret,
    },
    /// The caller's own `x-smartflow-upstream-authorization` goes to the provider as `authorization`.
    Passthrough,
    /// None.
    None,
}

/// One model of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Model {
    /// The name that callers use.
    pub name: Box<str>,
    /// The name that the provider knows; spliced into the request when it differs.
    pub upstream_name: Box<str>,
    /// Further names that callers may use.
    pub aliases: Box<[Box<str>]>,
    /// What it costs.
    pub price: Price,
    /// Tokens that fit into one request, input and output.
    pub context_window: Option<u32>,
    /// Most output tokens of one answer.
    pub max_output: Option<u32>,
    /// It produces billed output that is not streamed (hidden reasoning): L19.
    pub hidden_output: bool,
    /// Upper bound of input tokens per image, for L17.
    pub image_tokens: Option<u32>,
    /// It makes embeddings instead of chat.
    pub embedding: bool,
    /// Its output cap is called `max_tokens` (else `max_completion_tokens`).
    pub legacy_max_tokens: bool,
    /// How it is told to think when the request comes in another format; `None` = not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// It keeps to a JSON schema by itself; else it is made to by a forced tool.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub structured_output: bool,
    /// What it refuses of its format: left out of requests that come in another one.
    #[serde(skip_serializing_if = "<[Refused]>::is_empty")]
    pub refuses: Box<[Refused]>,
}

impl Model {
    /// True when it refuses `what`.
    #[must_use]
    pub fn refuses(&self, what: Refused) -> bool {
        self.refuses.contains(&what)
    }
}

/// Something that a model refuses although its format has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
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

/// How a model is told to think.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Thinking {
    /// By a number of tokens.
    Budget,
    /// By an effort.
    Effort,
}

/// Deadlines of a call to a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Timeouts {
    /// To a connected socket, TLS included.
    pub connect: Duration,
    /// From the sent request to the first byte of the answer's head.
    pub first_byte: Duration,
    /// Between two reads of the answer.
    pub idle: Duration,
    /// The whole call.
    pub total: Duration,
}
