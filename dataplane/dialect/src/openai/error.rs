//! Errors on the wire: ours, and what vendors write.

mod classify;
mod clean;
mod read;

use crate::json::push_string;
use bytes::Bytes;

pub use classify::{ErrorClass, classify, retry_after};
pub(crate) use read::from_value;
pub use read::{UpstreamError, upstream_error};

/// `{"error":{"message","type","param","code"}}`, as OpenAI writes it.
#[must_use]
pub fn error_body(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(96 + message.len());
    push_error(&mut out, message, kind, param, code);
    out.into()
}

/// Appends the same.
pub(super) fn push_error(
    out: &mut Vec<u8>,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) {
    let mut member = |name: &str, value: Option<&str>| {
        out.extend_from_slice(name.as_bytes());
        match value {
            Some(value) => push_string(out, value),
            None => out.extend_from_slice(b"null"),
        }
    };
    member("{\"error\":{\"message\":", Some(message));
    member(",\"type\":", Some(kind));
    member(",\"param\":", param);
    member(",\"code\":", code);
    out.extend_from_slice(b"}}");
}
