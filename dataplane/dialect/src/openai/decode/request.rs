//! The top level of a request.

use super::super::field::{boolean, document, integer, wrong};
use super::super::{BadRequest, ScanLimits};
use super::{message, thinking, tool};
use crate::Dialect;
use crate::chat::{Chat, Effort, Extra, Format, Raw, ToolChoice};
use crate::json::{Cursor, Kind};
use std::borrow::Cow;

/// Reads a chat request.
pub(crate) fn decode_request<'a>(body: &'a [u8], limits: &ScanLimits) -> Result<Chat<'a>, BadRequest> {
    let mut cursor = document(body, limits.depth)?;
    let mut draft = Draft::default();
    cursor.members(|cursor, name, kind| draft.member(cursor, name, kind))?;
    cursor.end()?;
    draft.finish()
}

/// A chat of which not everything is known yet.
struct Draft<'a> {
    chat: Chat<'a>,
    model: bool,
    messages: bool,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    /// Older names; what the newer ones say wins.
    function_call: Option<ToolChoice<'a>>,
    safety_identifier: Option<Cow<'a, str>>,
}

impl Default for Draft<'_> {
    fn default() -> Self {
        Self {
            chat: Chat::new(Dialect::OpenAi, ""),
            model: false,
            messages: false,
            max_tokens: None,
            max_completion_tokens: None,
            function_call: None,
            safety_identifier: None,
        }
    }
}

const CAP: (u32, u32) = (1, u32::MAX);

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
            "tools" => tool::tools(chat, cursor, kind)?,
            "functions" => tool::functions(chat, cursor, kind)?,
            "tool_choice" => chat.tool_choice = tool::choice(chat, cursor, kind)?,
            "function_call" => self.function_call = Some(tool::function_call(cursor, kind)?),
            "parallel_tool_calls" => {
                chat.parallel_tools = Some(boolean(cursor, kind, "parallel_tool_calls")?);
            }
            "max_tokens" => self.max_tokens = Some(integer(cursor, kind, "max_tokens", CAP)?),
            "max_completion_tokens" => {
                self.max_completion_tokens = Some(integer(cursor, kind, "max_completion_tokens", CAP)?);
            }
            "stop" => stop(chat, cursor, kind)?,
            "n" => chat.answers = Some(integer(cursor, kind, "n", (1, 128))?).filter(|n| *n > 1),
            "stream" => chat.stream = boolean(cursor, kind, "stream")?,
            "stream_options" => stream_options(chat, cursor, kind)?,
            "response_format" => format(chat, cursor, kind)?,
            "user" => chat.user = Some(string(cursor, kind, "user")?),
            "safety_identifier" => {
                self.safety_identifier = Some(string(cursor, kind, "safety_identifier")?);
            }
            "service_tier" => chat.service_tier = Some(string(cursor, kind, "service_tier")?),
            "reasoning_effort" => effort(chat, cursor, kind)?,
            "reasoning" => thinking::reasoning(chat, cursor, kind)?,
            "thinking" => chat.read_thinking(cursor, kind)?,
            _ => return self.sampling(cursor, name, kind),
        }
        Ok(())
    }

    fn sampling(&mut self, cursor: &mut Cursor<'a>, name: &str, kind: Kind) -> Result<(), BadRequest> {
        let sampling = &mut self.chat.sampling;
        let (param, slot) = match name {
            "temperature" => ("temperature", &mut sampling.temperature),
            "top_p" => ("top_p", &mut sampling.top_p),
            "top_k" => ("top_k", &mut sampling.top_k),
            "seed" => ("seed", &mut sampling.seed),
            "frequency_penalty" => ("frequency_penalty", &mut sampling.frequency_penalty),
            "presence_penalty" => ("presence_penalty", &mut sampling.presence_penalty),
            "top_logprobs" => ("top_logprobs", &mut sampling.top_logprobs),
            "logprobs" => {
                sampling.logprobs = boolean(cursor, kind, "logprobs")?;
                return Ok(());
            }
            "logit_bias" => {
                if kind != Kind::Object {
                    return Err(wrong("logit_bias", "an object", kind));
                }
                // One without members says nothing.
                sampling.logit_bias =
                    Some(Raw::new(cursor.raw()?)).filter(|bias| bias.as_str().contains(':'));
                return Ok(());
            }
            _ => return self.extra(cursor, name),
        };
        if kind != Kind::Number {
            return Err(wrong(param, "a number", kind));
        }
        *slot = Some(Raw::new(cursor.raw()?));
        Ok(())
    }

    fn extra(&mut self, cursor: &mut Cursor<'a>, name: &str) -> Result<(), BadRequest> {
        let value = cursor.raw()?;
        let essential = match name {
            // Text alone is what every model answers with.
            "modalities" if value.split(['[', ']', ',', ' ']).all(|word| matches!(word, "" | "\"text\"")) => {
                return Ok(());
            }
            "web_search_options" | "modalities" | "audio" | "moderation" | "plugins" | "models"
            | "enable_search" | "search_parameters" => true,
            _ => false,
        };
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
        if self.max_tokens.is_some() && self.max_completion_tokens.is_some() {
            return Err(BadRequest::Conflict { param: "max_tokens", other: "max_completion_tokens" });
        }
        chat.max_output = self.max_completion_tokens.or(self.max_tokens);
        chat.tool_choice = chat.tool_choice.or(self.function_call);
        chat.user = chat.user.or(self.safety_identifier);
        chat.normalise();
        Ok(chat)
    }
}

