//! How long the hot functions take on this machine: `cargo run --release -p smartflow-dialect --example speed`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use bytes::Bytes;
use smartflow_dialect::anthropic::{self, MessagesRequest};
use smartflow_dialect::openai::{
    CapName, ChatRequest, Edits, OutputCap, ScanLimits, StreamScan, StreamSettings, scan_reply,
};
use std::hint::black_box;
use std::time::Instant;

/// Best of 15 rounds of `rounds` calls, in nanoseconds a call.
fn time(name: &str, rounds: u32, mut call: impl FnMut()) {
    let best = (0..15).map(|_| {
        let start = Instant::now();
        (0..rounds).for_each(|_| call());
        start.elapsed().as_nanos() as f64 / f64::from(rounds)
    });
    println!("{name:<44} {:>10.1} ns", best.fold(f64::MAX, f64::min));
}

fn body(content: &str) -> String {
    let content = serde_json::to_string(content).unwrap();
    format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":{content}}}],"temperature":0.7,"max_tokens":100,"user":"u1"}}"#
    )
}

fn requests() {
    let limits = ScanLimits::default();
    let prose = "The quick brown fox jumps over the lazy dog. ";
    let code = "    if \"a\" == b {\n        return c;\n    }\n";
    let chinese = "天地玄黄宇宙洪荒";
    let small = body("Say hello to the world in one short sentence, please.");
    let turns: Vec<_> = (0..300)
        .map(|i| format!(r#"{{"role":"user","content":"{prose}{i} {prose}{prose}{prose}"}}"#))
        .collect();
    for (name, text) in [
        ("scan 200 B", small.clone()),
        ("scan 64 KB, one text", body(&prose.repeat(64 * 1024 / prose.len()))),
        ("scan 64 KB, code (many escapes)", body(&code.repeat(64 * 1024 / 48))),
        ("scan 64 KB, Chinese", body(&chinese.repeat(64 * 1024 / chinese.len()))),
        ("scan 64 KB, 300 messages", format!(r#"{{"model":"m","messages":[{}]}}"#, turns.join(","))),
    ] {
        time(&format!("{name} ({} B)", text.len()), 500, || {
            black_box(ChatRequest::scan(black_box(text.as_bytes()), &limits).unwrap());
        });
    }
    for (name, text) in [("200 B", small), ("64 KB", body(&prose.repeat(64 * 1024 / prose.len())))] {
        let text = Bytes::from(text);
        let scan = ChatRequest::scan(&text, &limits).unwrap();
        let cap = OutputCap { name: CapName::MaxTokens, tokens: 50 };
        let edits = Edits {
            model: Some("other"),
            output_cap: Some(cap),
            stream: true,
            include_usage: true,
            ..Edits::default()
        };
        time(&format!("splice {name}, four edits"), 500, || {
            black_box(scan.splice(&text, &edits));
        });
    }
}

fn answers() {
    let reply = |text: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_x"}}"#
        )
    };
    for (name, text) in [("600 B", reply("Hello.")), ("64 KB", reply(&"word ".repeat(13_000)))] {
        time(&format!("reply {name}"), 500, || {
            black_box(scan_reply(black_box(text.as_bytes())).unwrap());
        });
    }
    let vectors = format!(
        r#"{{"data":[{{"embedding":[{}]}}],"usage":{{"prompt_tokens":1}}}}"#,
        vec!["-0.0123456789"; 1536].join(",")
    );
    time("reply, embedding of 1,536 floats", 500, || {
        black_box(scan_reply(black_box(vectors.as_bytes())).unwrap());
    });
}

fn events() {
    let event = r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
    let event = format!("{event}\n\n");
    let one = Bytes::from(event.clone());
    let many = Bytes::from(event.repeat(50));
    let mut out = Vec::with_capacity(8);
    for (name, chunk, events, choices) in [
        ("an event a read", &one, 1, 1),
        ("50 events a read, per event", &many, 50, 1),
        ("n = 2, per event", &many, 50, 2),
    ] {
        let mut scan = StreamScan::new(StreamSettings { choices, ..StreamSettings::default() });
        let start = |scan: &mut StreamScan, out: &mut Vec<Bytes>| {
            scan.feed(chunk.clone(), out).unwrap();
            out.clear();
        };
        let best = (0..15).map(|_| {
            let begin = Instant::now();
            (0..2_000).for_each(|_| start(&mut scan, &mut out));
            begin.elapsed().as_nanos() as f64 / 2_000.0 / f64::from(events)
        });
        println!(
            "{:<44} {:>10.1} ns",
            format!("stream {name} ({} B)", one.len()),
            best.fold(f64::MAX, f64::min)
        );
    }
}

/// The same for Anthropic's format.
fn messages() {
    let limits = ScanLimits::default();
    let prose = "The quick brown fox jumps over the lazy dog. ";
    let body = |text: &str| {
        format!(
            r#"{{"model":"claude-haiku","system":"Be brief.","messages":[{{"role":"user","content":"{text}"}}],"temperature":0.7,"max_tokens":100,"metadata":{{"user_id":"u1"}}}}"#
        )
    };
    for (name, text) in [("200 B", body(prose)), ("64 KB", body(&prose.repeat(64 * 1024 / prose.len())))] {
        time(&format!("Anthropic: scan {name} ({} B)", text.len()), 500, || {
            black_box(MessagesRequest::scan(black_box(text.as_bytes()), &limits).unwrap());
        });
    }
    let event = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" hello\"}}\n\n";
    for events in [1, 50] {
        let chunk = Bytes::from(event.repeat(events));
        let mut scan = anthropic::StreamScan::new(anthropic::StreamSettings::default());
        let mut out = Vec::with_capacity(8);
        time(&format!("Anthropic: stream, {events} events a read ({} B each)", event.len()), 2000, || {
            scan.feed(chunk.clone(), &mut out).unwrap();
            out.clear();
        });
    }
}

fn main() {
    requests();
    answers();
    events();
    messages();
}
