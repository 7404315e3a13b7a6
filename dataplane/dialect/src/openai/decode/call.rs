//! Calls of tools, as messages and answers have them.

use super::super::BadRequest;
use crate::chat::{CacheMark, Part, Raw, ToolUse};
use crate::json::{Cursor, JsonFault, Kind};
use std::borrow::Cow;

/// A call as it is written.
#[derive(Default)]
pub(super) struct Call<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    /// A string, or what some vendors write instead: the object itself.
    pub(super) arguments: Option<Cow<'a, str>>,
    pub(super) cache: Option<CacheMark>,
    /// Its type, if it is no function.
    pub(super) foreign: Option<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Call<'a> {
    /// Reads the object that comes next.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonFault> {
        let start = cursor.at();
        let mut call = Self::default();
        let mut word = None;
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("index", Kind::Number) => call.index = cursor.raw()?.parse().ok(),
                ("id", Kind::String) => call.id = Some(cursor.text()?).filter(|id| !id.is_empty()),
                ("type", Kind::String) => word = Some(cursor.text()?),
                ("function", Kind::Object) => call.function(cursor)?,
                ("cache_control", Kind::Object) => call.cache = CacheMark::read(cursor)?,
                _ => cursor.skip_unknown(name, &["index", "id", "function"])?,
            }
            Ok::<_, JsonFault>(())
        })?;
        if let Some(word) = word.filter(|word| !matches!(word.as_ref(), "function" | "")) {
            let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
            call.foreign = Some((word, Raw(String::from_utf8_lossy(raw))));
        }
        Ok(call)
    }

    /// Takes the member `name` of a message or delta if it is about calls, the older word for them included (case 32);
    /// else leaves it.
    pub(super) fn member(
        calls: &mut Vec<Self>,
        cursor: &mut Cursor<'a>,
        name: &str,
        kind: Kind,
    ) -> Result<bool, JsonFault> {
        match (name, kind) {
            ("tool_calls", Kind::Array) => cursor.elements(|cursor, _, kind| {
                if kind == Kind::Object {
                    calls.push(Self::read(cursor)?);
                } else {
                    cursor.skip()?;
                }
                Ok::<_, JsonFault>(())
            })?,
            ("function_call", Kind::Object) => {
                let mut call = Self::default();
                call.function(cursor)?;
                calls.push(call);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads `{name, arguments}`.
    pub(super) fn function(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonFault> {
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("name", Kind::String) => self.name = Some(cursor.text()?).filter(|name| !name.is_empty()),
                ("arguments", Kind::String) => self.arguments = Some(cursor.text()?),
                ("arguments", Kind::Object) => self.arguments = Some(Cow::Borrowed(cursor.raw()?)),
                _ => cursor.skip_unknown(name, &["name", "arguments"])?,
            }
            Ok(())
        })
    }
}

/// Calls without arguments have empty ones (case 28).
pub(super) fn or_empty(arguments: Option<Cow<'_, str>>) -> Cow<'_, str> {
    arguments.filter(|text| !text.trim().is_empty() && text.trim() != "null").unwrap_or(Cow::Borrowed("{}"))
}

/// An id for a call that came without: unlike those of other answers.
pub(super) fn made_id(reply_id: &str, at: usize) -> String {
    let tail: Vec<_> = reply_id.chars().rev().filter(char::is_ascii_alphanumeric).take(24).collect();
    let tail: String = tail.into_iter().rev().collect();
    format!("call_{tail}_{at}")
}

/// Checks that arguments which the caller sent back are an object (case 29).
pub(super) fn check_arguments(arguments: &str, path: &dyn Fn() -> String) -> Result<(), BadRequest> {
    let object = || -> Result<bool, JsonFault> {
        let mut cursor = Cursor::new(arguments.as_bytes(), u8::MAX)?;
        let object = cursor.peek()? == Kind::Object;
        cursor.skip()?;
        cursor.end()?;
        Ok(object)
    };
    if object() == Ok(true) {
        return Ok(());
    }
    Err(BadRequest::Invalid { param: path().into(), reason: "expected a JSON object, written as a string" })
}

/// The name under which models sometimes wrap several calls in one (case 31).
pub(super) const WRAPPER: &str = "multi_tool_use.parallel";

/// The calls that are wrapped in the arguments of one; `None` when they are not as expected, then it stays as it is.
pub(super) fn unwrapped(id: &str, arguments: &str) -> Option<Vec<Part<'static>>> {
    let mut cursor = Cursor::new(arguments.as_bytes(), u8::MAX).ok()?;
    if cursor.peek().ok()? != Kind::Object {
        return None;
    }
    let mut calls = Vec::new();
    let mut whole = true;
    cursor
        .members(|cursor, name, kind| {
            if name != "tool_uses" || kind != Kind::Array {
                cursor.skip()?;
                return Ok(());
            }
            cursor.elements(|cursor, index, kind| {
                let call = if kind == Kind::Object { wrapped(cursor, id, index)? } else { None };
                whole &= call.is_some();
                if kind != Kind::Object {
                    cursor.skip()?;
                }
                calls.extend(call);
                Ok::<_, JsonFault>(())
            })
        })
        .and_then(|()| cursor.end())
        .ok()?;
    (whole && !calls.is_empty()).then_some(calls)
}

/// `{recipient_name: "functions.<name>", parameters}`.
fn wrapped(cursor: &mut Cursor<'_>, id: &str, index: usize) -> Result<Option<Part<'static>>, JsonFault> {
    let (mut recipient, mut parameters) = (None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("recipient_name", Kind::String) => recipient = Some(cursor.text()?),
            ("parameters", Kind::Object) => parameters = Some(cursor.raw()?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, JsonFault>(())
    })?;
    let (Some(recipient), Some(parameters)) = (recipient, parameters) else { return Ok(None) };
    let name = recipient.strip_prefix("functions.").unwrap_or(&recipient).to_owned();
    Ok(Some(Part::ToolUse(ToolUse {
        id: format!("{id}_{index}").into(),
        name: name.into(),
        arguments: parameters.to_owned().into(),
        cache: None,
    })))
}
