//! Where images and documents come from.

use super::request::string;
use crate::chat::Source;
use crate::json::{Cursor, JsonFault, Kind};
use crate::openai::BadRequest;
use std::borrow::Cow;

/// `source: {type, …}`. `None` when it holds something that has no place in the canonical chat.
pub(super) fn source<'a>(
    cursor: &mut Cursor<'a>,
    path: &dyn Fn() -> String,
) -> Result<Option<Source<'a>>, BadRequest> {
    let (mut word, mut media_type, mut payload) = (None, None, None);
    let mut content = Content::Absent;
    let at = |member: &str| format!("{}.{member}", path());
    cursor.members(|cursor, name, kind| {
        match name {
            "type" => word = Some(string(cursor, kind, at(name))?),
            "media_type" => media_type = Some(string(cursor, kind, at(name))?),
            "data" | "url" | "file_id" => payload = Some(string(cursor, kind, at(name))?),
            "content" => content = Content::read(cursor, kind)?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    let missing = |member| BadRequest::Invalid { param: at(member).into(), reason: "it is missing" };
    Ok(match word.as_deref() {
        Some("base64") => Some(Source::Base64 {
            media_type: media_type.ok_or_else(|| missing("media_type"))?,
            data: payload.ok_or_else(|| missing("data"))?,
        }),
        Some("url") => Some(Source::Url(payload.ok_or_else(|| missing("url"))?)),
        Some("file") => Some(Source::File(payload.ok_or_else(|| missing("file_id"))?)),
        Some("text") => Some(Source::Text(payload.ok_or_else(|| missing("data"))?)),
        Some("content") => match content {
            Content::Absent => return Err(missing("content")),
            Content::Text(text) => Some(Source::Text(text)),
            Content::Foreign => None,
        },
        Some(_) => None,
        None => return Err(missing("type")),
    })
}

/// What a document that is given as blocks holds.
enum Content<'a> {
    Absent,
    /// Nothing but text; blocks are lines.
    Text(Cow<'a, str>),
    Foreign,
}

impl<'a> Content<'a> {
    fn read(cursor: &mut Cursor<'a>, kind: Kind) -> Result<Self, JsonFault> {
        match kind {
            Kind::String => return Ok(Self::Text(cursor.text()?)),
            Kind::Array => {}
            _ => {
                cursor.skip()?;
                return Ok(Self::Foreign);
            }
        }
        let mut lines = Vec::new();
        let mut foreign = false;
        cursor.elements(|cursor, _, kind| {
            if kind != Kind::Object {
                foreign = true;
                cursor.skip()?;
                return Ok(());
            }
            cursor.members(|cursor, name, kind| {
                match (name, kind) {
                    ("text", Kind::String) => lines.push(cursor.text()?),
                    ("type", Kind::String) => foreign |= cursor.text()? != "text",
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok::<_, JsonFault>(())
            })
        })?;
        Ok(if foreign { Self::Foreign } else { Self::Text(lines.join("\n").into()) })
    }
}
