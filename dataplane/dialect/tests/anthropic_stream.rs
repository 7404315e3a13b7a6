//! Anthropic's streams, cut into pieces in every way.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use serde_json::{Value, json};
use smartflow_dialect::anthropic::{
    Assembler, MESSAGE_STOP, StreamScan, StreamSettings, error_event, final_events, scan_reply,
};
use smartflow_dialect::openai::{AssembleFault, StreamEnd, StreamFault};
use smartflow_dialect::{FinishReason, Usage};

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn start() -> String {
    event(
        &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"service_tier": "standard", "input_tokens": 9, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0, "output_tokens": 1}}}),
    )
}

fn block(index: u64, block: &Value) -> String {
    event(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn delta(index: u64, delta: &Value) -> String {
    event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn stop(index: u64) -> String {
    event(&json!({"type": "content_block_stop", "index": index}))
}

fn text(index: u64, text: &str) -> String {
    delta(index, &json!({"type": "text_delta", "text": text}))
}

fn end(reason: &str) -> String {
    event(
        &json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"input_tokens": 0, "output_tokens": 40, "server_tool_use": {"web_search_requests": 1}}}),
    ) + &event(&json!({"type": "message_stop"}))
}

/// A stream with everything that is ordinary, and the bytes that its model produced.
fn ordinary() -> (String, u64) {
    let events = [
        start(),
        "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
        block(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "hm "})),
        delta(0, &json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
        ": keep-alive\n\n".to_owned(),
        block(1, &json!({"type": "text", "text": ""})),
        text(1, "Hé \"type\":\"error\"\n"),
        text(1, "there"),
        stop(1),
        block(2, &json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        "data: {\"type\":\"content_block_delta\",\ndata: \"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n".to_owned(),
        stop(2),
        end("tool_use"),
    ];
    (events.concat(), "hm sigHé \"type\":\"error\"\ntheretf{}{\"a\":1}".len() as u64)
}

struct Seen {
    out: String,
    scan: StreamScan,
    end: Result<StreamEnd, StreamFault>,
}

fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut scan = StreamScan::new(StreamSettings { max_event: 1000 });
    let mut out = Vec::new();
    let fed = pieces.into_iter().try_for_each(|piece| scan.feed(Bytes::copy_from_slice(piece), &mut out));
    let end = fed.and_then(|()| scan.end(&mut out));
    Seen { out: String::from_utf8_lossy(&out.concat()).into_owned(), scan, end }
}

fn check(seen: &Seen, expected: &str, content: u64, how: &str) {
    assert_eq!(seen.out, expected, "{how}");
    assert_eq!(seen.end, Ok(StreamEnd::Done), "{how}");
    let usage = Usage { input: 12, cached_input: 3, output: 40, web_searches: 1, ..Usage::default() };
    assert_eq!(seen.scan.usage(), Some(&usage), "{how}");
    assert_eq!(seen.scan.content_bytes(), content, "{how}");
    assert_eq!(seen.scan.finish(), Some(FinishReason::ToolCalls), "{how}");
    let head = seen.scan.head().unwrap();
    assert_eq!(
        (&*head.id, &*head.model, head.service_tier.as_deref()),
        ("msg_1", "claude-x", Some("standard"))
    );
    assert_eq!(seen.scan.open_blocks().count(), 0);
}

#[test]
fn every_split_gives_the_same() {
    let (text, content) = ordinary();
    for newline in ["\n", "\r\n", "\r"] {
        for start in ["", "\u{feff}"] {
            let text = format!("{start}{}", text.replace('\n', newline));
            for at in 0..=text.len() {
                let (a, b) = text.as_bytes().split_at(at);
                check(&run([a, b]), &text, content, &format!("{newline:?} at {at}"));
            }
            for size in [1, 2, 3, 7, 64, 300] {
                let how = format!("{newline:?} by {size}");
                check(&run(text.as_bytes().chunks(size)), &text, content, &how);
            }
        }
    }
}

#[test]
fn whole_chunks_are_handed_on_without_copying() {
    let text = Bytes::from(start() + &text(0, "a").repeat(3));
    let mut scan = StreamScan::new(StreamSettings::default());
    let mut out = Vec::new();
    scan.feed(text.clone(), &mut out).unwrap();
    assert_eq!((out.len(), out[0].as_ptr(), out[0].len()), (1, text.as_ptr(), text.len()));
}

