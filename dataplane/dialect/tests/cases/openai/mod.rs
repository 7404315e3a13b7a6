//! The caller speaks OpenAI, the provider Anthropic.

mod messages;
mod parameters;
mod streaming;
mod thinking;
mod tools;
mod usage;

use crate::harness::{Case, facts};
use serde_json::{Value, json};
use smartflow_dialect::Dialect;
use smartflow_dialect::translate::TargetFacts;

fn case() -> Case {
    Case { caller: Dialect::OpenAi, facts: facts() }
}

fn with(change: impl FnOnce(&mut TargetFacts<'static>)) -> Case {
    let mut case = case();
    change(&mut case.facts);
    case
}

/// A request with these messages.
fn chat(messages: Value) -> Value {
    json!({"model": "gpt", "max_tokens": 100, "messages": messages})
}

/// A request that says hi, with these fields beside.
fn hi(fields: Value) -> Value {
    let mut body = chat(json!([{"role": "user", "content": "hi"}]));
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// The same to Anthropic.
fn sent_hi(fields: Value) -> Value {
    let mut body = sent(json!([{"role": "user", "content": [text("hi")]}]));
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn sent(messages: Value) -> Value {
    json!({"model": "upstream-model", "max_tokens": 100, "messages": messages})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "d", "input_schema": {"type": "object", "properties": {"x": {"type": "integer"}}}})
}

/// An Anthropic answer.
fn message(content: Value, stop_reason: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    })
}
