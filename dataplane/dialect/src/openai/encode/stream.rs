//! Streams, chunk by chunk.

use super::super::error::push_error;
use super::super::token_usage::push_usage;
use super::reply::push_stop;
use crate::Usage;
use crate::chat::{Delta, Stop};
use crate::json::{List, Object, push_array, push_number, push_string};
use crate::translate::{Memory, StreamFault};

/// Most bytes of one block of thinking: it is kept until its signature comes.
const LONGEST_THOUGHT: usize = 8 << 20;

/// Writes a stream of `chat.completion.chunk`s with one choice.
pub(crate) struct DeltaWriter {
    include_usage: bool,
    created: u64,
    /// What every chunk begins with, up to its `choices`.
    head: Vec<u8>,
    /// The thinking of which the signature has not come.
    thought: String,
    /// Whether a call has arguments, by its index.
    arguments: Vec<bool>,
    usage: Option<Usage>,
}

impl DeltaWriter {
    /// At the start of a stream.
    pub(crate) fn new(memory: &Memory) -> Self {
        Self {
            include_usage: memory.include_usage,
            created: memory.created,
            head: Vec::new(),
            thought: String::new(),
            arguments: Vec::new(),
            usage: None,
        }
    }

    /// Appends the events that tell `delta`.
    pub(crate) fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if matches!(delta, Delta::Text(_) | Delta::ToolStart { .. } | Delta::RedactedThinking(_)) {
            // What was thought before it goes unsigned.
            self.thought.clear();
        }
        match delta {
            Delta::Start { id, model, created } => {
                self.begin(id, model, created.unwrap_or(self.created));
                self.chunk(out, |delta| {
                    delta.string("role", "assistant");
                    delta.string("content", "");
                });
            }
            Delta::Text(text) => self.chunk(out, |delta| delta.string("content", text)),
            Delta::Citation(citation) => self.chunk(out, |delta| {
                push_array(delta.name("annotations"), [citation], |out, citation| {
                    citation.push_annotation(out)
                });
            }),
            Delta::Refusal(text) => self.chunk(out, |delta| delta.string("refusal", text)),
            Delta::Thinking(text) => {
                if self.thought.len() + text.len() > LONGEST_THOUGHT {
                    return Err(StreamFault::HeldTooMuch { limit: LONGEST_THOUGHT });
                }
                self.thought.push_str(text);
                self.chunk(out, |delta| delta.string("reasoning_content", text));
            }
            Delta::Signature(signature) => self.signature(signature, out),
            Delta::RedactedThinking(data) => self.chunk(out, |delta| {
                push_block(delta, |block| {
                    block.string("type", "redacted_thinking");
                    block.string("data", data);
                });
            }),
            Delta::ToolStart { index, id, name } => self.tool_start(*index, id, name, out)?,
            Delta::ToolArguments { index, fragment } => {
                if let Some(some) = self.arguments.get_mut(*index as usize) {
                    *some |= !fragment.is_empty();
                }
                self.arguments(*index, fragment, out);
            }
            Delta::Finish(stop) => self.finish(stop, out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            // A comment: official clients know no event by that name.
            Delta::Ping => out.extend_from_slice(b": ping\n\n"),
            Delta::End => self.end(out),
            Delta::Error(error) => {
                out.extend_from_slice(b"data: ");
                let kind = error.kind.as_deref().unwrap_or("server_error");
                push_error(out, &error.message, kind, error.param.as_deref(), error.code.as_deref());
                out.extend_from_slice(b"\n\n");
            }
        }
        Ok(())
    }

    fn begin(&mut self, id: &str, model: &str, created: u64) {
        let head = &mut self.head;
        head.clear();
        head.extend_from_slice(b"data: {\"id\":");
        push_string(head, id);
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        push_number(head, created);
        head.extend_from_slice(b",\"model\":");
        push_string(head, model);
        head.extend_from_slice(b",\"choices\":[");
    }

