//! Messages.

use super::super::BadRequest;
use super::part::{other, push_cache_mark, push_content};
use super::request::Writer;
use super::tool::LONGEST_NAME;
use crate::chat::{Aspect, Chat, Part, Role, ToolResult, ToolUse, Turn};
use crate::json::{List, Object, push_string};
use crate::translate::fitting;
use std::borrow::Cow;

pub(super) fn push_messages(
    writer: &mut Writer<'_>,
    out: &mut Vec<u8>,
    chat: &Chat<'_>,
) -> Result<(), BadRequest> {
    let mut list = List::open(out);
    if !chat.system.is_empty() {
        let parts: Vec<_> = chat.system.iter().cloned().map(Part::Text).collect();
        push_message(writer, list.item(), "system", parts.iter())?;
    }
    for turn in &chat.turns {
        match turn.role {
            Role::System => push_message(writer, list.item(), "system", turn.parts.iter())?,
            Role::User => push_user(writer, &mut list, turn)?,
            Role::Assistant => push_assistant(writer, &mut list, turn)?,
        }
    }
    list.close();
    let prefilled = chat.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if prefilled && !writer.own { writer.losses.lose(Aspect::Prefill) } else { Ok(()) }
}

fn push_message<'p, 'a: 'p>(
    writer: &mut Writer<'_>,
    out: &mut Vec<u8>,
    role: &str,
    parts: impl Iterator<Item = &'p Part<'a>> + Clone,
) -> Result<(), BadRequest> {
    let mut object = Object::open(out);
    object.string("role", role);
    push_content(writer, object.name("content"), parts)?;
    object.close();
    Ok(())
}

fn is_text(part: &Part<'_>) -> bool {
    matches!(part, Part::Text(_))
}

/// Results first, each a message of its own, then what else the user says.
fn push_user(writer: &mut Writer<'_>, list: &mut List<'_>, turn: &Turn<'_>) -> Result<(), BadRequest> {
    // Where a result can be text only, its images are said by the user, after all results (case 22).
    let mut moved = Vec::new();
    for part in &turn.parts {
        if let Part::ToolResult(result) = part {
            push_result(writer, list.item(), result)?;
            if !writer.facts.extensions && !result.parts.iter().all(is_text) {
                moved.push(Part::text(format!("Result of the tool call {}:", result.id)));
                moved.extend(result.parts.iter().filter(|part| !is_text(part)).cloned());
            }
        }
    }
    let said = turn.parts.iter().filter(|part| !matches!(part, Part::ToolResult(_)));
    let said = moved.iter().chain(said);
    if said.clone().next().is_some() {
        push_message(writer, list.item(), "user", said)?;
    }
    Ok(())
}

fn push_result(
    writer: &mut Writer<'_>,
    out: &mut Vec<u8>,
    result: &ToolResult<'_>,
) -> Result<(), BadRequest> {
    let mut object = Object::open(out);
    object.string("role", "tool");
    object.string("tool_call_id", &writer.call_id(&result.id));
    let inline = |part: &&Part<'_>| writer.facts.extensions || is_text(part);
    let shown: Vec<_> = result.parts.iter().filter(inline).cloned().collect();
    match (shown.is_empty(), result.parts.is_empty()) {
        (true, true) => object.string("content", ""),
        (true, false) => object.string("content", "The result is in the message that follows."),
        _ => push_content(writer, object.name("content"), shown.iter())?,
    }
    if result.is_error {
        if writer.facts.extensions {
            object.boolean("is_error", true);
        } else {
            writer.losses.lose(Aspect::ResultError)?;
        }
    }
    push_cache_mark(writer, &mut object, result.cache)?;
    object.close();
    Ok(())
}

