//! Whole answers.

use super::super::reply::stop_reason;
use super::super::token_usage::Meter;
use super::block::some_of;
use crate::chat::{Choice, Part, Raw, Reply, Stop, StopReason, TextPart, ThinkingPart, ToolUse};
use crate::json::{Cursor, JsonFault, Kind};
use crate::openai::error::from_value;
use crate::translate::Garbled;
use std::borrow::Cow;

/// Reads a message.
pub(crate) fn decode_reply(body: &[u8]) -> Result<Reply<'_>, Garbled> {
    let mut cursor = Cursor::new(body, u8::MAX)?;
    if cursor.peek()? != Kind::Object {
        return Err(Garbled::Shape { expected: "an object" });
    }
    let mut reply = Reply {
        id: Cow::Borrowed(""),
        model: Cow::Borrowed(""),
        created: None,
        choices: Vec::new(),
        usage: None,
        service_tier: None,
        fingerprint: None,
    };
    let mut meter = Meter::default();
    let (mut parts, mut reason, mut sequence) = (None, None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("id", Kind::String) => reply.id = cursor.text()?,
            ("model", Kind::String) => reply.model = cursor.text()?,
            ("usage", _) => meter.read(cursor)?,
            ("content", Kind::Array) => parts = Some(content(cursor)?),
            ("stop_reason", Kind::String) => reason = Some(stop_reason(&cursor.text()?)),
            ("stop_sequence", Kind::String) => sequence = Some(cursor.text()?),
            ("error", Kind::Object | Kind::String) => {
                return Err(Garbled::Upstream(from_value(cursor.raw()?.as_bytes())));
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    })?;
    cursor.end()?;
    let parts = parts.ok_or(Garbled::Shape { expected: "'content', an array" })?;
    let stop = reason.map(|reason| told(reason, sequence));
    reply.choices.push(Choice { parts, stop, logprobs: None });
    reply.usage = meter.usage();
    reply.service_tier = meter.tier.map(|tier| tier.get(body));
    Ok(reply)
}

/// A stop sequence means nothing beside another reason.
pub(super) fn told(reason: StopReason, sequence: Option<Cow<'_, str>>) -> Stop<'_> {
    Stop { reason, sequence: sequence.filter(|_| reason == StopReason::StopSequence) }
}

fn content<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Part<'a>>, Garbled> {
    let mut parts = Vec::new();
    cursor.elements(|cursor, _, kind| {
        if kind != Kind::Object {
            return Err(Garbled::Shape { expected: "content blocks that are objects" });
        }
        let part = block(cursor)?;
        if !matches!(&part, Part::Text(text) if text.text.is_empty()) {
            parts.push(part);
        }
        Ok(())
    })?;
    Ok(parts)
}

/// A block of an answer, or the beginning of one in a stream.
#[derive(Default)]
pub(super) struct Block<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) signature: Option<Cow<'a, str>>,
    pub(super) data: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) input: Option<&'a str>,
    pub(super) citations: Option<Raw<'a>>,
}

impl<'a> Block<'a> {
    /// Reads the object that comes next.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonFault> {
        let mut block = Self::default();
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("type", Kind::String) => block.kind = cursor.text()?,
                ("text" | "thinking", Kind::String) => block.text = Some(cursor.text()?),
                ("signature", Kind::String) => {
                    block.signature = Some(cursor.text()?).filter(|text| !text.is_empty());
                }
                ("data", Kind::String) => block.data = Some(cursor.text()?),
                ("id", Kind::String) => block.id = Some(cursor.text()?),
                ("name", Kind::String) => block.name = Some(cursor.text()?),
                ("input", Kind::Object) => block.input = Some(cursor.raw()?),
                ("citations", Kind::Array) => block.citations = some_of(cursor.raw()?),
                _ => {
                    cursor.skip()?;
                }
            }
            Ok::<_, JsonFault>(())
        })?;
        Ok(block)
    }
}

fn block<'a>(cursor: &mut Cursor<'a>) -> Result<Part<'a>, Garbled> {
    let start = cursor.at();
    let block = Block::read(cursor)?;
    let missing = |expected| Garbled::Shape { expected };
    Ok(match block.kind.as_ref() {
        "text" => Part::Text(TextPart {
            text: block.text.ok_or(missing("a text block with 'text'"))?,
            cache: None,
            citations: block.citations,
        }),
        "thinking" => {
            Part::Thinking(ThinkingPart { text: block.text.unwrap_or_default(), signature: block.signature })
        }
        "redacted_thinking" => Part::RedactedThinking {
            data: block.data.ok_or(missing("a redacted_thinking block with 'data'"))?,
        },
        "tool_use" => Part::ToolUse(ToolUse {
            id: block.id.ok_or(missing("a tool_use block with 'id'"))?,
            name: block.name.ok_or(missing("a tool_use block with 'name'"))?,
            arguments: block.input.unwrap_or("{}").into(),
            cache: None,
        }),
        "" => return Err(missing("content blocks with 'type'")),
        _ => {
            let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
            Part::Other { kind: block.kind, raw: Raw(String::from_utf8_lossy(raw)) }
        }
    })
}
