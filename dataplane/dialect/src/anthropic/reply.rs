//! A whole answer: what it used and how it ended.

use super::token_usage::Meter;
use crate::chat::StopReason;
use crate::json::{Cursor, JsonFault, Kind};
use crate::openai::ReplyFacts;
use crate::openai::error::from_value;

/// Scans an answer in one pass.
///
/// # Errors
/// It is not a JSON object.
pub fn scan_reply(body: &[u8]) -> Result<ReplyFacts, JsonFault> {
    let mut cursor = Cursor::object(body)?;
    let mut facts = ReplyFacts::default();
    let mut meter = Meter::default();
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(body), kind) {
            (b"id", Kind::String) => facts.id = Some(cursor.string()?.text),
            (b"model", Kind::String) => facts.model = Some(cursor.string()?.text),
            (b"usage", _) => meter.read(&mut cursor)?,
            (b"content", Kind::Array) => {
                facts.choices = 1;
                facts.content_bytes += blocks(&mut cursor)?;
            }
            (b"stop_reason", Kind::String) => {
                facts.finish = Some(stop_reason(&cursor.string()?.text.get(body)).finish());
            }
            (b"error", kind) if kind != Kind::Null => {
                facts.error = Some(from_value(cursor.skip()?.of(body)));
            }
            _ => {
                cursor.skip()?;
            }
        }
    }
    cursor.end()?;
    facts.usage = meter.usage();
    facts.service_tier = meter.tier;
    Ok(facts)
}

fn blocks(cursor: &mut Cursor<'_>) -> Result<u64, JsonFault> {
    cursor.enter()?;
    let mut bytes = 0;
    let mut first = true;
    while cursor.element(&mut first)? {
        bytes += if cursor.peek()? == Kind::Object { produced(cursor)? } else { cursor.skip()?.len() as u64 };
    }
    Ok(bytes)
}

/// Bytes that a block or delta holds of what the model produced: its strings, signatures included (they stand for
/// thinking that is not shown), and what is nested as it stands. What the vendor's tools found is not the model's.
pub(super) fn produced(cursor: &mut Cursor<'_>) -> Result<u64, JsonFault> {
    cursor.enter()?;
    let (mut bytes, mut result) = (0, false);
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(cursor.bytes()), kind) {
            (b"type", Kind::String) => {
                let kind = cursor.string()?.text.span.of(cursor.bytes());
                result = kind.ends_with(b"_tool_result");
            }
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            (_, Kind::String) => bytes += cursor.string()?.len as u64,
            _ => bytes += cursor.skip()?.len() as u64,
        }
    }
    Ok(if result { 0 } else { bytes })
}

/// Anthropic's words.
pub(super) fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "end_turn" => StopReason::EndTurn,
        "stop_sequence" => StopReason::StopSequence,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        "tool_use" => StopReason::ToolUse,
        "pause_turn" => StopReason::Pause,
        "refusal" => StopReason::Refusal,
        _ => StopReason::Other,
    }
}
