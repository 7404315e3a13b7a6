//! Errors on the wire: ours, and what vendors write. Reading an error body is the same for all dialects:
//! [`upstream_error`](crate::openai::upstream_error).

use crate::json::push_string;
use crate::openai::{self, ErrorClass, UpstreamError};
use bytes::Bytes;

/// Anthropic's `type` for a status.
#[must_use]
pub fn error_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// `{"type":"error","error":{"type","message"}}`, as Anthropic writes it for `status`; `param` and `code` are added
/// where there are any, which its SDKs pass on.
#[must_use]
pub fn error_body(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(96 + message.len());
    push_error(&mut out, error_kind(status), message, param, code);
    out.into()
}

/// Appends the same.
pub(super) fn push_error(
    out: &mut Vec<u8>,
    kind: &str,
    message: &str,
    param: Option<&str>,
    code: Option<&str>,
) {
    out.extend_from_slice(b"{\"type\":\"error\",\"error\":{\"type\":");
    push_string(out, kind);
    out.extend_from_slice(b",\"message\":");
    push_string(out, message);
    for (name, value) in [("param", param), ("code", code)] {
        if let Some(value) = value {
            out.push(b',');
            push_string(out, name);
            out.push(b':');
            push_string(out, value);
        }
    }
    out.extend_from_slice(b"}}");
}

/// Classes an upstream error by status and type and, where they do not tell, by words of the message. A status of
/// success is that of a stream: the type is all there is.
#[must_use]
pub fn classify(status: u16, error: &UpstreamError) -> ErrorClass {
    let kind = error.kind.as_deref().unwrap_or_default();
    let message = error.message.to_ascii_lowercase();
    if message.contains("credit balance is too low") || kind == "billing_error" {
        return ErrorClass::QuotaExhausted;
    }
    let status = if status >= 400 { status } else { status_of(kind) };
    if status == 400 && message.contains("exceed context limit") {
        return ErrorClass::ContextWindow;
    }
    if status == 400 && message.contains("content filtering policy") {
        return ErrorClass::ContentPolicy;
    }
    openai::classify(status, error)
}

/// The status that goes with a type.
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorClass, UpstreamError, classify, error_body, error_kind, status_of};
    use crate::openai::upstream_error;

    fn error(kind: &str, message: &str) -> UpstreamError {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"r"}}"#
        );
        upstream_error(body.as_bytes())
    }

    #[test]
    fn classes() {
        let credit = "Your credit balance is too low to access the Anthropic API.";
        for (status, kind, message, class) in [
            (429, "rate_limit_error", "slow down", ErrorClass::RateLimited),
            (401, "authentication_error", "invalid x-api-key", ErrorClass::Auth),
            (403, "permission_error", "no", ErrorClass::Auth),
            (404, "not_found_error", "model: x", ErrorClass::NotFound),
            (400, "invalid_request_error", credit, ErrorClass::QuotaExhausted),
            (402, "billing_error", "pay", ErrorClass::QuotaExhausted),
            (
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000",
                ErrorClass::ContextWindow,
            ),
            (
                400,
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit",
                ErrorClass::ContextWindow,
            ),
            (
                400,
                "invalid_request_error",
                "Output blocked by content filtering policy",
                ErrorClass::ContentPolicy,
            ),
            (400, "invalid_request_error", "max_tokens: required", ErrorClass::BadRequest),
            (413, "request_too_large", "32 MB", ErrorClass::ContextWindow),
            (500, "api_error", "oops", ErrorClass::Server),
            (504, "timeout_error", "late", ErrorClass::Timeout),
            (529, "overloaded_error", "Overloaded", ErrorClass::Overloaded),
            (200, "overloaded_error", "Overloaded", ErrorClass::Overloaded),
            (200, "rate_limit_error", "slow down", ErrorClass::RateLimited),
            (200, "invalid_request_error", "prompt is too long", ErrorClass::ContextWindow),
            (200, "api_error", "oops", ErrorClass::Server),
            (200, "something_new", "oops", ErrorClass::Server),
        ] {
            assert_eq!(classify(status, &error(kind, message)), class, "{status} {kind} {message}");
        }
    }

    #[test]
    fn kinds_and_statuses_go_together() {
        for status in [400, 401, 403, 404, 413, 429, 504, 529, 500] {
            assert_eq!(status_of(error_kind(status)), status);
        }
        assert_eq!(error_kind(422), "invalid_request_error");
        assert_eq!(error_kind(502), "api_error");
    }

    #[test]
    fn bodies() {
        assert_eq!(
            &error_body(404, "no \"m\"", None, Some("model_not_found"))[..],
            br#"{"type":"error","error":{"type":"not_found_error","message":"no \"m\"","code":"model_not_found"}}"#
        );
    }
}
