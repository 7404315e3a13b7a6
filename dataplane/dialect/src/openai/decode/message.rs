//! Messages.

use super::super::BadRequest;
use super::super::field::{boolean, wrong};
use super::call::{Call, check_arguments, or_empty};
use super::part::content;
use super::request::string;
use super::thinking::Thought;
use crate::chat::{CacheMark, Chat, Part, Raw, Role, ToolResult, ToolUse};
use crate::json::{Cursor, Kind};
use std::borrow::Cow;

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
    // Functions have no ids of calls; a result belongs to the latest call.
    let mut functions = 0_usize;
    cursor.elements(|cursor, index, kind| {
        if kind != Kind::Object {
            return Err(wrong(format!("messages[{index}]"), "an object", kind));
        }
        any = true;
        let mut message = Message { index, ..Message::default() };
        cursor.members(|cursor, name, kind| message.member(chat, cursor, name, kind))?;
        message.tell(chat, &mut functions)
    })?;
    if any { Ok(()) } else { Err(BadRequest::Empty { param: "messages" }) }
}

#[derive(Default)]
struct Message<'a> {
    index: usize,
    role: Option<Cow<'a, str>>,
    content: Vec<Part<'a>>,
    refusal: Option<Cow<'a, str>>,
    calls: Vec<Call<'a>>,
    function_call: Option<Call<'a>>,
    tool_call_id: Option<Cow<'a, str>>,
    is_error: bool,
    named: bool,
    thought: Thought<'a>,
    audio: Option<&'a str>,
    cache: Option<CacheMark>,
}

impl<'a> Message<'a> {
    fn at(&self, member: &str) -> String {
        format!("messages[{}].{member}", self.index)
    }

