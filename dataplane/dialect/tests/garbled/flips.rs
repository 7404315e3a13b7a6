//! One bit is another, or the rest is missing.

use crate::corpus::corpus;
use crate::{memory, other, told};
use serde_json::{Value, json};

/// Every text of the answer, by where it stands. Ids of answers, models, times, usage and signs of life are not part of
/// the answer.
fn answer(told: &str) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    for (at, line) in told
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|line| !line.contains("ping"))
        .enumerate()
    {
        let mut event: Value = serde_json::from_str(line).unwrap_or_else(|_| json!(line));
        if let Some(event) = event.as_object_mut() {
            for name in ["id", "created", "model", "usage"] {
                event.remove(name);
            }
            if let Some(message) = event.get_mut("message").and_then(Value::as_object_mut) {
                message.retain(|name, _| !matches!(name.as_str(), "id" | "model" | "usage"));
            }
        }
        flatten(&event, &at.to_string(), &mut leaves);
    }
    leaves
}

fn flatten(value: &Value, path: &str, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| flatten(value, &format!("{path}.{name}"), leaves))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| flatten(value, &format!("{path}.{at}"), leaves))
        }
        leaf => leaves.push((path.to_owned(), leaf.clone())),
    }
}

/// Which bytes of the vendor's stream are words of the answer, that nobody can know to be wrong.
fn words(stream: &str) -> Vec<bool> {
    const KEYS: [&str; 14] = [
        "url",
        "title",
        "cited_text",
        "content",
        "arguments",
        "reasoning_content",
        "id",
        "name",
        "text",
        "partial_json",
        "thinking",
        "signature",
        "data",
        "refusal",
    ];
    let mut words = vec![false; stream.len()];
    for key in KEYS {
        for (at, opening) in stream.match_indices(&format!("\"{key}\":\"")) {
            let start = at + opening.len();
            let mut end = start;
            while stream.as_bytes()[end] != b'"' {
                end += 1 + usize::from(stream.as_bytes()[end] == b'\\');
            }
            words[start..end].fill(true);
        }
    }
    words
}

#[test]
fn every_flip_of_a_bit_gives_the_same_answer_an_error_or_the_flipped_words() {
    for (vendor, stream) in corpus() {
        let memory = memory(other(vendor));
        let whole = answer(&told(vendor, &memory, stream.as_bytes(), 4096).unwrap());
        let words = words(&stream);
        let (mut same, mut failed, mut flipped) = (0, 0, 0);
        let mut wrong = Vec::new();
        for at in 0..stream.len() {
            for bit in 0..8 {
                let mut bytes = stream.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Some(told) = told(vendor, &memory, &bytes, 4096) else {
                    failed += 1;
                    continue;
                };
                let got = answer(&told);
                if got == whole {
                    same += 1;
                    continue;
                }
                let context =
                    String::from_utf8_lossy(&bytes[at.saturating_sub(60)..(at + 40).min(bytes.len())])
                        .into_owned();
                let paths = |leaves: &[(String, Value)]| {
                    leaves.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
                };
                if !words[at] || paths(&got) != paths(&whole) {
                    wrong.push(format!("{vendor:?}: byte {at}, bit {bit}: …{context}…"));
                }
                flipped += 1;
            }
        }
        assert!(wrong.is_empty(), "{} flips change the answer:\n{}", wrong.len(), wrong.join("\n"));
        assert!(same > 100 && failed > 1000 && flipped > 100, "{same} {failed} {flipped}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_whole_only_when_its_reason_was_told() {
    for (vendor, stream) in corpus() {
        let memory = memory(other(vendor));
        let whole = answer(&told(vendor, &memory, stream.as_bytes(), 4096).unwrap());
        let reason = stream
            .find("\"tool_calls\",\"index\"")
            .or_else(|| stream.find("\"stop_reason\":\"tool_use\""))
            .unwrap();
        for cut in 0..stream.len() {
            if let Some(told) = told(vendor, &memory, &stream.as_bytes()[..cut], 4096) {
                assert!(cut > reason, "{vendor:?}: cut at {cut}");
                assert_eq!(answer(&told), whole, "{vendor:?}: cut at {cut}");
            }
        }
    }
}