fn once(seen: &mut bool, param: &'static str) -> Result<(), BadRequest> {
    if std::mem::replace(seen, true) { Err(BadRequest::Duplicate { param }) } else { Ok(()) }
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

fn stop<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    const EXPECTED: &str = "a string or an array of strings";
    chat.stop.clear();
    match kind {
        Kind::String => chat.stop.push(cursor.text()?),
        Kind::Array => cursor.elements(|cursor, _, kind| {
            chat.stop.push(string(cursor, kind, "stop")?);
            Ok::<_, BadRequest>(())
        })?,
        _ => return Err(wrong("stop", EXPECTED, kind)),
    }
    Ok(())
}

fn stream_options<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("stream_options", "an object", kind));
    }
    cursor.members(|cursor, name, kind| {
        if name == "include_usage" && kind == Kind::Bool {
            chat.include_usage = boolean(cursor, kind, "stream_options.include_usage")?;
        } else if name == "include_usage" && kind != Kind::Null {
            return Err(wrong("stream_options.include_usage", "a boolean", kind));
        } else {
            // How chunks are padded or cut is between the caller and his vendor.
            cursor.skip()?;
            if name != "include_usage" {
                chat.omit("stream_options");
            }
        }
        Ok(())
    })
}

fn effort<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    const REASON: &str = "expected one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh' and 'max'";
    let word = string(cursor, kind, "reasoning_effort")?;
    let effort = Effort::named(&word)
        .ok_or(BadRequest::Invalid { param: "reasoning_effort".into(), reason: REASON })?;
    chat.effort = Some(effort);
    Ok(())
}

fn format<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("response_format", "an object", kind));
    }
    let (mut word, mut schema) = (None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("type", _) => word = Some(string(cursor, kind, "response_format.type")?),
            ("json_schema", Kind::Object) => schema = Some(json_schema(cursor)?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    let missing = BadRequest::Missing { param: "response_format.json_schema" };
    chat.format = Some(match word.as_deref() {
        Some("text") => Format::Text,
        Some("json_object") => Format::JsonObject,
        Some("json_schema") => schema.ok_or(missing)?,
        _ => {
            return Err(BadRequest::Invalid {
                param: "response_format.type".into(),
                reason: "expected one of 'text', 'json_object' and 'json_schema'",
            });
        }
    });
    Ok(())
}

fn json_schema<'a>(cursor: &mut Cursor<'a>) -> Result<Format<'a>, BadRequest> {
    let (mut title, mut about, mut body, mut strictness) = (None, None, None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("name", Kind::String) => title = Some(cursor.text()?),
            ("description", Kind::String) => about = Some(cursor.text()?),
            ("schema", Kind::Object) => body = Some(Raw::new(cursor.raw()?)),
            ("strict", Kind::Bool) => {
                strictness = Some(boolean(cursor, kind, "response_format.json_schema.strict")?);
            }
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("name" | "description" | "schema" | "strict", _) => {
                return Err(wrong(format!("response_format.json_schema.{name}"), "another type", kind));
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(Format::JsonSchema { name: title, description: about, schema: body, strict: strictness })
}
