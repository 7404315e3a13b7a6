//! Bytes that were garbled on the way: the same answer, a typed error, or, where a byte of the answer's own words
//! changed, those words as they came. Never a panic, never a shorter answer that looks whole.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};
use smartflow_dialect::Dialect;
use smartflow_dialect::translate::{Memory, Stream, TargetFacts, reply, request};

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
fn corpus() -> [(Dialect, String); 2] {
    [(Dialect::OpenAi, openai()), (Dialect::Anthropic, anthropic())]
}

fn other(dialect: Dialect) -> Dialect {
    if dialect == Dialect::OpenAi { Dialect::Anthropic } else { Dialect::OpenAi }
}

fn memory(caller: Dialect) -> Memory {
    let body = json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    request(caller, other(caller), body.to_string().as_bytes(), &TargetFacts::new("m")).unwrap().memory
}

/// What the caller is told, if the stream passes for whole.
fn told(vendor: Dialect, memory: &Memory, bytes: &[u8], piece: usize) -> Option<String> {
    let mut stream = Stream::new(vendor, other(vendor), memory.clone(), 1 << 16);
    let mut out = Vec::new();
    for piece in bytes.chunks(piece) {
        stream.feed(piece, &mut out).ok()?;
    }
    let end = stream.end(&mut out).ok()?;
    end.complete.then(|| String::from_utf8(out).unwrap())
}

/// Every text of the answer, by where it stands. Ids of answers, models, times, usage and signs of life are not part of
/// the answer.
fn answer(told: &str) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    for (at, line) in told
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|line| !line.contains("ping"))
        .enumerate()
    {
        let mut event: Value = serde_json::from_str(line).unwrap_or_else(|_| json!(line));
        if let Some(event) = event.as_object_mut() {
            for name in ["id", "created", "model", "usage"] {
                event.remove(name);
            }
            if let Some(message) = event.get_mut("message").and_then(Value::as_object_mut) {
                message.retain(|name, _| !matches!(name.as_str(), "id" | "model" | "usage"));
            }
        }
        flatten(&event, &at.to_string(), &mut leaves);
    }
    leaves
}

fn flatten(value: &Value, path: &str, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| flatten(value, &format!("{path}.{name}"), leaves))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| flatten(value, &format!("{path}.{at}"), leaves))
        }
        leaf => leaves.push((path.to_owned(), leaf.clone())),
    }
}

/// Which bytes of the vendor's stream are words of the answer, that nobody can know to be wrong.
fn words(stream: &str) -> Vec<bool> {
    const KEYS: [&str; 11] = [
        "content",
        "arguments",
        "reasoning_content",
        "id",
        "name",
        "text",
        "partial_json",
        "thinking",
        "signature",
        "data",
        "refusal",
    ];
    let mut words = vec![false; stream.len()];
    for key in KEYS {
        for (at, opening) in stream.match_indices(&format!("\"{key}\":\"")) {
            let start = at + opening.len();
            let mut end = start;
            while stream.as_bytes()[end] != b'"' {
                end += 1 + usize::from(stream.as_bytes()[end] == b'\\');
            }
            words[start..end].fill(true);
        }
    }
    words
}

#[test]
fn every_flip_of_a_bit_gives_the_same_answer_an_error_or_the_flipped_words() {
    for (vendor, stream) in corpus() {
        let memory = memory(other(vendor));
        let whole = answer(&told(vendor, &memory, stream.as_bytes(), 4096).unwrap());
        let words = words(&stream);
        let (mut same, mut failed, mut flipped) = (0, 0, 0);
        let mut wrong = Vec::new();
        for at in 0..stream.len() {
            for bit in 0..8 {
                let mut bytes = stream.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Some(told) = told(vendor, &memory, &bytes, 4096) else {
                    failed += 1;
                    continue;
                };
                let got = answer(&told);
                if got == whole {
                    same += 1;
                    continue;
                }
                let context =
                    String::from_utf8_lossy(&bytes[at.saturating_sub(60)..(at + 40).min(bytes.len())])
                        .into_owned();
                let paths = |leaves: &[(String, Value)]| {
                    leaves.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
                };
                if !words[at] || paths(&got) != paths(&whole) {
                    wrong.push(format!("{vendor:?}: byte {at}, bit {bit}: …{context}…"));
                }
                flipped += 1;
            }
        }
        assert!(wrong.is_empty(), "{} flips change the answer:\n{}", wrong.len(), wrong.join("\n"));
        assert!(same > 100 && failed > 1000 && flipped > 100, "{same} {failed} {flipped}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_whole_only_when_its_reason_was_told() {
    for (vendor, stream) in corpus() {
        let memory = memory(other(vendor));
        let whole = answer(&told(vendor, &memory, stream.as_bytes(), 4096).unwrap());
        let reason = stream
            .find("\"tool_calls\",\"index\"")
            .or_else(|| stream.find("\"stop_reason\":\"tool_use\""))
            .unwrap();
        for cut in 0..stream.len() {
            if let Some(told) = told(vendor, &memory, &stream.as_bytes()[..cut], 4096) {
                assert!(cut > reason, "{vendor:?}: cut at {cut}");
                assert_eq!(answer(&told), whole, "{vendor:?}: cut at {cut}");
            }
        }
    }
}

fn requests() -> [(Dialect, Value); 2] {
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

fn replies() -> [(Dialect, Value); 2] {
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

/// (where, what, how): bytes replaced, inserted, taken out, doubled.
type Edits = Vec<(prop::sample::Index, u8, u8)>;

fn edited(text: &str, edits: &Edits) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte, how) in edits {
        let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match how {
            0 if !bytes.is_empty() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 if !bytes.is_empty() => drop(bytes.drain(at..(at + usize::from(*byte)).min(bytes.len()))),
            _ => {
                let piece: Vec<_> = bytes[at..(at + usize::from(*byte)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Edits> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_nothing_panics_and_what_is_written_is_json(edits in edits(), which in 0..2_usize) {
        let facts = TargetFacts { max_output: Some(9000), ..TargetFacts::new("m") };
        let (caller, body) = &requests()[which];
        prop_assert!(request(*caller, other(*caller), body.to_string().as_bytes(), &facts).is_ok());
        if let Ok(translated) = request(*caller, other(*caller), &edited(&body.to_string(), &edits), &facts) {
            prop_assert!(serde_json::from_slice::<Value>(&translated.body).is_ok(), "{:?}", translated.body);
        }
        let (vendor, body) = &replies()[which];
        let memory = memory(other(*vendor));
        prop_assert!(reply(*vendor, other(*vendor), body.to_string().as_bytes(), &memory).is_ok());
        if let Ok(translated) = reply(*vendor, other(*vendor), &edited(&body.to_string(), &edits), &memory) {
            prop_assert!(serde_json::from_slice::<Value>(&translated.body).is_ok(), "{:?}", translated.body);
        }
        let (vendor, stream) = &corpus()[which];
        let bytes = edited(stream, &edits);
        let whole = told(*vendor, &memory, &bytes, 4096);
        prop_assert_eq!(told(*vendor, &memory, &bytes, 1), whole.clone(), "however it is cut");
        for line in whole.iter().flat_map(|told| told.lines()).filter_map(|line| line.strip_prefix("data: ")) {
            prop_assert!(line == "[DONE]" || serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
}
