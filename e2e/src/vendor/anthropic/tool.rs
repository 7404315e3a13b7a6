//! Tools on offer, which of them must be used, and the format that an answer must have.

use super::super::fields::Fields;
use super::block;
use super::content::{Seen, count};
use super::reject::{Reject, needs};
use super::request::Asked;
use super::thought::Thinking;
use serde_json::{Value, json};

/// Keywords of JSON Schema that a format may not have.
const REFUSED: [&str; 8] =
    ["minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems", "oneOf"];

/// The tools with their schemas. Tools of Anthropic's own have no schema.
pub(super) fn offered(fields: &Fields, seen: &mut Seen) -> Result<Vec<(String, Value)>, Reject> {
    let list = fields.get("tools").and_then(Value::as_array).into_iter().flatten();
    let mut tools: Vec<(String, Value)> = Vec::new();
    for (at, tool) in list.enumerate() {
        let own = tool["type"].as_str().is_some_and(|t| t != "custom");
        let path = if own { format!("tools.{at}") } else { format!("tools.{at}.custom") };
        let name = tool["name"].as_str();
        let name = name.ok_or_else(|| needs(format!("{path}.name"), tool.get("name"), "a valid string"))?;
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 128 || !name.chars().all(fine) {
            let text = "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'";
            return Err(Reject::field(format!("{path}.name"), text));
        }
        if tools.iter().any(|(n, _)| n == name) {
            return Err(Reject::field("tools", "Tool names must be unique."));
        }
        if !own {
            custom(&path, tool)?;
        }
        block::mark(tool, seen);
        count(seen, &tool.to_string());
        tools.push((name.to_owned(), tool["input_schema"].clone()));
    }
    Ok(tools)
}

fn custom(path: &str, tool: &Value) -> Result<(), Reject> {
    let known = [
        "type",
        "name",
        "description",
        "input_schema",
        "cache_control",
        "strict",
        "defer_loading",
        "eager_input_streaming",
        "input_examples",
        "allowed_callers",
    ];
    if let Some(other) = tool.as_object().and_then(|t| t.keys().find(|k| !known.contains(&k.as_str()))) {
        return Err(Reject::field(format!("{path}.{other}"), "Extra inputs are not permitted"));
    }
    let path = format!("{path}.input_schema");
    let schema = &tool["input_schema"];
    if !schema.is_object() {
        return Err(needs(path, tool.get("input_schema"), "a valid dictionary"));
    }
    if schema["type"] != "object" {
        return Err(needs(format!("{path}.type"), schema.get("type"), "'object'"));
    }
    match ["oneOf", "allOf", "anyOf"].into_iter().find(|k| schema.get(k).is_some()) {
        Some(_) => {
            Err(Reject::field(path, "input_schema does not support oneOf, allOf, or anyOf at the top level"))
        }
        None => Ok(()),
    }
}

/// Checks `tool_choice` and lets the script follow it.
pub(super) fn choice(fields: &Fields, asked: &mut Asked) -> Result<(), Reject> {
    let choice = fields.get("tool_choice");
    if asked.tools.is_empty() {
        asked.script.tools = 0;
        return match choice {
            Some(_) => Err(Reject::new(400, "tool_choice may only be specified while providing tools.")),
            None => Ok(()),
        };
    }
    let kind = choice.map_or("auto", |c| c["type"].as_str().unwrap_or_default());
    match kind {
        "auto" => {}
        "none" => asked.script.tools = 0,
        "any" => asked.script.tools = asked.script.tools.max(1),
        "tool" => named(choice, asked)?,
        _ => {
            let text = "Input tag does not match any of the expected tags: 'any', 'auto', 'none', 'tool'";
            return Err(Reject::field("tool_choice", text));
        }
    }
    if matches!(kind, "any" | "tool") && asked.thinking != Thinking::Off {
        return Err(Reject::new(400, "Thinking may not be enabled when tool_choice forces tool use."));
    }
    if choice.is_some_and(|c| c["disable_parallel_tool_use"] == json!(true)) {
        asked.script.tools = asked.script.tools.min(1);
    }
    if asked.seen.results > 0 {
        asked.script.tools = 0;
    }
    Ok(())
}

fn named(choice: Option<&Value>, asked: &mut Asked) -> Result<(), Reject> {
    let name = choice.and_then(|c| c["name"].as_str()).unwrap_or_default();
    let Some(at) = asked.tools.iter().position(|(tool, _)| tool == name) else {
        return Err(Reject::new(400, format!("Tool '{name}' not found in provided tools")));
    };
    asked.tools.rotate_left(at);
    asked.script.tools = 1;
    Ok(())
}

/// The schema that an answer must fit.
pub(super) fn format(fields: &Fields) -> Result<Option<Value>, Reject> {
    let Some(format) = fields.get("output_config").and_then(|c| c.get("format")).filter(|f| !f.is_null())
    else {
        return Ok(None);
    };
    let path = "output_config.format";
    if format["type"] != "json_schema" || !format["schema"].is_object() {
        return Err(Reject::field(path, "Input should be a valid JSONOutputFormat"));
    }
    closed(&format["schema"]).map_err(|why| Reject::field(format!("{path}.schema"), why))?;
    Ok(Some(format["schema"].clone()))
}

/// Anthropic's rule for formats: every object is closed, and no keyword that it cannot hold itself to.
fn closed(schema: &Value) -> Result<(), String> {
    if schema["type"] == "object" && schema["additionalProperties"] != json!(false) {
        return Err("For 'object' type, 'additionalProperties' must be explicitly set to false".into());
    }
    if let Some(word) = REFUSED.into_iter().find(|word| schema.get(word).is_some()) {
        return Err(format!("property '{word}' is not supported"));
    }
    let maps = ["properties", "$defs"].into_iter().filter_map(|k| schema[k].as_object());
    let inner = maps.flat_map(|m| m.values()).chain(schema["anyOf"].as_array().into_iter().flatten());
    inner.chain(schema.get("items")).try_for_each(closed)
}
