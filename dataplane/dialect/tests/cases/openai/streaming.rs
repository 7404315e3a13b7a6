//! Streams. The harness feeds each in every possible split.

use super::{case, function, hi};
use crate::harness::{NOW, anthropic_events};
use serde_json::{Value, json};
use smartflow_dialect::translate::{ErrorWords, StreamFault, error_event};
use smartflow_dialect::{Dialect, FinishReason, Usage};

fn start() -> Value {
    json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1},
    }})
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text_delta(index: u64, text: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn json_delta(index: u64, part: &str) -> Value {
    delta(index, json!({"type": "input_json_delta", "partial_json": part}))
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end(reason: &str, output: u64) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": output}}),
        json!({"type": "message_stop"}),
    ]
}

fn vendor(events: &[Value], reason: &str) -> String {
    let mut all = vec![start()];
    all.extend_from_slice(events);
    all.extend(end(reason, 15));
    anthropic_events(&all)
}

fn hello() -> Vec<Value> {
    vec![
        block(0, json!({"type": "text", "text": ""})),
        text_delta(0, "Hé\nllo"),
        text_delta(0, " 😀"),
        stop(0),
    ]
}

fn chunk(choices: Value) -> Value {
    json!({"id": "msg_1", "object": "chat.completion.chunk", "created": NOW, "model": "claude", "choices": choices})
}

fn says(delta: Value) -> Value {
    chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]))
}

fn finishes(reason: &str) -> Value {
    chunk(json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]))
}

