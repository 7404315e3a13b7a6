//! Blocks: text, images, documents, tool calls and results, thinking.

use super::content::{Seen, count};
use super::reject::{Reject, needs};
use super::thought;
use base64::Engine as _;
use serde_json::Value;

/// Image types that are read, and how their bytes begin.
const IMAGES: [(&str, &[u8]); 4] =
    [("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8"), ("image/gif", b"GIF8"), ("image/webp", b"RIFF")];

/// Checks one block of a turn of `role`.
pub(super) fn check(path: &str, role: &str, block: &Value, seen: &mut Seen) -> Result<(), Reject> {
    let kind =
        block["type"].as_str().ok_or_else(|| needs(format!("{path}.type"), block.get("type"), "a tag"))?;
    mark(block, seen);
    match (kind, role) {
        ("text", _) => text(path, block, seen),
        ("image", "user") => image(path, &block["source"], seen),
        ("document", "user") => document(path, &block["source"], seen),
        ("tool_result", "user") => result(path, block, seen),
        ("tool_use", "assistant") => call(path, block, seen),
        ("thinking" | "redacted_thinking", "assistant") => {
            if block.get("cache_control").is_some() {
                return Err(Reject::field(format!("{path}.cache_control"), "Extra inputs are not permitted"));
            }
            seen.thoughts += 1;
            thought::check(path, block)
        }
        _ => {
            let text =
                format!("Input tag '{kind}' found using 'type' does not match any of the expected tags");
            Err(Reject::field(path, text))
        }
    }
}

/// Counts a `cache_control`.
pub(super) fn mark(block: &Value, seen: &mut Seen) {
    seen.marks += u64::from(block.get("cache_control").is_some_and(|m| m["type"] == "ephemeral"));
}

/// Checks a text block.
pub(super) fn text(path: &str, block: &Value, seen: &mut Seen) -> Result<(), Reject> {
    let text = block["text"].as_str();
    let text = text.ok_or_else(|| needs(format!("{path}.text"), block.get("text"), "a valid string"))?;
    let whose = path.split('.').next().unwrap_or_default();
    if text.is_empty() {
        return Err(Reject::field(whose, "text content blocks must be non-empty"));
    }
    if text.trim().is_empty() {
        return Err(Reject::field(whose, "text content blocks must contain non-whitespace text"));
    }
    count(seen, text);
    Ok(())
}

fn decoded(path: &str, source: &Value) -> Result<Vec<u8>, Reject> {
    let data = source["data"].as_str();
    let data = data.ok_or_else(|| needs(format!("{path}.data"), source.get("data"), "a valid string"))?;
    let bad = |_| Reject::field(format!("{path}.data"), "Invalid base64 data");
    base64::engine::general_purpose::STANDARD.decode(data).map_err(bad)
}

fn https(path: &str, source: &Value) -> Result<(), Reject> {
    match source["url"].as_str() {
        Some(url) if url.starts_with("https://") => Ok(()),
        _ => Err(Reject::field(format!("{path}.url"), "Only HTTPS URLs are supported.")),
    }
}

fn image(path: &str, source: &Value, seen: &mut Seen) -> Result<(), Reject> {
    let path = format!("{path}.source");
    match source["type"].as_str() {
        Some("base64") => {
            let bytes = decoded(&path, source)?;
            let given = source["media_type"].as_str().unwrap_or_default();
            let known = IMAGES.iter().find(|(name, _)| *name == given).ok_or_else(|| {
                let text = "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'";
                Reject::field(format!("{path}.media_type"), text)
            })?;
            if !bytes.starts_with(known.1) {
                let text = format!("The image was specified using the {given} media type, but it is none.");
                return Err(Reject::field(path, text));
            }
            seen.images.1 += 1;
        }
        Some("url") => {
            https(&path, source)?;
            seen.images.0 += 1;
        }
        _ => return Err(Reject::field(path, "Input tag does not match any of the expected tags")),
    }
    seen.tokens += 765;
    Ok(())
}

fn document(path: &str, source: &Value, seen: &mut Seen) -> Result<(), Reject> {
    let path = format!("{path}.source");
    match source["type"].as_str() {
        Some("base64") => {
            if source["media_type"] != "application/pdf" || !decoded(&path, source)?.starts_with(b"%PDF") {
                return Err(Reject::field(path, "The PDF specified was not valid."));
            }
        }
        Some("text") => {
            let text = source["data"].as_str().filter(|_| source["media_type"] == "text/plain");
            count(seen, text.ok_or_else(|| needs(&path, Some(source), "text/plain"))?);
        }
        Some("url") => https(&path, source)?,
        _ => return Err(Reject::field(path, "Input tag does not match any of the expected tags")),
    }
    seen.documents += 1;
    seen.tokens += 100;
    Ok(())
}

fn result(path: &str, block: &Value, seen: &mut Seen) -> Result<(), Reject> {
    seen.tools = true;
    if block.get("is_error").is_some_and(|e| !e.is_boolean()) {
        return Err(Reject::field(format!("{path}.tool_result.is_error"), "Input should be a valid boolean"));
    }
    match block.get("content") {
        None => Ok(()),
        Some(Value::String(text)) => {
            count(seen, text);
            Ok(())
        }
        Some(Value::Array(list)) => list.iter().enumerate().try_for_each(|(n, part)| {
            let path = format!("{path}.tool_result.content.{n}");
            match part["type"].as_str() {
                Some("text" | "image" | "document") => check(&path, "user", part, seen),
                _ => Err(Reject::field(path, "Input tag does not match any of the expected tags")),
            }
        }),
        other => Err(needs(format!("{path}.tool_result.content"), other, "a valid string or list")),
    }
}

fn call(path: &str, block: &Value, seen: &mut Seen) -> Result<(), Reject> {
    seen.tools = true;
    let path = format!("{path}.tool_use");
    let id = block["id"].as_str().unwrap_or_default();
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || !id.chars().all(fine) {
        return Err(Reject::field(format!("{path}.id"), "String should match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    if !block["name"].is_string() {
        return Err(needs(format!("{path}.name"), block.get("name"), "a valid string"));
    }
    if !block["input"].is_object() {
        return Err(needs(format!("{path}.input"), block.get("input"), "a valid dictionary"));
    }
    count(seen, &block["input"].to_string());
    Ok(())
}
