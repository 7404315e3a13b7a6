//! A chat request, scanned once: what it asks for, and where the few things lie that may have to change.

mod media;
mod message;
mod scan;
mod top;

pub(crate) use scan::string_pairs;

use super::field::Field;
use super::splice::Edits;
use super::{BadRequest, Member};
use crate::json::{Span, Text};
use crate::{Feature, Features};
use bytes::Bytes;

/// `POST /v1/chat/completions`.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest;

/// Limits of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanLimits {
    /// Deepest nesting; at most 128.
    pub depth: u8,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { depth: 128 }
    }
}

/// What a chat request says. Spans and texts refer to the body that was scanned; nothing is copied out of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChatScan {
    /// The model's name, and where it lies.
    pub model: Text,
    /// Where `model` lies.
    pub model_member: Member,
    /// One past the `{` of the document: where members are inserted.
    pub open: usize,
    /// `stream`.
    pub stream: Field<bool>,
    /// `stream_options`.
    pub stream_options: Field<StreamOptions>,
    /// `max_tokens`, at least 1.
    pub max_tokens: Field<u32>,
    /// `max_completion_tokens`, at least 1; never together with `max_tokens`.
    pub max_completion_tokens: Field<u32>,
    /// Answers asked for (`n`), 1 to 128.
    pub n: u32,
    /// How many of what is in the prompt.
    pub counts: Counts,
    /// How many bytes of what make up the prompt.
    pub bytes: PromptBytes,
    /// What it asks for that a token price does not cover.
    pub features: Features,
    /// `reasoning_effort`, or `reasoning.effort`.
    pub reasoning_effort: Option<Text>,
    /// Greatest of `reasoning.max_tokens` and `thinking.budget_tokens`.
    pub thinking_budget: Option<u32>,
    /// Members of messages that tell what a model thought, each with a comma.
    pub(super) thoughts: Vec<Span>,
    /// `service_tier`.
    pub service_tier: Option<Text>,
    /// `response_format.type` is `json_schema`.
    pub json_schema: bool,
    /// `store`.
    pub store: bool,
    /// `user`.
    pub user: Option<Text>,
    /// `safety_identifier`.
    pub safety_identifier: Option<Text>,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<Text>,
    /// `metadata`, an object; see [`ChatScan::metadata_pairs`].
    pub metadata: Option<Span>,
}

/// `stream_options`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamOptions {
    /// `include_usage`.
    pub include_usage: Field<bool>,
    /// One past its `{`.
    pub open: usize,
    /// It has no member.
    pub empty: bool,
}

/// How many of what is in a prompt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Messages.
    pub messages: u32,
    /// Content parts, all messages together.
    pub parts: u32,
    /// Tools and functions declared.
    pub tools: u32,
    /// Images.
    pub images: u32,
    /// Pieces of audio, also those referred to by id.
    pub audio: u32,
    /// Files.
    pub files: u32,
    /// Videos.
    pub videos: u32,
}

/// How many bytes of what make up a prompt. Bytes of images, audio, video and files are in none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PromptBytes {
    /// Strings of the messages, escapes resolved, and the raw JSON of what is nested in them.
    pub text: u64,
    /// Raw JSON of tools and functions.
    pub tools: u64,
    /// Raw JSON of `response_format`.
    pub schema: u64,
    /// Raw JSON of the prediction.
    pub prediction: u64,
    /// Raw JSON of every field that we do not know: a vendor may put it into the prompt.
    pub other: u64,
}

impl ChatRequest {
    /// Scans a body in one pass without copying. The whole body is checked to be JSON.
    ///
    /// # Errors
    /// [`BadRequest`] says what is wrong: not JSON, too deep, a field of the wrong type, twice there or misspelt.
    pub fn scan(body: &[u8], limits: &ScanLimits) -> Result<ChatScan, BadRequest> {
        scan::scan(body, limits)
    }
}

impl ChatScan {
    /// True when the caller wants a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.value == Some(true)
    }

    /// True when the caller wants the usage chunk at the end of the stream.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        self.stream_options.value.is_some_and(|options| options.include_usage.value == Some(true))
    }

    /// True when messages tell what a model thought (`reasoning_content`, `thinking_blocks`): OpenAI refuses such
    /// members, some vendors that are compatible with it want them back. See [`Edits::drop_thoughts`].
    #[must_use]
    pub fn has_thoughts(&self) -> bool {
        !self.thoughts.is_empty()
    }

    /// The output cap that the caller set, per answer, in tokens.
    #[must_use]
    pub fn output_cap(&self) -> Option<u32> {
        self.max_completion_tokens.value.or(self.max_tokens.value)
    }

    /// The pairs of `metadata` whose values are strings; at most 16, as OpenAI allows.
    #[must_use]
    pub fn metadata_pairs(&self, body: &[u8]) -> Vec<(String, String)> {
        self.metadata.map(|span| scan::string_pairs(span.of(body))).unwrap_or_default()
    }

    /// The body with `edits` made: copied once, or not at all when nothing changes. `body` is the one scanned.
    #[must_use]
    pub fn splice(&self, body: &Bytes, edits: &Edits<'_>) -> Bytes {
        super::splice::chat(self, body, edits)
    }

    /// True when it asks for `feature`.
    #[must_use]
    pub fn asks(&self, feature: Feature) -> bool {
        self.features.contains(feature)
    }
}
