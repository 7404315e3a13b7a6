//! What we write into a stream ourselves: an honest end, or an honest error.

use super::super::error::push_error;
use super::super::token_usage::push_usage;
use super::StreamHead;
use crate::json::{push_number, push_string};
use crate::{FinishReason, Usage};
use bytes::Bytes;

/// The end of every stream that succeeded.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

fn push_head(out: &mut Vec<u8>, head: &StreamHead) {
    out.extend_from_slice(b"data: {\"id\":");
    push_string(out, &head.id);
    out.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
    push_number(out, head.created);
    out.extend_from_slice(b",\"model\":");
    push_string(out, &head.model);
    if let Some(tier) = &head.service_tier {
        out.extend_from_slice(b",\"service_tier\":");
        push_string(out, tier);
    }
    if let Some(fingerprint) = &head.system_fingerprint {
        out.extend_from_slice(b",\"system_fingerprint\":");
        push_string(out, fingerprint);
    }
}

/// One chunk for each of `choices` that says why it ends.
#[must_use]
pub fn final_chunk(head: &StreamHead, choices: impl IntoIterator<Item = u32>, reason: FinishReason) -> Bytes {
    let mut out = Vec::with_capacity(256);
    for index in choices {
        push_head(&mut out, head);
        out.extend_from_slice(b",\"choices\":[{\"index\":");
        push_number(&mut out, index.into());
        out.extend_from_slice(b",\"delta\":{},\"logprobs\":null,\"finish_reason\":");
        push_string(&mut out, reason.as_openai());
        out.extend_from_slice(b"}]}\n\n");
    }
    out.into()
}

/// The chunk that tells the usage.
#[must_use]
pub fn usage_chunk(head: &StreamHead, usage: &Usage) -> Bytes {
    let mut out = Vec::with_capacity(384);
    push_head(&mut out, head);
    out.extend_from_slice(b",\"choices\":[],\"usage\":");
    push_usage(&mut out, usage);
    out.extend_from_slice(b"}\n\n");
    out.into()
}

/// An error within a stream. Nothing follows it, `[DONE]` least of all.
#[must_use]
pub fn error_event(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Bytes {
    let mut out = b"data: ".to_vec();
    push_error(&mut out, message, kind, param, code);
    out.extend_from_slice(b"\n\n");
    out.into()
}