    fn member(
        &mut self,
        chat: &mut Chat<'a>,
        cursor: &mut Cursor<'a>,
        name: &str,
        kind: Kind,
    ) -> Result<(), BadRequest> {
        let index = self.index;
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("role", _) => self.role = Some(string(cursor, kind, self.at(name))?),
            ("content", _) => {
                self.content = content(cursor, kind, &|| format!("messages[{index}].content"))?;
            }
            ("refusal", _) => self.refusal = Some(string(cursor, kind, self.at(name))?),
            ("tool_calls", Kind::Array) => self.tool_calls(cursor)?,
            ("tool_calls", _) => return Err(wrong(self.at(name), "an array", kind)),
            ("function_call", Kind::Object) => {
                let mut call = Call::default();
                call.function(cursor)?;
                self.function_call = Some(call);
            }
            ("tool_call_id", _) => self.tool_call_id = Some(string(cursor, kind, self.at(name))?),
            ("is_error", _) => self.is_error = boolean(cursor, kind, "messages[].is_error")?,
            ("cache_control", Kind::Object) => self.cache = CacheMark::read(cursor)?,
            ("audio", Kind::Object) => self.audio = Some(cursor.raw()?),
            _ if self.thought.member(cursor, name, kind)? => {}
            ("name", _) => {
                cursor.skip()?;
                self.named = true;
            }
            ("annotations", Kind::Array) => {
                if cursor.raw()?.len() > "[]".len() {
                    chat.omit("messages[].annotations");
                }
            }
            _ => {
                cursor.skip()?;
                chat.omit("messages[]");
            }
        }
        Ok(())
    }

    fn tool_calls(&mut self, cursor: &mut Cursor<'a>) -> Result<(), BadRequest> {
        let index = self.index;
        cursor.elements(|cursor, at, kind| {
            if kind != Kind::Object {
                return Err(wrong(format!("messages[{index}].tool_calls[{at}]"), "an object", kind));
            }
            self.calls.push(Call::read(cursor)?);
            Ok(())
        })
    }

    /// Adds the message to the chat.
    fn tell(mut self, chat: &mut Chat<'a>, functions: &mut usize) -> Result<(), BadRequest> {
        // Of a tool's result the name says nothing that the call has not said.
        if self.named && !matches!(self.role.as_deref(), Some("tool" | "function")) {
            chat.omit("messages[].name");
        }
        match self.role.as_deref() {
            Some("system" | "developer") => self.system(chat),
            Some("user") => {
                let mut parts = std::mem::take(&mut self.content);
                mark(&mut parts, self.cache);
                chat.say(Role::User, parts);
                Ok(())
            }
            Some("assistant") => self.assistant(chat, functions),
            Some("tool") => {
                let at = self.at("tool_call_id");
                let id = self.tool_call_id.take();
                self.result(
                    chat,
                    id.ok_or(BadRequest::Invalid { param: at.into(), reason: "it is missing" })?,
                );
                Ok(())
            }
            Some("function") => {
                let id = format!("function_call_{functions}");
                self.result(chat, id.into());
                Ok(())
            }
            Some(_) => Err(BadRequest::Invalid {
                param: self.at("role").into(),
                reason: "expected one of 'system', 'developer', 'user', 'assistant' and 'tool'",
            }),
            None => Err(BadRequest::Invalid { param: self.at("role").into(), reason: "it is missing" }),
        }
    }

    /// Ahead of the conversation, or amid it.
    fn system(self, chat: &mut Chat<'a>) -> Result<(), BadRequest> {
        let param = self.at("content");
        let mut parts = self.content;
        mark(&mut parts, self.cache);
        if !parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return Err(BadRequest::Invalid { param: param.into(), reason: "expected text only" });
        }
        if !chat.turns.is_empty() {
            chat.say(Role::System, parts);
            return Ok(());
        }
        chat.system.extend(parts.into_iter().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        }));
        Ok(())
    }

    fn result(self, chat: &mut Chat<'a>, id: Cow<'a, str>) {
        let result = ToolResult { id, parts: self.content, is_error: self.is_error, cache: self.cache };
        chat.say(Role::User, vec![Part::ToolResult(result)]);
    }

    /// Thinking first, then what was said, then calls.
    fn assistant(mut self, chat: &mut Chat<'a>, functions: &mut usize) -> Result<(), BadRequest> {
        let mut parts = std::mem::take(&mut self.thought).into_parts();
        mark(&mut self.content, self.cache);
        parts.append(&mut self.content);
        parts.extend(self.refusal.take().filter(|text| !text.is_empty()).map(Part::Refusal));
        if let Some(raw) = self.audio {
            parts.push(Part::Other { kind: "audio".into(), raw: Raw::new(raw) });
        }
        for (at, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            parts.push(self.call(at, call)?);
        }
        if let Some(call) = self.function_call.take() {
            *functions += 1;
            let id = format!("function_call_{functions}");
            parts.push(self.call(0, Call { id: Some(id.into()), ..call })?);
        }
        chat.say(Role::Assistant, parts);
        Ok(())
    }

    fn call(&self, at: usize, call: Call<'a>) -> Result<Part<'a>, BadRequest> {
        if let Some((kind, raw)) = call.foreign {
            return Ok(Part::Other { kind, raw });
        }
        let path = |member: &str| self.at(&format!("tool_calls[{at}].{member}"));
        let missing =
            |member: &str| BadRequest::Invalid { param: path(member).into(), reason: "it is missing" };
        let id = call.id.ok_or_else(|| missing("id"))?;
        let name = call.name.ok_or_else(|| missing("function.name"))?;
        let arguments = or_empty(call.arguments);
        check_arguments(&arguments, &|| path("function.arguments"))?;
        Ok(Part::ToolUse(ToolUse { id, name, arguments, cache: call.cache }))
    }
}

/// A mark on the message is one on its last part.
fn mark(parts: &mut [Part<'_>], mark: Option<CacheMark>) {
    let Some(mark) = mark else { return };
    match parts.last_mut() {
        Some(Part::Text(text)) => text.cache = text.cache.or(Some(mark)),
        Some(Part::Image(image)) => image.cache = image.cache.or(Some(mark)),
        Some(Part::Document(document)) => document.cache = document.cache.or(Some(mark)),
        _ => {}
    }
}
