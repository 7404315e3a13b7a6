//! How to think, how hard to try, in which form to answer, and for whom.

use super::request::string;
use crate::chat::{Chat, Effort, Format, Raw};
use crate::json::{Cursor, Kind};
use crate::openai::BadRequest;
use crate::openai::field::wrong;

/// `output_config: {effort, format}`.
pub(super) fn output_config<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
) -> Result<(), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("output_config", "an object", kind));
    }
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("effort", _) => {
                let reason = "expected one of 'low', 'medium', 'high', 'xhigh' and 'max'";
                let word = string(cursor, kind, "output_config.effort")?;
                let param = "output_config.effort".into();
                chat.effort = Some(Effort::named(&word).ok_or(BadRequest::Invalid { param, reason })?);
            }
            ("format", _) => chat.format = Some(format(cursor, kind, "output_config.format")?),
            _ => {
                cursor.skip()?;
                chat.omit("output_config");
            }
        }
        Ok(())
    })
}

/// `{type: json_schema, schema}`.
pub(super) fn format<'a>(
    cursor: &mut Cursor<'a>,
    kind: Kind,
    param: &'static str,
) -> Result<Format<'a>, BadRequest> {
    if kind != Kind::Object {
        return Err(wrong(param, "an object", kind));
    }
    let (mut word, mut schema) = (None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("type", _) => word = Some(string(cursor, kind, format!("{param}.type"))?),
            ("schema", Kind::Object) => schema = Some(Raw::new(cursor.raw()?)),
            ("schema", _) => return Err(wrong(format!("{param}.schema"), "an object", kind)),
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    })?;
    if word.as_deref() != Some("json_schema") || schema.is_none() {
        let reason = "expected an object with 'type': 'json_schema' and 'schema'";
        return Err(BadRequest::Invalid { param: param.into(), reason });
    }
    // Anthropic always enforces it.
    Ok(Format::JsonSchema { name: None, description: None, schema, strict: Some(true) })
}

/// `metadata: {user_id}`.
pub(super) fn metadata<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
) -> Result<(), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("metadata", "an object", kind));
    }
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("user_id", _) => chat.user = Some(string(cursor, kind, "metadata.user_id")?),
            _ => {
                cursor.skip()?;
                chat.omit("metadata");
            }
        }
        Ok(())
    })
}
