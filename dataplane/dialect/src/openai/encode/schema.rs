//! JSON Schemas, as far as OpenAI is particular about them.

use crate::json::{Cursor, JsonFault, Kind};
use serde_json::Value;

/// What OpenAI demands of a schema that it enforces (`strict`): every object lists all its properties as required and
/// allows no others.
pub(super) fn enforceable(schema: &str) -> bool {
    serde_json::from_str::<Value>(schema).is_ok_and(|schema| is_closed(&schema))
}

fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Array(list) => list.iter().all(is_closed),
        Value::Object(object) => {
            let open = match object.get("properties") {
                Some(Value::Object(properties)) => {
                    let required = object.get("required").and_then(Value::as_array);
                    let all = |required: &Vec<Value>| {
                        properties.keys().all(|name| required.iter().any(|r| r.as_str() == Some(name)))
                    };
                    object.get("additionalProperties") != Some(&Value::Bool(false))
                        || !required.is_some_and(all) && !properties.is_empty()
                }
                _ => object.get("type").and_then(Value::as_str) == Some("object"),
            };
            !open && object.values().all(is_closed)
        }
        _ => true,
    }
}

/// Appends the schema of a tool's arguments. OpenAI refuses an object without `properties`; Anthropic does not.
pub(super) fn push_parameters(out: &mut Vec<u8>, schema: &str) {
    let trimmed = schema.trim_start();
    match trimmed.strip_prefix('{') {
        Some(rest) if lacks_properties(schema).unwrap_or(false) => {
            out.extend_from_slice(b"{\"properties\":{}");
            if !rest.trim_start().starts_with('}') {
                out.push(b',');
            }
            out.extend_from_slice(rest.as_bytes());
        }
        _ => out.extend_from_slice(schema.as_bytes()),
    }
}

fn lacks_properties(schema: &str) -> Result<bool, JsonFault> {
    let mut cursor = Cursor::new(schema.as_bytes(), u8::MAX)?;
    if cursor.peek()? != Kind::Object {
        return Ok(false);
    }
    let mut lacks = true;
    cursor.members(|cursor, name, _| {
        // A schema that refers elsewhere, or says something of its own, is none of an empty object.
        lacks &= !matches!(name, "properties" | "$ref" | "anyOf" | "oneOf" | "allOf");
        cursor.skip()?;
        Ok::<_, JsonFault>(())
    })?;
    Ok(lacks)
}

#[cfg(test)]
mod tests {
    use super::{enforceable, push_parameters};

    #[test]
    fn what_can_be_enforced() {
        let closed = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"anyOf":[{"type":"null"},{"type":"object","properties":{},"additionalProperties":false}]}},"required":["a","b"],"additionalProperties":false}"#;
        assert!(enforceable(closed));
        for open in [
            closed.replace(r#""required":["a","b"]"#, r#""required":["a"]"#),
            closed.replace(r#","additionalProperties":false}"#, "}"),
            closed.replace(r#"{"type":"string"}"#, r#"{"type":"object"}"#),
        ] {
            assert!(!enforceable(&open), "{open}");
        }
    }

    #[test]
    fn properties_are_there() {
        for (schema, written) in [
            ("{}", r#"{"properties":{}}"#),
            (r#"{"type":"object"}"#, r#"{"properties":{},"type":"object"}"#),
            (r#"{"type":"object","properties":{}}"#, r#"{"type":"object","properties":{}}"#),
            (r##"{"$ref":"#/$defs/a"}"##, r##"{"$ref":"#/$defs/a"}"##),
        ] {
            let mut out = Vec::new();
            push_parameters(&mut out, schema);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }
}
