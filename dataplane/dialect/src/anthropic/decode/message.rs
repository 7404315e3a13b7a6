//! Messages and system texts.

use super::block::blocks;
use super::request::string;
use crate::chat::{Chat, Part, Role, TextPart};
use crate::json::{Cursor, Kind};
use crate::openai::BadRequest;
use crate::openai::field::wrong;

/// Reads `messages`.
pub(super) fn messages<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
) -> Result<(), BadRequest> {
    if kind != Kind::Array {
        return Err(wrong("messages", "an array of objects", kind));
    }
    let mut any = false;
    cursor.elements(|cursor, index, kind| {
        if kind != Kind::Object {
            return Err(wrong(format!("messages[{index}]"), "an object", kind));
        }
        any = true;
        message(chat, cursor, index)
    })?;
    if any { Ok(()) } else { Err(BadRequest::Empty { param: "messages" }) }
}

fn message<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, index: usize) -> Result<(), BadRequest> {
    let at = |member: &str| format!("messages[{index}].{member}");
    let (mut role, mut parts) = (None, None);
    cursor.members(|cursor, name, kind| {
        match name {
            "role" => role = Some(string(cursor, kind, at(name))?),
            "content" => parts = Some(blocks(chat, cursor, kind, &|| at("content"))?),
            _ => {
                cursor.skip()?;
                chat.omit("messages[]");
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    let missing = |member| BadRequest::Invalid { param: at(member).into(), reason: "it is missing" };
    let parts = parts.ok_or_else(|| missing("content"))?;
    match role.as_deref() {
        Some("user") => chat.say(Role::User, parts),
        Some("assistant") => chat.say(Role::Assistant, parts),
        Some("system") if chat.turns.is_empty() => chat.system.extend(texts(parts, &|| at("content"))?),
        Some("system") => {
            let texts = texts(parts, &|| at("content"))?;
            chat.say(Role::System, texts.into_iter().map(Part::Text).collect());
        }
        Some(_) => {
            let reason = "expected one of 'user', 'assistant' and 'system'";
            return Err(BadRequest::Invalid { param: at("role").into(), reason });
        }
        None => return Err(missing("role")),
    }
    Ok(())
}

/// Reads `system`.
pub(super) fn system<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    let parts = blocks(chat, cursor, kind, &|| "system".to_owned())?;
    let mut texts = texts(parts, &|| "system".to_owned())?;
    // It comes ahead of what messages say with the role `system`, wherever it stands in the document.
    texts.append(&mut chat.system);
    chat.system = texts;
    Ok(())
}

fn texts<'a>(parts: Vec<Part<'a>>, path: &dyn Fn() -> String) -> Result<Vec<TextPart<'a>>, BadRequest> {
    let text = |part| match part {
        Part::Text(text) => Ok(text),
        _ => Err(BadRequest::Invalid { param: path().into(), reason: "expected text only" }),
    };
    parts.into_iter().map(text).collect()
}
