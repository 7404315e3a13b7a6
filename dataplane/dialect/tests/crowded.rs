//! Bodies full of small things: the time that they take grows with their size, not with its square.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use smartflow_dialect::Dialect;
use smartflow_dialect::translate::{TargetFacts, request};
use std::time::{Duration, Instant};

/// With the square of this many steps a debug build is busy for minutes.
const MANY: usize = 40_000;

fn quick(caller: Dialect, target: Dialect, body: &Value) {
    let facts = TargetFacts { max_output: Some(9000), ..TargetFacts::new("m") };
    let body = body.to_string();
    let start = Instant::now();
    let translated = request(caller, target, body.as_bytes(), &facts).unwrap();
    assert!(translated.body.len() > MANY);
    assert!(translated.dropped.len() <= 64);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn calls_tools_choices_and_fields_of_openai() {
    let function = |at: usize| json!({"type": "function", "function": {"name": format!("f.{at}")}});
    let call = |at: usize| json!({"id": format!("c.{at}"), "type": "function", "function": {"name": format!("f.{at}"), "arguments": "{}"}});
    let result = |at: usize| json!({"role": "tool", "tool_call_id": format!("c.{at}"), "content": "x"});
    let mut messages = vec![
        json!({"role": "user", "content": "hi"}),
        json!({"role": "assistant", "tool_calls": (0..MANY).map(call).collect::<Vec<_>>()}),
    ];
    messages.extend((0..MANY).map(result));
    let functions: Vec<_> = (0..MANY).map(function).collect();
    let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": functions}});
    let mut body = json!({"model": "m", "messages": messages, "tools": functions, "tool_choice": choice});
    for at in 0..MANY {
        body[format!("x{at}")] = json!(1);
    }
    quick(Dialect::OpenAi, Dialect::Anthropic, &body);
    body.as_object_mut().unwrap().retain(|name, _| name == "model" || name == "messages");
    quick(Dialect::OpenAi, Dialect::Anthropic, &body);
}

#[test]
fn calls_and_tools_of_anthropic() {
    let name = |at: usize| format!("{}{at}", "f".repeat(70));
    let call = |at: usize| json!({"type": "tool_use", "id": format!("c{at}"), "name": name(at), "input": {}});
    let result = |at: usize| json!({"type": "tool_result", "tool_use_id": format!("c{at}"), "content": "x"});
    let tools: Vec<_> =
        (0..MANY).map(|at| json!({"name": name(at), "input_schema": {"type": "object"}})).collect();
    let body = json!({"model": "m", "max_tokens": 9, "tools": tools, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": (0..MANY).map(call).collect::<Vec<_>>()},
        {"role": "user", "content": (0..MANY).map(result).collect::<Vec<_>>()},
    ]});
    quick(Dialect::Anthropic, Dialect::OpenAi, &body);
}
