//! Numbers and strings.

use serde_json::{Map, Number, Value, json};

/// A number within the bounds, 1 when that is allowed.
#[expect(clippy::cast_possible_truncation, reason = "saturates; bounds beyond 2^53 are not met exactly")]
pub(super) fn number(schema: &Map<String, Value>, integer: bool) -> Value {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    let nudge = step.unwrap_or(if integer { 1.0 } else { 0.5 });
    let least = bound("minimum").into_iter().chain(bound("exclusiveMinimum").map(|least| least + nudge));
    let least = least.fold(f64::NEG_INFINITY, f64::max);
    let most = bound("maximum").into_iter().chain(bound("exclusiveMaximum").map(|most| most - nudge));
    let most = most.fold(f64::INFINITY, f64::min);
    let mut value = 1.0_f64.max(least).min(most);
    if integer {
        value = if value < least.ceil() { least.ceil() } else { value.floor().max(least.ceil()) };
    }
    if let Some(step) = step {
        let up = (value / step).ceil() * step;
        value = if up > most { (value / step).floor() * step } else { up };
    }
    if integer {
        return json!(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A string of the format and length asked for.
pub(super) fn string(schema: &Map<String, Value>, name: &str) -> Value {
    let fixed = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("duration") => "PT1S",
        Some("email") => "simulated@example.com",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("uri" | "url") => "https://example.com/",
        _ => "",
    };
    if !fixed.is_empty() {
        return json!(fixed);
    }
    let length = |word: &str| schema.get(word).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let mut text = format!("simulated {name}");
    // A length beyond this is not met: it would only be there to make the answer huge.
    let least = length("minLength").unwrap_or(0).min(10_000);
    while text.chars().count() < least {
        text.push('x');
    }
    if let Some(most) = length("maxLength") {
        text = text.chars().take(most).collect();
    }
    json!(text)
}

/// Another value than the `index` ones before it, where the schema leaves room.
pub(super) fn distinct(item: Value, schema: &Value, index: usize) -> Value {
    if let Some(other) = schema["enum"].as_array().and_then(|all| all.get(index)) {
        return other.clone();
    }
    let step = schema["multipleOf"].as_i64().unwrap_or(1);
    match item.as_i64() {
        Some(number) => json!(number.saturating_add(step.saturating_mul(i64::try_from(index).unwrap_or(0)))),
        None => item,
    }
}
