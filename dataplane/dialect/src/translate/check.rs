//! Calls of tools and their results belong together: both vendors refuse a history where they do not (case 23).

use crate::chat::{Chat, Part, Role};
use crate::openai::BadRequest;
use std::collections::HashSet;

const NO_RESULT: &str =
    "a call of a tool has no result in the message that follows; add one, or leave the call out";
const NO_CALL: &str =
    "a tool's result belongs to no call in the message before; add the call, or leave the result out";
const TWICE: &str = "a call of a tool has two results";

/// Checks that every call has its result in the turn that follows, and every result its call in the one before. A last
/// turn may end with calls.
pub(super) fn pairs(chat: &Chat<'_>) -> Result<(), BadRequest> {
    // Sets, for a caller may write as many calls as his body holds.
    let mut open: HashSet<&str> = HashSet::new();
    let mut waiting = false;
    // System texts amid the conversation stand between neither.
    for turn in chat.turns.iter().filter(|turn| turn.role != Role::System) {
        match turn.role {
            Role::Assistant => {
                open.clear();
                for part in &turn.parts {
                    if let Part::ToolUse(call) = part
                        && !open.insert(call.id.as_ref())
                    {
                        return Err(refused("two calls of tools in one message have the same id"));
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

fn results<'c>(parts: &'c [Part<'_>], open: &mut HashSet<&'c str>) -> Result<(), BadRequest> {
    let mut seen: HashSet<&str> = HashSet::new();
    for part in parts {
        let Part::ToolResult(result) = part else { continue };
        let id = result.id.as_ref();
        if !seen.insert(id) {
            return Err(refused(TWICE));
        }
        if !open.remove(id) {
            return Err(refused(NO_CALL));
        }
    }
    if open.is_empty() { Ok(()) } else { Err(refused(NO_RESULT)) }
}

fn refused(reason: &'static str) -> BadRequest {
    BadRequest::Invalid { param: "messages".into(), reason }
}
