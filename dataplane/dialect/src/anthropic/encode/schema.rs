//! JSON Schemas, as far as Anthropic is particular about them.

use crate::chat::Raw;
use crate::json::{Cursor, JsonFault, Kind, List, Object};
use crate::openai::BadRequest;
use serde_json::Value;
use std::borrow::Cow;

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

/// Longest schema that is rewritten, in bytes.
const LONGEST: usize = 1 << 20;

/// A schema that Anthropic enforces: objects are closed, `oneOf` is `anyOf`, and what it cannot enforce is told in the
/// description (case 90). Members keep their order: it is the one in which the model writes the answer.
pub(super) fn enforceable(schema: &Raw<'_>) -> Result<String, BadRequest> {
    // Each level is read once more than the one above.
    if schema.as_str().len() > LONGEST {
        return Err(BadRequest::Invalid {
            param: "response_format.json_schema.schema".into(),
            reason: "it is longer than 1 MiB",
        });
    }
    let mut out = Vec::with_capacity(schema.as_str().len() + 64);
    let written = rewrite(schema.as_str(), &mut out).ok().and_then(|()| String::from_utf8(out).ok());
    written.ok_or(BadRequest::Invalid {
        param: "response_format.json_schema.schema".into(),
        reason: "it cannot be read",
    })
}

/// A member of a schema: its name, and its value as it was written.
type Member<'s> = (Cow<'s, str>, Cow<'s, str>);

/// Writes `schema` as Anthropic takes it.
fn rewrite(schema: &str, out: &mut Vec<u8>) -> Result<(), JsonFault> {
    let Some(mut members) = members(schema)? else {
        out.extend_from_slice(schema.as_bytes());
        return Ok(());
    };
    tell(&mut members)?;
    let has = |wanted: &str| members.iter().any(|(name, _)| name == wanted);
    let is_object = |(name, value): &Member<'_>| name == "type" && value.contains("\"object\"");
    let closed = has("properties") || members.iter().any(is_object);
    let union = has("anyOf");
    let mut object = Object::open(out);
    for (name, value) in &members {
        match name.as_ref() {
            "additionalProperties" if closed => {}
            "oneOf" if union => {}
            "oneOf" | "anyOf" => rewrite_list(value, object.name("anyOf"))?,
            "allOf" | "prefixItems" => rewrite_list(value, object.foreign(name))?,
            "properties" | "$defs" | "definitions" => rewrite_named(value, object.foreign(name))?,
            "items" | "not" | "additionalProperties" => rewrite(value, object.foreign(name))?,
            _ => object.foreign(name).extend_from_slice(value.as_bytes()),
        }
    }
    if closed {
        object.boolean("additionalProperties", false);
    }
    object.close();
    Ok(())
}

/// The members of an object in order; `None` when `value` is something else.
fn members(value: &str) -> Result<Option<Vec<Member<'_>>>, JsonFault> {
    let mut cursor = Cursor::new(value.as_bytes(), u8::MAX)?;
    if cursor.peek()? != Kind::Object {
        return Ok(None);
    }
    let mut members = Vec::new();
    cursor.members(|cursor, name, _| {
        members.push((Cow::Owned(name.to_owned()), Cow::Borrowed(cursor.raw()?)));
        Ok::<_, JsonFault>(())
    })?;
    Ok(Some(members))
}

/// A list of schemas.
fn rewrite_list(value: &str, out: &mut Vec<u8>) -> Result<(), JsonFault> {
    let mut cursor = Cursor::new(value.as_bytes(), u8::MAX)?;
    if cursor.peek()? != Kind::Array {
        out.extend_from_slice(value.as_bytes());
        return Ok(());
    }
    let mut list = List::open(out);
    cursor.elements(|cursor, _, _| rewrite(cursor.raw()?, list.item()))?;
    list.close();
    Ok(())
}

/// Schemas by names that somebody chose.
fn rewrite_named(value: &str, out: &mut Vec<u8>) -> Result<(), JsonFault> {
    let Some(members) = members(value)? else {
        out.extend_from_slice(value.as_bytes());
        return Ok(());
    };
    let mut object = Object::open(out);
    for (name, schema) in members {
        rewrite(&schema, object.foreign(&name))?;
    }
    object.close();
    Ok(())
}

/// Moves what cannot be enforced into the description.
fn tell(members: &mut Vec<Member<'_>>) -> Result<(), JsonFault> {
    let untaken = |(name, value): &Member<'_>| {
        // Of `minItems` 0 and 1 are taken.
        TOLD.contains(&name.as_ref()) || (name == "minItems" && !matches!(value.as_ref(), "0" | "1"))
    };
    let words: Vec<_> = members
        .iter()
        .filter(|member| untaken(member))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    if words.is_empty() {
        return Ok(());
    }
    members.retain(|member| !untaken(member));
    let words = format!("({})", words.join(", "));
    match members.iter_mut().find(|(name, _)| name == "description") {
        Some((_, text)) => {
            let mut cursor = Cursor::new(text.as_bytes(), u8::MAX)?;
            let known = if cursor.peek()? == Kind::String { cursor.text()? } else { Cow::Borrowed("") };
            *text = Cow::Owned(quoted(&format!("{known} {words}")));
        }
        None => members.push((Cow::Borrowed("description"), Cow::Owned(quoted(&words)))),
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
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
    fn members_keep_their_order() {
        let schema = r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"integer","maximum":9}},"required":["why","answer"]}"#;
        let kept = r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"integer","description":"(maximum: 9)"}},"required":["why","answer"],"additionalProperties":false}"#;
        assert_eq!(enforceable(&Raw::new(schema)).unwrap(), kept);
        assert_eq!(enforceable(&Raw::new(kept)).unwrap(), kept);
        let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(1 << 20));
        assert!(enforceable(&Raw::new(long)).is_err());
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
