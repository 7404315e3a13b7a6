//! The top level of a request.

use super::{message, options, tool};
use crate::Dialect;
use crate::chat::{Chat, Extra, Raw};
use crate::json::{Cursor, Kind};
use crate::openai::field::{boolean, document, integer, wrong};
use crate::openai::{BadRequest, ScanLimits};
use std::borrow::Cow;

/// Reads a Messages request.
pub(crate) fn decode_request<'a>(body: &'a [u8], limits: &ScanLimits) -> Result<Chat<'a>, BadRequest> {
    let mut cursor = document(body, limits.depth)?;
    let mut draft = Draft { chat: Chat::new(Dialect::Anthropic, ""), model: false, messages: false };
    cursor.members(|cursor, name, kind| draft.member(cursor, name, kind))?;
    cursor.end()?;
    draft.finish()
}

/// A chat of which not everything is known yet.
struct Draft<'a> {
    chat: Chat<'a>,
    model: bool,
    messages: bool,
}

impl<'a> Draft<'a> {
    fn member(&mut self, cursor: &mut Cursor<'a>, name: &str, kind: Kind) -> Result<(), BadRequest> {
        if kind == Kind::Null && name != "messages" {
            cursor.skip()?;
            return Ok(());
        }
        let chat = &mut self.chat;
        match name {
            "model" => {
                once(&mut self.model, "model")?;
                chat.model = string(cursor, kind, "model")?;
            }
            "messages" => {
                once(&mut self.messages, "messages")?;
                message::messages(chat, cursor, kind)?;
            }
            "system" => message::system(chat, cursor, kind)?,
            "max_tokens" => chat.max_output = Some(cap(cursor, kind)?),
            "stream" => chat.stream = boolean(cursor, kind, "stream")?,
            "stop_sequences" => stop(chat, cursor, kind)?,
            "tools" => tool::tools(chat, cursor, kind)?,
            "tool_choice" => tool::choice(chat, cursor, kind)?,
            "thinking" => chat.read_thinking(cursor, kind)?,
            "output_config" => options::output_config(chat, cursor, kind)?,
            "output_format" => chat.format = Some(options::format(cursor, kind, "output_format")?),
            "metadata" => options::metadata(chat, cursor, kind)?,
            "service_tier" => chat.service_tier = Some(string(cursor, kind, "service_tier")?),
            "temperature" => chat.sampling.temperature = Some(number(cursor, kind, "temperature")?),
            "top_p" => chat.sampling.top_p = Some(number(cursor, kind, "top_p")?),
            "top_k" => chat.sampling.top_k = Some(number(cursor, kind, "top_k")?),
            _ => return self.extra(cursor, name, kind),
        }
        Ok(())
    }

    fn extra(&mut self, cursor: &mut Cursor<'a>, name: &str, kind: Kind) -> Result<(), BadRequest> {
        let value = cursor.raw()?;
        let empty = kind == Kind::Array && value.bytes().all(|byte| b"[] \t\r\n".contains(&byte));
        if empty || (name == "speed" && value == "\"standard\"") {
            return Ok(());
        }
        let essential = matches!(
            name,
            "container" | "mcp_servers" | "thread" | "compaction" | "fallbacks" | "inference_geo"
        );
        let name = Cow::Owned(name.to_owned());
        self.chat.extra.push(Extra { name, value: Raw::new(value), essential });
        Ok(())
    }

    fn finish(self) -> Result<Chat<'a>, BadRequest> {
        let mut chat = self.chat;
        if !self.model {
            return Err(BadRequest::Missing { param: "model" });
        }
        if !self.messages {
            return Err(BadRequest::Missing { param: "messages" });
        }
        if chat.max_output.is_none() {
            return Err(BadRequest::Missing { param: "max_tokens" });
        }
        chat.normalise();
        Ok(chat)
    }
}

fn once(seen: &mut bool, param: &'static str) -> Result<(), BadRequest> {
    if std::mem::replace(seen, true) { Err(BadRequest::Duplicate { param }) } else { Ok(()) }
}

fn cap(cursor: &mut Cursor<'_>, kind: Kind) -> Result<u32, BadRequest> {
    match integer(cursor, kind, "max_tokens", (0, u32::MAX))? {
        0 => Err(BadRequest::Untranslatable {
            param: "max_tokens".into(),
            reason: "0 fills a cache that only Anthropic has; set 1 or more",
        }),
        cap => Ok(cap),
    }
}

/// The string that comes next.
pub(super) fn string<'a>(
    cursor: &mut Cursor<'a>,
    kind: Kind,
    param: impl Into<Cow<'static, str>>,
) -> Result<Cow<'a, str>, BadRequest> {
    if kind != Kind::String {
        return Err(wrong(param, "a string", kind));
    }
    Ok(cursor.text()?)
}

fn number<'a>(cursor: &mut Cursor<'a>, kind: Kind, param: &'static str) -> Result<Raw<'a>, BadRequest> {
    if kind != Kind::Number {
        return Err(wrong(param, "a number", kind));
    }
    Ok(Raw::new(cursor.raw()?))
}

fn stop<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    if kind != Kind::Array {
        return Err(wrong("stop_sequences", "an array of strings", kind));
    }
    chat.stop.clear();
    cursor.elements(|cursor, _, kind| {
        chat.stop.push(string(cursor, kind, "stop_sequences")?);
        Ok(())
    })
}
