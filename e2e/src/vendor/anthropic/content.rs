//! Turns of a conversation: roles, blocks, the order of tool calls and their results, and what they count.

use super::super::messages::text_tokens;
use super::block;
use super::reject::{Reject, needs};
use serde_json::Value;

/// What was found in the messages.
#[derive(Default)]
pub(super) struct Seen {
    /// Tokens that they count.
    pub(super) tokens: u64,
    /// Images by URL and by base64, those in tool results too.
    pub(super) images: (u64, u64),
    /// Documents of any sort.
    pub(super) documents: u64,
    /// Blocks of thinking that came back, with good signatures.
    pub(super) thoughts: u64,
    /// Text of the last user turn that has any.
    pub(super) last_user: String,
    /// Tool results in the last turn.
    pub(super) results: u64,
    /// A tool was called, or answered, anywhere.
    pub(super) tools: bool,
    /// Marks of `cache_control`.
    pub(super) marks: u64,
}

/// Neighbouring messages of one role are one turn.
struct Turn<'a> {
    role: &'a str,
    /// Path and block; text that is given as a string is a block of type `text`.
    blocks: Vec<(String, Value)>,
}

/// Checks all messages; with `thinking` on or not, and `system` as a role or not.
pub(super) fn check(messages: &Value, thinking: bool, system: bool, seen: &mut Seen) -> Result<(), Reject> {
    let list = messages.as_array().ok_or_else(|| needs("messages", Some(messages), "a valid list"))?;
    if list.is_empty() {
        return Err(Reject::field("messages", "at least one message is required"));
    }
    let turns = turns(list, system)?;
    if turns[0].role != "user" {
        return Err(Reject::field("messages", "first message must use the \"user\" role"));
    }
    seen.tokens += 3;
    let mut open: Vec<String> = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        answered(turn, &mut open)?;
        for (path, block) in &turn.blocks {
            block::check(path, turn.role, block, seen)?;
        }
        said(turn, seen);
        if turn.role == "assistant" {
            open = calls(turn);
        }
        if at + 1 == turns.len() && turn.role == "assistant" {
            last(turn, &open)?;
        }
        seen.tokens += 4;
    }
    if thinking { thought_first(&turns, seen) } else { Ok(()) }
}

fn turns(list: &[Value], system: bool) -> Result<Vec<Turn<'_>>, Reject> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (at, message) in list.iter().enumerate() {
        let role = role(at, message, system)?;
        let last = at + 1 == list.len();
        let blocks = blocks(at, message, last && role == "assistant")?;
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            _ => turns.push(Turn { role, blocks }),
        }
    }
    Ok(turns)
}

fn role(at: usize, message: &Value, system: bool) -> Result<&str, Reject> {
    let known = ["role", "content"];
    if let Some(other) = message.as_object().and_then(|m| m.keys().find(|k| !known.contains(&k.as_str()))) {
        return Err(Reject::field(format!("messages.{at}.{other}"), "Extra inputs are not permitted"));
    }
    match message["role"].as_str() {
        Some(role @ ("user" | "assistant")) => Ok(role),
        // What the operator says there reads as if the user had said it.
        Some("system") if system && at > 0 => Ok("user"),
        Some("system") => Err(Reject::field(
            "messages",
            "Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as \
             an input message role.",
        )),
        _ => Err(needs(format!("messages.{at}.role"), message.get("role"), "'user' or 'assistant'")),
    }
}

fn blocks(at: usize, message: &Value, prefill: bool) -> Result<Vec<(String, Value)>, Reject> {
    let path = format!("messages.{at}.content");
    let empty = || {
        let text = "all messages must have non-empty content except for the optional final assistant message";
        Err(Reject::field(format!("messages.{at}"), text))
    };
    match message.get("content") {
        Some(Value::String(text)) if text.is_empty() => {
            if prefill {
                Ok(Vec::new())
            } else {
                empty()
            }
        }
        Some(Value::String(text)) => Ok(vec![(path, serde_json::json!({"type": "text", "text": text}))]),
        Some(Value::Array(list)) if list.is_empty() => {
            if prefill {
                Ok(Vec::new())
            } else {
                empty()
            }
        }
        Some(Value::Array(list)) => {
            Ok(list.iter().enumerate().map(|(n, b)| (format!("{path}.{n}"), b.clone())).collect())
        }
        other => Err(needs(path, other, "a valid string or list")),
    }
}

fn ids<'a>(turn: &'a Turn<'_>, kind: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let of_kind = turn.blocks.iter().filter(move |(_, b)| b["type"] == kind);
    of_kind.map(move |(path, b)| (path.as_str(), b[name].as_str().unwrap_or_default()))
}

fn calls(turn: &Turn<'_>) -> Vec<String> {
    ids(turn, "tool_use", "id").map(|(_, id)| id.to_owned()).collect()
}

/// Every call before this turn has its result at this turn's beginning, and every result has its call.
fn answered(turn: &Turn<'_>, open: &mut Vec<String>) -> Result<(), Reject> {
    for (path, id) in ids(turn, "tool_result", "tool_use_id") {
        let Some(found) = open.iter().position(|o| o == id) else {
            let text = format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
                 corresponding `tool_use` block in the previous message."
            );
            return Err(Reject::field(path, text));
        };
        open.remove(found);
    }
    let first_other = turn.blocks.iter().position(|(_, b)| b["type"] != "tool_result");
    let late = turn.blocks.iter().rposition(|(_, b)| b["type"] == "tool_result");
    if !open.is_empty() || first_other.zip(late).is_some_and(|(other, result)| other < result) {
        let text = format!(
            "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must \
             have a corresponding `tool_result` block in the next message.",
            open.join(", ")
        );
        return Err(Reject::field("messages", text));
    }
    Ok(())
}

fn said(turn: &Turn<'_>, seen: &mut Seen) {
    if turn.role != "user" {
        return;
    }
    seen.results = u64::try_from(ids(turn, "tool_result", "tool_use_id").count()).unwrap_or(u64::MAX);
    let texts: Vec<&str> = turn.blocks.iter().filter_map(|(_, b)| b["text"].as_str()).collect();
    if !texts.is_empty() {
        seen.last_user = texts.concat();
    }
}

fn last(turn: &Turn<'_>, open: &[String]) -> Result<(), Reject> {
    if !open.is_empty() {
        let text = format!(
            "`tool_use` ids were found without `tool_result` blocks immediately after: {}",
            open.join(", ")
        );
        return Err(Reject::field("messages", text));
    }
    let text = turn.blocks.last().and_then(|(_, b)| b["text"].as_str()).unwrap_or_default();
    if text.ends_with(char::is_whitespace) {
        return Err(Reject::field("messages", "final assistant content cannot end with trailing whitespace"));
    }
    Ok(())
}

/// While tools are being used, the turn that called them keeps the thought that led to them.
fn thought_first(turns: &[Turn<'_>], seen: &Seen) -> Result<(), Reject> {
    let [.., turn, _] = turns else { return Ok(()) };
    let Some((path, first)) = turn.blocks.first() else { return Ok(()) };
    let kind = first["type"].as_str().unwrap_or_default();
    if seen.results == 0 || kind.ends_with("thinking") {
        return Ok(());
    }
    let text = format!(
        "Expected `thinking` or `redacted_thinking`, but found `{kind}`. When `thinking` is enabled, a final \
         `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and \
         `tool_result` blocks)."
    );
    Err(Reject::field(format!("{path}.type"), text))
}

/// Tokens of a text, for the rooms beside this one.
pub(super) fn count(seen: &mut Seen, text: &str) {
    seen.tokens += text_tokens(text);
}