fn streaming(fields: Value) -> Value {
    let mut body = hi(json!({"stream": true}));
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn case_040_041_045_role_first_one_head_one_reason() {
    let got = case().stream(streaming(json!({})), &vendor(&hello(), "end_turn"));
    let expected = [
        says(json!({"role": "assistant", "content": ""})),
        says(json!({"content": "Hé\nllo"})),
        says(json!({"content": " 😀"})),
        finishes("stop"),
        json!("[DONE]"),
    ];
    assert_eq!(got.data(), expected);
    let end = got.end.clone().unwrap();
    assert_eq!((end.complete, end.finish), (true, Some(FinishReason::Stop)));
    assert_eq!(end.usage, Some(Usage { input: 25, output: 15, ..Usage::default() }));
    assert_eq!(got.content_bytes, "Hé\nllo 😀".len() as u64);
}

#[test]
fn case_042_043_calls_of_tools_as_they_come() {
    let events = [
        block(0, json!({"type": "text", "text": ""})),
        text_delta(0, "Let me see."),
        stop(0),
        block(1, json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
        json_delta(1, ""),
        json_delta(1, "{\"x\":"),
        json_delta(1, " 1}"),
        stop(1),
        block(2, json!({"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}})),
        json_delta(2, "{\"x\": 2}"),
        stop(2),
    ];
    let body = streaming(json!({"tools": [function("f"), function("g")]}));
    let got = case().stream(body, &vendor(&events, "tool_use"));
    let call = |index: u64, id: &str, name: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]});
    let more =
        |index: u64, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    assert_eq!(
        got.deltas(),
        [
            json!({"role": "assistant", "content": ""}),
            json!({"content": "Let me see."}),
            call(0, "toolu_1", "f"),
            more(0, "{\"x\":"),
            more(0, " 1}"),
            call(1, "toolu_2", "g"),
            more(1, "{\"x\": 2}"),
        ]
    );
    assert_eq!(got.data()[7..], [finishes("tool_calls"), json!("[DONE]")]);
    assert_eq!(got.end.clone().unwrap().finish, Some(FinishReason::ToolCalls));
}

#[test]
fn case_043_nothing_waits_for_the_end() {
    use smartflow_dialect::translate::Stream;
    let body = streaming(json!({"tools": [function("f")]}));
    let memory = case().memory(body);
    let mut stream = Stream::new(Dialect::Anthropic, Dialect::OpenAi, memory, 1 << 16);
    let events = [
        start(),
        block(0, json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
        json_delta(0, "{\"x\":"),
    ];
    for event in events {
        let mut out = Vec::new();
        stream.feed(anthropic_events(&[event]).as_bytes(), &mut out).unwrap();
        assert!(out.ends_with(b"\n\n"), "each event is told at once");
    }
    assert!(!stream.done() && !stream.finished() && stream.started());
}

#[test]
fn case_028_a_streamed_call_without_arguments_has_an_empty_object() {
    let events = [
        block(0, json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
        json_delta(0, ""),
        stop(0),
    ];
    let body = streaming(json!({"tools": [function("f")]}));
    let got = case().stream(body, &vendor(&events, "tool_use"));
    assert_eq!(
        got.deltas().last().unwrap(),
        &json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    );
}

#[test]
fn case_044_usage_comes_last_and_only_when_asked_for() {
    let asked = streaming(json!({"stream_options": {"include_usage": true}}));
    let got = case().stream(asked, &vendor(&hello(), "end_turn"));
    let data = got.data();
    let [chunks @ .., usage, done] = data.as_slice() else { panic!("{data:?}") };
    assert_eq!(done, "[DONE]");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"],
        json!({
            "prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        })
    );
    assert!(chunks.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "{data:?}");
    let got = case().stream(streaming(json!({})), &vendor(&hello(), "end_turn"));
    assert!(got.data().iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(got.end.clone().unwrap().usage.unwrap().output, 15);
}

#[test]
fn case_044_the_provider_is_asked_for_a_stream_in_its_way() {
    let sent = case().request(streaming(json!({"stream_options": {"include_usage": true}})));
    assert_eq!((sent.get("stream"), sent.get("stream_options")), (Some(&json!(true)), None));
}

#[test]
fn case_046_a_stream_that_breaks_off_is_no_success() {
    let whole = vendor(&hello(), "end_turn");
    let delta_at = whole.find("event: message_delta").unwrap();
    let got = case().stream(streaming(json!({})), &whole[..delta_at]);
    assert!(!got.data().iter().any(|data| data == "[DONE]"));
    let end = got.end.clone().unwrap();
    assert!(!end.complete && end.finish.is_none());
    // The reason was told, only the close is missing: that is whole.
    let stop_at = whole.find("event: message_stop").unwrap();
    let got = case().stream(streaming(json!({})), &whole[..stop_at]);
    assert_eq!(got.data().last().unwrap(), "[DONE]");
    assert!(got.end.clone().unwrap().complete);
}

#[test]
fn case_048_an_error_in_the_stream_is_told_as_one() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let mut events = vec![start()];
    events.extend(hello());
    events.push(error.clone());
    events.extend(end("end_turn", 15));
    let got = case().stream(streaming(json!({})), &anthropic_events(&events));
    let Err(StreamFault::Upstream(fault)) = &got.end else { panic!("{got:?}") };
    assert_eq!((fault.kind.as_deref(), fault.message.as_str()), (Some("overloaded_error"), "Overloaded"));
    assert_eq!(got.deltas().len(), 3, "what came before is told, what comes after is not");
    assert!(!got.data().iter().any(|data| data == "[DONE]"));
    let words = ErrorWords {
        status: 503,
        kind: "server_error",
        message: "Overloaded",
        param: None,
        code: Some("overloaded"),
    };
    let told = String::from_utf8(error_event(Dialect::OpenAi, &words).to_vec()).unwrap();
    let told: Value = serde_json::from_str(told.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        told,
        json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "overloaded"}})
    );
    // On the first event nothing was told yet, so a status can still be.
    let got = case().stream(streaming(json!({})), &anthropic_events(&[error]));
    assert_eq!(got.events, []);
    assert!(matches!(got.end, Err(StreamFault::Upstream(_))));
}

#[test]
fn case_049_what_is_no_event_of_a_stream_is_a_fault() {
    for nonsense in ["data: {\"type\":\n\n", "data: [1]\n\n", "event: content_block_delta\ndata: oops\n\n"] {
        let text = anthropic_events(&[start()]) + nonsense + &anthropic_events(&end("end_turn", 1));
        let got = case().stream(streaming(json!({})), &text);
        assert!(matches!(got.end, Err(StreamFault::Json(_) | StreamFault::Shape { .. })), "{got:?}");
        assert!(!got.data().iter().any(|data| data == "[DONE]"));
    }
}

#[test]
fn case_051_comments_and_lines_of_data_in_pieces() {
    let plain = vendor(&hello(), "end_turn");
    let expected = case().stream(streaming(json!({})), &plain);
    let split = plain
        .replace("data: {\"type\"", ": a comment\ndata: {\ndata: \"type\"")
        .replace("{\"content_block\"", "{\ndata: \"content_block\"");
    assert_ne!(split, plain);
    assert_eq!(case().stream(streaming(json!({})), &split).deltas(), expected.deltas());
}

#[test]
fn case_054_nothing_follows_the_end() {
    let mut text = vendor(&hello(), "end_turn");
    text += &anthropic_events(&[text_delta(0, "more")]);
    let got = case().stream(streaming(json!({})), &text);
    assert_eq!(got, case().stream(streaming(json!({})), &vendor(&hello(), "end_turn")));
}

#[test]
fn case_056_pings_are_comments() {
    let mut events = vec![json!({"type": "ping"})];
    events.extend(hello());
    events.insert(2, json!({"type": "ping"}));
    let got = case().stream(streaming(json!({})), &vendor(&events, "end_turn"));
    assert_eq!(got.data().iter().filter(|data| *data == ": ping").count(), 2);
    assert_eq!(got.deltas().len(), 3);
}

#[test]
fn case_057_cumulative_counts_are_not_summed() {
    let usage = |output: u64, stop: Value| json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"input_tokens": 25, "output_tokens": output}});
    let mut events = vec![start()];
    events.extend(hello());
    events.push(usage(4, Value::Null));
    events.push(usage(9, json!("end_turn")));
    events.push(json!({"type": "message_stop"}));
    let got = case().stream(streaming(json!({})), &anthropic_events(&events));
    assert_eq!(got.end.clone().unwrap().usage, Some(Usage { input: 25, output: 9, ..Usage::default() }));
    assert_eq!(got.data().iter().filter(|data| data["choices"][0]["finish_reason"] == "stop").count(), 1);
}

