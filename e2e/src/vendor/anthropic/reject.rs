//! Refusals in Anthropic's words.

use serde_json::{Value, json};

/// A request that Anthropic would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vendor) struct Reject {
    pub(in crate::vendor) status: u16,
    message: String,
}

impl Reject {
    pub(in crate::vendor) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400 about one field, by its path (`messages.0.content`).
    pub(super) fn field(path: impl std::fmt::Display, message: impl std::fmt::Display) -> Self {
        Self::new(400, format!("{path}: {message}"))
    }

    /// What a fault with this status says. A careless vendor: its 401 quotes the key that it was given.
    pub(in crate::vendor) fn fault(status: u16, key: &str) -> Self {
        let message = match status {
            401 => format!("invalid x-api-key: {key}"),
            429 => "This request would exceed your organization's rate limit (mock).".into(),
            529 => "Overloaded".into(),
            500.. => "Internal server error (mock)".into(),
            _ => "The mock was told to refuse this.".into(),
        };
        Self::new(status, message)
    }

    pub(in crate::vendor) fn body(&self) -> Value {
        let error = json!({"type": kind(self.status), "message": self.message});
        json!({"type": "error", "error": error, "request_id": "req_mock"})
    }
}

/// `error.type` of a status.
fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// `messages.0.content`-style complaint about a value of the wrong type.
pub(super) fn needs(path: impl std::fmt::Display, value: Option<&Value>, what: &str) -> Reject {
    match value {
        None => Reject::field(path, "Field required"),
        Some(_) => Reject::field(path, format!("Input should be {what}")),
    }
}
