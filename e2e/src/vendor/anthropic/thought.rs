//! Thinking: whether it is on, and signatures that only this mock can have made.

use super::super::fields::Fields;
use super::reject::{Reject, needs};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Whether an answer begins with thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    Off,
    /// Its text is shown.
    Shown,
    /// Only its signature is.
    Omitted,
}

/// Least thinking budget.
const LEAST: u64 = 1024;

pub(super) fn read(fields: &Fields, cap: u64, able: bool) -> Result<Thinking, Reject> {
    let Some(thinking) = fields.get("thinking") else { return Ok(Thinking::Off) };
    let on = match thinking["type"].as_str() {
        Some("disabled") => return Ok(Thinking::Off),
        Some("adaptive") => true,
        Some("enabled") => budget(thinking, cap)?,
        _ => false,
    };
    if !on {
        let text = "Input tag does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'";
        return Err(Reject::field("thinking", text));
    }
    if !able {
        return Err(Reject::new(400, "thinking is not supported by this model"));
    }
    if fields.get("temperature").is_some_and(|t| t.as_f64() != Some(1.0)) {
        return Err(Reject::new(400, "`temperature` may only be set to 1 when thinking is enabled."));
    }
    if fields.get("top_k").is_some() {
        return Err(Reject::new(400, "`top_k` must be unset when thinking is enabled."));
    }
    Ok(if thinking["display"] == "omitted" { Thinking::Omitted } else { Thinking::Shown })
}

fn budget(thinking: &Value, cap: u64) -> Result<bool, Reject> {
    let path = "thinking.enabled.budget_tokens";
    let budget = thinking.get("budget_tokens");
    let tokens = budget.and_then(Value::as_u64).ok_or_else(|| needs(path, budget, "a valid integer"))?;
    if tokens < LEAST {
        return Err(Reject::field(path, format!("Input should be greater than or equal to {LEAST}")));
    }
    if tokens >= cap {
        return Err(Reject::new(400, "`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    Ok(true)
}

/// The signature of a thought of the call `call`.
pub(super) fn sign(call: usize, text: &str) -> String {
    let digest = Sha256::digest(format!("mock signature {call} {text}"));
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    STANDARD.encode(format!("{call}.{hex}"))
}

/// True when [`sign`] made it for this text, in any call.
fn signed(signature: &str, text: &str) -> bool {
    let call = STANDARD.decode(signature).ok().and_then(|raw| {
        let raw = String::from_utf8(raw).ok()?;
        raw.split_once('.')?.0.parse().ok()
    });
    call.is_some_and(|call| sign(call, text) == signature)
}

/// What a hidden thought says of itself.
const REDACTED: &str = "redacted";

/// A `redacted_thinking` block of the call `call`.
pub(super) fn redacted(call: usize) -> Value {
    json!({"type": "redacted_thinking", "data": sign(call, REDACTED)})
}

/// Checks a block of thinking that came back.
pub(super) fn check(path: &str, block: &Value) -> Result<(), Reject> {
    let text = |name: &str| {
        let value = block.get(name);
        value.and_then(Value::as_str).ok_or_else(|| needs(format!("{path}.{name}"), value, "a valid string"))
    };
    if block["type"] == "redacted_thinking" {
        return match signed(text("data")?, REDACTED) {
            true => Ok(()),
            false => Err(Reject::field(path, "Invalid `data` in `redacted_thinking` block")),
        };
    }
    let thinking = text("thinking")?;
    if !signed(text("signature")?, thinking) {
        return Err(Reject::field(path, "Invalid `signature` in `thinking` block"));
    }
    Ok(())
}
