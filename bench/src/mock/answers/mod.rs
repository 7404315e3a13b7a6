//! The mock's answers, written out once so that sending one costs nothing but the sending. Fields stand in the order
//! in which vendors write them: whoever searches instead of parsing shall find no better case here than in life.

mod anthropic;

use super::settings::Settings;
use crate::prompt::prose;
use crate::world::{EMBEDDING_MODEL, OPENAI_MODEL};
use bytes::Bytes;
use std::rc::Rc;

/// Prompt tokens that every answer claims.
const PROMPT_TOKENS: u32 = 50;
/// Length of the embedding vector.
const DIMENSIONS: u16 = 256;

/// One answer for each kind of request.
pub(super) struct Answers {
    pub(super) chat: Bytes,
    pub(super) embeddings: Bytes,
    pub(super) models: Bytes,
    /// Frames of a stream; the last holds finish reason, usage and `[DONE]`, as vendors tend to send them together.
    pub(super) stream: Rc<[Bytes]>,
    pub(super) message: Bytes,
    pub(super) message_stream: Rc<[Bytes]>,
}

impl Answers {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            chat: chat(settings).into(),
            embeddings: embeddings().into(),
            models: models().into(),
            stream: stream(settings).into(),
            message: anthropic::whole(settings).into(),
            message_stream: anthropic::stream(settings).into(),
        }
    }
}

fn usage(settings: &Settings) -> String {
    let (output, total) = (settings.events, PROMPT_TOKENS.saturating_add(settings.events));
    format!(r#"{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":{output},"total_tokens":{total}}}"#)
}

/// Opening fields of a chat's objects.
fn opening(object: &str) -> String {
    format!(
        r#""id":"chatcmpl-0000","object":"{object}","created":1750000000,"model":"{OPENAI_MODEL}","system_fingerprint":"fp_bench""#
    )
}

fn chat(settings: &Settings) -> String {
    let text = prose(settings.answer_bytes as usize);
    let message = format!(r#"{{"role":"assistant","content":"{text}","refusal":null}}"#);
    let choice = format!(r#"{{"index":0,"message":{message},"logprobs":null,"finish_reason":"stop"}}"#);
    format!(r#"{{{},"choices":[{choice}],"usage":{}}}"#, opening("chat.completion"), usage(settings))
}

fn embeddings() -> String {
    let vector: Vec<String> =
        (0..DIMENSIONS).map(|at| format!("{:.17}", (f64::from(at) * 0.61).cos() / 16.0)).collect();
    let data = format!(r#"{{"object":"embedding","index":0,"embedding":[{}]}}"#, vector.join(","));
    let usage = format!(r#"{{"prompt_tokens":{PROMPT_TOKENS},"total_tokens":{PROMPT_TOKENS}}}"#);
    format!(r#"{{"object":"list","model":"{EMBEDDING_MODEL}","data":[{data}],"usage":{usage}}}"#)
}

fn models() -> String {
    let entry =
        |id: &str| format!(r#"{{"id":"{id}","object":"model","created":1750000000,"owned_by":"bench"}}"#);
    format!(r#"{{"object":"list","data":[{},{}]}}"#, entry(OPENAI_MODEL), entry(EMBEDDING_MODEL))
}

fn event(choices: &str, more: &str) -> String {
    format!("data: {{{},\"choices\":[{choices}]{more}}}\n\n", opening("chat.completion.chunk"))
}

fn delta(delta: &str, finish: &str) -> String {
    event(&format!(r#"{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}"#), "")
}

fn stream(settings: &Settings) -> Vec<Bytes> {
    let text = prose(settings.event_bytes as usize);
    let content = Bytes::from(delta(&format!(r#""content":"{text}""#), "null"));
    let mut frames = vec![delta(r#""role":"assistant","content":"""#, "null").into()];
    frames.extend((0..settings.events).map(|_| content.clone()));
    let last = event("", &format!(r#","usage":{}"#, usage(settings)));
    frames.push(format!("{}{last}data: [DONE]\n\n", delta("", "\"stop\"")).into());
    frames
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_answer_is_json_and_every_event_too() {
        let answers = Answers::new(&Settings::default());
        for body in [&answers.chat, &answers.embeddings, &answers.models, &answers.message] {
            assert!(serde_json::from_slice::<Value>(body).unwrap().is_object());
        }
        let stream: Vec<u8> = answers.stream.concat();
        let text = String::from_utf8(stream).unwrap();
        let events: Vec<&str> =
            text.split_terminator("\n\n").map(|e| e.strip_prefix("data: ").unwrap()).collect();
        assert_eq!(events.len(), 54);
        let (done, chunks) = events.split_last().unwrap();
        assert_eq!(*done, "[DONE]");
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        assert_eq!(chunks.last().unwrap().pointer("/usage/total_tokens").unwrap(), 100);
        assert!(chunks.iter().all(|chunk| chunk.pointer("/object").unwrap() == "chat.completion.chunk"));
    }

    #[test]
    fn a_stream_of_a_message_names_each_event_as_its_data_does() {
        let stream: Vec<u8> = Answers::new(&Settings::default()).message_stream.concat();
        let text = String::from_utf8(stream).unwrap();
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 56);
        for event in events {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data.pointer("/type").unwrap(), name, "{data}");
        }
        assert!(text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    }
}
