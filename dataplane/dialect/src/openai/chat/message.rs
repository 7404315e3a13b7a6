//! Messages and their content: counted, not kept.

use super::super::BadRequest;
use super::super::field::{cache_control, wrong};
use super::media;
use super::scan::Scan;
use crate::Feature;
use crate::json::{Cursor, Cuts, Kind, Span, Str};

/// Reads `messages`.
pub(super) fn messages(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    let kind = cursor.peek()?;
    if kind != Kind::Array {
        return Err(wrong("messages", "an array of objects", kind));
    }
    cursor.enter()?;
    let mut first = true;
    while cursor.element(&mut first)? {
        let kind = cursor.peek()?;
        if kind != Kind::Object {
            return Err(wrong(format!("messages[{}]", scan.counts.messages), "an object", kind));
        }
        message(scan, cursor)?;
        scan.counts.messages += 1;
    }
    if scan.counts.messages == 0 {
        return Err(BadRequest::Empty { param: "messages" });
    }
    Ok(())
}

/// Whatever is written in a message may be in the prompt: strings count at their length, anything nested as it
/// stands. Fields that are there twice count twice, so it does not matter which one the vendor believes.
fn message(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    cursor.enter()?;
    let mut first = true;
    let mut cuts = Cuts::default();
    while let Some(key) = cursor.key(&mut first)? {
        member(scan, cursor, key)?;
        let Span { start, .. } = key.text.span;
        let whole = Span { start: start.saturating_sub(1), end: cursor.at() };
        cuts.item(whole, is_thought(key.text.span.of(cursor.bytes())), &mut scan.thoughts);
    }
    Ok(())
}

/// Members in which gateways and resellers tell what a model thought, and in which callers send it back.
fn is_thought(name: &[u8]) -> bool {
    matches!(name, b"reasoning_content" | b"reasoning" | b"thinking_blocks")
}

fn member(scan: &mut Scan, cursor: &mut Cursor<'_>, key: Str) -> Result<(), BadRequest> {
    let kind = cursor.peek()?;
    if kind == Kind::String {
        scan.bytes.text += cursor.string()?.len as u64;
        return Ok(());
    }
    let name = key.text.get(cursor.bytes());
    let at = |field: &str| format!("messages[{}].{field}", scan.counts.messages);
    match name.as_ref() {
        "content" if kind == Kind::Array => parts(scan, cursor)?,
        "content" if kind != Kind::Null => {
            return Err(wrong(at("content"), "a string or an array of objects", kind));
        }
        "role" => return Err(wrong(at("role"), "a string", kind)),
        "tool_calls" if kind != Kind::Array && kind != Kind::Null => {
            return Err(wrong(at("tool_calls"), "an array", kind));
        }
        "cache_control" => cache_control(&mut scan.features, cursor)?,
        "audio" if kind == Kind::Object => {
            scan.counts.audio += 1;
            scan.features.insert(Feature::AudioInput);
            cursor.skip()?;
        }
        _ => scan.bytes.text += cursor.skip()?.len() as u64,
    }
    Ok(())
}

fn parts(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    cursor.enter()?;
    let mut first = true;
    let mut index = 0;
    while cursor.element(&mut first)? {
        let kind = cursor.peek()?;
        match kind {
            Kind::Object => media::part(scan, cursor)?,
            // Not OpenAI's, but some vendors take it.
            Kind::String => scan.bytes.text += cursor.string()?.len as u64,
            _ => {
                let path = format!("messages[{}].content[{index}]", scan.counts.messages);
                return Err(wrong(path, "an object", kind));
            }
        }
        index += 1;
    }
    scan.counts.parts += index;
    Ok(())
}
