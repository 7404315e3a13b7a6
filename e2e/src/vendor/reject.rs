//! Refusals in OpenAI's words.

use serde_json::{Value, json};

/// A request that OpenAI would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) status: u16,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Reject {
    pub(super) fn new(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), kind: "invalid_request_error", param: None, code }
    }

    /// 400 about one parameter.
    pub(super) fn param(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(400, Some(code), message) }
    }

    /// 400 for a value of the wrong JSON type.
    pub(super) fn wrong_type(param: impl Into<String>, expected: &str, got: &Value) -> Self {
        let param = param.into();
        let message =
            format!("Invalid type for '{param}': expected {expected}, but got {} instead.", kind_of(got));
        Self::param(param, "invalid_type", message)
    }

    /// What a fault with this status says. A careless vendor: its 401 quotes the key that it was given.
    pub(super) fn fault(status: u16, key: &str) -> Self {
        let quoted = format!("Incorrect API key provided: {key}.");
        let (kind, code, message) = match status {
            429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests (mock)."),
            401 => ("invalid_request_error", Some("invalid_api_key"), &*quoted),
            500.. => ("server_error", None, "The server had an error while processing your request (mock)."),
            _ => ("invalid_request_error", None, "The mock was told to refuse this."),
        };
        Self { status, message: message.into(), kind, param: None, code }
    }

    pub(super) fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
