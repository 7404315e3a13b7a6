//! Scalars: the core schema of YAML 1.2, without those that YAML 1.1 reads otherwise: kubectl would take them for booleans.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The value of a scalar, or why it has none in JSON.
pub(super) fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(Value::String(text.to_owned())) };
    };
    if tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(Value::String(text.to_owned()));
    }
    let resolved = if tag.is_yaml_core_schema() { plain(text) } else { Err(String::new()) };
    match (tag.suffix.as_str(), resolved) {
        ("str", Ok(_) | Err(_)) if tag.is_yaml_core_schema() => Ok(Value::String(text.to_owned())),
        ("null", Ok(v @ Value::Null)) | ("bool", Ok(v @ Value::Bool(_))) => Ok(v),
        ("int", Ok(Value::Number(n))) if !n.is_f64() => Ok(Value::Number(n)),
        ("float", Ok(Value::Number(n))) => Ok(Value::Number(n)),
        _ => Err(format!("The tag {tag} does not fit this value.")),
    }
}

/// Words that YAML 1.1, and with it kubectl, reads as booleans when they have no quotes.
const OLD_BOOLEANS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];

/// Why a text without quotes means one thing here and another to kubectl; `None` when it does not.
pub(super) fn ambiguous(text: &str) -> Option<String> {
    let old = OLD_BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text));
    old.then(|| format!("{text} without quotes is a boolean to kubectl and a text here."))
}

fn plain(text: &str) -> Result<Value, String> {
    if let Some(message) = ambiguous(text) {
        return Err(message);
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text) {
            Some(Ok(number)) => Value::Number(number),
            Some(Err(message)) => return Err(message),
            None => Value::String(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Option<Result<Number, String>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err(format!("{text} cannot be written as JSON.")));
    }
    if let Some((digits, radix)) =
        text.strip_prefix("0o").map(|d| (d, 8)).or_else(|| text.strip_prefix("0x").map(|d| (d, 16)))
    {
        // from_str_radix would take a sign.
        let proper = digits.chars().all(|c| c.is_digit(radix));
        return u64::from_str_radix(digits, radix).ok().filter(|_| proper).map(|n| Ok(n.into()));
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        if let Some(whole) = signed
            .parse::<i64>()
            .map(Number::from)
            .ok()
            .or_else(|| signed.parse::<u64>().map(Number::from).ok())
        {
            return Some(Ok(whole));
        }
    }
    is_float(unsigned).then(|| {
        let float = text.parse::<f64>().ok().and_then(Number::from_f64);
        float.ok_or_else(|| format!("{text} is out of range."))
    })
}

/// `( . digits | digits ( . digits* )? ) ( e [-+]? digits )?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['-', '+']).unwrap_or(e))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(text: &str) -> Value {
        plain(text).unwrap_or_else(Value::String)
    }

    #[test]
    fn what_kubectl_takes_for_a_boolean_needs_quotes() {
        for text in ["y", "Y", "n", "yes", "Yes", "NO", "on", "On", "off", "Off", "oFF"] {
            let message = value(text, ScalarStyle::Plain, None).unwrap_err();
            assert!(message.starts_with(text) && message.contains("kubectl"), "{message}");
            let quoted = value(text, ScalarStyle::DoubleQuoted, None);
            assert_eq!(quoted, Ok(json!(text)));
            let tagged = Tag { handle: "tag:yaml.org,2002:".to_owned(), suffix: "str".to_owned() };
            assert_eq!(value(text, ScalarStyle::Plain, Some(&tagged)), Ok(json!(text)));
        }
        for text in ["offer", "yes!", "none", "o", "nn"] {
            assert_eq!(value(text, ScalarStyle::Plain, None), Ok(json!(text)));
        }
    }

    #[test]
    fn core_schema() {
        for (text, expected) in [
            ("~", json!(null)),
            ("yes, sir", json!("yes, sir")),
            ("True", json!(true)),
            ("007", json!(7)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0x+1", json!("0x+1")),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            (".", json!(".")),
            ("e3", json!("e3")),
            ("1e", json!("1e")),
            ("1_000", json!("1_000")),
            ("18446744073709551615", json!(u64::MAX)),
            ("2026-01-01", json!("2026-01-01")),
            (".inf", json!(".inf cannot be written as JSON.")),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
