//! The top level of a request.

use super::super::{BadRequest, CapName};
use super::{message, schema, tool};
use crate::Dialect;
use crate::chat::{Aspect, Chat, Effort, Format, Losses, Raw, ThinkingMode};
use crate::json::{Object, push_array, push_string};
use crate::translate::{Memory, TargetFacts, ThinkingSupport, fitting};
use std::borrow::Cow;

/// Most stop sequences that OpenAI takes, and longest id of an end user.
const MOST_STOPS: usize = 4;
const LONGEST_USER: usize = 64;

/// What the writers of a request share.
pub(super) struct Writer<'w> {
    pub(super) facts: &'w TargetFacts<'w>,
    pub(super) losses: &'w mut Losses,
    pub(super) memory: &'w mut Memory,
    /// The chat was written in OpenAI's format: what that format carries is written again.
    pub(super) own: bool,
}

/// Writes a chat request.
pub(crate) fn encode_request(
    chat: &Chat<'_>,
    facts: &TargetFacts<'_>,
    losses: &mut Losses,
    memory: &mut Memory,
) -> Result<Vec<u8>, BadRequest> {
    let mut writer = Writer { facts, losses, memory, own: chat.origin == Dialect::OpenAi };
    let mut out = Vec::with_capacity(1024);
    let mut object = Object::open(&mut out);
    object.string("model", facts.model);
    writer.messages(object.name("messages"), chat)?;
    writer.tools(&mut object, chat)?;
    writer.cap(&mut object, chat);
    writer.sampling(&mut object, chat)?;
    writer.stop(&mut object, chat)?;
    writer.format(&mut object, chat)?;
    writer.thinking(&mut object, chat)?;
    writer.caller(&mut object, chat)?;
    writer.streaming(&mut object, chat);
    if writer.own {
        for extra in &chat.extra {
            object.foreign(&extra.name).extend_from_slice(extra.value.as_str().as_bytes());
        }
    }
    object.close();
    Ok(out)
}

