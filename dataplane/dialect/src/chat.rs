//! The canonical chat: what every wire format says, once. Each dialect decodes into it and encodes out of it.
//!
//! Texts are borrowed from the body wherever they have no escapes. Numbers and schemas stay as they were written.
//!
//! Normal form, which every decoder yields: system texts ahead of the conversation in order in [`Chat::system`]; consecutive messages of one role
//! are one [`Turn`]; tool results come before all else in a user turn; no empty texts.

#[cfg(test)]
pub(crate) mod arbitrary;
mod cache;
mod citation;
mod loss;
mod part;
mod reply;
mod stream;
mod thinking;
mod tool;

pub use cache::{CacheLife, CacheMark};
pub use citation::Citation;
pub use loss::{Aspect, Losses, Unsupported};
pub use part::{
    AudioPart, DocumentPart, ImagePart, Part, Source, TextPart, ThinkingPart, ToolResult, ToolUse,
};
pub use reply::{Choice, Reply, Stop, StopReason};
pub use stream::Delta;
pub use thinking::{Effort, Thinking, ThinkingMode};
pub use tool::{FunctionTool, NativeTool, Tool, ToolChoice};

use crate::Dialect;
use std::borrow::Cow;

/// Text of a valid JSON value, as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Raw<'a>(pub Cow<'a, str>);

impl<'a> Raw<'a> {
    /// From text that is known to be one JSON value.
    #[must_use]
    pub fn new(json: impl Into<Cow<'a, str>>) -> Self {
        Self(json.into())
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request for an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chat<'a> {
    /// The dialect that it was written in; only its encoder writes [`Chat::extra`].
    pub origin: Dialect,
    /// The model's name, as the caller wrote it.
    pub model: Cow<'a, str>,
    /// System (and developer) texts, in order.
    pub system: Vec<TextPart<'a>>,
    /// What was said.
    pub turns: Vec<Turn<'a>>,
    /// Tools that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<bool>,
    /// Most tokens of one answer.
    pub max_output: Option<u32>,
    /// Sampling.
    pub sampling: Sampling<'a>,
    /// Texts that end the answer.
    pub stop: Vec<Cow<'a, str>>,
    /// How many answers; `None` is one.
    pub answers: Option<u32>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// The stream is to tell its usage at the end (OpenAI's `stream_options.include_usage`).
    pub include_usage: bool,
    /// Form of the answer.
    pub format: Option<Format<'a>>,
    /// Whether to think before answering.
    pub thinking: Option<Thinking<'a>>,
    /// How hard to try, which includes how long to think.
    pub effort: Option<Effort>,
    /// The end user, as an opaque id.
    pub user: Option<Cow<'a, str>>,
    /// The wanted service tier, in the origin's words.
    pub service_tier: Option<Cow<'a, str>>,
    /// Fields that only the origin knows, or that nobody knows.
    pub extra: Vec<Extra<'a>>,
    /// Paths, in the origin's words, of what has no place here and does no harm by its absence (`messages[].name`);
    /// each once. Translation lists them as dropped.
    pub omitted: Vec<&'static str>,
}

impl<'a> Chat<'a> {
    /// Nothing but a model.
    #[must_use]
    pub fn new(origin: Dialect, model: impl Into<Cow<'a, str>>) -> Self {
        Self {
            origin,
            model: model.into(),
            system: Vec::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tools: None,
            max_output: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            answers: None,
            stream: false,
            include_usage: false,
            format: None,
            thinking: None,
            effort: None,
            user: None,
            service_tier: None,
            extra: Vec::new(),
            omitted: Vec::new(),
        }
    }

    /// Adds `parts` said by `role`, to the last turn when it is of the same role; nothing when there are none.
    pub fn say(&mut self, role: Role, parts: Vec<Part<'a>>) {
        match self.turns.last_mut() {
            _ if parts.is_empty() => {}
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ => self.turns.push(Turn { role, parts }),
        }
    }

    /// Notes that something of the request has no place here.
    pub fn omit(&mut self, path: &'static str) {
        if !self.omitted.contains(&path) {
            self.omitted.push(path);
        }
    }

    /// Brings user turns into normal order: tool results first, else as they came.
    pub fn normalise(&mut self) {
        for turn in &mut self.turns {
            let after = |part: &Part<'_>| !matches!(part, Part::ToolResult(_));
            if turn.role == Role::User && !turn.parts.is_sorted_by_key(after) {
                turn.parts.sort_by_key(after);
            }
        }
    }
}

/// Consecutive parts of one role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn<'a> {
    /// Who.
    pub role: Role,
    /// What; not empty.
    pub parts: Vec<Part<'a>>,
}

/// Who says something. Tool results are said by the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The caller.
    User,
    /// The model.
    Assistant,
    /// A system text amid the conversation (case 8): texts only, never the first turn. Targets that have no such thing
    /// fold it into [`Chat::system`].
    System,
}

/// How tokens are drawn; numbers as they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sampling<'a> {
    /// `temperature`.
    pub temperature: Option<Raw<'a>>,
    /// `top_p`.
    pub top_p: Option<Raw<'a>>,
    /// `top_k`.
    pub top_k: Option<Raw<'a>>,
    /// `seed`.
    pub seed: Option<Raw<'a>>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<Raw<'a>>,
    /// `presence_penalty`.
    pub presence_penalty: Option<Raw<'a>>,
    /// `logit_bias`, an object.
    pub logit_bias: Option<Raw<'a>>,
    /// `logprobs` is true.
    pub logprobs: bool,
    /// `top_logprobs`.
    pub top_logprobs: Option<Raw<'a>>,
}

/// Form of the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format<'a> {
    /// Text, said explicitly.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that keeps to a schema.
    JsonSchema {
        /// The schema's name; Anthropic has none.
        name: Option<Cow<'a, str>>,
        /// What it is for.
        description: Option<Cow<'a, str>>,
        /// The schema, an object.
        schema: Option<Raw<'a>>,
        /// Whether the vendor must enforce it.
        strict: Option<bool>,
    },
}

/// A field that only its dialect knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra<'a> {
    /// Its name at the top level.
    pub name: Cow<'a, str>,
    /// Its value.
    pub value: Raw<'a>,
    /// Leaving it out would change what the answer means or costs (`web_search_options`, `mcp_servers`, …), so it is
    /// refused instead.
    pub essential: bool,
}
