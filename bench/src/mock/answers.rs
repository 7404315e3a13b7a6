//! The mock's answers, written out once so that sending one costs nothing but the sending.

use super::settings::Settings;
use crate::prompt::prose;
use bytes::Bytes;
use serde_json::{Value, json};
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
}

impl Answers {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            chat: chat(settings).to_string().into(),
            embeddings: embeddings().to_string().into(),
            models: models().to_string().into(),
            stream: stream(settings).into(),
        }
    }
}

fn usage(settings: &Settings) -> Value {
    json!({
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": settings.events,
        "total_tokens": PROMPT_TOKENS.saturating_add(settings.events),
    })
}

fn chat(settings: &Settings) -> Value {
    json!({
        "id": "chatcmpl-0000",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_bench",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": prose(settings.answer_bytes as usize), "refusal": null},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage(settings),
    })
}

fn embeddings() -> Value {
    let vector: Vec<f64> = (0..DIMENSIONS).map(|at| (f64::from(at) * 0.61).cos() / 16.0).collect();
    json!({
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS},
    })
}

fn models() -> Value {
    let entry =
        |id: &str| json!({"id": id, "object": "model", "created": 1_750_000_000, "owned_by": "bench"});
    json!({"object": "list", "data": [entry("gpt-4o-mini"), entry("text-embedding-3-small")]})
}

fn chunk(choices: &Value) -> Value {
    json!({
        "id": "chatcmpl-0000",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_bench",
        "choices": choices,
    })
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn delta(delta: &Value, finish: &Value) -> String {
    event(&chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}])))
}

fn stream(settings: &Settings) -> Vec<Bytes> {
    let text = prose(settings.event_bytes as usize);
    let content = Bytes::from(delta(&json!({"content": text}), &Value::Null));
    let mut frames = vec![delta(&json!({"role": "assistant", "content": ""}), &Value::Null).into()];
    frames.extend((0..settings.events).map(|_| content.clone()));
    let mut last = chunk(&json!([]));
    if let Some(fields) = last.as_object_mut() {
        fields.insert("usage".into(), usage(settings));
    }
    let end = format!("{}{}data: [DONE]\n\n", delta(&json!({}), &json!("stop")), event(&last));
    frames.push(end.into());
    frames
}
