//! A Messages request, scanned once: what it asks for, and where the few things lie that may have to change.

mod content;
mod scan;
mod splice;
mod tools;
mod top;

use crate::json::{Span, Text};
use crate::openai::{BadRequest, Counts, Field, Member, PromptBytes, ScanLimits, string_pairs};
use crate::{Feature, Features};
use bytes::Bytes;

/// `POST /v1/messages`.
#[derive(Clone, Copy, Debug)]
pub struct MessagesRequest;

/// `POST /v1/messages/count_tokens`.
#[derive(Clone, Copy, Debug)]
pub struct CountTokensRequest;

/// What a Messages request says. Spans and texts refer to the body that was scanned; nothing is copied out of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessagesScan {
    /// The model's name, and where it lies.
    pub model: Text,
    /// Where `model` lies.
    pub model_member: Member,
    /// One past the `{` of the document: where members are inserted.
    pub open: usize,
    /// `stream`.
    pub stream: Field<bool>,
    /// `max_tokens`; 0 asks for nothing but a filled cache. Always there but in a request to count tokens.
    pub max_tokens: Field<u32>,
    /// How many of what is in the prompt; `parts` are content blocks, `files` are documents that are not text.
    pub counts: Counts,
    /// Of the tools, those whose definition the vendor writes into the prompt and the caller runs (`bash_…`, …).
    pub vendor_tools: u32,
    /// Of these, whole sets of tools.
    pub toolsets: u32,
    /// How many bytes of what make up the prompt.
    pub bytes: PromptBytes,
    /// What it asks for that a token price does not cover.
    pub features: Features,
    /// `output_config.effort`.
    pub reasoning_effort: Option<Text>,
    /// `thinking.type`.
    pub thinking: Option<Text>,
    /// `thinking.budget_tokens`.
    pub thinking_budget: Option<u32>,
    /// `service_tier`.
    pub service_tier: Option<Text>,
    /// The answer is to keep to a schema.
    pub json_schema: bool,
    /// `metadata.user_id`.
    pub user: Option<Text>,
    /// `metadata`, an object; see [`MessagesScan::metadata_pairs`].
    pub metadata: Option<Span>,
    /// Where thinking lies that nobody signed, with what must go with it: commas, and messages of nothing else.
    unsigned: Vec<Span>,
    /// Citations of texts that Anthropic would not know again.
    uncited: Vec<Span>,
}

/// What must change in a Messages request. The default changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edits<'a> {
    /// The name that the provider knows the model by.
    pub model: Option<&'a str>,
    /// The output cap to be sent, whatever the caller wrote.
    pub max_tokens: Option<u32>,
    /// Ask for a stream.
    pub stream: bool,
    /// Take out earlier thinking that nobody signed, and citations without Anthropic's mark: they are of another vendor's
    /// model, and Anthropic refuses them (other vendors may want them).
    pub drop_unsigned: bool,
}

impl MessagesRequest {
    /// Scans a body in one pass without copying. The whole body is checked to be JSON.
    ///
    /// # Errors
    /// [`BadRequest`] says what is wrong: not JSON, too deep, a field missing, of the wrong type, twice there or misspelt.
    pub fn scan(body: &[u8], limits: &ScanLimits) -> Result<MessagesScan, BadRequest> {
        scan::scan(body, limits, true)
    }
}

impl CountTokensRequest {
    /// Scans a body in one pass without copying; it is a Messages request that needs no `max_tokens`.
    ///
    /// # Errors
    /// As for a Messages request.
    pub fn scan(body: &[u8], limits: &ScanLimits) -> Result<MessagesScan, BadRequest> {
        scan::scan(body, limits, false)
    }
}

impl MessagesScan {
    /// True when the caller wants a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.value == Some(true)
    }

    /// The output cap that the caller set, in tokens.
    #[must_use]
    pub fn output_cap(&self) -> Option<u32> {
        self.max_tokens.value
    }

    /// The pairs of `metadata` whose values are strings; at most 16.
    #[must_use]
    pub fn metadata_pairs(&self, body: &[u8]) -> Vec<(String, String)> {
        self.metadata.map(|span| string_pairs(span.of(body))).unwrap_or_default()
    }

    /// True when it has earlier thinking that nobody signed.
    #[must_use]
    pub fn has_unsigned_thinking(&self) -> bool {
        !self.unsigned.is_empty()
    }

    /// The body with `edits` made: copied once, or not at all when nothing changes. `body` is the one scanned.
    #[must_use]
    pub fn splice(&self, body: &Bytes, edits: &Edits<'_>) -> Bytes {
        splice::splice(self, body, edits)
    }

    /// True when it asks for `feature`.
    #[must_use]
    pub fn asks(&self, feature: Feature) -> bool {
        self.features.contains(feature)
    }

    /// The field that asks for `feature` in this dialect, for error messages.
    #[must_use]
    pub fn param(feature: Feature) -> &'static str {
        match feature {
            Feature::WebSearch => "tools",
            Feature::OtherModels => "fallbacks",
            other => other.param(),
        }
    }
}
