//! From one wire format into another, through the canonical chat: what the gateway calls when caller and provider do
//! not speak alike.

#[cfg(test)]
mod back;
mod bound;
mod check;
mod codec;
mod error;
mod facts;
mod fault;
mod memory;
mod names;
mod pass;
mod replay;
mod stream;

pub use bound::input_bound;
pub use error::{ErrorWords, classify, error_body, error_event, refusal_body};
pub use facts::{TargetFacts, ThinkingSupport};
pub use fault::{Garbled, StreamFault};
pub use memory::Memory;
pub(crate) use names::fitting;
pub use replay::replay;
pub use stream::{Stream, StreamEnd};

use crate::chat::{Chat, Losses, Part};
use crate::openai::BadRequest;
use crate::{Dialect, FinishReason, Usage};
use bytes::Bytes;
use std::borrow::Cow;

/// A request, translated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Translated {
    /// In the target's format.
    pub body: Bytes,
    /// Paths, in the caller's words, of what was left out; each once.
    pub dropped: Vec<Cow<'static, str>>,
    /// What the answer's translation needs.
    pub memory: Memory,
}

/// An answer, translated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TranslatedReply {
    /// In the caller's format.
    pub body: Bytes,
    /// What it used; `None` when the vendor does not say.
    pub usage: Option<Usage>,
    /// Bytes of what was produced: no fewer than its tokens.
    pub content_bytes: u64,
    /// How the first choice ended.
    pub finish: Option<FinishReason>,
}

/// Translates a request from the caller's format `from` into the provider's format `to`.
///
/// # Errors
/// [`BadRequest`] says what is wrong, what cannot be translated without changing what it means, or what the target
/// does not know and `facts.unsupported` does not allow to be left out.
pub fn request(
    from: Dialect,
    to: Dialect,
    body: &[u8],
    facts: &TargetFacts<'_>,
) -> Result<Translated, BadRequest> {
    let chat = from.decode_request(body, &facts.limits)?;
    check::pairs(&chat)?;
    let mut losses = Losses::new(from, facts.unsupported);
    if from != to {
        lose_what_is_foreign(&chat, &mut losses)?;
    }
    let mut memory = Memory {
        include_usage: chat.include_usage,
        input_estimate: estimate(&chat),
        created: facts.now,
        ..Memory::default()
    };
    let body = to.encode_request(&chat, facts, &mut losses, &mut memory)?;
    Ok(Translated { body: body.into(), dropped: losses.into_paths(), memory })
}

/// Fields that only the caller's format has (case 111).
fn lose_what_is_foreign(chat: &Chat<'_>, losses: &mut Losses) -> Result<(), BadRequest> {
    for extra in &chat.extra {
        let name = extra.name.clone().into_owned();
        if extra.essential {
            let reason = "the provider has nothing like it, and without it the answer would be another";
            return Err(BadRequest::Untranslatable { param: name.into(), reason });
        }
        losses.lose_field(name)?;
    }
    chat.omitted.iter().try_for_each(|path| losses.lose_field(*path))
}

/// About how many tokens a prompt is: one for four bytes of text, schema and call.
fn estimate(chat: &Chat<'_>) -> u64 {
    fn bytes(part: &Part<'_>) -> usize {
        match part {
            Part::Text(text) => text.text.len(),
            Part::ToolUse(call) => call.name.len() + call.arguments.len(),
            Part::ToolResult(result) => result.parts.iter().map(bytes).sum(),
            Part::Thinking(thinking) => thinking.text.len(),
            _ => 0,
        }
    }
    let system: usize = chat.system.iter().map(|text| text.text.len()).sum();
    let tools: usize = chat.tools.iter().map(crate::chat::Tool::bytes).sum();
    let said: usize = chat.turns.iter().flat_map(|turn| &turn.parts).map(bytes).sum();
    ((system + tools + said) as u64).div_ceil(4)
}

/// Translates a whole answer from the provider's format `from` into the caller's format `to`.
///
/// # Errors
/// It is no answer in that format.
pub fn reply(from: Dialect, to: Dialect, body: &[u8], memory: &Memory) -> Result<TranslatedReply, Garbled> {
    let mut reply = from.decode_reply(body)?;
    let content_bytes = pass::content_bytes(&reply);
    pass::restore(&mut reply, memory);
    let stop = reply.choices.first().and_then(|choice| choice.stop.as_ref());
    Ok(TranslatedReply {
        usage: reply.usage,
        content_bytes,
        finish: stop.map(|stop| stop.reason.finish()),
        body: to.encode_reply(&reply, memory).into(),
    })
}
