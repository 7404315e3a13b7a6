//! Whole answers.

use super::super::error::from_value;
use super::super::token_usage::usage;
use super::call::{Call, WRAPPER, made_id, or_empty, unwrapped};
use super::thinking::Thought;
use crate::chat::{Choice, Part, Raw, Reply, Stop, StopReason, TextPart, ToolUse};
use crate::json::{Cursor, JsonFault, Kind};
use crate::translate::Garbled;
use std::borrow::Cow;

/// Reads a `chat.completion`.
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
    let mut drafts = Vec::new();
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("id", Kind::String) => reply.id = cursor.text()?,
            ("model", Kind::String) => reply.model = cursor.text()?,
            ("created", Kind::Number) => reply.created = cursor.raw()?.parse().ok(),
            ("service_tier", Kind::String) => reply.service_tier = Some(cursor.text()?),
            ("system_fingerprint", Kind::String) => reply.fingerprint = Some(cursor.text()?),
            ("usage", _) => reply.usage = usage(cursor)?.or(reply.usage),
            ("choices", Kind::Array) => choices(&mut drafts, cursor)?,
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
    // Ids that are made from the answer's id, which may come last.
    let id = &reply.id;
    reply.choices = drafts.into_iter().map(|draft| draft.finish(id)).collect::<Result<_, _>>()?;
    if reply.choices.is_empty() {
        return Err(Garbled::Shape { expected: "'choices' with one choice at least" });
    }
    Ok(reply)
}

fn choices<'a>(drafts: &mut Vec<Draft<'a>>, cursor: &mut Cursor<'a>) -> Result<(), Garbled> {
    cursor.elements(|cursor, _, kind| {
        if kind != Kind::Object {
            return Err(Garbled::Shape { expected: "choices that are objects" });
        }
        drafts.push(Draft::read(cursor)?);
        Ok(())
    })
}

/// A choice as it is written.
#[derive(Default)]
struct Draft<'a> {
    message: Option<Message<'a>>,
    reason: Option<StopReason>,
    sequence: Option<Cow<'a, str>>,
    logprobs: Option<Raw<'a>>,
}

impl<'a> Draft<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonFault> {
        let mut draft = Self::default();
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("message", Kind::Object) => draft.message = Some(Message::read(cursor)?),
                ("finish_reason", Kind::String) => draft.reason = Some(stop_reason(&cursor.text()?)),
                // vLLM's word for the stop sequence that was met.
                ("stop_reason", Kind::String) => draft.sequence = Some(cursor.text()?),
                ("logprobs", Kind::Object) => draft.logprobs = Some(Raw::new(cursor.raw()?)),
                _ => {
                    cursor.skip()?;
                }
            }
            Ok::<_, JsonFault>(())
        })?;
        Ok(draft)
    }

    fn finish(self, reply_id: &str) -> Result<Choice<'a>, Garbled> {
        let message = self.message.ok_or(Garbled::Shape { expected: "a choice with a message" })?;
        let parts = message.into_parts(reply_id);
        let calls = parts.iter().any(|part| matches!(part, Part::ToolUse(_)));
        let stop = self.reason.map(|reason| settled(reason, self.sequence, calls));
        Ok(Choice { parts, stop, logprobs: self.logprobs })
    }
}

/// What the vendor means: some say `stop` when they call tools.
pub(super) fn settled(reason: StopReason, sequence: Option<Cow<'_, str>>, calls: bool) -> Stop<'_> {
    match (reason, sequence) {
        (StopReason::EndTurn, _) if calls => StopReason::ToolUse.into(),
        (StopReason::EndTurn | StopReason::StopSequence, Some(sequence)) => {
            Stop { reason: StopReason::StopSequence, sequence: Some(sequence) }
        }
        (reason, _) => reason.into(),
    }
}

/// OpenAI's words, and those of vendors that are nearly compatible.
pub(super) fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "stop" | "eos" | "end_turn" => StopReason::EndTurn,
        "stop_sequence" => StopReason::StopSequence,
        "length" | "max_tokens" => StopReason::MaxTokens,
        "model_length" => StopReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolUse,
        "content_filter" | "refusal" | "safety" => StopReason::Refusal,
        "error" => StopReason::Error,
        _ => StopReason::Other,
    }
}

#[derive(Default)]
struct Message<'a> {
    text: Vec<Cow<'a, str>>,
    citations: Option<Raw<'a>>,
    refusal: Option<Cow<'a, str>>,
    thought: Thought<'a>,
    calls: Vec<Call<'a>>,
}

impl<'a> Message<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonFault> {
        let mut message = Self::default();
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("content", Kind::String) => message.text.push(cursor.text()?),
                ("content", Kind::Array) => message.parts(cursor)?,
                ("refusal", Kind::String) => message.refusal = Some(cursor.text()?),
                ("annotations", Kind::Array) => message.citations = some_of(cursor.raw()?),
                _ if Call::member(&mut message.calls, cursor, name, kind)? => {}
                _ if message.thought.member(cursor, name, kind)? => {}
                _ => {
                    cursor.skip()?;
                }
            }
            Ok::<_, JsonFault>(())
        })?;
        Ok(message)
    }

    /// Mistral's parts: `{type: text, text}`.
    fn parts(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonFault> {
        cursor.elements(|cursor, _, kind| {
            if kind != Kind::Object {
                cursor.skip()?;
                return Ok(());
            }
            cursor.members(|cursor, name, kind| {
                match (name, kind) {
                    ("text", Kind::String) => self.text.push(cursor.text()?),
                    ("refusal", Kind::String) => self.refusal = Some(cursor.text()?),
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok(())
            })
        })
    }

    fn into_parts(self, reply_id: &str) -> Vec<Part<'a>> {
        let mut parts = self.thought.into_parts();
        let mut citations = self.citations;
        for text in self.text.into_iter().filter(|text| !text.is_empty()) {
            parts.push(Part::Text(TextPart { text, cache: None, citations: citations.take() }));
        }
        parts.extend(self.refusal.filter(|text| !text.is_empty()).map(Part::Refusal));
        for (index, call) in self.calls.into_iter().enumerate() {
            push_call(&mut parts, call, reply_id, index);
        }
        parts
    }
}

fn some_of(array: &str) -> Option<Raw<'_>> {
    let empty = array.bytes().all(|byte| matches!(byte, b'[' | b']') || byte.is_ascii_whitespace());
    (!empty).then(|| Raw::new(array))
}

fn push_call<'a>(parts: &mut Vec<Part<'a>>, call: Call<'a>, reply_id: &str, index: usize) {
    if let Some((kind, raw)) = call.foreign {
        parts.push(Part::Other { kind, raw });
        return;
    }
    let id = call.id.unwrap_or_else(|| made_id(reply_id, index).into());
    let name = call.name.unwrap_or_default();
    let arguments = or_empty(call.arguments);
    if name == WRAPPER
        && let Some(calls) = unwrapped(&id, &arguments)
    {
        parts.extend(calls);
        return;
    }
    parts.push(Part::ToolUse(ToolUse { id, name, arguments, cache: None }));
}
