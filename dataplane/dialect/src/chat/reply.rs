//! Answers.

use super::{Part, Raw};
use crate::{FinishReason, Usage};
use std::borrow::Cow;

/// A whole answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply<'a> {
    /// The vendor's id.
    pub id: Cow<'a, str>,
    /// The model that answered.
    pub model: Cow<'a, str>,
    /// When, in Unix seconds; Anthropic does not say.
    pub created: Option<u64>,
    /// The answers; more than one only when the request asked for it.
    pub choices: Vec<Choice<'a>>,
    /// What it used.
    pub usage: Option<Usage>,
    /// The tier that served it, in the vendor's words.
    pub service_tier: Option<Cow<'a, str>>,
    /// OpenAI's `system_fingerprint`.
    pub fingerprint: Option<Cow<'a, str>>,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice<'a> {
    /// What the model says: texts, calls of tools, thinking, refusals.
    pub parts: Vec<Part<'a>>,
    /// Why it ended; `None` when the vendor does not say.
    pub stop: Option<Stop<'a>>,
    /// OpenAI's `logprobs`, an object.
    pub logprobs: Option<Raw<'a>>,
}

/// Why an answer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop<'a> {
    /// Why.
    pub reason: StopReason,
    /// The stop sequence that was met, where the vendor says (case 83).
    pub sequence: Option<Cow<'a, str>>,
}

impl From<StopReason> for Stop<'_> {
    fn from(reason: StopReason) -> Self {
        Self { reason, sequence: None }
    }
}

/// Why an answer ended, in all the ways that vendors tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StopReason {
    /// The model was done.
    EndTurn,
    /// It met a stop sequence.
    StopSequence,
    /// The output cap was reached.
    MaxTokens,
    /// The context window is full.
    ContextWindow,
    /// The model calls tools.
    ToolUse,
    /// The vendor paused a long turn of its own tools.
    Pause,
    /// The model or a filter refused.
    Refusal,
    /// The vendor failed.
    Error,
    /// Something else.
    Other,
}

impl StopReason {
    /// In the words that the gateway bills and counts by.
    #[must_use]
    pub fn finish(self) -> FinishReason {
        match self {
            Self::EndTurn | Self::StopSequence => FinishReason::Stop,
            Self::MaxTokens | Self::ContextWindow | Self::Pause => FinishReason::Length,
            Self::ToolUse => FinishReason::ToolCalls,
            Self::Refusal => FinishReason::ContentFilter,
            Self::Error => FinishReason::Error,
            Self::Other => FinishReason::Other,
        }
    }
}
