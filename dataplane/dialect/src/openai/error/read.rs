//! What vendors write when they refuse or fail: OpenAI's shape, and the many that are nearly it.

use super::clean::clean;
use serde_json::Value;

/// A vendor's error, with the message cleaned of what looks like a credential or an address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UpstreamError {
    /// In the vendor's words, at most 600 characters; empty when there are none.
    pub message: String,
    /// `type`.
    pub kind: Option<String>,
    /// `code`; a number is written out.
    pub code: Option<String>,
    /// `param`.
    pub param: Option<String>,
}

/// Most bytes of an error body that are looked at.
const LONGEST_BODY: usize = 64 * 1024;

/// Reads an error body of any shape: `{"error":{...}}`, `{"error":"..."}`, `{"message":...}`, `{"detail":...}` (also
/// a list), any of these in an array, or plain text. HTML pages give an empty message.
#[must_use]
pub fn upstream_error(body: &[u8]) -> UpstreamError {
    let body = &body[..body.len().min(LONGEST_BODY)];
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return outer(&value);
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let message = if text.starts_with('<') { String::new() } else { clean(text) };
    UpstreamError { message, ..UpstreamError::default() }
}

/// Reads the JSON of what stands under `error`.
pub(crate) fn from_value(json: &[u8]) -> UpstreamError {
    serde_json::from_slice(json).map_or_else(|_| UpstreamError::default(), |value| inner(&value))
}

fn outer(value: &Value) -> UpstreamError {
    match value {
        Value::Array(list) => list.first().map(outer).unwrap_or_default(),
        Value::Object(object) => match object.get("error") {
            Some(error) if !error.is_null() && !error.is_boolean() => inner(error),
            _ => inner(value),
        },
        other => inner(other),
    }
}

fn inner(value: &Value) -> UpstreamError {
    let Value::Object(object) = value else {
        return UpstreamError { message: clean(&words(value)), ..UpstreamError::default() };
    };
    let text = |name: &str| object.get(name).map(words).filter(|text| !text.is_empty());
    let short = |name: &str| text(name).map(|text| clean(&text));
    let message = text("message").or_else(|| text("detail")).or_else(|| text("msg"));
    UpstreamError {
        message: clean(&message.unwrap_or_default()),
        kind: short("type").or_else(|| short("status")),
        code: short("code"),
        param: short("param"),
    }
}

/// A text, a number, or the messages of a list.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join("; "),
        Value::Object(object) => {
            let message = object.get("msg").or_else(|| object.get("message"));
            message.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        Value::Bool(_) | Value::Null => String::new(),
    }
}
