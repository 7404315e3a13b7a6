//! Streams, event by event. Blocks never overlap (case 52), so what comes for a call that is not open yet is kept until
//! the arguments of the open one are whole.

use super::super::error::push_error;
use super::super::stream::MESSAGE_STOP;
use super::super::token_usage::push_usage;
use super::reply::push_stop;
use crate::Usage;
use crate::chat::{Citation, Delta, Stop};
use crate::json::{Object, push_number, push_string};
use crate::translate::{Memory, StreamFault};
use std::collections::VecDeque;

/// Most bytes that are kept back.
const MOST_HELD: usize = 1 << 20;

/// Writes a stream of message events.
pub(crate) struct DeltaWriter {
    /// About how many tokens the prompt is (case 55).
    input_estimate: u64,
    started: bool,
    /// Index of the next block.
    next: u64,
    open: Option<Open>,
    waiting: VecDeque<Waiting>,
    held: usize,
    refused: bool,
    called: bool,
    usage: Option<Usage>,
    /// Kept until the usage is known (case 54).
    stop: Option<Stop<'static>>,
}

/// The block that is open.
enum Open {
    Text,
    Thinking,
    Tool { index: u32, json: Wholeness },
}

/// What is said next.
#[derive(Clone, Copy)]
enum Piece<'p> {
    Text(&'p str),
    Citation(&'p Citation<'p>),
    Thinking(&'p str),
    Signature(&'p str),
    Redacted(&'p str),
    Tool { index: u32, id: &'p str, name: &'p str },
}

/// What comes after the open call.
enum Waiting {
    Text(String),
    Citation(Citation<'static>),
    Thinking(String),
    Signature(String),
    Redacted(String),
    Tool { index: u32, id: String, name: String, arguments: String },
}

impl Piece<'_> {
    fn len(self) -> usize {
        match self {
            Self::Text(text) | Self::Thinking(text) | Self::Signature(text) | Self::Redacted(text) => {
                text.len()
            }
            Self::Citation(citation) => citation.len(),
            Self::Tool { id, name, .. } => id.len() + name.len(),
        }
    }

    fn kept(self) -> Waiting {
        match self {
            Self::Text(text) => Waiting::Text(text.to_owned()),
            Self::Citation(citation) => Waiting::Citation(citation.clone().into_owned()),
            Self::Thinking(text) => Waiting::Thinking(text.to_owned()),
            Self::Signature(text) => Waiting::Signature(text.to_owned()),
            Self::Redacted(text) => Waiting::Redacted(text.to_owned()),
            Self::Tool { index, id, name } => {
                Waiting::Tool { index, id: id.to_owned(), name: name.to_owned(), arguments: String::new() }
            }
        }
    }
}

/// How far a JSON object has come.
#[derive(Default)]
struct Wholeness {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Wholeness {
    fn feed(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn whole(&self) -> bool {
        self.begun && self.depth == 0
    }
}

impl DeltaWriter {
    /// At the start of a stream.
    pub(crate) fn new(memory: &Memory) -> Self {
        Self {
            input_estimate: memory.input_estimate,
            started: false,
            next: 0,
            open: None,
            waiting: VecDeque::new(),
            held: 0,
            refused: false,
            called: false,
            usage: None,
            stop: None,
        }
    }

    /// Appends the events that tell `delta`.
    pub(crate) fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match delta {
            Delta::Start { id, model, .. } => self.start(id, model, out),
            Delta::Ping if self.started => {
                out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
            }
            Delta::Ping => {}
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::ToolArguments { index, fragment } => return self.arguments(*index, fragment, out),
            Delta::Finish(stop) => {
                self.drain(true, out);
                self.close(out);
                self.stop = Some(Stop {
                    reason: stop.reason,
                    sequence: stop.sequence.as_ref().map(|sequence| sequence.clone().into_owned().into()),
                });
            }
            Delta::End => self.end(out),
            Delta::Error(error) => {
                out.extend_from_slice(b"event: error\ndata: ");
                let kind = error.kind.as_deref().unwrap_or("api_error");
                push_error(out, kind, &error.message, error.param.as_deref(), error.code.as_deref());
                out.extend_from_slice(b"\n\n");
            }
            Delta::Text(text) => return self.say(Piece::Text(text), out),
            Delta::Citation(citation) => return self.say(Piece::Citation(citation), out),
            Delta::Refusal(text) => {
                self.refused = true;
                return self.say(Piece::Text(text), out);
            }
            Delta::Thinking(text) => return self.say(Piece::Thinking(text), out),
            Delta::Signature(text) => return self.say(Piece::Signature(text), out),
            Delta::RedactedThinking(data) => return self.say(Piece::Redacted(data), out),
            Delta::ToolStart { index, id, name } => {
                self.called = true;
                return self.say(Piece::Tool { index: *index, id, name }, out);
            }
        }
        Ok(())
    }

    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        self.started = true;
        out.extend_from_slice(b"event: message_start\ndata: ");
        let mut event = Object::open(out);
        event.string("type", "message_start");
        let mut message = Object::open(event.name("message"));
        message.string("id", id);
        message.string("type", "message");
        message.string("role", "assistant");
        message.string("model", model);
        message.raw("content", "[]");
        message.raw("stop_reason", "null");
        message.raw("stop_sequence", "null");
        push_usage(message.name("usage"), &self.known_usage());
        message.close();
        event.close();
        out.extend_from_slice(b"\n\n");
    }

    /// What is known of the usage: until the vendor says, that there is a prompt.
    fn known_usage(&self) -> Usage {
        self.usage.unwrap_or(Usage { input: self.input_estimate, ..Usage::default() })
    }

    /// True while the open call's arguments are not whole.
    fn busy(&self) -> bool {
        matches!(&self.open, Some(Open::Tool { json, .. }) if !json.whole())
    }

    fn say(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.busy() && self.waiting.is_empty() {
            self.write(piece, out);
            return Ok(());
        }
        self.hold(piece.len())?;
        self.waiting.push_back(piece.kept());
        Ok(())
    }

    fn hold(&mut self, more: usize) -> Result<(), StreamFault> {
        // An item that says nothing takes room too.
        self.held = self.held.saturating_add(more + size_of::<Waiting>());
        if self.held > MOST_HELD { Err(StreamFault::HeldTooMuch { limit: MOST_HELD }) } else { Ok(()) }
    }

    fn write(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(text) => {
                if !matches!(self.open, Some(Open::Text)) {
                    self.begin(Open::Text, out, |block| {
                        block.string("type", "text");
                        block.string("text", "");
                    });
                }
                self.piece(out, "text_delta", "text", text);
            }
            // It stands at a text; behind anything else there is no place for it.
            Piece::Citation(citation) => {
                if matches!(self.open, Some(Open::Text)) {
                    self.delta_event(out, "citations_delta", "citation", |out| citation.push_result(out));
                }
            }
            Piece::Thinking(text) => {
                self.think(out);
                self.piece(out, "thinking_delta", "thinking", text);
            }
            Piece::Signature(text) => {
                self.think(out);
                self.piece(out, "signature_delta", "signature", text);
                self.close(out);
            }
            Piece::Redacted(data) => {
                self.begin(Open::Text, out, |block| {
                    block.string("type", "redacted_thinking");
                    block.string("data", data);
                });
                self.close(out);
            }
            Piece::Tool { index, id, name } => {
                self.begin(Open::Tool { index, json: Wholeness::default() }, out, |block| {
                    block.string("type", "tool_use");
                    block.string("id", id);
                    block.string("name", name);
                    block.raw("input", "{}");
                });
            }
        }
    }

    fn think(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Thinking)) {
            self.begin(Open::Thinking, out, |block| {
                block.string("type", "thinking");
                block.string("thinking", "");
                block.string("signature", "");
            });
        }
    }

    fn begin(&mut self, open: Open, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        self.close(out);
        out.extend_from_slice(
            b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
        );
        push_number(out, self.next);
        out.extend_from_slice(b",\"content_block\":");
        let mut block = Object::open(out);
        write(&mut block);
        block.close();
        out.extend_from_slice(b"}\n\n");
        self.open = Some(open);
    }

    fn piece(&self, out: &mut Vec<u8>, kind: &str, name: &'static str, text: &str) {
        self.delta_event(out, kind, name, |out| push_string(out, text));
    }

    fn delta_event(
        &self,
        out: &mut Vec<u8>,
        kind: &str,
        name: &'static str,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        out.extend_from_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        push_number(out, self.next);
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        write(out);
        out.extend_from_slice(b"}}\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            out.extend_from_slice(
                b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
            );
            push_number(out, self.next);
            out.extend_from_slice(b"}\n\n");
            self.next += 1;
        }
    }

    fn arguments(&mut self, call: u32, fragment: &str, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if let Some(Open::Tool { index, json }) = &mut self.open
            && *index == call
        {
            json.feed(fragment);
            self.piece(out, "input_json_delta", "partial_json", fragment);
            self.drain(false, out);
            return Ok(());
        }
        self.hold(fragment.len())?;
        let waiting = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Tool { index, arguments, .. } if *index == call => Some(arguments),
            _ => None,
        });
        let why = "arguments of a call that has not begun, or has ended";
        waiting.ok_or(StreamFault::Shape { why })?.push_str(fragment);
        Ok(())
    }

    /// Says what waits, up to a call that is not whole; or all of it.
    fn drain(&mut self, all: bool, out: &mut Vec<u8>) {
        while (all || !self.busy())
            && let Some(waiting) = self.waiting.pop_front()
        {
            match &waiting {
                Waiting::Text(text) => self.write(Piece::Text(text), out),
                Waiting::Citation(citation) => self.write(Piece::Citation(citation), out),
                Waiting::Thinking(text) => self.write(Piece::Thinking(text), out),
                Waiting::Signature(text) => self.write(Piece::Signature(text), out),
                Waiting::Redacted(data) => self.write(Piece::Redacted(data), out),
                Waiting::Tool { index, id, name, arguments } => {
                    self.write(Piece::Tool { index: *index, id, name }, out);
                    if let Some(Open::Tool { json, .. }) = &mut self.open
                        && !arguments.is_empty()
                    {
                        json.feed(arguments);
                        self.piece(out, "input_json_delta", "partial_json", arguments);
                    }
                }
            }
        }
        if self.waiting.is_empty() {
            self.held = 0;
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: message_delta\ndata: ");
        let mut event = Object::open(out);
        event.string("type", "message_delta");
        let mut delta = Object::open(event.name("delta"));
        push_stop(&mut delta, self.stop.as_ref(), self.refused, self.called);
        delta.close();
        push_usage(event.name("usage"), &self.known_usage());
        event.close();
        out.extend_from_slice(b"\n\n");
        out.extend_from_slice(MESSAGE_STOP);
    }
}
