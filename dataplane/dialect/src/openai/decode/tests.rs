//! What vendors that are nearly compatible write, and what must not be believed.

use super::{DeltaReader, decode_reply};
use crate::chat::{Delta, Part, StopReason, ToolUse};
use crate::sse::event;
use crate::translate::StreamFault;
use serde_json::{Value, json};

/// The deltas of a stream of these chunks.
fn read(chunks: &[Value]) -> Result<Vec<Delta<'static>>, StreamFault> {
    let mut reader = DeltaReader::new();
    let mut deltas = Vec::new();
    for chunk in chunks {
        let text = format!("data: {chunk}\n\n");
        reader.event(&event(text.as_bytes()), &mut |delta| {
            deltas.push(delta.into_owned());
            Ok(())
        })?;
    }
    Ok(deltas)
}

fn chunk(delta: Value, reason: Option<&str>) -> Value {
    json!({"id": "chatcmpl-1", "created": 5, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
}

fn call(delta: Value) -> Value {
    chunk(json!({"tool_calls": [delta]}), None)
}

fn start() -> Delta<'static> {
    Delta::Start { id: "chatcmpl-1".into(), model: "m".into(), created: Some(5) }
}

fn begins(index: u32, id: &'static str, name: &'static str) -> Delta<'static> {
    Delta::ToolStart { index, id: id.into(), name: name.into() }
}

fn more(index: u32, fragment: &'static str) -> Delta<'static> {
    Delta::ToolArguments { index, fragment: fragment.into() }
}

fn finish(reason: StopReason) -> Delta<'static> {
    Delta::Finish(reason.into())
}

#[test]
fn calls_that_interleave_keep_their_index() {
    let got = read(&[
        call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})),
        call(json!({"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{"}})),
        call(json!({"index": 0, "function": {"arguments": "{\"x\":1"}})),
        call(json!({"index": 1, "function": {"arguments": "}"}})),
        call(json!({"index": 0, "function": {"arguments": "}"}})),
        chunk(json!({}), Some("tool_calls")),
    ]);
    let expected = vec![
        start(),
        begins(0, "a", "f"),
        begins(1, "b", "g"),
        more(1, "{"),
        more(0, "{\"x\":1"),
        more(1, "}"),
        more(0, "}"),
        finish(StopReason::ToolUse),
    ];
    assert_eq!(got, Ok(expected));
}

#[test]
fn calls_without_index_or_id_are_told_apart() {
    let whole = |id: &str| json!({"id": id, "function": {"name": "f", "arguments": "{}"}});
    let got = read(&[call(whole("a")), call(whole("b")), chunk(json!({}), Some("stop"))]);
    let expected = vec![
        start(),
        begins(0, "a", "f"),
        more(0, "{}"),
        begins(1, "b", "f"),
        more(1, "{}"),
        // Some vendors say `stop` when they call tools.
        finish(StopReason::ToolUse),
    ];
    assert_eq!(got, Ok(expected));
    let got = read(&[call(json!({"index": 0, "function": {"name": "f", "arguments": "{}"}}))]).unwrap();
    assert_eq!(got[1], begins(0, "call_chatcmpl1_0", "f"));
}

#[test]
fn a_name_that_comes_late_or_never() {
    let got = read(&[
        call(json!({"index": 0, "id": "a", "function": {"arguments": "{\"x\""}})),
        call(json!({"index": 0, "function": {"name": "f", "arguments": ":1}"}})),
    ]);
    assert_eq!(got, Ok(vec![start(), begins(0, "a", "f"), more(0, "{\"x\":1}")]));
    let got = read(&[
        call(json!({"index": 0, "id": "a", "function": {"arguments": "{}"}})),
        chunk(json!({}), Some("tool_calls")),
    ]);
    assert!(matches!(got, Err(StreamFault::Shape { .. })), "{got:?}");
    let got = read(&[call(json!({"index": 1, "function": {"arguments": "{}"}}))]);
    assert!(matches!(got, Err(StreamFault::Shape { .. })), "{got:?}");
}

const WRAPPED: &str = r#"{"tool_uses":[{"recipient_name":"functions.f","parameters":{"x":1}},{"recipient_name":"functions.g","parameters":{}}]}"#;