/// One message: thinking where the target takes it, then texts, refusal and calls.
fn push_assistant(writer: &mut Writer<'_>, list: &mut List<'_>, turn: &Turn<'_>) -> Result<(), BadRequest> {
    let is_thought = |part: &&Part<'_>| matches!(part, Part::Thinking(_) | Part::RedactedThinking { .. });
    let has_thoughts = turn.parts.iter().any(|part| is_thought(&part));
    let keeps = writer.own || writer.facts.extensions;
    if has_thoughts && !keeps {
        writer.losses.lose(Aspect::ThinkingHistory)?;
        if turn.parts.iter().all(|part| is_thought(&part)) {
            return Ok(());
        }
    }
    let mut object = Object::open(list.item());
    object.string("role", "assistant");
    let texts = turn.parts.iter().filter(|part| is_text(part));
    match texts.clone().next() {
        Some(_) => push_content(writer, object.name("content"), texts)?,
        None => object.raw("content", "null"),
    }
    if has_thoughts && keeps {
        push_thoughts(&mut object, turn.parts.iter().filter(is_thought));
    }
    let calls = turn.parts.iter().filter_map(|part| match part {
        Part::ToolUse(call) => Some(call),
        _ => None,
    });
    let mut others = Vec::new();
    for part in &turn.parts {
        match part {
            Part::Refusal(text) => object.string("refusal", text),
            Part::Other { kind, raw } if writer.own && kind == "audio" => object.raw("audio", raw.as_str()),
            Part::Other { raw, .. } if writer.own => others.push(raw),
            Part::Other { .. } | Part::Image(_) | Part::Document(_) | Part::Audio(_) => return Err(other()),
            _ => {}
        }
    }
    if calls.clone().next().is_some() || !others.is_empty() {
        let mut list = List::open(object.name("tool_calls"));
        for call in calls {
            push_call(writer, list.item(), call)?;
        }
        for raw in others {
            list.item().extend_from_slice(raw.as_str().as_bytes());
        }
        list.close();
    }
    object.close();
    Ok(())
}

fn push_call(writer: &mut Writer<'_>, out: &mut Vec<u8>, call: &ToolUse<'_>) -> Result<(), BadRequest> {
    let name = writer.memory.tool_name(&call.name, LONGEST_NAME);
    let mut object = Object::open(out);
    push_call_members(&mut object, &writer.call_id(&call.id), &name, &call.arguments);
    push_cache_mark(writer, &mut object, call.cache)?;
    object.close();
    Ok(())
}

/// Longest id of a call that OpenAI takes (case 26).
const LONGEST_ID: usize = 40;

impl Writer<'_> {
    fn call_id<'i>(&self, id: &'i str) -> Cow<'i, str> {
        if self.own { Cow::Borrowed(id) } else { fitting(id, LONGEST_ID) }
    }
}

/// `id`, `type` and `function`.
pub(super) fn push_call_members(object: &mut Object<'_>, id: &str, name: &str, arguments: &str) {
    object.string("id", id);
    object.string("type", "function");
    let mut function = Object::open(object.name("function"));
    function.string("name", name);
    function.string("arguments", arguments);
    function.close();
}

/// `reasoning_content` for those who read text, `thinking_blocks` for those who send it back.
pub(super) fn push_thoughts<'p, 'a: 'p>(
    object: &mut Object<'_>,
    thoughts: impl Iterator<Item = &'p Part<'a>> + Clone,
) {
    let mut text = String::new();
    let mut signed = false;
    for thought in thoughts.clone() {
        match thought {
            Part::Thinking(thought) => {
                text.push_str(&thought.text);
                signed |= thought.signature.is_some();
            }
            _ => signed = true,
        }
    }
    if !text.is_empty() {
        object.string("reasoning_content", &text);
    }
    // Blocks say more than the text only where there is something to prove.
    if signed || thoughts.clone().nth(1).is_some() {
        let mut list = List::open(object.name("thinking_blocks"));
        for thought in thoughts {
            push_thought(list.item(), thought);
        }
        list.close();
    }
}

fn push_thought(out: &mut Vec<u8>, thought: &Part<'_>) {
    let mut object = Object::open(out);
    match thought {
        Part::RedactedThinking { data } => {
            object.string("type", "redacted_thinking");
            object.string("data", data);
        }
        Part::Thinking(thought) => {
            object.string("type", "thinking");
            object.string("thinking", &thought.text);
            if let Some(signature) = &thought.signature {
                push_string(object.name("signature"), signature);
            }
        }
        _ => {}
    }
    object.close();
}
