//! Whole answers.

use super::super::token_usage::push_usage;
use crate::chat::{Citation, Part, Reply, Stop, StopReason, TextPart, ThinkingPart, ToolUse};
use crate::json::{Cursor, JsonFault, Kind, List, Object, push_array, push_string};
use crate::translate::Memory;

/// Writes a message. Of several choices the first: no more can be asked for.
pub(crate) fn encode_reply(reply: &Reply<'_>, _memory: &Memory) -> Vec<u8> {
    let choice = reply.choices.first();
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let mut out = Vec::with_capacity(512);
    let mut object = Object::open(&mut out);
    object.string("id", &reply.id);
    object.string("type", "message");
    object.string("role", "assistant");
    object.string("model", &reply.model);
    let mut list = List::open(object.name("content"));
    for part in parts {
        push_part(&mut list, part);
    }
    list.close();
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let calls = parts.iter().any(|part| matches!(part, Part::ToolUse(_)));
    push_stop(&mut object, choice.and_then(|choice| choice.stop.as_ref()), refused, calls);
    // Anthropic's clients rely on it.
    push_usage(object.name("usage"), &reply.usage.unwrap_or_default());
    object.close();
    out
}

/// `stop_reason` and `stop_sequence`. A vendor that does not say why it ended has done what it was asked for.
pub(super) fn push_stop(object: &mut Object<'_>, stop: Option<&Stop<'_>>, refused: bool, calls: bool) {
    let reason = match stop.map(|stop| stop.reason) {
        _ if refused => StopReason::Refusal,
        Some(reason) => reason,
        None if calls => StopReason::ToolUse,
        None => StopReason::EndTurn,
    };
    object.string("stop_reason", word(reason));
    match stop.and_then(|stop| stop.sequence.as_ref()) {
        Some(sequence) => object.string("stop_sequence", sequence),
        None => object.raw("stop_sequence", "null"),
    }
}

/// Anthropic's word (case 79).
fn word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::Error | StopReason::Other => "end_turn",
        StopReason::StopSequence => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextWindow => "model_context_window_exceeded",
        StopReason::ToolUse => "tool_use",
        StopReason::Pause => "pause_turn",
        StopReason::Refusal => "refusal",
    }
}

fn push_part(list: &mut List<'_>, part: &Part<'_>) {
    match part {
        Part::Text(part) => push_text(list.item(), part),
        Part::Refusal(text) => {
            push_text(list.item(), &TextPart { text: text.as_ref().into(), cache: None, citations: None })
        }
        Part::Thinking(part) => push_thinking(list.item(), part),
        Part::RedactedThinking { data } => {
            let mut object = Object::open(list.item());
            object.string("type", "redacted_thinking");
            object.string("data", data);
            object.close();
        }
        Part::ToolUse(call) => push_call(list.item(), call),
        // Nothing of this is in an answer that was asked for in Anthropic's format.
        Part::Image(_) | Part::Document(_) | Part::Audio(_) | Part::ToolResult(_) | Part::Other { .. } => {}
    }
}

fn push_text(out: &mut Vec<u8>, part: &TextPart<'_>) {
    let mut object = Object::open(out);
    object.string("type", "text");
    object.string("text", &part.text);
    let cited = part.citations.as_ref().map(|raw| Citation::all(raw.as_str())).unwrap_or_default();
    if !cited.is_empty() {
        push_array(object.name("citations"), cited, |out, citation| citation.push_result(out));
    }
    object.close();
}

/// Thinking that nobody signed has an empty signature: clients want one, and we know it again by that.
fn push_thinking(out: &mut Vec<u8>, part: &ThinkingPart<'_>) {
    let mut object = Object::open(out);
    object.string("type", "thinking");
    object.string("thinking", &part.text);
    object.string("signature", part.signature.as_deref().unwrap_or_default());
    object.close();
}

fn push_call(out: &mut Vec<u8>, call: &ToolUse<'_>) {
    let mut object = Object::open(out);
    object.string("type", "tool_use");
    object.string("id", &call.id);
    object.string("name", &call.name);
    if is_object(&call.arguments) == Ok(true) {
        object.raw("input", &call.arguments);
    } else {
        // Half an object, cut at the cap. It stays to be seen, as something that no tool takes for its arguments
        // (case 30).
        let mut input = Object::open(object.name("input"));
        push_string(input.name("_truncated_arguments"), &call.arguments);
        input.close();
    }
    object.close();
}

fn is_object(json: &str) -> Result<bool, JsonFault> {
    let mut cursor = Cursor::new(json.as_bytes(), u8::MAX)?;
    let object = cursor.peek()? == Kind::Object;
    cursor.skip()?;
    cursor.end()?;
    Ok(object)
}