#[test]
fn case_031_wrapped_calls_are_told_one_by_one() {
    let (one, two) = WRAPPED.split_at(40);
    let wrapper =
        json!({"index": 0, "id": "a", "function": {"name": "multi_tool_use.parallel", "arguments": one}});
    let got = read(&[
        call(wrapper),
        call(json!({"index": 0, "function": {"arguments": two}})),
        chunk(json!({}), Some("tool_calls")),
    ]);
    let expected = vec![
        start(),
        begins(0, "a_0", "f"),
        more(0, "{\"x\":1}"),
        begins(1, "a_1", "g"),
        more(1, "{}"),
        finish(StopReason::ToolUse),
    ];
    assert_eq!(got, Ok(expected));
    let reply = |arguments: &str| {
        let call = json!({"id": "a", "type": "function", "function": {"name": "multi_tool_use.parallel", "arguments": arguments}});
        json!({"id": "r", "model": "m", "choices": [{"message": {"content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}]}).to_string()
    };
    let body = reply(WRAPPED);
    let names = |parts: &[Part<'_>]| -> Vec<String> {
        let name = |part: &Part<'_>| match part {
            Part::ToolUse(ToolUse { id, name, .. }) => format!("{id} {name}"),
            other => format!("{other:?}"),
        };
        parts.iter().map(name).collect()
    };
    assert_eq!(names(&decode_reply(body.as_bytes()).unwrap().choices[0].parts), ["a_0 f", "a_1 g"]);
    // What is not as expected stays what it is.
    let body = reply(r#"{"tool_uses":[{"recipient_name":"functions.f"}]}"#);
    let parts = &decode_reply(body.as_bytes()).unwrap().choices[0].parts;
    assert_eq!(names(parts), ["a multi_tool_use.parallel"]);
}

#[test]
fn case_047_chunks_without_choices() {
    let got = read(&[
        json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []}),
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"content": "hi"}), Some("stop")),
        json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}),
    ])
    .unwrap();
    assert_eq!(got[..3], [start(), Delta::Text("hi".into()), finish(StopReason::EndTurn)]);
    assert!(matches!(got[3..], [Delta::Usage(usage)] if (usage.input, usage.output) == (3, 1)));
}

#[test]
fn case_053_all_in_one_chunk_comes_in_order() {
    let delta = json!({
        "tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}],
        "content": "hi", "reasoning": "hm",
    });
    let mut all = chunk(delta, Some("tool_calls"));
    all["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 1});
    let got = read(&[all]).unwrap();
    assert_eq!(
        got[..6],
        [
            start(),
            Delta::Thinking("hm".into()),
            Delta::Text("hi".into()),
            begins(0, "a", "f"),
            more(0, "{}"),
            finish(StopReason::ToolUse),
        ]
    );
    assert!(matches!(got[6..], [Delta::Usage(_)]));
}

#[test]
fn what_comes_after_the_end_of_the_answer_is_not_told() {
    let got = read(&[
        chunk(json!({"content": "hi"}), Some("stop")),
        chunk(json!({"content": "more"}), Some("length")),
    ]);
    assert_eq!(got, Ok(vec![start(), Delta::Text("hi".into()), finish(StopReason::EndTurn)]));
}

#[test]
fn case_093_an_answer_more_than_was_asked_for_is_a_fault() {
    let mut second = chunk(json!({"content": "hi"}), None);
    second["choices"][0]["index"] = json!(1);
    assert!(matches!(read(&[second]), Err(StreamFault::Shape { .. })));
}

#[test]
fn errors_in_every_disguise() {
    for error in [
        json!({"error": {"message": "slow down", "code": 429}}),
        json!({"error": "slow down"}),
        json!({"x_groq": {"error": {"message": "slow down"}}}),
        json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}], "message": "slow down"}),
    ] {
        let got = read(&[chunk(json!({"content": "hi"}), None), error.clone()]).unwrap();
        assert!(matches!(&got[2..], [Delta::Error(told)] if told.message == "slow down"), "{error} {got:?}");
    }
    let mut reader = DeltaReader::new();
    let mut told = Vec::new();
    let event = event(b"event: error\ndata: overloaded\n\n");
    reader
        .event(&event, &mut |delta| {
            told.push(delta.into_owned());
            Ok(())
        })
        .unwrap();
    assert!(matches!(&told[..], [Delta::Error(error)] if error.message == "overloaded"));
}

#[test]
fn case_056_comments_are_signs_of_life_and_names_without_data_are_not() {
    let of = |text: &[u8]| {
        let mut told = Vec::new();
        let read = DeltaReader::new().event(&event(text), &mut |delta| {
            told.push(delta.into_owned());
            Ok(())
        });
        read.map(|()| told)
    };
    assert_eq!(of(b": OPENROUTER PROCESSING\n\n"), Ok(vec![Delta::Ping]));
    assert!(matches!(of(b"event: message\x0bdata: {}\n\n"), Err(StreamFault::Shape { .. })));
}

#[test]
fn too_many_calls_are_a_fault() {
    let many: Vec<_> = (0..1025)
        .map(|index| call(json!({"index": index, "id": format!("c{index}"), "function": {"name": "f"}})))
        .collect();
    assert!(read(&many[..1024]).is_ok());
    assert!(matches!(read(&many), Err(StreamFault::Shape { .. })));
    let endless = call(json!({"index": 0, "id": "a", "function": {"arguments": "x".repeat(400_000)}}));
    let held = vec![endless; 3];
    assert!(matches!(read(&held), Err(StreamFault::HeldTooMuch { .. })));
}
