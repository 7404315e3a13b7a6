//! Streams. The harness feeds each in every possible split.

use super::{case, extended, hi, tool};
use crate::harness::{NOW, openai_events};
use serde_json::{Value, json};
use smartflow_dialect::translate::{Stream, StreamFault};
use smartflow_dialect::{Dialect, FinishReason, Usage};

fn chunk(choices: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": NOW, "model": "gpt", "choices": choices})
}

fn adds(delta: Value) -> Value {
    chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]))
}

fn first() -> Value {
    adds(json!({"role": "assistant", "content": "", "refusal": null}))
}

fn finishes(reason: &str) -> Value {
    chunk(json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]))
}

fn uses() -> Value {
    extended(
        chunk(json!([])),
        json!({"usage": {"prompt_tokens": 25, "completion_tokens": 9, "total_tokens": 34, "prompt_tokens_details": {"cached_tokens": 5}}}),
    )
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    adds(
        json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]}),
    )
}

fn more(index: u64, arguments: &str) -> Value {
    adds(json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}))
}

fn streaming() -> Value {
    hi(json!({"stream": true, "tools": [tool("f"), tool("g")]}))
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "gpt", "content": [],
        "stop_reason": null, "stop_sequence": null}})
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn text_block(index: u64) -> Value {
    block(index, json!({"type": "text", "text": ""}))
}

fn tool_block(index: u64, id: &str, name: &str) -> Value {
    block(index, json!({"type": "tool_use", "id": id, "name": name, "input": {}}))
}

fn delta(index: u64, kind: &str, name: &str, text: &str) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}})
}

fn text_delta(index: u64, text: &str) -> Value {
    delta(index, "text_delta", "text", text)
}

