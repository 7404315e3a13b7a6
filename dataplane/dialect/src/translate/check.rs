//! Calls of tools and their results belong together: both vendors refuse a history where they do not (case 23).

use crate::chat::{Chat, Part, Role};
use crate::openai::BadRequest;

const NO_RESULT: &str =
    "a call of a tool has no result in the message that follows; add one, or leave the call out";
const NO_CALL: &str =
    "a tool's result belongs to no call in the message before; add the call, or leave the result out";
const TWICE: &str = "a call of a tool has two results";

/// Checks that every call has its result in the turn that follows, and every result its call in the one before. A last
/// turn may end with calls.
pub(super) fn pairs(chat: &Chat<'_>) -> Result<(), BadRequest> {
    let mut open: Vec<&str> = Vec::new();
    let mut waiting = false;
    // System texts amid the conversation stand between neither.
    for turn in chat.turns.iter().filter(|turn| turn.role != Role::System) {
        match turn.role {
            Role::Assistant => {
                open.clear();
                for part in &turn.parts {
                    if let Part::ToolUse(call) = part {
                        if open.contains(&call.id.as_ref()) {
                            return Err(refused("two calls of tools in one message have the same id"));
                        }
                        open.push(&call.id);
                    }
                }
                waiting = !open.is_empty();
            }
            Role::User => {
                results(&turn.parts, &mut open)?;
                waiting = false;
            }
            Role::System => {}
        }
    }
    if waiting && chat.turns.last().is_none_or(|turn| turn.role != Role::Assistant) {
        return Err(refused(NO_RESULT));
    }
    Ok(())
}

fn results<'c>(parts: &'c [Part<'_>], open: &mut Vec<&'c str>) -> Result<(), BadRequest> {
    let mut seen: Vec<&str> = Vec::new();
    for part in parts {
        let Part::ToolResult(result) = part else { continue };
        let id = result.id.as_ref();
        if seen.contains(&id) {
            return Err(refused(TWICE));
        }
        let Some(at) = open.iter().position(|call| *call == id) else { return Err(refused(NO_CALL)) };
        open.swap_remove(at);
        seen.push(id);
    }
    if open.is_empty() { Ok(()) } else { Err(refused(NO_RESULT)) }
}

fn refused(reason: &'static str) -> BadRequest {
    BadRequest::Invalid { param: "messages".into(), reason }
}
