//! Streams, event by event.
//!
//! A stream is untrusted: an event whose name and type differ, a delta without its block and a block of an unknown kind
//! are faults, because passing over them would lose a part of the answer silently.

use super::super::reply::stop_reason;
use super::super::token_usage::Meter;
use super::reply::{Block, told};
use crate::chat::{Citation, Delta, StopReason};
use crate::json::{Cursor, JsonFault, Kind, nearly};
use crate::openai::UpstreamError;
use crate::openai::error::{from_value, upstream_error};
use crate::sse::Event;
use crate::translate::StreamFault;
use std::borrow::Cow;

/// Reads a stream of message events.
#[derive(Default)]
pub(crate) struct DeltaReader {
    meter: Meter,
    started: bool,
    finished: bool,
    /// (index on the wire, what it is) of the block that is open; Anthropic opens one at a time.
    open: Option<(u64, Open)>,
    /// Calls told so far.
    calls: u32,
    /// Characters of text told so far.
    said: u64,
}

/// Most bytes of citations of one block: they are kept until it ends, for only then it is known how long it is.
const MOST_CITED: usize = 1 << 20;

/// What an open block is.
enum Open {
    Text {
        /// Characters of text before it.
        from: u64,
        cited: Vec<Citation<'static>>,
        held: usize,
    },
    Thinking,
    /// All of it was told when it began.
    Whole,
    Tool {
        index: u32,
        /// The arguments that it began with; told when no piece of them comes.
        input: Option<Box<str>>,
    },
}

/// What an event says.
#[derive(Default)]
struct Told<'a> {
    kind: Cow<'a, str>,
    index: Option<u64>,
    message: Option<(Cow<'a, str>, Cow<'a, str>)>,
    block: Option<Block<'a>>,
    delta: Option<Piece<'a>>,
    error: Option<UpstreamError>,
}

/// What a delta says.
#[derive(Default)]
struct Piece<'a> {
    kind: Cow<'a, str>,
    text: Option<Cow<'a, str>>,
    citation: Option<Citation<'a>>,
    reason: Option<StopReason>,
    sequence: Option<Cow<'a, str>>,
}

/// Members of an event and of a delta that say a part of the answer.
const TOLD: [&str; 6] = ["message", "content_block", "delta", "index", "usage", "error"];
const PIECE: [&str; 7] =
    ["text", "thinking", "signature", "partial_json", "citation", "stop_reason", "stop_sequence"];

type Sink<'s> = dyn FnMut(Delta<'_>) -> Result<(), StreamFault> + 's;

impl DeltaReader {
    /// At the start of a stream.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reads one event and tells `sink` what it adds.
    pub(crate) fn event(&mut self, event: &Event<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let Some(data) = &event.data else {
            if event.name.is_empty() {
                return sink(Delta::Ping);
            }
            return Err(StreamFault::Shape { why: "an event has a name and no data" });
        };
        if event.name == b"error" {
            return sink(Delta::Error(upstream_error(data)));
        }
        let told = Told::read(data, &mut self.meter)?;
        if !event.name.is_empty() && event.name != told.kind.as_bytes() {
            return Err(StreamFault::Shape { why: "an event's name is not its type" });
        }
        self.tell(told, sink)
    }

    fn tell(&mut self, told: Told<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let kind = told.kind.as_ref();
        if kind == "error" {
            return sink(Delta::Error(told.error.unwrap_or_default()));
        }
        let known = matches!(
            kind,
            "content_block_start"
                | "content_block_delta"
                | "content_block_stop"
                | "message_delta"
                | "message_stop"
        );
        if known && !self.started {
            return Err(StreamFault::Shape { why: "it does not begin with message_start" });
        }
        if kind.starts_with("content_block_") && self.finished {
            return Err(StreamFault::Shape { why: "content after the end of the answer" });
        }
        match kind {
            "message_start" => self.message_start(told, sink),
            "content_block_start" => self.block_start(told, sink),
            "content_block_delta" => self.block_delta(told, sink),
            "content_block_stop" => self.block_stop(told.index, sink),
            "message_delta" => self.message_delta(told, sink),
            "message_stop" if self.finished => sink(Delta::End),
            "message_stop" => Err(StreamFault::Shape { why: "it ends without a reason" }),
            // Pings, and kinds of events that are yet to come.
            _ => sink(Delta::Ping),
        }
    }