#[test]
fn case_061_the_form_of_an_answer_comes_as_text() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let body = streaming(json!({"response_format": format}));
    let case = super::with(|facts| facts.structured_output = false);
    let sent = case.request(body.clone());
    let name = sent["tools"][0]["name"].as_str().unwrap();
    let events = [
        block(0, json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": {}})),
        json_delta(0, "{\"x\":"),
        json_delta(0, "1}"),
        stop(0),
    ];
    let got = case.stream(body, &vendor(&events, "tool_use"));
    assert_eq!(
        got.deltas(),
        [
            json!({"role": "assistant", "content": ""}),
            json!({"content": "{\"x\":"}),
            json!({"content": "1}"})
        ]
    );
    assert_eq!(got.end.clone().unwrap().finish, Some(FinishReason::Stop));
}

#[test]
fn a_stream_that_we_shorten_ends_honestly() {
    use smartflow_dialect::translate::Stream;
    let memory = case().memory(streaming(json!({"stream_options": {"include_usage": true}})));
    let mut stream = Stream::new(Dialect::Anthropic, Dialect::OpenAi, memory, 1 << 16);
    let mut events = vec![start()];
    events.extend(hello());
    let mut out = Vec::new();
    stream.feed(anthropic_events(&events).as_bytes(), &mut out).unwrap();
    out.clear();
    stream.shorten(&Usage { input: 25, output: 3, ..Usage::default() }, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("\"finish_reason\":\"length\"") && text.contains("\"completion_tokens\":3"),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"));
    assert!(stream.done()); // Once, and not before it began.
    let mut again = Vec::new();
    stream.shorten(&Usage::default(), &mut again);
    let memory = case().memory(streaming(json!({})));
    let mut early = Stream::new(Dialect::Anthropic, Dialect::OpenAi, memory, 1 << 16);
    early.shorten(&Usage::default(), &mut again);
    assert!(again.is_empty() && !early.done());
}
