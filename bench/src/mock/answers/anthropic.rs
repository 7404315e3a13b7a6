//! Answers in Anthropic's format.

use super::{PROMPT_TOKENS, prose};
use crate::mock::settings::Settings;
use crate::world::ANTHROPIC_MODEL;
use bytes::Bytes;

fn usage(output: u32) -> String {
    format!(
        r#"{{"input_tokens":{PROMPT_TOKENS},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":{output}}}"#
    )
}

fn message(content: &str, stop: &str, output: u32) -> String {
    format!(
        r#"{{"id":"msg_0000","type":"message","role":"assistant","model":"{ANTHROPIC_MODEL}","content":[{content}],"stop_reason":{stop},"stop_sequence":null,"usage":{}}}"#,
        usage(output)
    )
}

/// A whole answer.
pub(super) fn whole(settings: &Settings) -> String {
    let text = prose(settings.answer_bytes as usize);
    message(&format!(r#"{{"type":"text","text":"{text}"}}"#), r#""end_turn""#, settings.events)
}

fn event(name: &str, fields: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{fields}}}\n\n")
}

/// Frames of a stream: the opening events together, then the text, then the closing events together, as the vendor
/// tends to send them.
pub(super) fn stream(settings: &Settings) -> Vec<Bytes> {
    let text = prose(settings.event_bytes as usize);
    let delta = format!(r#""index":0,"delta":{{"type":"text_delta","text":"{text}"}}"#);
    let delta = Bytes::from(event("content_block_delta", &delta));
    let start = event("message_start", &format!(r#""message":{}"#, message("", "null", 1)));
    let block = event("content_block_start", r#""index":0,"content_block":{"type":"text","text":""}"#);
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    let mut frames = vec![Bytes::from(format!("{start}{block}{ping}"))];
    frames.extend((0..settings.events).map(|_| delta.clone()));
    let fields = r#""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":"#;
    let end = event("message_delta", &format!("{fields}{}", usage(settings.events)));
    let stop = event("content_block_stop", r#""index":0"#);
    let last = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    frames.push(format!("{stop}{end}{last}").into());
    frames
}
