//! What is garbled.

use serde_json::{Value, json};
use smartflow_dialect::Dialect;

fn anthropic() -> String {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm, so."}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "b3BhcXVl"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Héllo\n\"you\" \\ 😀"}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": ", well."}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "encrypted_index": "x", "cited_text": "so"}}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{\"x\":"}}),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "\"one\"}"}}),
        json!({"type": "content_block_stop", "index": 3}),
        json!({"type": "content_block_start", "index": 4, "content_block": {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}}),
        json!({"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": "{\"y\":2}"}}),
        json!({"type": "content_block_stop", "index": 4}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ];
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect()
}

fn openai() -> String {
    let chunk = |delta: Value, reason: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "gpt", "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}], "usage": null});
    let call = |call: Value| chunk(json!({"tool_calls": [call]}), Value::Null);
    let chunks = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "Hm, so."}), Value::Null),
        chunk(json!({"content": "Héllo\n\"you\" \\ 😀"}), Value::Null),
        chunk(json!({"content": ", well."}), Value::Null),
        chunk(
            json!({"annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 5, "title": "A", "url": "https://a.example"}}]}),
            Value::Null,
        ),
        call(
            json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}),
        ),
        call(json!({"index": 0, "function": {"arguments": "{\"x\":"}})),
        call(json!({"index": 0, "function": {"arguments": "\"one\"}"}})),
        call(
            json!({"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}),
        ),
        call(json!({"index": 1, "function": {"arguments": "{\"y\":2}"}})),
        chunk(json!({}), json!("tool_calls")),
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "gpt", "choices": [], "usage": {"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40}}),
    ];
    let text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    format!(": hello\n\n{text}data: [DONE]\n\n")
}

/// The corpus: who streams, and what.
pub fn corpus() -> [(Dialect, String); 2] {
    [(Dialect::OpenAi, openai()), (Dialect::Anthropic, anthropic())]
}

pub fn requests() -> [(Dialect, Value); 2] {
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    [
        (
            Dialect::OpenAi,
            json!({
                "model": "m", "max_tokens": 100, "temperature": 0.5, "stop": ["a", "b"], "stream": true, "stream_options": {"include_usage": true}, "user": "u", "seed": 3,
                "tools": [{"type": "function", "function": {"name": "f.g", "description": "d", "parameters": schema, "strict": true}}],
                "tool_choice": {"type": "function", "function": {"name": "f.g"}}, "parallel_tool_calls": false, "reasoning_effort": "low",
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": [{"type": "text", "text": "hé\n", "cache_control": {"type": "ephemeral"}}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
                    {"role": "assistant", "content": null, "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}], "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f.g", "arguments": "{\"x\":1}"}}]},
                    {"role": "tool", "tool_call_id": "c1", "content": "one"},
                ],
            }),
        ),
        (
            Dialect::Anthropic,
            json!({
                "model": "m", "max_tokens": 5000, "stop_sequences": ["a"], "stream": true, "metadata": {"user_id": "u"}, "top_k": 5,
                "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
                "tools": [{"name": "f", "description": "d", "input_schema": schema}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
                "thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": schema}},
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hé\n"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}, {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "title": "t"}]},
                    {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": [{"type": "text", "text": "one"}]}]},
                ],
            }),
        ),
    ]
}

pub fn replies() -> [(Dialect, Value); 2] {
    [
        (
            Dialect::OpenAi,
            json!({
                "id": "c", "object": "chat.completion", "created": 5, "model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
                "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {"role": "assistant", "content": "hé\n", "refusal": null, "reasoning_content": "t", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]}}],
            }),
        ),
        (
            Dialect::Anthropic,
            json!({
                "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 6},
                "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "hé\n"}, {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}],
            }),
        ),
    ]
}
