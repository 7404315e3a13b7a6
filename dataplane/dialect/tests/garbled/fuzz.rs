//! The same for a minute each: `cargo test -p smartflow-dialect --test garbled -- --ignored`, which `cargo xtask test` does. An input that
//! fails is printed, and belongs into a test of its own.
#![allow(clippy::print_stdout)]

use crate::corpus::{corpus, replies, requests};
use crate::{memory, other, told};
use bytes::Bytes;
use serde_json::Value;
use smartflow_dialect::openai::{
    Assembler, ChatRequest, Edits, EmbeddingsRequest, ScanLimits, StreamScan, StreamSettings, scan_reply,
    upstream_error,
};
use smartflow_dialect::translate::{TargetFacts, classify, replay, reply, request};
use smartflow_dialect::{Dialect, anthropic};
use std::time::{Duration, Instant, SystemTime};

const LONG: Duration = Duration::from_secs(60);
/// Inputs are some KiB: whoever takes this long for one, on a machine that does other things too, goes in circles.
const LONGEST: Duration = Duration::from_secs(10);

/// xorshift64*: good enough to choose bytes with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        const LIKELY: &[u8] = b"{}[]\",:\\ue+-.0123456789\n\r dntf\xff\xc3\x00";
        if self.below(2) == 0 { LIKELY[self.below(LIKELY.len())] } else { self.below(256).to_le_bytes()[0] }
    }

    /// One to eight edits of `bytes`, and pieces of `other` mixed in.
    fn edit(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(8) {
            let at = self.below(bytes.len());
            let len = self.below(40).min(bytes.len() - at);
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = self.byte(),
                1 => bytes.insert(at, self.byte()),
                2 => drop(bytes.drain(at..at + len)),
                3 => drop(bytes.splice(at..at, bytes[at..at + len].to_vec())),
                _ => {
                    let from = self.below(other.len());
                    let piece = other[from..(from + len).min(other.len())].to_vec();
                    drop(bytes.splice(at..at + len, piece));
                }
            }
        }
    }
}

/// Prints the input when the test panics.
struct Told<'t>(&'t [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("fails on {:?}", String::from_utf8_lossy(self.0));
        }
    }
}

/// Gives `run` edited seeds for a minute.
fn fuzz(seeds: &[&[u8]], mut run: impl FnMut(&[u8])) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut dice = Dice(u64::try_from(now.as_nanos()).unwrap_or(1) | 1);
    let end = Instant::now() + LONG;
    let mut inputs = 0_u64;
    while Instant::now() < end {
        let mut bytes = seeds[dice.below(seeds.len())].to_vec();
        let other = seeds[dice.below(seeds.len())];
        dice.edit(&mut bytes, other);
        let guard = Told(&bytes);
        let began = Instant::now();
        run(&bytes);
        assert!(began.elapsed() < LONGEST, "it takes {:?}", began.elapsed());
        drop(guard);
        inputs += 1;
    }
    println!("{inputs} inputs");
    assert!(inputs > 10_000);
}

fn fuzz_requests(caller: Dialect) {
    let facts = TargetFacts { max_output: Some(9000), ..TargetFacts::new("m") };
    let seeds = requests().map(|(_, body)| body.to_string());
    fuzz(&seeds.each_ref().map(|seed| seed.as_bytes()), |bytes| {
        if let Ok(translated) = request(caller, other(caller), bytes, &facts) {
            assert!(serde_json::from_slice::<Value>(&translated.body).is_ok());
        }
        let (limits, body) = (ScanLimits::default(), Bytes::copy_from_slice(bytes));
        // Escapes that are no text pass here and not there.
        let sound = |bytes: &[u8]| bytes.contains(&b'\\') || serde_json::from_slice::<Value>(bytes).is_ok();
        if let Ok(scan) = ChatRequest::scan(bytes, &limits) {
            let edits = Edits {
                model: Some("n"),
                stream: true,
                include_usage: true,
                drop_thoughts: true,
                ..Edits::default()
            };
            assert!(sound(bytes) && sound(&scan.splice(&body, &edits)));
        }
        if let Ok(scan) = anthropic::MessagesRequest::scan(bytes, &limits) {
            let (model, stream, drop_unsigned) = (Some("n"), true, true);
            let edits = anthropic::Edits { model, max_tokens: Some(7), stream, drop_unsigned };
            assert!(sound(bytes) && sound(&scan.splice(&body, &edits)));
        }
        let counted = anthropic::CountTokensRequest::scan(bytes, &limits).is_ok();
        let embedded = EmbeddingsRequest::scan(bytes, &limits).is_ok();
        assert!(!(counted || embedded) || sound(bytes));
    });
}

fn fuzz_replies(vendor: Dialect) {
    let memory = memory(other(vendor));
    let seeds = replies().map(|(_, body)| body.to_string());
    fuzz(&seeds.each_ref().map(|seed| seed.as_bytes()), |bytes| {
        if let Ok(translated) = reply(vendor, other(vendor), bytes, &memory) {
            assert!(serde_json::from_slice::<Value>(&translated.body).is_ok());
        }
        let _ = replay(vendor, other(vendor), bytes, &memory);
        let _ = anthropic::scan_count(bytes);
        assert_eq!(scan_reply(bytes).is_ok(), anthropic::scan_reply(bytes).is_ok());
        let _ = classify(vendor, 400, &upstream_error(bytes));
    });
}

fn fuzz_streams(vendor: Dialect) {
    let memory = memory(other(vendor));
    let seeds = corpus().map(|(_, stream)| stream);
    fuzz(&seeds.each_ref().map(|seed| seed.as_bytes()), |bytes| {
        let whole = told(vendor, &memory, bytes, usize::MAX);
        assert_eq!(told(vendor, &memory, bytes, 3), whole, "however it is cut");
        let (mut out, body) = (Vec::new(), Bytes::copy_from_slice(bytes));
        let mut scan = StreamScan::new(StreamSettings::default());
        let _ = scan.feed(body.clone(), &mut out).and_then(|()| scan.end(&mut out));
        let mut scan = anthropic::StreamScan::new(anthropic::StreamSettings::default());
        let _ = scan.feed(body, &mut out).and_then(|()| scan.end(&mut out));
        let mut assembler = Assembler::new(1 << 20);
        let _ = assembler.feed(bytes).and_then(|()| assembler.finish(None));
        let mut assembler = anthropic::Assembler::new(1 << 20);
        let _ = assembler.feed(bytes).and_then(|()| assembler.finish(None));
    });
}

#[test]
#[ignore = "takes a minute"]
fn openai_requests() {
    fuzz_requests(Dialect::OpenAi);
}

#[test]
#[ignore = "takes a minute"]
fn anthropic_requests() {
    fuzz_requests(Dialect::Anthropic);
}

#[test]
#[ignore = "takes a minute"]
fn openai_replies() {
    fuzz_replies(Dialect::OpenAi);
}

#[test]
#[ignore = "takes a minute"]
fn anthropic_replies() {
    fuzz_replies(Dialect::Anthropic);
}

#[test]
#[ignore = "takes a minute"]
fn openai_streams() {
    fuzz_streams(Dialect::OpenAi);
}

#[test]
#[ignore = "takes a minute"]
fn anthropic_streams() {
    fuzz_streams(Dialect::Anthropic);
}