fn json_delta(index: u64, text: &str) -> Value {
    delta(index, "input_json_delta", "partial_json", text)
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end(reason: &str) -> [Value; 2] {
    let usage = json!({"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 9});
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

/// What the caller gets for these chunks, without the usage of `message_start`; every event is named by its type.
fn told(chunks: &[Value]) -> Vec<Value> {
    let got = case().stream(streaming(), &openai_events(chunks));
    let end = got.end.clone().unwrap();
    assert!(end.complete);
    assert_eq!(end.usage, Some(Usage { input: 25, cached_input: 5, output: 9, ..Usage::default() }));
    let mut data = got.data();
    for ((name, _), event) in got.events.iter().zip(&data) {
        assert_eq!(event["type"], name.as_str());
    }
    // Clients read the size of the prompt here, which OpenAI tells at the end (case 55).
    let usage = data[0]["message"].as_object_mut().unwrap().remove("usage").unwrap();
    assert!(usage["input_tokens"].as_u64().unwrap() > 0, "{usage}");
    data
}

fn expected(blocks: &[Value], reason: &str) -> Vec<Value> {
    let mut all = vec![start()];
    all.extend_from_slice(blocks);
    all.extend(end(reason));
    all
}

#[test]
fn case_044_usage_is_asked_for_upstream_and_told_always() {
    let sent = case().request(streaming());
    assert_eq!((&sent["stream"], &sent["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    let got = told(&[
        first(),
        adds(json!({"content": "Hé\n"})),
        adds(json!({"content": "😀"})),
        finishes("stop"),
        uses(),
    ]);
    let blocks = [text_block(0), text_delta(0, "Hé\n"), text_delta(0, "😀"), stop(0)];
    assert_eq!(got, expected(&blocks, "end_turn"));
}

#[test]
fn case_042_043_calls_of_tools_as_they_come() {
    let got = told(&[
        first(),
        adds(json!({"content": "Let me see."})),
        call(0, "c1", "f", ""),
        more(0, "{\"x\":"),
        more(0, " \"}\\\"\"}"),
        call(1, "c2", "g", "{}"),
        finishes("tool_calls"),
        uses(),
    ]);
    let blocks = [
        text_block(0),
        text_delta(0, "Let me see."),
        stop(0),
        tool_block(1, "c1", "f"),
        json_delta(1, "{\"x\":"),
        json_delta(1, " \"}\\\"\"}"),
        stop(1),
        tool_block(2, "c2", "g"),
        json_delta(2, "{}"),
        stop(2),
    ];
    assert_eq!(got, expected(&blocks, "tool_use"));
}

#[test]
fn case_043_nothing_waits_for_the_end() {
    let memory = case().memory(streaming());
    let mut stream = Stream::new(Dialect::OpenAi, Dialect::Anthropic, memory, 1 << 16);
    for (chunk, said) in [
        (first(), "message_start"),
        (adds(json!({"content": "a"})), "text_delta"),
        (call(0, "c", "f", ""), "tool_use"),
        (more(0, "{\"a"), "partial_json"),
    ] {
        let mut out = Vec::new();
        stream.feed(format!("data: {chunk}\n\n").as_bytes(), &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(said), "{said}");
    }
}

#[test]
fn case_042_052_calls_that_interleave_never_overlap() {
    let got = told(&[
        first(),
        call(0, "c1", "f", ""),
        call(1, "c2", "g", ""),
        more(1, "{\"y\":"),
        more(0, "{\"x\":"),
        adds(json!({"content": "meanwhile"})),
        more(1, "2}"),
        more(0, "1}"),
        finishes("tool_calls"),
        uses(),
    ]);
    let blocks = [
        tool_block(0, "c1", "f"),
        json_delta(0, "{\"x\":"),
        json_delta(0, "1}"),
        stop(0),
        tool_block(1, "c2", "g"),
        json_delta(1, "{\"y\":2}"),
        stop(1),
        text_block(2),
        text_delta(2, "meanwhile"),
        stop(2),
    ];
    assert_eq!(got, expected(&blocks, "tool_use"));
}

#[test]
fn case_028_calls_without_arguments() {
    let got =
        told(&[first(), call(0, "c1", "f", ""), call(1, "c2", "g", ""), finishes("tool_calls"), uses()]);
    let blocks = [tool_block(0, "c1", "f"), stop(0), tool_block(1, "c2", "g"), stop(1)];
    assert_eq!(got, expected(&blocks, "tool_use"), "clients read no piece at all as no arguments");
}

#[test]
fn case_053_a_chunk_that_says_all_at_once() {
    let mut all = adds(
        json!({"role": "assistant", "content": "a", "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
    );
    all["choices"][0]["finish_reason"] = json!("tool_calls");
    let all = extended(all, json!({"usage": uses()["usage"]}));
    let blocks =
        [text_block(0), text_delta(0, "a"), stop(0), tool_block(1, "c1", "f"), json_delta(1, "{}"), stop(1)];
    assert_eq!(told(&[all]), expected(&blocks, "tool_use"));
}

#[test]
fn case_047_chunks_without_choices_do_no_harm() {
    let filter = json!({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []});
    let got = told(&[filter, first(), adds(json!({"content": "a"})), finishes("stop"), uses()]);
    assert_eq!(got, expected(&[text_block(0), text_delta(0, "a"), stop(0)], "end_turn"));
}

#[test]
fn case_054_nothing_follows_the_end() {
    let late = [
        first(),
        adds(json!({"content": "a"})),
        finishes("length"),
        adds(json!({"content": "late"})),
        finishes("stop"),
        uses(),
    ];
    assert_eq!(told(&late), expected(&[text_block(0), text_delta(0, "a"), stop(0)], "max_tokens"));
}

#[test]
fn case_046_a_stream_that_breaks_off_is_no_success() {
    let text = openai_events(&[first(), adds(json!({"content": "a"}))]);
    let cut = text.replace("data: [DONE]\n\n", "");
    let got = case().stream(streaming(), &cut);
    assert!(!got.end.clone().unwrap().complete);
    assert!(
        got.data().iter().all(|event| event["type"] != "message_stop" && event["type"] != "message_delta")
    );
    let got = case().stream(streaming(), &text);
    assert!(matches!(got.end, Err(StreamFault::Shape { .. })), "[DONE] without a reason: {:?}", got.end);
    assert!(got.data().iter().all(|event| event["type"] != "message_stop"));
    // The close alone is missing: the vendor said why it ended.
    let finished = cut + &openai_events(&[finishes("stop"), uses()]).replace("data: [DONE]\n\n", "");
    let got = case().stream(streaming(), &finished);
    assert!(got.end.clone().unwrap().complete);
    assert_eq!(got.data().last().unwrap()["type"], "message_stop");
}

#[test]
fn case_048_errors_in_the_stream() {
    let error = json!({"error": {"message": "slow down", "type": "rate_limit_error", "code": 429}});
    let got = case().stream(streaming(), &openai_events(&[first(), adds(json!({"content": "a"})), error]));
    let Err(StreamFault::Upstream(error)) = &got.end else { panic!("{:?}", got.end) };
    assert_eq!(error.message, "slow down");
    assert!(got.data().iter().all(|event| event["type"] != "message_stop"));
}

#[test]
fn case_051_what_is_no_json_is_a_fault() {
    let got = case().stream(streaming(), &format!("data: {}\n\ndata: {{\"choices\n\n", first()));
    assert!(matches!(got.end, Err(StreamFault::Json(_))), "{:?}", got.end);
}

#[test]
fn case_056_signs_of_life() {
    let text = format!(
        "data: {}\n\n: OPENROUTER PROCESSING\n\n{}",
        first(),
        openai_events(&[finishes("stop"), uses()])
    );
    let got = case().stream(streaming(), &text);
    assert!(
        got.events.iter().any(|(name, data)| name == "ping" && data["type"] == "ping"),
        "{:?}",
        got.events
    );
}

#[test]
fn case_057_usage_that_grows_is_not_summed() {
    let grows = |n: u64| {
        extended(
            adds(json!({"content": "a"})),
            json!({"usage": {"prompt_tokens": 25, "completion_tokens": n}}),
        )
    };
    let got =
        case().stream(streaming(), &openai_events(&[first(), grows(3), grows(6), finishes("stop"), uses()]));
    assert_eq!(got.end.clone().unwrap().usage.unwrap().output, 9);
    let ends = got.data().iter().filter(|event| event["type"] == "message_delta").count();
    assert_eq!(ends, 1);
}

#[test]
fn case_066_thinking() {
    let got = told(&[
        first(),
        adds(json!({"reasoning_content": "hm "})),
        adds(json!({"reasoning_content": "so"})),
        adds(json!({"content": "So."})),
        finishes("stop"),
        uses(),
    ]);
    let blocks = [
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, "thinking_delta", "thinking", "hm "),
        delta(0, "thinking_delta", "thinking", "so"),
        stop(0),
        text_block(1),
        text_delta(1, "So."),
        stop(1),
    ];
    assert_eq!(got, expected(&blocks, "end_turn"));
}

#[test]
fn case_064_signed_and_encrypted_thinking() {
    let signed = json!([{"type": "thinking", "thinking": "hm", "signature": "sig"}]);
    let got = told(&[
        first(),
        adds(json!({"reasoning_content": "hm"})),
        adds(json!({"thinking_blocks": signed})),
        adds(json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]})),
        adds(json!({"content": "So."})),
        finishes("stop"),
        uses(),
    ]);
    let blocks = [
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, "thinking_delta", "thinking", "hm"),
        delta(0, "signature_delta", "signature", "sig"),
        stop(0),
        block(1, json!({"type": "redacted_thinking", "data": "d"})),
        stop(1),
        text_block(2),
        text_delta(2, "So."),
        stop(2),
    ];
    assert_eq!(got, expected(&blocks, "end_turn"));
}

#[test]
fn case_104_refusals() {
    let got = told(&[
        first(),
        adds(json!({"refusal": "I "})),
        adds(json!({"refusal": "won't."})),
        finishes("stop"),
        uses(),
    ]);
    let blocks = [text_block(0), text_delta(0, "I "), text_delta(0, "won't."), stop(0)];
    assert_eq!(got, expected(&blocks, "refusal"));
}

#[test]
fn case_058_an_answer_that_we_shorten_ends_honestly() {
    let memory = case().memory(streaming());
    let mut stream = Stream::new(Dialect::OpenAi, Dialect::Anthropic, memory, 1 << 16);
    let mut out = Vec::new();
    for chunk in [first(), call(0, "c1", "f", "{\"a\":"), call(1, "c2", "g", "{")] {
        stream.feed(format!("data: {chunk}\n\n").as_bytes(), &mut out).unwrap();
    }
    stream.shorten(&Usage { input: 7, output: 3, ..Usage::default() }, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("event: content_block_start").count(), 2);
    assert_eq!(text.matches("event: content_block_stop").count(), 2);
    assert!(
        text.contains("\"stop_reason\":\"max_tokens\"") && text.contains("\"output_tokens\":3"),
        "{text}"
    );
    assert!(text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    assert_eq!((stream.done(), stream.finish()), (true, Some(FinishReason::Length)));
}

#[test]
fn what_is_held_back_is_bounded() {
    let memory = case().memory(streaming());
    let mut stream = Stream::new(Dialect::OpenAi, Dialect::Anthropic, memory, 1 << 20);
    let mut feed = |chunk: &Value| stream.feed(format!("data: {chunk}\n\n").as_bytes(), &mut Vec::new());
    feed(&first()).unwrap();
    feed(&call(0, "c1", "f", "{")).unwrap();
    feed(&call(1, "c2", "g", "{")).unwrap();
    let piece = more(1, &" ".repeat(100_000));
    let fault = (0..20).find_map(|_| feed(&piece).err());
    assert_eq!(fault, Some(StreamFault::HeldTooMuch { limit: 1 << 20 }));
}

#[test]
fn case_055_the_size_of_the_prompt_is_told_at_the_start() {
    let long = extended(streaming(), json!({"system": "word ".repeat(1000)}));
    let got = case().stream(long, &openai_events(&[first(), finishes("stop"), uses()]));
    let estimate = got.data()[0]["message"]["usage"]["input_tokens"].as_u64().unwrap();
    assert!((1000..2000).contains(&estimate), "{estimate}: about a token for four bytes");
    let told = &got.data()[1]["usage"];
    assert_eq!(
        (&told["input_tokens"], &told["cache_read_input_tokens"]),
        (&json!(20), &json!(5)),
        "then what it was"
    );
}