    fn message_start(&mut self, told: Told<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let (id, model) =
            told.message.ok_or(StreamFault::Shape { why: "message_start without a message" })?;
        if std::mem::replace(&mut self.started, true) {
            return Err(StreamFault::Shape { why: "two messages" });
        }
        sink(Delta::Start { id, model, created: None })?;
        self.meter.usage().map_or(Ok(()), |usage| sink(Delta::Usage(usage)))
    }

    fn block_start(&mut self, told: Told<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let (Some(index), Some(block)) = (told.index, told.block) else {
            return Err(StreamFault::Shape { why: "content_block_start without a block" });
        };
        if self.open.is_some() {
            return Err(StreamFault::Shape { why: "a block begins within another" });
        }
        let some = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).filter(|text| !text.is_empty());
        let open = match block.kind.as_ref() {
            "text" => {
                let from = self.said;
                if let Some(text) = some(block.text) {
                    self.said += text.chars().count() as u64;
                    sink(Delta::Text(text.into()))?;
                }
                let cited =
                    block.citations.as_ref().map(|raw| Citation::all(raw.as_str())).unwrap_or_default();
                let held = cited.iter().map(Citation::len).sum();
                Open::Text { from, cited: cited.into_iter().map(Citation::into_owned).collect(), held }
            }
            "thinking" => {
                if let Some(text) = some(block.text) {
                    sink(Delta::Thinking(text.into()))?;
                }
                if let Some(signature) = block.signature {
                    sink(Delta::Signature(signature))?;
                }
                Open::Thinking
            }
            "redacted_thinking" => {
                let why = "a redacted_thinking block without data";
                sink(Delta::RedactedThinking(block.data.ok_or(StreamFault::Shape { why })?))?;
                Open::Whole
            }
            "tool_use" => {
                let (Some(id), Some(name)) = (block.id, block.name) else {
                    return Err(StreamFault::Shape { why: "a tool_use block without id or name" });
                };
                let index = self.calls;
                self.calls += 1;
                sink(Delta::ToolStart { index, id, name })?;
                Open::Tool { index, input: Some(block.input.unwrap_or("{}").into()) }
            }
            _ => return Err(StreamFault::Shape { why: "a block of a kind that was not asked for" }),
        };
        self.open = Some((index, open));
        Ok(())
    }

    fn block_delta(&mut self, told: Told<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let Some((_, open)) = self.open.as_mut().filter(|(index, _)| Some(*index) == told.index) else {
            return Err(StreamFault::Shape { why: "a delta without its block" });
        };
        let piece = told.delta.ok_or(StreamFault::Shape { why: "content_block_delta without a delta" })?;
        let text = |text: Option<_>| text.ok_or(StreamFault::Shape { why: "a delta without its content" });
        match (piece.kind.as_ref(), open) {
            ("text_delta", Open::Text { .. }) => {
                let text = text(piece.text)?;
                self.said += text.chars().count() as u64;
                sink(Delta::Text(text))
            }
            ("thinking_delta", Open::Thinking) => sink(Delta::Thinking(text(piece.text)?)),
            ("signature_delta", Open::Thinking) => sink(Delta::Signature(text(piece.text)?)),
            ("input_json_delta", Open::Tool { index, input }) => {
                let fragment = text(piece.text)?;
                if fragment.is_empty() {
                    return Ok(());
                }
                *input = None;
                sink(Delta::ToolArguments { index: *index, fragment })
            }
            ("citations_delta", Open::Text { cited, held, .. }) => {
                if let Some(citation) = piece.citation {
                    // One that says nothing takes room too.
                    *held += citation.len() + size_of::<Citation<'_>>();
                    if *held > MOST_CITED {
                        return Err(StreamFault::HeldTooMuch { limit: MOST_CITED });
                    }
                    cited.push(citation.into_owned());
                }
                Ok(())
            }
            _ => Err(StreamFault::Shape { why: "a delta that does not fit its block" }),
        }
    }

    fn block_stop(&mut self, index: Option<u64>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        match self.open.take() {
            Some((open, block)) if Some(open) == index => match block {
                // Calls without arguments have empty ones (case 28).
                Open::Tool { index, input: Some(input) } => {
                    sink(Delta::ToolArguments { index, fragment: Cow::Borrowed(&input) })
                }
                Open::Text { from, cited, .. } => cited.into_iter().try_for_each(|citation| {
                    let range = Some((from, self.said));
                    sink(Delta::Citation(Citation { range, ..citation }))
                }),
                _ => Ok(()),
            },
            _ => Err(StreamFault::Shape { why: "a block ends that is not open" }),
        }
    }

    fn message_delta(&mut self, told: Told<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let piece = told.delta.ok_or(StreamFault::Shape { why: "message_delta without a delta" })?;
        if let Some(reason) = piece.reason.filter(|_| !self.finished) {
            if self.open.is_some() {
                return Err(StreamFault::Shape { why: "the answer ends within a block" });
            }
            self.finished = true;
            sink(Delta::Finish(self::told(reason, piece.sequence)))?;
        }
        self.meter.usage().map_or(Ok(()), |usage| sink(Delta::Usage(usage)))
    }
}