#[test]
fn flipped_bytes_never_break_it() {
    let (text, _) = ordinary();
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        for value in [0, b'\n', b'\r', b'"', b'{', b'}', b'\\', b'n', 0x80, 0xff, bytes[at] ^ 1] {
            let mut flipped = bytes.to_vec();
            flipped[at] = value;
            let whole = run([&flipped[..]]);
            let pieces = run(flipped.chunks(5));
            assert_eq!(whole.out, pieces.out, "{value} at {at}");
            assert_eq!(whole.end, pieces.end, "{value} at {at}");
            assert_eq!(whole.scan.content_bytes(), pieces.scan.content_bytes(), "{value} at {at}");
        }
    }
}

#[test]
fn usage_is_cumulative_and_never_taken_back() {
    let usage = |events: &[String]| run([events.concat().as_bytes()]).scan.usage().copied();
    let report = |usage: Value| {
        event(&json!({"type": "message_delta", "delta": {"stop_reason": null}, "usage": usage}))
    };
    assert_eq!(usage(&[]), None);
    assert_eq!(usage(&[start()]).map(|u| (u.input, u.output)), Some((12, 1)));
    let twice = [start(), report(json!({"output_tokens": 7})), report(json!({"output_tokens": 20}))];
    assert_eq!(usage(&twice).map(|u| (u.input, u.output)), Some((12, 20)), "the newest counts, not the sum");
    let late =
        [report(json!({"input_tokens": 500, "output_tokens": 2, "cache_creation_input_tokens": null}))];
    assert_eq!(usage(&late).map(|u| (u.input, u.output)), Some((500, 2)));
    let grown = [start(), report(json!({"input_tokens": 500, "output_tokens": 2}))];
    assert_eq!(usage(&grown).map(|u| u.input), Some(503), "pages that were fetched meanwhile");
}

#[test]
fn ends() {
    let begun = start() + &block(0, &json!({"type": "text", "text": ""})) + &text(0, "a");
    let finished = event(
        &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
    );
    let end = |text: &str| {
        let seen = run([text.as_bytes()]);
        (seen.end.unwrap(), seen.out)
    };
    assert_eq!(end(&begun), (StreamEnd::Cut, begun.clone()));
    assert_eq!(end(""), (StreamEnd::Cut, String::new()));
    assert_eq!(end(&format!("{begun}{finished}")), (StreamEnd::Finished, format!("{begun}{finished}")));
    assert_eq!(end(finished.trim_end()), (StreamEnd::Finished, finished.clone()));
    let whole = begun.clone() + &finished + std::str::from_utf8(MESSAGE_STOP).unwrap();
    assert_eq!(end(whole.trim_end()), (StreamEnd::Done, whole.clone()));
    assert_eq!(end(&format!("{whole}{begun}")), (StreamEnd::Done, whole), "nothing after the end");
    let half = format!("{begun}{}", &finished[..finished.len() / 2]);
    assert_eq!(end(&half), (StreamEnd::Cut, begun.clone()), "half an event is not handed out");
    assert_eq!(run([begun.as_bytes()]).scan.open_blocks().collect::<Vec<_>>(), [0]);
}

#[test]
fn errors_in_the_stream_are_not_handed_out() {
    let begun = start() + &text(0, "a");
    for error in [
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
    ] {
        for size in [1, 4096] {
            let stream = format!("{begun}{error}{begun}");
            let seen = run(stream.as_bytes().chunks(size));
            assert_eq!(seen.out, begun);
            let Err(StreamFault::Upstream(error)) = seen.end else { panic!("{error}") };
            assert_eq!(
                (error.message.as_str(), error.kind.as_deref()),
                ("Overloaded", Some("overloaded_error"))
            );
        }
    }
}

#[test]
fn events_have_a_limit() {
    let (fits, long) = (text(0, &"a".repeat(500)), text(0, &"a".repeat(1000)));
    for size in [1, 100, 100_000] {
        let seen = run(format!("{fits}{long}").as_bytes().chunks(size));
        assert_eq!(seen.end, Err(StreamFault::EventTooLarge { limit: 1000 }), "{size}");
        assert_eq!(seen.out, fits);
    }
}

