//! What is written is read again: decode(encode(x)) = x for what the format carries.

use super::{DeltaReader, DeltaWriter, decode_reply, decode_request, encode_reply, encode_request};
use crate::Dialect;
use crate::chat::arbitrary::{chat, deltas, joined, reply};
use crate::chat::{Chat, Delta, Effort, Format, Losses, Part, Thinking, ThinkingMode, Unsupported};
use crate::openai::ScanLimits;
use crate::sse::event;
use crate::translate::{Memory, TargetFacts};
use proptest::prelude::*;

fn there_and_back(chat: &Chat<'_>) -> Result<(), TestCaseError> {
    let mut losses = Losses::new(chat.origin, Unsupported::Reject);
    let body = encode_request(chat, &TargetFacts::new("m"), &mut losses, &mut Memory::default()).unwrap();
    let back = decode_request(&body, &ScanLimits::default()).unwrap();
    prop_assert_eq!(&back, chat, "{}", String::from_utf8_lossy(&body));
    prop_assert!(losses.into_paths().is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn requests(chat in chat(Dialect::Anthropic, 3)) {
        there_and_back(&chat)?;
    }

    #[test]
    fn replies(reply in reply()) {
        let body = encode_reply(&reply, &Memory::default());
        prop_assert_eq!(decode_reply(&body).unwrap(), reply);
    }

    #[test]
    fn streams(reply in reply()) {
        let told = deltas(&reply);
        let mut writer = DeltaWriter::new(&Memory::default());
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
        // The beginning tells an estimate of the usage, for clients that look there (case 55).
        prop_assert!(matches!(read.remove(1), Delta::Usage(_)));
        prop_assert_eq!(joined(read), joined(told));
    }
}

#[test]
fn what_only_anthropic_has() {
    let body = br#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}],
        "messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"title":"t","context":"c","citations":{"enabled":true}},
        {"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]},{"type":"image","source":{"type":"file","file_id":"f"}}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"server_tool_use","id":"s","name":"web_search","input":{"q":1}},{"type":"text","text":"b","citations":[{"type":"char_location"}]}]},
        {"role":"system","content":"mind"},{"role":"user","content":"go on"}],
        "thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max","format":{"type":"json_schema","schema":{"type":"object"}}},
        "tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{"type":"object"},"strict":false}],
        "tool_choice":{"type":"any","disable_parallel_tool_use":false},"top_k":5,"temperature":0.50,"service_tier":"standard_only","speed":"fast","new_field":[1]}"#;
    let chat = decode_request(body, &ScanLimits::default()).unwrap();
    assert_eq!(chat.effort, Some(Effort::Max));
    assert_eq!(
        chat.thinking,
        Some(Thinking { mode: ThinkingMode::Adaptive, display: Some("omitted".into()) })
    );
    assert!(matches!(&chat.format, Some(Format::JsonSchema { .. })));
    assert_eq!(chat.turns.len(), 4);
    assert!(matches!(&chat.turns[0].parts[1], Part::Other { kind, .. } if kind == "search_result"));
    assert_eq!((chat.extra.len(), chat.parallel_tools), (2, Some(true)));
    there_and_back(&chat).unwrap();
}
