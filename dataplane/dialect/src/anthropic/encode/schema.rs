//! JSON Schemas, as far as Anthropic is particular about them.

use crate::chat::Raw;
use crate::json::{Cursor, JsonFault, Kind};
use crate::openai::BadRequest;
use serde_json::{Map, Value};

/// Appends the schema of a tool's arguments: Anthropic wants it to say that it is one of an object.
pub(super) fn push_parameters(out: &mut Vec<u8>, schema: &str) {
    match schema.trim_start().strip_prefix('{') {
        Some(rest) if lacks_type(schema).unwrap_or(false) => {
            out.extend_from_slice(b"{\"type\":\"object\"");
            if !rest.trim_start().starts_with('}') {
                out.push(b',');
            }
            out.extend_from_slice(rest.as_bytes());
        }
        _ => out.extend_from_slice(schema.as_bytes()),
    }
}

fn lacks_type(schema: &str) -> Result<bool, JsonFault> {
    let mut cursor = Cursor::new(schema.as_bytes(), u8::MAX)?;
    if cursor.peek()? != Kind::Object {
        return Ok(false);
    }
    let mut lacks = true;
    cursor.members(|cursor, name, _| {
        lacks &= name != "type";
        cursor.skip()?;
        Ok::<_, JsonFault>(())
    })?;
    Ok(lacks)
}

/// What Anthropic refuses in a schema that it enforces, for the model to read instead.
const TOLD: [&str; 14] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
];

/// A schema that Anthropic enforces: objects are closed, `oneOf` is `anyOf`, and what it cannot enforce is told in the
/// description (case 90).
pub(super) fn enforceable(schema: &Raw<'_>) -> Result<String, BadRequest> {
    let invalid = BadRequest::Invalid {
        param: "response_format.json_schema.schema".into(),
        reason: "it is nested too deeply",
    };
    let mut value: Value = serde_json::from_str(schema.as_str()).map_err(|_| invalid)?;
    rewrite(&mut value);
    Ok(value.to_string())
}

fn rewrite(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    tell(object);
    if let Some(one) = object.remove("oneOf") {
        object.entry("anyOf").or_insert(one);
    }
    if object.get("type").and_then(Value::as_str) == Some("object") || object.contains_key("properties") {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (name, value) in object.iter_mut() {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().for_each(rewrite);
            }
            ("anyOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(rewrite)
            }
            ("items" | "not" | "additionalProperties", value) => rewrite(value),
            _ => {}
        }
    }
}

/// Moves what cannot be enforced into the description.
fn tell(object: &mut Map<String, Value>) {
    let mut words = Vec::new();
    for name in TOLD {
        words.extend(object.remove(name).map(|value| format!("{name}: {value}")));
    }
    // Of `minItems` 0 and 1 are taken.
    if object.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1) {
        words.extend(object.remove("minItems").map(|value| format!("minItems: {value}")));
    }
    if words.is_empty() {
        return;
    }
    let words = format!("({})", words.join(", "));
    let text = match object.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} {words}"),
        None => words,
    };
    object.insert("description".to_owned(), Value::String(text));
}

#[cfg(test)]
mod tests {
    use super::{enforceable, push_parameters};
    use crate::chat::Raw;
    use serde_json::{Value, json};

    #[test]
    fn what_it_enforces() {
        let schema = json!({"type": "object", "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "In years."},
            "pet": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"minimum": {"type": "string", "pattern": "a+"}}}]},
            "list": {"type": "array", "minItems": 2, "items": {"type": "object"}},
        }, "required": ["age"]});
        let rewritten = json!({"type": "object", "additionalProperties": false, "properties": {
            "age": {"type": "integer", "description": "In years. (minimum: 0)"},
            "pet": {"anyOf": [{"type": "null"}, {"type": "object", "additionalProperties": false,
                "properties": {"minimum": {"type": "string", "description": "(pattern: \"a+\")"}}}]},
            "list": {"type": "array", "description": "(minItems: 2)", "items": {"type": "object", "additionalProperties": false}},
        }, "required": ["age"]});
        let got = enforceable(&Raw::new(schema.to_string())).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), rewritten);
    }

    #[test]
    fn arguments_are_an_object() {
        for (schema, written) in [
            ("{}", r#"{"type":"object"}"#),
            (r#" {"properties":{}}"#, r#"{"type":"object","properties":{}}"#),
            (r#"{"type":"object"}"#, r#"{"type":"object"}"#),
        ] {
            let mut out = Vec::new();
            push_parameters(&mut out, schema);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }
}
