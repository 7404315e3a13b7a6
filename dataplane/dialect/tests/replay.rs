//! Whole answers told as streams (case 61): put together again they say the same.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use smartflow_dialect::translate::{Garbled, Memory, replay, reply};
use smartflow_dialect::{Dialect, anthropic, openai};

const BOTH: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

fn memory() -> Memory {
    Memory::untranslated(1_790_000_000, true)
}

fn completion() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
            "role": "assistant", "content": "Hé\n", "refusal": null, "reasoning_content": "hm",
            "annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 2, "title": "A", "url": "https://a.example"}}],
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        }}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

fn message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            {"type": "text", "text": "Hé\n"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    })
}

/// What the stream says, put together.
fn assembled(dialect: Dialect, events: &[u8]) -> Vec<u8> {
    match dialect {
        Dialect::OpenAi => {
            let mut assembler = openai::Assembler::new(1 << 20);
            assembler.feed(events).unwrap();
            assembler.finish(None).unwrap().to_vec()
        }
        Dialect::Anthropic => {
            let mut assembler = anthropic::Assembler::new(1 << 20);
            assembler.feed(events).unwrap();
            assembler.finish(None).unwrap().to_vec()
        }
    }
}

#[test]
fn case_061_an_answer_of_a_provider_that_does_not_stream_is_streamed() {
    for (from, answer) in [(Dialect::OpenAi, completion()), (Dialect::Anthropic, message())] {
        let body = answer.to_string();
        for to in BOTH {
            let told = replay(from, to, body.as_bytes(), &memory()).unwrap();
            let whole = reply(from, to, body.as_bytes(), &memory()).unwrap();
            assert_eq!((told.usage, told.finish), (whole.usage, whole.finish));
            assert_eq!(told.content_bytes, whole.content_bytes);
            let read = |bytes: &[u8]| {
                let back = reply(to, Dialect::OpenAi, bytes, &memory()).unwrap();
                serde_json::from_slice::<Value>(&back.body).unwrap()
            };
            assert_eq!(read(&assembled(to, &told.body)), read(&whole.body), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn what_no_stream_tells_is_refused() {
    let mut two = completion();
    let choice = two["choices"][0].clone();
    two["choices"].as_array_mut().unwrap().push(choice);
    let mut native = message();
    native["content"][0] = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}});
    for (from, answer) in [(Dialect::OpenAi, two), (Dialect::Anthropic, native)] {
        let told = replay(from, from, answer.to_string().as_bytes(), &memory());
        assert!(matches!(told, Err(Garbled::Shape { .. })), "{told:?}");
    }
    let error = json!({"error": {"message": "overloaded"}}).to_string();
    let told = replay(Dialect::OpenAi, Dialect::Anthropic, error.as_bytes(), &memory());
    assert!(matches!(told, Err(Garbled::Upstream(_))), "{told:?}");
}