impl Writer<'_> {
    fn messages(&mut self, out: &mut Vec<u8>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        message::push_messages(self, out, chat)
    }

    fn tools(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        tool::push_tools(self, object, chat)
    }

    fn cap(&self, object: &mut Object<'_>, chat: &Chat<'_>) {
        let Some(cap) = self.facts.cap(chat.max_output) else { return };
        let name =
            if self.facts.legacy_max_tokens { CapName::MaxTokens } else { CapName::MaxCompletionTokens };
        object.number(name.as_str(), cap.into());
    }

    fn sampling(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        let sampling = &chat.sampling;
        for (name, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
            match value {
                // One is what such a model draws by.
                Some(value) if self.fixed() && is_one(value) => {}
                Some(_) if self.fixed() => self.losses.lose_field(name)?,
                Some(value) => object.raw(name, value.as_str()),
                None => {}
            }
        }
        let mut number = |name, value: &Option<Raw<'_>>| {
            if let Some(value) = value {
                object.raw(name, value.as_str());
            }
        };
        if self.own || self.facts.extensions {
            number("top_k", &sampling.top_k);
        } else if sampling.top_k.is_some() {
            self.losses.lose(Aspect::TopK)?;
        }
        number("seed", &sampling.seed);
        number("frequency_penalty", &sampling.frequency_penalty);
        number("presence_penalty", &sampling.presence_penalty);
        number("logit_bias", &sampling.logit_bias);
        number("top_logprobs", &sampling.top_logprobs);
        if sampling.logprobs {
            object.boolean("logprobs", true);
        }
        if let Some(n) = chat.answers {
            object.number("n", n.into());
        }
        Ok(())
    }

    /// The model refuses to be told how to draw its tokens; an OpenAI caller knows, and learns it from the vendor.
    fn fixed(&self) -> bool {
        self.facts.fixed_sampling && !self.own
    }

    fn stop(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        if chat.stop.is_empty() {
            return Ok(());
        }
        if self.fixed() {
            return self.losses.lose(Aspect::Stop);
        }
        let mut stop = chat.stop.as_slice();
        if stop.len() > MOST_STOPS && !self.own {
            self.losses.lose(Aspect::Stop)?;
            stop = &stop[..MOST_STOPS];
        }
        push_array(object.name("stop"), stop, |out, text| push_string(out, text));
        Ok(())
    }

    fn format(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        let (name, description, schema, strict) = match &chat.format {
            None => return Ok(()),
            Some(Format::Text) => {
                object.raw("response_format", r#"{"type":"text"}"#);
                return Ok(());
            }
            Some(Format::JsonObject) => {
                object.raw("response_format", r#"{"type":"json_object"}"#);
                return Ok(());
            }
            Some(Format::JsonSchema { name, description, schema, strict }) => {
                (name, description, schema, *strict)
            }
        };
        // Elsewhere a schema is always enforced; here only one that lists all it allows can be.
        let strict = match (strict, schema) {
            (None | Some(true), Some(schema)) if !self.own => {
                let enforceable = schema::enforceable(schema.as_str());
                if !enforceable {
                    self.losses.lose(Aspect::Format)?;
                }
                Some(enforceable)
            }
            (strict, _) => strict,
        };
        let mut format = Object::open(object.name("response_format"));
        format.string("type", "json_schema");
        let mut inner = Object::open(format.name("json_schema"));
        match name {
            Some(name) => inner.string("name", name),
            None if self.own => {}
            None => inner.string("name", "answer"),
        }
        if let Some(description) = description {
            inner.string("description", description);
        }
        if let Some(schema) = schema {
            inner.raw("schema", schema.as_str());
        }
        if let Some(strict) = strict {
            inner.boolean("strict", strict);
        }
        inner.close();
        format.close();
        Ok(())
    }

    fn thinking(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        if self.own || self.facts.extensions {
            if let Some(effort) = chat.effort {
                object.string("reasoning_effort", effort.as_str());
            }
            // In Anthropic's words, for vendors that take it.
            if let Some(thinking) = &chat.thinking {
                thinking.push(object.name("thinking"));
            }
            return Ok(());
        }
        let mode = chat.thinking.as_ref().map(|thinking| thinking.mode);
        if chat.thinking.as_ref().is_some_and(|thinking| thinking.display.is_some()) {
            self.losses.lose(Aspect::ThinkingDisplay)?;
        }
        if self.facts.thinking == ThinkingSupport::None {
            if mode.is_some_and(|mode| mode != ThinkingMode::Off) {
                self.losses.lose(Aspect::Thinking)?;
            }
            return if chat.effort.is_some() { self.losses.lose(Aspect::Effort) } else { Ok(()) };
        }
        let effort = match (chat.effort, mode) {
            // Some models think whatever they are told; this is the least that all take.
            (_, Some(ThinkingMode::Off)) => {
                self.losses.lose(Aspect::Thinking)?;
                Some(Effort::Low)
            }
            (Some(effort), _) => Some(effort),
            (None, Some(ThinkingMode::Budget(tokens))) => Some(Effort::of_budget(tokens)),
            (None, _) => None,
        };
        if let Some(effort) = effort {
            object.string("reasoning_effort", effort.as_str());
        }
        Ok(())
    }

    /// Who asks, and how dearly.
    fn caller(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        if let Some(user) = &chat.user {
            let known = user.len() <= LONGEST_USER || self.own;
            let user = if known { Cow::Borrowed(user.as_ref()) } else { fitting(user, LONGEST_USER) };
            object.string("user", &user);
        }
        match chat.service_tier.as_deref() {
            None => {}
            Some(tier) if self.own => object.string("service_tier", tier),
            Some("auto") => object.string("service_tier", "auto"),
            Some("standard_only") => object.string("service_tier", "default"),
            Some(_) => self.losses.lose(Aspect::ServiceTier)?,
        }
        Ok(())
    }

    /// The gateway always wants to know what a stream used.
    fn streaming(&self, object: &mut Object<'_>, chat: &Chat<'_>) {
        if self.facts.stream || chat.stream {
            object.boolean("stream", true);
            object.raw("stream_options", r#"{"include_usage":true}"#);
        }
    }
}

fn is_one(number: &Raw<'_>) -> bool {
    number.as_str().parse() == Ok(1.0_f64)
}
