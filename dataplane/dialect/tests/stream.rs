//! Streams, cut into pieces in every way.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use smartflow_dialect::openai::{
    DONE, StreamEnd, StreamFault, StreamHead, StreamScan, StreamSettings, error_event, final_chunk,
    usage_chunk,
};
use smartflow_dialect::{FinishReason, Usage};

const HEAD: &str =
    r#""id":"c1","object":"chat.completion.chunk","created":17,"model":"m-1","system_fingerprint":"fp""#;

fn chunk(choices: &str, usage: &str) -> String {
    format!("data: {{{HEAD},\"choices\":[{choices}],\"usage\":{usage}}}\n\n")
}

fn delta(delta: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}"#), "null")
}

const USAGE: &str = r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":3}}"#;

/// A stream with everything that is ordinary, and the bytes that its model produced.
fn ordinary() -> (String, u64) {
    let events = [
        ": keep-alive\n\n".to_owned(),
        delta(r#"{"role":"assistant","content":"","refusal":null}"#),
        delta(r#"{"content":"Hé \"usage\": \n"}"#),
        ": OPENROUTER PROCESSING\n\n".to_owned(),
        delta(r#"{"reasoning_content":"hm"}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}"#),
        format!(
            "data: {{{HEAD},\ndata: \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"xy\"}}}}]}}\n\n"
        ),
        chunk(r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}"#, "null"),
        chunk("", USAGE),
        "data: [DONE]\n\n".to_owned(),
    ];
    let tool = r#"[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]"#.len();
    (events.concat(), ("Hé \"usage\": \n".len() + "hm".len() + tool + "xy".len()) as u64)
}

struct Seen {
    out: String,
    scan: StreamScan,
    end: Result<StreamEnd, StreamFault>,
}

fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, settings: StreamSettings) -> Seen {
    let mut scan = StreamScan::new(settings);
    let mut out = Vec::new();
    let fed = pieces.into_iter().try_for_each(|piece| scan.feed(Bytes::copy_from_slice(piece), &mut out));
    let end = fed.and_then(|()| scan.end(&mut out));
    Seen { out: String::from_utf8_lossy(&out.concat()).into_owned(), scan, end }
}

fn withheld() -> StreamSettings {
    StreamSettings { withhold_usage: true, ..StreamSettings::default() }
}

fn check(seen: &Seen, expected: &str, content: u64, how: &str) {
    assert_eq!(seen.out, expected, "{how}");
    assert_eq!(seen.end, Ok(StreamEnd::Done), "{how}");
    let usage = Usage { input: 9, cached_input: 3, output: 4, ..Usage::default() };
    assert_eq!(seen.scan.usage(), Some(&usage), "{how}");
    assert_eq!(seen.scan.content_bytes(), content, "{how}");
    assert_eq!(seen.scan.finish(), Some(FinishReason::ToolCalls), "{how}");
    let head = seen.scan.head().unwrap();
    assert_eq!((&*head.id, head.created, &*head.model), ("c1", 17, "m-1"));
    assert_eq!(head.system_fingerprint.as_deref(), Some("fp"));
}

#[test]
fn every_split_gives_the_same() {
    let (text, content) = ordinary();
    for newline in ["\n", "\r\n", "\r"] {
        for start in ["", "\u{feff}"] {
            let text =
                format!("{start}{}", text.replace('\n', newline).replace(&format!("\\{newline}"), "\\n"));
            let hidden = chunk("", USAGE).replace('\n', newline);
            let expected = text.replace(&hidden, "");
            assert!(expected.len() < text.len());
            for at in 0..=text.len() {
                let (a, b) = text.as_bytes().split_at(at);
                let how = format!("{newline:?} at {at}");
                check(&run([a, b], StreamSettings::default()), &text, content, &how);
                check(&run([a, b], withheld()), &expected, content, &how);
            }
            for size in [1, 2, 3, 7, 64, 300] {
                let how = format!("{newline:?} by {size}");
                check(&run(text.as_bytes().chunks(size), StreamSettings::default()), &text, content, &how);
                check(&run(text.as_bytes().chunks(size), withheld()), &expected, content, &how);
                // Every choice read whole, as with n > 1, counts the same.
                let settings = StreamSettings { choices: 2, ..withheld() };
                assert_eq!(
                    run(text.as_bytes().chunks(size), settings).scan.content_bytes(),
                    content,
                    "{how}"
                );
            }
        }
    }
}

#[test]
fn whole_chunks_are_handed_on_without_copying() {
    let text = Bytes::from(delta(r#"{"content":"a"}"#).repeat(3));
    let mut scan = StreamScan::new(StreamSettings::default());
    let mut out = Vec::new();
    scan.feed(text.clone(), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].as_ptr(), text.as_ptr());
    assert_eq!(out[0].len(), text.len());
}

#[test]
fn flipped_bytes_never_break_it() {
    let (text, _) = ordinary();
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        for value in [0, b'\n', b'\r', b'"', b'{', b'}', b'\\', b'n', 0x80, 0xff, bytes[at] ^ 1] {
            let mut flipped = bytes.to_vec();
            flipped[at] = value;
            let whole = run([&flipped[..]], StreamSettings::default());
            let pieces = run(flipped.chunks(5), StreamSettings::default());
            assert_eq!(whole.out, pieces.out, "{value} at {at}");
            assert_eq!(whole.end, pieces.end, "{value} at {at}");
            assert_eq!(whole.scan.content_bytes(), pieces.scan.content_bytes(), "{value} at {at}");
        }
    }
}

#[test]
fn usage_is_found_wherever_vendors_put_it() {
    let done = "data: [DONE]\n\n";
    let usage = |text: String| {
        run([text.as_bytes()], withheld()).scan.usage().map(|usage| (usage.input, usage.output))
    };
    let on_finish = chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, USAGE);
    assert_eq!(usage(on_finish.clone() + done), Some((9, 4)));
    assert_eq!(
        run([on_finish.as_bytes()], withheld()).out,
        on_finish,
        "a chunk with a choice is never kept back"
    );
    let growing =
        chunk(r#"{"index":0,"delta":{"content":"a"}}"#, r#"{"prompt_tokens":9,"completion_tokens":1}"#)
            + &chunk(
                r#"{"index":0,"delta":{"content":"a"}}"#,
                r#"{"prompt_tokens":9,"completion_tokens":2}"#,
            );
    assert_eq!(usage(growing), Some((9, 2)), "the newest counts, not the sum");
    let groq = format!(
        r#"data: {{{HEAD},"choices":[],"x_groq":{{"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}}}"#
    );
    assert_eq!(usage(groq + "\n\n"), Some((1, 2)));
    let hidden = chunk(
        "",
        r#"{"prompt_tokens":5,"completion_tokens":1,"total_tokens":16,"completion_tokens_details":{"reasoning_tokens":10}}"#,
    );
    assert_eq!(usage(hidden), Some((5, 11)), "hidden reasoning that is only in the total");
    assert_eq!(usage(delta(r#"{"content":"\"usage\":{\"prompt_tokens\":5}"}"#)), None, "not in a text");
    let filter = chunk("", "null");
    assert_eq!(run([filter.as_bytes()], withheld()).out, filter, "no choice and no usage (Azure) passes");
}

#[test]
fn ends() {
    let text = delta(r#"{"content":"a"}"#);
    let stop = chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, "null");
    let end = |text: &str| {
        let seen = run([text.as_bytes()], StreamSettings::default());
        (seen.end.unwrap(), seen.out)
    };
    assert_eq!(end(&text), (StreamEnd::Cut, text.clone()));
    assert_eq!(end(""), (StreamEnd::Cut, String::new()));
    assert_eq!(end(&format!("{text}{stop}")), (StreamEnd::Finished, format!("{text}{stop}")));
    assert_eq!(end(&format!("{stop}data: [DONE]")), (StreamEnd::Done, format!("{stop}data: [DONE]\n\n")));
    assert_eq!(end(stop.trim_end()), (StreamEnd::Finished, stop.clone()));
    assert_eq!(
        end(&format!("{text}{}", &stop[..stop.len() / 2])),
        (StreamEnd::Cut, text.clone()),
        "half an event is not handed out"
    );
    assert_eq!(
        end(&format!("{text}data: [DONE]\n\n{text}")).1,
        format!("{text}data: [DONE]\n\n"),
        "nothing after the end"
    );
    let two = StreamSettings { choices: 2, ..StreamSettings::default() };
    let seen = run([stop.as_bytes()], two);
    assert_eq!(seen.end, Ok(StreamEnd::Cut), "one of two answers ended");
    assert_eq!(seen.scan.unfinished().collect::<Vec<_>>(), [1]);
}

#[test]
fn errors_in_the_stream_are_not_handed_out() {
    let text = delta(r#"{"content":"a"}"#);
    for (event, message) in [
        (r#"data: {"error":{"message":"slow down","type":"rate_limit","code":429}}"#.to_owned(), "slow down"),
        (r#"data: {"error":"broken"}"#.to_owned(), "broken"),
        ("event: error\ndata: {\"message\":\"overloaded\"}".to_owned(), "overloaded"),
        (
            format!(
                r#"data: {{{HEAD},"choices":[{{"index":0,"delta":{{"content":""}},"finish_reason":"error"}}],"error":{{"message":"gone","code":502}}}}"#
            ),
            "gone",
        ),
    ] {
        for size in [1, 4096] {
            let stream = format!("{text}{event}\n\n{text}");
            let seen = run(stream.as_bytes().chunks(size), StreamSettings::default());
            assert_eq!(seen.out, text);
            let Err(StreamFault::Upstream(error)) = seen.end else { panic!("{event}") };
            assert_eq!(error.message, message);
        }
    }
    let null = text.replace("\"choices\"", "\"error\":null,\"choices\"");
    assert_eq!(run([null.as_bytes()], StreamSettings::default()).end, Ok(StreamEnd::Cut));
}

#[test]
fn events_have_a_limit() {
    let settings = StreamSettings { max_event: 1000, ..StreamSettings::default() };
    let fits = delta(&format!(r#"{{"content":"{}"}}"#, "a".repeat(500)));
    let long = delta(&format!(r#"{{"content":"{}"}}"#, "a".repeat(1000)));
    for size in [1, 100, 100_000] {
        let stream = format!("{fits}{long}");
        let seen = run(stream.as_bytes().chunks(size), settings);
        assert_eq!(seen.end, Err(StreamFault::EventTooLarge { limit: 1000 }), "{size}");
        assert_eq!(seen.out, fits);
        let endless = vec![b'a'; 5000];
        assert_eq!(run(endless.chunks(size), settings).end, Err(StreamFault::EventTooLarge { limit: 1000 }));
    }
}

#[test]
fn data_that_is_no_json_is_a_fault_and_is_counted() {
    for size in [1, 7, 100] {
        let stream = b"data: {\"choices\":[]}\n\ndata: ping\n\ndata: [DONE]\n\n";
        let seen = run(stream.chunks(size), StreamSettings::default());
        assert_eq!(seen.end, Err(StreamFault::NotJson), "{size}");
        assert_eq!((seen.out.as_str(), seen.scan.content_bytes()), ("data: {\"choices\":[]}\n\n", 4));
    }
    let empty = run([&b"data:\n\ndata: [DONE]\n\n"[..]], StreamSettings::default());
    assert_eq!((empty.out.as_str(), empty.end), ("data:\n\ndata: [DONE]\n\n", Ok(StreamEnd::Done)));
}

#[test]
fn what_we_write_is_read_as_a_stream() {
    let head = StreamHead {
        id: "c\"1".into(),
        created: 17,
        model: "m".into(),
        system_fingerprint: Some("fp".into()),
        service_tier: Some("default".into()),
    };
    let usage = Usage { input: 5, cached_input: 1, output: 3, reasoning: 2, ..Usage::default() };
    let stream =
        [&final_chunk(&head, [0, 1], FinishReason::Length)[..], &usage_chunk(&head, &usage), DONE].concat();
    let seen = run([&stream[..]], StreamSettings { choices: 2, ..StreamSettings::default() });
    assert_eq!(seen.end, Ok(StreamEnd::Done));
    assert_eq!(seen.scan.head(), Some(&head));
    assert_eq!(seen.scan.usage(), Some(&usage));
    assert_eq!(seen.scan.finish(), Some(FinishReason::Length));
    assert!(seen.scan.all_finished());

    let error = error_event("cut \"off\"", "upstream_error", None, Some("upstream_failed"));
    let Err(StreamFault::Upstream(read)) = run([&error[..]], StreamSettings::default()).end else { panic!() };
    assert_eq!((read.message.as_str(), read.kind.as_deref()), ("cut \"off\"", Some("upstream_error")));
}

#[test]
fn debug_output_has_no_content() {
    let mut scan = StreamScan::new(StreamSettings::default());
    scan.feed(Bytes::from_static(b"data: canary"), &mut Vec::new()).unwrap();
    assert!(!format!("{scan:?}").contains("canary"));
}