impl<'a> Told<'a> {
    fn read(data: &'a [u8], meter: &mut Meter) -> Result<Self, StreamFault> {
        let mut cursor = Cursor::new(data, u8::MAX)?;
        if cursor.peek()? != Kind::Object {
            return Err(StreamFault::Shape { why: "an event is no object" });
        }
        let mut told = Self::default();
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("type", Kind::String) => told.kind = cursor.text()?,
                ("index", Kind::Number) => told.index = cursor.raw()?.parse().ok(),
                ("message", Kind::Object) => told.message = Some(message(cursor, meter)?),
                ("content_block", Kind::Object) => told.block = Some(Block::read(cursor)?),
                ("delta", Kind::Object) => told.delta = Some(Piece::read(cursor)?),
                ("usage", Kind::Object) => meter.read(cursor)?,
                ("error", Kind::Object | Kind::String) => {
                    told.error = Some(from_value(cursor.raw()?.as_bytes()));
                }
                _ => cursor.skip_unknown(name, &TOLD)?,
            }
            Ok::<_, JsonFault>(())
        })?;
        cursor.end()?;
        if told.kind.is_empty() {
            return Err(StreamFault::Shape { why: "an event has no type" });
        }
        Ok(told)
    }
}

impl<'a> Piece<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonFault> {
        let mut piece = Self::default();
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("type", Kind::String) => piece.kind = cursor.text()?,
                ("text" | "thinking" | "signature" | "partial_json", Kind::String) => {
                    piece.text = Some(cursor.text()?);
                }
                ("citation", Kind::Object) => piece.citation = Citation::read(cursor)?,
                ("stop_reason", Kind::String) => piece.reason = Some(reason(cursor)?),
                ("stop_sequence", Kind::String) => piece.sequence = Some(cursor.text()?),
                _ => cursor.skip_unknown(name, &PIECE)?,
            }
            Ok::<_, JsonFault>(())
        })?;
        Ok(piece)
    }
}

fn message<'a>(
    cursor: &mut Cursor<'a>,
    meter: &mut Meter,
) -> Result<(Cow<'a, str>, Cow<'a, str>), JsonFault> {
    let (mut id, mut model) = (Cow::Borrowed(""), Cow::Borrowed(""));
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("id", Kind::String) => id = cursor.text()?,
            ("model", Kind::String) => model = cursor.text()?,
            ("usage", _) => meter.read(cursor)?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, JsonFault>(())
    })?;
    Ok((id, model))
}

/// A reason that is nearly a known one was garbled on the way.
fn reason(cursor: &mut Cursor<'_>) -> Result<StopReason, JsonFault> {
    const KNOWN: [&str; 7] = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    ];
    let word = cursor.text()?;
    if KNOWN.iter().any(|known| nearly(&word, known)) {
        return Err(JsonFault::Syntax { at: cursor.at(), expected: "a reason that is spelt right" });
    }
    Ok(stop_reason(&word))
}
