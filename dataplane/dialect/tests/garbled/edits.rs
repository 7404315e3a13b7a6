//! Bytes replaced, inserted, taken out, doubled.

use crate::corpus::{corpus, replies, requests};
use crate::{memory, other, told};
use proptest::prelude::*;
use serde_json::Value;
use smartflow_dialect::translate::{TargetFacts, reply, request};

/// (where, what, how): bytes replaced, inserted, taken out, doubled.
type Edits = Vec<(prop::sample::Index, u8, u8)>;

fn edited(text: &str, edits: &Edits) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte, how) in edits {
        let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match how {
            0 if !bytes.is_empty() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 if !bytes.is_empty() => drop(bytes.drain(at..(at + usize::from(*byte)).min(bytes.len()))),
            _ => {
                let piece: Vec<_> = bytes[at..(at + usize::from(*byte)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Edits> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_nothing_panics_and_what_is_written_is_json(edits in edits(), which in 0..2_usize) {
        let facts = TargetFacts { max_output: Some(9000), ..TargetFacts::new("m") };
        let (caller, body) = &requests()[which];
        prop_assert!(request(*caller, other(*caller), body.to_string().as_bytes(), &facts).is_ok());
        if let Ok(translated) = request(*caller, other(*caller), &edited(&body.to_string(), &edits), &facts) {
            prop_assert!(serde_json::from_slice::<Value>(&translated.body).is_ok(), "{:?}", translated.body);
        }
        let (vendor, body) = &replies()[which];
        let memory = memory(other(*vendor));
        prop_assert!(reply(*vendor, other(*vendor), body.to_string().as_bytes(), &memory).is_ok());
        if let Ok(translated) = reply(*vendor, other(*vendor), &edited(&body.to_string(), &edits), &memory) {
            prop_assert!(serde_json::from_slice::<Value>(&translated.body).is_ok(), "{:?}", translated.body);
        }
        let (vendor, stream) = &corpus()[which];
        let bytes = edited(stream, &edits);
        let whole = told(*vendor, &memory, &bytes, 4096);
        prop_assert_eq!(told(*vendor, &memory, &bytes, 1), whole.clone(), "however it is cut");
        for line in whole.iter().flat_map(|told| told.lines()).filter_map(|line| line.strip_prefix("data: ")) {
            prop_assert!(line == "[DONE]" || serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
}
