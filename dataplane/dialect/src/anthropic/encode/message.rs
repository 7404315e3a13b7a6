//! Messages.

use super::request::Writer;
use crate::chat::{Aspect, Chat, Part, Role, TextPart, Turn};
use crate::json::{List, Object};
use crate::openai::BadRequest;

/// System texts that stand amid the conversation.
pub(super) fn system_amid<'c>(chat: &'c Chat<'c>) -> Vec<&'c TextPart<'c>> {
    let amid = chat.turns.iter().filter(|turn| turn.role == Role::System);
    amid.flat_map(|turn| &turn.parts)
        .filter_map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}

/// Writes the turns as Anthropic wants them: the user's first, none empty, roles in turn (cases 3 to 6).
pub(super) fn push_messages(
    writer: &mut Writer<'_>,
    out: &mut Vec<u8>,
    chat: &Chat<'_>,
) -> Result<(), BadRequest> {
    let mut messages: Vec<(Role, Vec<&Part<'_>>)> = Vec::with_capacity(chat.turns.len());
    for turn in &chat.turns {
        let parts = writer.kept(turn)?;
        match messages.last_mut() {
            _ if parts.is_empty() => {}
            // They come together where a turn between them was folded or left out.
            Some((role, before)) if *role == turn.role => before.extend(parts),
            _ => messages.push((turn.role, parts)),
        }
    }
    match messages.first() {
        None | Some((Role::Assistant, _)) if !writer.own => {
            let reason = "the conversation must begin with a message of the user; add one";
            return Err(BadRequest::Invalid { param: "messages".into(), reason });
        }
        _ => {}
    }
    if !writer.own
        && writer.facts.no_prefill
        && messages.last().is_some_and(|(role, _)| *role == Role::Assistant)
    {
        // The last words are the user's then; there are some, because the conversation begins with them.
        writer.losses.lose(Aspect::Prefill)?;
        messages.pop();
    }
    let mut list = List::open(out);
    let last = messages.len().saturating_sub(1);
    for (index, (role, parts)) in messages.into_iter().enumerate() {
        let prefill = index == last && role == Role::Assistant && !writer.own;
        writer.message(list.item(), role, &parts, prefill)?;
    }
    list.close();
    Ok(())
}

impl Writer<'_> {
    /// The parts of a turn that can be said.
    fn kept<'t>(&mut self, turn: &'t Turn<'t>) -> Result<Vec<&'t Part<'t>>, BadRequest> {
        if self.own {
            return Ok(turn.parts.iter().collect());
        }
        let mut kept = Vec::with_capacity(turn.parts.len());
        for part in &turn.parts {
            match part {
                _ if turn.role == Role::System => {}
                // Anthropic refuses texts of nothing but white space.
                Part::Text(text) if text.text.trim().is_empty() => {}
                // It also refuses thinking that it does not know again (case 65).
                Part::Thinking(thinking) if thinking.signature.is_none() => {
                    self.losses.lose(Aspect::ThinkingHistory)?;
                }
                part => kept.push(part),
            }
        }
        Ok(kept)
    }

    fn message(
        &mut self,
        out: &mut Vec<u8>,
        role: Role,
        parts: &[&Part<'_>],
        prefill: bool,
    ) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        let role = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
        };
        object.string("role", role);
        let mut list = List::open(object.name("content"));
        for (index, part) in parts.iter().enumerate() {
            match part {
                // The model goes on from here; Anthropic refuses white space at the end (case 6).
                Part::Text(text) if prefill && index + 1 == parts.len() => {
                    let text = TextPart { text: text.text.trim_end().into(), ..text.clone() };
                    self.text(list.item(), &text)?;
                }
                part => self.part(list.item(), part)?,
            }
        }
        list.close();
        object.close();
        Ok(())
    }
}
