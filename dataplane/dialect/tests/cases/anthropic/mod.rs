//! The caller speaks Anthropic, the provider OpenAI.

mod messages;
mod parameters;
mod streaming;
mod thinking;
mod tools;
mod usage;

use crate::harness::{Case, NOW, facts};
use serde_json::{Value, json};
use smartflow_dialect::Dialect;
use smartflow_dialect::translate::TargetFacts;

fn case() -> Case {
    Case { caller: Dialect::Anthropic, facts: facts() }
}

fn with(change: impl FnOnce(&mut TargetFacts<'static>)) -> Case {
    let mut case = case();
    change(&mut case.facts);
    case
}

/// A request with these messages.
fn chat(messages: Value) -> Value {
    json!({"model": "claude", "max_tokens": 100, "messages": messages})
}

fn extended(mut body: Value, fields: Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// A request that says hi, with these fields beside.
fn hi(fields: Value) -> Value {
    extended(chat(json!([{"role": "user", "content": "hi"}])), fields)
}

/// The same to OpenAI.
fn sent_hi(fields: Value) -> Value {
    extended(sent(json!([{"role": "user", "content": [text("hi")]}])), fields)
}

fn sent(messages: Value) -> Value {
    json!({"model": "upstream-model", "max_completion_tokens": 100, "messages": messages})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"x": {"type": "integer"}}})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "d", "input_schema": schema()})
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": schema()}})
}

fn tool_use(id: &str, name: &str, input: Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": input})
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// An OpenAI answer.
fn completion(message: Value, finish_reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": NOW, "model": "gpt",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

fn says(content: &str) -> Value {
    json!({"role": "assistant", "content": content, "refusal": null})
}
