//! What is written is read again: decode(encode(x)) = x for what the format carries.

use super::{
    DeltaReader, DeltaWriter, ScanLimits, decode_reply, decode_request, encode_reply, encode_request,
};
use crate::Dialect;
use crate::chat::arbitrary::{chat, deltas, joined, reply};
use crate::chat::{Chat, Delta, Effort, Format, Losses, Raw, Thinking, ThinkingMode, Unsupported};
use crate::sse::event;
use crate::translate::{Memory, TargetFacts};
use proptest::prelude::*;

fn facts() -> TargetFacts<'static> {
    TargetFacts { extensions: true, now: 17, ..TargetFacts::new("m") }
}

fn there_and_back(chat: &Chat<'_>) -> Result<(), TestCaseError> {
    let mut losses = Losses::new(chat.origin, Unsupported::Reject);
    let body = encode_request(chat, &facts(), &mut losses, &mut Memory::default()).unwrap();
    let back = decode_request(&body, &ScanLimits::default()).unwrap();
    prop_assert_eq!(&Chat { origin: chat.origin, ..back }, chat, "{}", String::from_utf8_lossy(&body));
    prop_assert!(losses.into_paths().is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn requests(chat in chat(Dialect::OpenAi, 3)) {
        there_and_back(&chat)?;
    }

    #[test]
    fn requests_of_others(chat in chat(Dialect::Anthropic, 3)) {
        there_and_back(&chat)?;
    }

    #[test]
    fn replies(reply in reply()) {
        let body = encode_reply(&reply, &Memory::default());
        let mut back = decode_reply(&body).unwrap();
        prop_assert_eq!(back.created.take(), Some(0));
        prop_assert_eq!(back, reply);
    }

    #[test]
    fn streams(reply in reply()) {
        let told = deltas(&reply);
        let mut writer = DeltaWriter::new(&Memory { include_usage: true, ..Memory::default() });
        let mut out = Vec::new();
        for delta in &told {
            writer.delta(delta, &mut out).unwrap();
        }
        let mut reader = DeltaReader::new();
        let mut read = Vec::new();
        for one in String::from_utf8(out).unwrap().split_inclusive("\n\n") {
            reader.event(&event(one.as_bytes()), &mut |delta| {
                read.push(delta.into_owned());
                Ok(())
            }).unwrap();
        }
        if let Some(Delta::Start { created, .. }) = read.first_mut() {
            *created = None;
        }
        prop_assert_eq!(joined(read), joined(told));
    }
}

#[test]
fn what_only_openai_has() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":7,"logit_bias":{"1":-100},"store":true,"n":2,"top_k":5,"user":"u","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}},"reasoning_effort":"xhigh","thinking":{"type":"enabled","budget_tokens":2000},"verbosity":"low","service_tier":"flex"}"#;
    let chat = decode_request(body, &ScanLimits::default()).unwrap();
    assert_eq!(chat.effort, Some(Effort::Xhigh));
    assert_eq!(chat.thinking, Some(Thinking { mode: ThinkingMode::Budget(2000), display: None }));
    assert!(matches!(&chat.format, Some(Format::JsonSchema { strict: Some(true), .. })));
    assert_eq!(chat.sampling.seed, Some(Raw::new("7")));
    assert_eq!(chat.extra.len(), 2);
    there_and_back(&chat).unwrap();
}
