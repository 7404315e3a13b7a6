//! Whole answers.

use super::super::token_usage::push_usage;
use super::message::{push_call_members, push_thoughts};
use crate::chat::{Choice, Citation, Part, Reply, Stop};
use crate::json::{List, Object, push_array};
use crate::translate::Memory;

/// Writes a `chat.completion`.
pub(crate) fn encode_reply(reply: &Reply<'_>, memory: &Memory) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut object = Object::open(&mut out);
    object.string("id", &reply.id);
    object.string("object", "chat.completion");
    object.number("created", reply.created.unwrap_or(memory.created));
    object.string("model", &reply.model);
    let mut list = List::open(object.name("choices"));
    for (index, choice) in reply.choices.iter().enumerate() {
        push_choice(list.item(), index, choice);
    }
    list.close();
    if let Some(usage) = &reply.usage {
        push_usage(object.name("usage"), usage);
    }
    if let Some(tier) = &reply.service_tier {
        object.string("service_tier", tier);
    }
    if let Some(fingerprint) = &reply.fingerprint {
        object.string("system_fingerprint", fingerprint);
    }
    object.close();
    out
}

fn push_choice(out: &mut Vec<u8>, index: usize, choice: &Choice<'_>) {
    let mut object = Object::open(out);
    object.number("index", index as u64);
    let mut message = Object::open(object.name("message"));
    push_message(&mut message, &choice.parts);
    message.close();
    object.raw("logprobs", choice.logprobs.as_ref().map_or("null", |logprobs| logprobs.as_str()));
    match &choice.stop {
        Some(stop) => push_stop(&mut object, stop),
        None => object.raw("finish_reason", "null"),
    }
    object.close();
}

/// `finish_reason`, and vLLM's `stop_reason` where a stop sequence is known (case 83).
pub(super) fn push_stop(object: &mut Object<'_>, stop: &Stop<'_>) {
    object.string("finish_reason", stop.reason.finish().as_openai());
    if let Some(sequence) = &stop.sequence {
        object.string("stop_reason", sequence);
    }
}

fn push_message(message: &mut Object<'_>, parts: &[Part<'_>]) {
    message.string("role", "assistant");
    let (mut text, mut at) = (String::new(), 0);
    let (mut refusal, mut citations) = (None, Vec::new());
    for part in parts {
        match part {
            Part::Text(part) => {
                text.push_str(&part.text);
                let from = at;
                at += part.text.chars().count() as u64;
                let cited = part.citations.as_ref().map(|raw| Citation::all(raw.as_str()));
                for citation in cited.into_iter().flatten() {
                    citations.push(Citation { range: citation.range.or(Some((from, at))), ..citation });
                }
            }
            Part::Refusal(part) => refusal = Some(part),
            _ => {}
        }
    }
    let calls = parts.iter().filter_map(|part| match part {
        Part::ToolUse(call) => Some(call),
        _ => None,
    });
    let silent = text.is_empty() && (refusal.is_some() || calls.clone().next().is_some());
    if silent {
        message.raw("content", "null")
    } else {
        message.string("content", &text)
    }
    match refusal {
        Some(refusal) => message.string("refusal", refusal),
        None => message.raw("refusal", "null"),
    }
    push_thoughts(
        message,
        parts.iter().filter(|part| matches!(part, Part::Thinking(_) | Part::RedactedThinking { .. })),
    );
    if calls.clone().next().is_some() {
        let mut list = List::open(message.name("tool_calls"));
        for call in calls {
            let mut object = Object::open(list.item());
            push_call_members(&mut object, &call.id, &call.name, &call.arguments);
            object.close();
        }
        list.close();
    }
    if !citations.is_empty() {
        push_array(message.name("annotations"), citations, |out, citation| citation.push_annotation(out));
    }
}
