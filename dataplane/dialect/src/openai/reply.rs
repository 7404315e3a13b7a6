//! A whole answer: what it used and how it ended.

use super::UpstreamError;
use super::error::from_value;
use super::token_usage::usage;
use crate::json::{Cursor, JsonFault, Kind, Text};
use crate::{FinishReason, Usage};

/// What an answer to a chat or embeddings request says; texts refer to the body that was scanned.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReplyFacts {
    /// `id`.
    pub id: Option<Text>,
    /// `model`, as served.
    pub model: Option<Text>,
    /// `service_tier`, as served.
    pub service_tier: Option<Text>,
    /// What it used; `None` when the vendor does not say.
    pub usage: Option<Usage>,
    /// Choices, or vectors.
    pub choices: u32,
    /// How the first choice ended.
    pub finish: Option<FinishReason>,
    /// Bytes of what was produced, all choices together: no fewer than its tokens.
    pub content_bytes: u64,
    /// An error that came with a status of success.
    pub error: Option<UpstreamError>,
}

/// Scans an answer in one pass.
///
/// # Errors
/// It is not a JSON object.
pub fn scan_reply(body: &[u8]) -> Result<ReplyFacts, JsonFault> {
    let mut cursor = Cursor::object(body)?;
    let mut facts = ReplyFacts::default();
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match key.text.span.of(body) {
            b"id" if kind == Kind::String => facts.id = Some(cursor.string()?.text),
            b"model" if kind == Kind::String => facts.model = Some(cursor.string()?.text),
            b"service_tier" if kind == Kind::String => facts.service_tier = Some(cursor.string()?.text),
            b"usage" => facts.usage = usage(&mut cursor)?.or(facts.usage),
            b"choices" if kind == Kind::Array => choices(&mut facts, &mut cursor)?,
            b"data" if kind == Kind::Array => facts.choices += count(&mut cursor)?,
            b"error" if kind != Kind::Null => facts.error = Some(from_value(cursor.skip()?.of(body))),
            _ => {
                cursor.skip()?;
            }
        }
    }
    cursor.end()?;
    Ok(facts)
}

fn count(cursor: &mut Cursor<'_>) -> Result<u32, JsonFault> {
    cursor.enter()?;
    let (mut first, mut count) = (true, 0);
    while cursor.element(&mut first)? {
        cursor.skip()?;
        count += 1;
    }
    Ok(count)
}

fn choices(facts: &mut ReplyFacts, cursor: &mut Cursor<'_>) -> Result<(), JsonFault> {
    cursor.enter()?;
    let mut first = true;
    while cursor.element(&mut first)? {
        if cursor.peek()? == Kind::Object {
            let choice = choice(cursor)?;
            facts.content_bytes += choice.content_bytes;
            if facts.choices == 0 {
                facts.finish = choice.finish;
            }
        } else {
            cursor.skip()?;
        }
        facts.choices += 1;
    }
    Ok(())
}

/// A choice of an answer or of a chunk.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) index: u32,
    pub(super) finish: Option<FinishReason>,
    pub(super) content_bytes: u64,
    pub(super) failed: bool,
}

/// Reads the object that comes next.
pub(super) fn choice(cursor: &mut Cursor<'_>) -> Result<Choice, JsonFault> {
    cursor.enter()?;
    let mut choice = Choice::default();
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(cursor.bytes()), kind) {
            (b"message" | b"delta", Kind::Object) => choice.content_bytes += produced(cursor)?,
            (b"text", Kind::String) => choice.content_bytes += cursor.string()?.len as u64,
            (b"finish_reason", Kind::String) => {
                let reason = finish_reason(&cursor.string()?.text.get(cursor.bytes()));
                choice.failed |= reason == FinishReason::Error;
                choice.finish = Some(reason);
            }
            (b"index", Kind::Number) => {
                let digits = cursor.skip()?.of(cursor.bytes());
                choice.index = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).unwrap_or(0);
            }
            _ => {
                cursor.skip()?;
            }
        }
    }
    Ok(choice)
}

/// Bytes that a message or delta holds of what the model produced: its strings, and what is nested as it stands.
/// Sound is left out: its bytes are far more than its tokens, and its price is not that of text.
#[inline]
pub(super) fn produced(cursor: &mut Cursor<'_>) -> Result<u64, JsonFault> {
    cursor.enter()?;
    let mut bytes = 0;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(cursor.bytes()), kind) {
            (b"role" | b"audio", _) | (_, Kind::Null) => {
                cursor.skip()?;
            }
            (_, Kind::String) => bytes += cursor.string()?.len as u64,
            _ => bytes += cursor.skip()?.len() as u64,
        }
    }
    Ok(bytes)
}

/// OpenAI's words, and those of vendors that are nearly compatible.
pub(super) fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "stop" | "eos" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter" | "refusal" | "safety" => FinishReason::ContentFilter,
        "error" => FinishReason::Error,
        _ => FinishReason::Other,
    }
}