#[test]
fn what_we_write_is_read_as_a_stream() {
    let usage = Usage {
        input: 25,
        cached_input: 4,
        cache_write: 6,
        cache_write_hour: 5,
        output: 3,
        reasoning: 2,
        web_searches: 1,
        ..Usage::default()
    };
    let begun = start().replace("\"input_tokens\":9", "\"input_tokens\":0")
        + &block(0, &json!({"type": "text", "text": ""}));
    let stream = begun + std::str::from_utf8(&final_events([0], FinishReason::Length, &usage)).unwrap();
    let seen = run([stream.as_bytes()]);
    assert_eq!(seen.end, Ok(StreamEnd::Done));
    assert_eq!((seen.scan.usage(), seen.scan.finish()), (Some(&usage), Some(FinishReason::Length)));
    assert_eq!(seen.scan.open_blocks().count(), 0);

    let error = error_event(502, "cut \"off\"", None, Some("upstream_failed"));
    let Err(StreamFault::Upstream(read)) = run([&error[..]]).end else { panic!() };
    assert_eq!((read.message.as_str(), read.kind.as_deref()), ("cut \"off\"", Some("api_error")));
    assert_eq!(read.code.as_deref(), Some("upstream_failed"));
}

fn assemble(stream: &str) -> Value {
    let mut assembler = Assembler::new(1 << 20);
    assembler.feed(stream.as_bytes()).unwrap();
    serde_json::from_slice(&assembler.finish(None).unwrap()).unwrap()
}

#[test]
fn put_together() {
    let (stream, _) = ordinary();
    let got = assemble(&stream);
    assert_eq!(
        got,
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use", "stop_sequence": null,
            "content": [
                {"type": "thinking", "thinking": "hm ", "signature": "sig"},
                {"type": "text", "text": "Hé \"type\":\"error\"\nthere"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
            "usage": {"service_tier": "standard", "input_tokens": 0, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0, "output_tokens": 40, "server_tool_use": {"web_search_requests": 1}}})
    );
    let facts = scan_reply(got.to_string().as_bytes()).unwrap();
    assert_eq!((facts.finish, facts.choices), (Some(FinishReason::ToolCalls), 1));

    let cited = start()
        + &block(0, &json!({"type": "text", "text": "", "citations": []}))
        + &delta(0, &json!({"type": "citations_delta", "citation": {"type": "char_location"}}))
        + &text(0, "a")
        + &end("end_turn");
    let block = json!({"type": "text", "text": "a", "citations": [{"type": "char_location"}]});
    assert_eq!(assemble(&cited)["content"], json!([block]));
}

#[test]
fn stopped_by_us() {
    let mut assembler = Assembler::new(1 << 20);
    let begun = start()
        + &block(0, &json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}))
        + &delta(0, &json!({"type": "input_json_delta", "partial_json": "{\"a\":"}));
    assembler.feed(begun.as_bytes()).unwrap();
    assembler.stop(FinishReason::Length);
    let usage = Usage { input: 3, output: 1, ..Usage::default() };
    let body = assembler.finish(Some(&usage)).unwrap();
    let facts = scan_reply(&body).unwrap();
    assert_eq!((facts.finish, facts.usage), (Some(FinishReason::Length), Some(usage)));
    let message: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(message["content"][0]["input"], json!({}), "half an object is not made up into one");

    let mut whole = Assembler::new(1 << 20);
    whole.feed((begun + &end("max_tokens")).as_bytes()).unwrap();
    whole.stop(FinishReason::Stop);
    let facts = scan_reply(&whole.finish(Some(&usage)).unwrap()).unwrap();
    let finish = (facts.finish, facts.usage.map(|usage| usage.output));
    assert_eq!(finish, (Some(FinishReason::Length), Some(40)), "what the vendor said stands");
}

#[test]
fn limits_of_putting_together() {
    let long = start() + &text(0, &"a".repeat(2000));
    assert_eq!(Assembler::new(1000).feed(long.as_bytes()), Err(AssembleFault::TooLarge { limit: 1000 }));
    assert_eq!(Assembler::new(1000).finish(None).unwrap_err(), AssembleFault::Empty);
    let many = block(0, &json!({"type": "text", "text": ""})).repeat(5000);
    let fault = AssembleFault::TooManyChoices { limit: 4096 };
    assert_eq!(Assembler::new(1 << 20).feed(many.as_bytes()), Err(fault));
}

#[test]
fn debug_output_has_no_content() {
    let mut scan = StreamScan::new(StreamSettings::default());
    scan.feed(Bytes::from_static(b"data: canary"), &mut Vec::new()).unwrap();
    assert!(!format!("{scan:?}").contains("canary"));
    let mut assembler = Assembler::new(1000);
    assembler.feed((start() + &text(0, "canary")).as_bytes()).unwrap();
    assert!(!format!("{assembler:?}").contains("canary"));
}
