//! Messages of a chat request: roles, parts, the order of tool calls and their results, and what they count.

use super::reject::Reject;
use serde_json::Value;

/// What was found in the messages.
#[derive(Default)]
pub(super) struct Seen {
    /// Tokens that they count.
    pub(super) tokens: u64,
    /// Images by URL and by base64.
    pub(super) images: (u64, u64),
    /// Text of the last user message.
    pub(super) last_user: String,
    /// Tool results at the end.
    pub(super) results: u64,
}

/// Tokens of a text: one for each four bytes, rounded up.
pub(super) fn text_tokens(text: &str) -> u64 {
    u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX)
}

/// Checks all messages.
pub(super) fn check(messages: &Value) -> Result<Seen, Reject> {
    let list =
        messages.as_array().ok_or_else(|| Reject::wrong_type("messages", "an array of objects", messages))?;
    if list.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
        return Err(Reject::param("messages", "empty_array", message));
    }
    let mut seen = Seen { tokens: 3, ..Seen::default() };
    let mut open: Vec<String> = Vec::new();
    for (at, message) in list.iter().enumerate() {
        let role = role(at, message)?;
        if role == "tool" {
            answered(at, message, &mut open)?;
            seen.results += 1;
        } else {
            complete(at, &open)?;
            seen.results = 0;
        }
        if role == "assistant" {
            open = calls(at, message, &mut seen)?;
        }
        content(at, role, message, &mut seen)?;
        seen.tokens += 4;
    }
    complete(list.len(), &open)?;
    Ok(seen)
}

fn role(at: usize, message: &Value) -> Result<&str, Reject> {
    let path = format!("messages[{at}].role");
    if !message.is_object() {
        return Err(Reject::wrong_type(format!("messages[{at}]"), "an object", message));
    }
    match &message["role"] {
        Value::String(role) => match role.as_str() {
            known @ ("system" | "assistant" | "user" | "function" | "tool" | "developer") => Ok(known),
            other => {
                let text = format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'function', \
                     'tool', and 'developer'."
                );
                Err(Reject::param(path, "invalid_value", text))
            }
        },
        Value::Null => {
            let text = format!("Missing required parameter: '{path}'.");
            Err(Reject::param(path, "missing_required_parameter", text))
        }
        other => Err(Reject::wrong_type(path, "a string", other)),
    }
}

fn answered(at: usize, message: &Value, open: &mut Vec<String>) -> Result<(), Reject> {
    let id = message["tool_call_id"].as_str().unwrap_or_default();
    let Some(found) = open.iter().position(|o| o == id) else {
        let text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
                    'tool_calls'.";
        return Err(Reject::param(format!("messages.[{at}].role"), "invalid_value", text));
    };
    open.remove(found);
    Ok(())
}

fn complete(at: usize, open: &[String]) -> Result<(), Reject> {
    if open.is_empty() {
        return Ok(());
    }
    let text = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
         'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(Reject::param(format!("messages.[{at}].role"), "invalid_value", text))
}

fn calls(at: usize, message: &Value, seen: &mut Seen) -> Result<Vec<String>, Reject> {
    let Some(list) = message.get("tool_calls").filter(|v| !v.is_null()) else { return Ok(Vec::new()) };
    let path = format!("messages[{at}].tool_calls");
    let list = list.as_array().ok_or_else(|| Reject::wrong_type(&path, "an array", list))?;
    let mut ids = Vec::new();
    for (n, call) in list.iter().enumerate() {
        let (id, name, arguments) = (&call["id"], &call["function"]["name"], &call["function"]["arguments"]);
        let (Some(id), Some(name), Some(arguments)) = (id.as_str(), name.as_str(), arguments.as_str()) else {
            let text =
                format!("Invalid tool call: '{path}[{n}]' needs id, function.name, function.arguments.");
            return Err(Reject::param(format!("{path}[{n}]"), "invalid_type", text));
        };
        seen.tokens += text_tokens(name) + text_tokens(arguments);
        ids.push(id.to_owned());
    }
    Ok(ids)
}

fn content(at: usize, role: &str, message: &Value, seen: &mut Seen) -> Result<(), Reject> {
    let path = format!("messages[{at}].content");
    match &message["content"] {
        Value::String(text) => {
            seen.tokens += text_tokens(text);
            if role == "user" {
                seen.last_user.clone_from(text);
            }
        }
        Value::Array(parts) => {
            if role == "user" {
                seen.last_user.clear();
            }
            for (n, part) in parts.iter().enumerate() {
                self::part(&format!("{path}[{n}]"), role, part, seen)?;
            }
        }
        Value::Null if role == "assistant" && message.get("tool_calls").is_some() => {}
        other => {
            return Err(Reject::wrong_type(path, "one of a string or array of objects", other));
        }
    }
    Ok(())
}

fn part(path: &str, role: &str, part: &Value, seen: &mut Seen) -> Result<(), Reject> {
    match part["type"].as_str() {
        Some("text") => {
            let text = part["text"].as_str();
            let text =
                text.ok_or_else(|| Reject::wrong_type(format!("{path}.text"), "a string", &part["text"]))?;
            seen.tokens += text_tokens(text);
            if role == "user" {
                seen.last_user.push_str(text);
            }
            Ok(())
        }
        Some("image_url") if role == "user" => image(path, &part["image_url"], seen),
        other => {
            let text = format!("Invalid value: '{}'.", other.unwrap_or("null"));
            Err(Reject::param(format!("{path}.type"), "invalid_value", text))
        }
    }
}

fn image(path: &str, image: &Value, seen: &mut Seen) -> Result<(), Reject> {
    use base64::Engine as _;
    let bad = |why: &str| Reject::param(format!("{path}.image_url.url"), "invalid_image_url", why);
    let url = image["url"].as_str().ok_or_else(|| bad("Missing required parameter."))?;
    if let Some(data) = url.strip_prefix("data:image/") {
        let (_, data) =
            data.split_once(";base64,").ok_or_else(|| bad("Expected a base64-encoded data URL."))?;
        let data =
            base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| bad("Invalid base64."))?;
        if !data.starts_with(b"\x89PNG") && !data.starts_with(b"\xff\xd8") {
            return Err(bad("You uploaded an unsupported image."));
        }
        seen.images.1 += 1;
    } else if url.starts_with("https://") || url.starts_with("http://") {
        seen.images.0 += 1;
    } else {
        return Err(bad("Failed to download image: unsupported URL."));
    }
    seen.tokens += if image["detail"] == "low" { 85 } else { 765 };
    Ok(())
}
