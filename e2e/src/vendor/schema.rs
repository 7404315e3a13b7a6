//! JSON Schema, as far as structured output and tool arguments need it.

use super::reject::Reject;
use serde_json::{Map, Value, json};

const DEEPEST: usize = 8;

/// A value that fits `schema`; `root` is where `$ref` looks.
pub(super) fn example(schema: &Value, root: &Value) -> Value {
    example_at(schema, root, 0)
}

fn example_at(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(target) = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
        return root.pointer(target).map_or(Value::Null, |s| example_at(s, root, depth + 1));
    }
    if let Some(first) = schema["enum"].as_array().and_then(|e| e.first()) {
        return first.clone();
    }
    if let Some(fixed) = schema.get("const") {
        return fixed.clone();
    }
    if let Some(first) = schema["anyOf"].as_array().and_then(|a| a.first()) {
        return example_at(first, root, depth + 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let none = Map::new();
            let properties = schema["properties"].as_object().unwrap_or(&none);
            properties.iter().map(|(k, v)| (k.clone(), example_at(v, root, depth + 1))).collect()
        }
        Some("array") => json!([example_at(&schema["items"], root, depth + 1)]),
        Some("integer") => json!(7),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("null") | None => Value::Null,
        Some(_) => json!("mock text"),
    }
}

/// OpenAI's rule for strict schemas: every object is closed and requires all of its properties.
pub(super) fn check_strict(schema: &Value, path: &str) -> Result<(), Reject> {
    let bad = |why: String| {
        let text = format!("Invalid schema for response_format: In context={path}, {why}");
        Reject::param("response_format", "invalid_json_schema", text)
    };
    if let Some(properties) = schema["properties"].as_object() {
        if schema["additionalProperties"] != json!(false) {
            return Err(bad("'additionalProperties' is required to be supplied and to be false.".into()));
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(missing) = properties.keys().find(|k| !required.contains(&k.as_str())) {
            return Err(bad(format!("'required' is required to list every key. Missing '{missing}'.")));
        }
    }
    let maps = ["properties", "$defs"].into_iter().filter_map(|k| schema[k].as_object()).flatten();
    for (name, inner) in maps {
        check_strict(inner, &format!("{path}.{name}"))?;
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten().chain(schema.get("items")) {
        check_strict(inner, path)?;
    }
    Ok(())
}
