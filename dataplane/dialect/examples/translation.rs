//! How long translation takes on this machine: `cargo run --release -p smartflow-dialect --example translation`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use smartflow_dialect::Dialect;
use smartflow_dialect::translate::{Memory, Stream, TargetFacts, reply, request};
use std::hint::black_box;
use std::time::Instant;

/// Best of 15 rounds of `rounds` calls, in nanoseconds a call.
fn time(name: &str, rounds: u32, mut call: impl FnMut()) {
    let best = (0..15).map(|_| {
        let start = Instant::now();
        (0..rounds).for_each(|_| call());
        start.elapsed().as_nanos() as f64 / f64::from(rounds)
    });
    println!("{name:<52} {:>10.1} ns", best.fold(f64::MAX, f64::min));
}

const OPENAI: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Say hello to the world in one short sentence, please."}],"temperature":0.7,"max_tokens":100,"user":"u1"}"#;
const ANTHROPIC: &str = r#"{"model":"claude-haiku","system":"Be brief.","messages":[{"role":"user","content":"Say hello to the world in one short sentence, please."}],"temperature":0.7,"max_tokens":100,"metadata":{"user_id":"u1"}}"#;
const CHUNK: &str = "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hello\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" hello\"}}\n\n";
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Hello, world.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_x"}"#;
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hello, world."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":19,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":10,"service_tier":"standard"}}"#;

fn memory(from: Dialect, to: Dialect, body: &str) -> Memory {
    request(from, to, body.as_bytes(), &TargetFacts::new("m")).unwrap().memory
}

fn main() {
    let facts = TargetFacts { max_output: Some(8192), ..TargetFacts::new("upstream-model") };
    for (name, from, to, body, vendors, start, event) in [
        ("OpenAI in, Anthropic out", Dialect::OpenAi, Dialect::Anthropic, OPENAI, MESSAGE, START, DELTA),
        ("Anthropic in, OpenAI out", Dialect::Anthropic, Dialect::OpenAi, ANTHROPIC, ANSWER, CHUNK, CHUNK),
    ] {
        time(&format!("{name}: request, {} B", body.len()), 2000, || {
            black_box(request(from, to, black_box(body.as_bytes()), &facts).unwrap());
        });
        let memory = memory(from, to, body);
        time(&format!("{name}: answer, {} B", vendors.len()), 2000, || {
            black_box(reply(to, from, black_box(vendors.as_bytes()), &memory).unwrap());
        });
        let mut stream = Stream::new(to, from, memory, 1 << 20);
        let mut out = Vec::with_capacity(1 << 16);
        stream.feed(start.as_bytes(), &mut out).unwrap();
        time(&format!("{name}: event, {} B", event.len()), 10_000, || {
            out.clear();
            stream.feed(black_box(event.as_bytes()), &mut out).unwrap();
            black_box(&out);
        });
    }
}
