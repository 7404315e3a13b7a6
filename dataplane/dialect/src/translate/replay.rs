//! A whole answer, told as a stream: for a caller who asked for one, of a provider that does not stream (case 61).

use super::codec::Writer;
use super::{Garbled, Memory, TranslatedReply, pass};
use crate::Dialect;
use crate::chat::{Choice, Citation, Delta, Part, Reply, Stop, StopReason, TextPart};

const EXPECTED: Garbled = Garbled::Shape { expected: "an answer that can be told as a stream" };

/// Translates a whole answer from the provider's format `from` into a stream in the caller's format `to`, which may be
/// the same.
///
/// # Errors
/// It is no answer in that format, or one that no stream of the caller's format tells.
pub fn replay(from: Dialect, to: Dialect, body: &[u8], memory: &Memory) -> Result<TranslatedReply, Garbled> {
    let mut reply = from.decode_reply(body)?;
    let content_bytes = pass::content_bytes(&reply);
    pass::restore(&mut reply, memory);
    let Reply { id, model, created, choices, usage, .. } = &reply;
    let [choice] = choices.as_slice() else { return Err(EXPECTED) };
    let (mut writer, mut out) = (Writer::new(to, memory), Vec::with_capacity(1024));
    let mut tell = |delta: Delta<'_>| writer.delta(&delta, &mut out).map_err(|_| EXPECTED);
    // Where the usage stands at the beginning it is known there.
    usage.iter().try_for_each(|usage| tell(Delta::Usage(*usage)))?;
    tell(Delta::Start { id: id.as_ref().into(), model: model.as_ref().into(), created: *created })?;
    let calls = said(choice, &mut tell)?;
    let done = if calls { StopReason::ToolUse } else { StopReason::EndTurn };
    let stop = choice.stop.clone().unwrap_or_else(|| Stop::from(done));
    let finish = Some(stop.reason.finish());
    tell(Delta::Finish(stop))?;
    tell(Delta::End)?;
    Ok(TranslatedReply { usage: *usage, content_bytes, finish, body: out.into() })
}

/// Tells what the model says; true when it calls tools.
fn said(
    choice: &Choice<'_>,
    tell: &mut dyn FnMut(Delta<'_>) -> Result<(), Garbled>,
) -> Result<bool, Garbled> {
    let (mut calls, mut at) = (0, 0);
    for part in &choice.parts {
        match part {
            Part::Text(part) => text(part, &mut at, tell)?,
            Part::Refusal(text) => tell(Delta::Refusal(text.as_ref().into()))?,
            Part::Thinking(thinking) => {
                tell(Delta::Thinking(thinking.text.as_ref().into()))?;
                if let Some(signature) = &thinking.signature {
                    tell(Delta::Signature(signature.as_ref().into()))?;
                }
            }
            Part::RedactedThinking { data } => tell(Delta::RedactedThinking(data.as_ref().into()))?,
            Part::ToolUse(call) => {
                let (id, name) = (call.id.as_ref().into(), call.name.as_ref().into());
                tell(Delta::ToolStart { index: calls, id, name })?;
                tell(Delta::ToolArguments { index: calls, fragment: call.arguments.as_ref().into() })?;
                calls += 1;
            }
            Part::Image(_)
            | Part::Document(_)
            | Part::Audio(_)
            | Part::ToolResult(_)
            | Part::Other { .. } => {
                return Err(EXPECTED);
            }
        }
    }
    Ok(calls > 0)
}

/// `at`: characters of text before this one.
fn text(
    part: &TextPart<'_>,
    at: &mut u64,
    tell: &mut dyn FnMut(Delta<'_>) -> Result<(), Garbled>,
) -> Result<(), Garbled> {
    tell(Delta::Text(part.text.as_ref().into()))?;
    let from = *at;
    *at += part.text.chars().count() as u64;
    let cited = part.citations.as_ref().map(|raw| Citation::all(raw.as_str())).unwrap_or_default();
    for citation in cited {
        let range = citation.range.or(Some((from, *at)));
        tell(Delta::Citation(Citation { range, ..citation }))?;
    }
    Ok(())
}
