//! Thinking: asked for in the ways of resellers, and said in messages.

use super::super::BadRequest;
use super::super::field::{integer, wrong};
use crate::chat::{Chat, Effort, Part, Thinking, ThinkingMode, ThinkingPart};
use crate::json::{Cursor, JsonFault, Kind};
use std::borrow::Cow;

const TOKENS: (u32, u32) = (0, u32::MAX);

/// `reasoning: {effort, max_tokens}`, OpenRouter's way.
pub(super) fn reasoning<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
) -> Result<(), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("reasoning", "an object", kind));
    }
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("effort", Kind::String) => {
                let reason = "it is none of the efforts that are known";
                let effort = Effort::named(&cursor.text()?)
                    .ok_or(BadRequest::Invalid { param: "reasoning.effort".into(), reason })?;
                chat.effort = Some(effort);
            }
            ("max_tokens", Kind::Number) => {
                let tokens = integer(cursor, kind, "reasoning.max_tokens", TOKENS)?;
                chat.thinking = Some(budget(tokens));
            }
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            _ => {
                cursor.skip()?;
                chat.omit("reasoning");
            }
        }
        Ok(())
    })
}

fn budget(tokens: u32) -> Thinking<'static> {
    let mode = if tokens == 0 { ThinkingMode::Off } else { ThinkingMode::Budget(tokens) };
    Thinking { mode, display: None }
}

/// What a message or delta says of thinking.
#[derive(Default)]
pub(super) struct Thought<'a> {
    /// `reasoning_content` (DeepSeek) or `reasoning` (OpenRouter, Groq).
    pub(super) text: Option<Cow<'a, str>>,
    /// `thinking_blocks`: whole blocks with their signatures.
    pub(super) blocks: Vec<Part<'a>>,
}

impl<'a> Thought<'a> {
    /// Takes the member `name` if it is about thinking; else leaves it.
    pub(super) fn member(
        &mut self,
        cursor: &mut Cursor<'a>,
        name: &str,
        kind: Kind,
    ) -> Result<bool, JsonFault> {
        match (name, kind) {
            ("reasoning_content", Kind::String) => self.text = Some(cursor.text()?),
            ("reasoning", Kind::String) => {
                let text = cursor.text()?;
                self.text.get_or_insert(text);
            }
            ("thinking_blocks", Kind::Array) => cursor.elements(|cursor, _, kind| {
                if kind == Kind::Object {
                    self.blocks.extend(block(cursor)?);
                } else {
                    cursor.skip()?;
                }
                Ok::<_, JsonFault>(())
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// As parts of a whole message: the blocks say it all, where there are any.
    pub(super) fn into_parts(self) -> Vec<Part<'a>> {
        if !self.blocks.is_empty() {
            return self.blocks;
        }
        let text = self.text.filter(|text| !text.is_empty());
        text.map(|text| Part::Thinking(ThinkingPart { text, signature: None })).into_iter().collect()
    }
}

/// `{type: thinking, thinking, signature}` or `{type: redacted_thinking, data}`.
fn block<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Part<'a>>, JsonFault> {
    let (mut text, mut signature, mut data) = (None, None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("thinking", Kind::String) => text = Some(cursor.text()?),
            ("signature", Kind::String) => signature = Some(cursor.text()?).filter(|text| !text.is_empty()),
            ("data", Kind::String) => data = Some(cursor.text()?),
            _ => cursor.skip_unknown(name, &["thinking", "signature", "data"])?,
        }
        Ok::<_, JsonFault>(())
    })?;
    Ok(match (text, data) {
        (_, Some(data)) => Some(Part::RedactedThinking { data }),
        (Some(text), None) => Some(Part::Thinking(ThinkingPart { text, signature })),
        (None, None) => None,
    })
}
