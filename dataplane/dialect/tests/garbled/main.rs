//! Bytes that were garbled on the way: the same answer, a typed error, or, where a byte of the answer's own words
//! changed, those words as they came. Never a panic, never a shorter answer that looks whole.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod corpus;
mod edits;
mod flips;
mod fuzz;

use serde_json::json;
use smartflow_dialect::Dialect;
use smartflow_dialect::translate::{Memory, Stream, TargetFacts, request};

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
