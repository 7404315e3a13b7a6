//! What we write into a stream ourselves: an honest end, or an honest error.

use super::super::error::{error_kind, push_error};
use super::super::token_usage::push_usage;
use crate::json::{push_number, push_string};
use crate::{FinishReason, Usage};
use bytes::Bytes;

/// The end of every stream that succeeded.
pub const MESSAGE_STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Ends the answer: the blocks that are open, why, what it used, and the stream.
#[must_use]
pub fn final_events(
    open_blocks: impl IntoIterator<Item = u64>,
    reason: FinishReason,
    usage: &Usage,
) -> Bytes {
    let mut out = Vec::with_capacity(384);
    for index in open_blocks {
        out.extend_from_slice(
            b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
        );
        push_number(&mut out, index);
        out.extend_from_slice(b"}\n\n");
    }
    out.extend_from_slice(
        b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":",
    );
    push_string(&mut out, reason.as_anthropic());
    out.extend_from_slice(b",\"stop_sequence\":null},\"usage\":");
    push_usage(&mut out, usage);
    out.extend_from_slice(b"}\n\n");
    out.extend_from_slice(MESSAGE_STOP);
    out.into()
}

/// An error within a stream. Nothing follows it.
#[must_use]
pub fn error_event(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Bytes {
    let mut out = b"event: error\ndata: ".to_vec();
    push_error(&mut out, error_kind(status), message, param, code);
    out.extend_from_slice(b"\n\n");
    out.into()
}