    fn chunk(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":");
        let mut delta = Object::open(out);
        write(&mut delta);
        delta.close();
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":null}]");
        self.close_chunk(out);
    }

    /// Who asks for the usage is told in every chunk that it comes later.
    fn close_chunk(&self, out: &mut Vec<u8>) {
        let end: &[u8] = if self.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" };
        out.extend_from_slice(end);
    }

    /// The whole block at once: clients append to lists, and send back what they have.
    fn signature(&mut self, signature: &str, out: &mut Vec<u8>) {
        let thought = std::mem::take(&mut self.thought);
        self.chunk(out, |delta| {
            push_block(delta, |block| {
                block.string("type", "thinking");
                block.string("thinking", &thought);
                block.string("signature", signature);
            });
        });
    }

    fn tool_start(&mut self, index: u32, id: &str, name: &str, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.arguments.len() != index as usize {
            return Err(StreamFault::Shape { why: "calls of tools do not count up" });
        }
        self.arguments.push(false);
        self.chunk(out, |delta| {
            push_call(delta, index, |call| {
                call.string("id", id);
                call.string("type", "function");
                let mut function = Object::open(call.name("function"));
                function.string("name", name);
                function.string("arguments", "");
                function.close();
            });
        });
        Ok(())
    }

    fn arguments(&self, index: u32, fragment: &str, out: &mut Vec<u8>) {
        self.chunk(out, |delta| {
            push_call(delta, index, |call| {
                let mut function = Object::open(call.name("function"));
                function.string("arguments", fragment);
                function.close();
            });
        });
    }

    /// Calls without arguments have empty ones (case 28); then the reason, once (case 45).
    fn finish(&mut self, stop: &Stop<'_>, out: &mut Vec<u8>) {
        let arguments = std::mem::take(&mut self.arguments);
        for (index, _) in (0_u32..).zip(&arguments).filter(|(_, some)| !**some) {
            self.arguments(index, "{}", out);
        }
        out.extend_from_slice(&self.head);
        let mut choice = Object::open(out);
        choice.number("index", 0);
        choice.raw("delta", "{}");
        choice.raw("logprobs", "null");
        push_stop(&mut choice, stop);
        choice.close();
        out.push(b']');
        self.close_chunk(out);
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.include_usage
            && let Some(usage) = &self.usage
        {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            push_usage(out, usage);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(super::super::DONE);
    }
}

fn push_call(delta: &mut Object<'_>, index: u32, write: impl FnOnce(&mut Object<'_>)) {
    let mut list = List::open(delta.name("tool_calls"));
    let mut call = Object::open(list.item());
    call.number("index", index.into());
    write(&mut call);
    call.close();
    list.close();
}

fn push_block(delta: &mut Object<'_>, write: impl FnOnce(&mut Object<'_>)) {
    let mut list = List::open(delta.name("thinking_blocks"));
    let mut block = Object::open(list.item());
    write(&mut block);
    block.close();
    list.close();
}

#[cfg(test)]
mod tests {
    use super::{Delta, DeltaWriter, Memory, StreamFault};
    use crate::chat::StopReason;

    fn written(deltas: &[Delta<'_>]) -> Result<String, StreamFault> {
        let mut writer = DeltaWriter::new(&Memory::default());
        let mut out = Vec::new();
        let start = Delta::Start { id: "1".into(), model: "m".into(), created: None };
        writer.delta(&start, &mut out)?;
        for delta in deltas {
            writer.delta(delta, &mut out)?;
        }
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_call_without_arguments_gets_empty_ones_before_the_end() {
        let call = |index, id: &'static str| Delta::ToolStart { index, id: id.into(), name: "f".into() };
        let some = Delta::ToolArguments { index: 1, fragment: "{\"x\":1}".into() };
        let finish = Delta::Finish(StopReason::ToolUse.into());
        let text = written(&[call(0, "a"), call(1, "b"), some, finish]).unwrap();
        let empty = r#"{"index":0,"function":{"arguments":"{}"}}"#;
        assert_eq!(text.matches(empty).count(), 1, "{text}");
        assert_eq!(text.matches(r#""arguments":"{"#).count(), 2, "{text}");
        assert!(text.find(empty) < text.find("tool_calls\"}]"), "{text}");
        assert!(matches!(written(&[call(1, "a")]), Err(StreamFault::Shape { .. })));
    }

    #[test]
    fn unsigned_thinking_is_no_part_of_the_next_block() {
        let think = |text: &'static str| Delta::Thinking(text.into());
        let deltas = [think("one"), Delta::Text("so".into()), think("two"), Delta::Signature("s".into())];
        let text = written(&deltas).unwrap();
        assert!(text.contains(r#""thinking":"two","signature":"s""#), "{text}");
    }

    #[test]
    fn thinking_is_bounded() {
        let long = "x".repeat(3 << 20);
        let deltas = vec![Delta::Thinking(long.as_str().into()); 3];
        assert!(matches!(written(&deltas), Err(StreamFault::HeldTooMuch { .. })));
    }
}
