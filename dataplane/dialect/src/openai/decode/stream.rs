//! Streams, event by event.

use super::super::error::{from_value, upstream_error};
use super::super::token_usage::usage;
use super::call::{Call, WRAPPER, made_id, or_empty, unwrapped};
use super::reply::{settled, stop_reason};
use super::thinking::Thought;
use crate::Usage;
use crate::chat::{Citation, Delta, Part, StopReason};
use crate::json::{Cursor, JsonFault, Kind, nearly};
use crate::openai::UpstreamError;
use crate::sse::Event;
use crate::translate::StreamFault;
use std::borrow::Cow;

/// Most calls of one answer, and most bytes held back for those that cannot be told yet.
const MOST_CALLS: usize = 1024;
const MOST_HELD: usize = 1 << 20;

/// Members of which none may be lost: chunk, choice, delta.
const CHUNK: [&str; 3] = ["choices", "usage", "error"];
const CHOICE: [&str; 3] = ["index", "delta", "finish_reason"];
const DELTA: [&str; 8] = [
    "content",
    "annotations",
    "refusal",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
];

/// Reads a stream of `chat.completion.chunk`s. Only the first choice is read: no more was asked for.
#[derive(Default)]
pub(crate) struct DeltaReader {
    started: bool,
    finished: bool,
    calls: Vec<Started>,
    /// Calls told so far.
    told: u32,
    /// The stream's id.
    id: Box<str>,
    /// Thinking was told since the last signature.
    thinking: bool,
}

/// A call of a tool under way.
struct Started {
    wire_index: Option<u64>,
    wire_id: Option<Box<str>>,
    /// Its index in what is told; `None` until it can be told: its name is not known, or it is a wrapper.
    told: Option<u32>,
    wrapper: bool,
    held: String,
}

/// What a chunk says.
#[derive(Default)]
struct Chunk<'a> {
    id: Cow<'a, str>,
    model: Cow<'a, str>,
    created: Option<u64>,
    choice: bool,
    text: Option<Cow<'a, str>>,
    citations: Vec<Citation<'a>>,
    refusal: Option<Cow<'a, str>>,
    thought: Thought<'a>,
    calls: Vec<Call<'a>>,
    reason: Option<StopReason>,
    sequence: Option<Cow<'a, str>>,
    usage: Option<Usage>,
    error: Option<UpstreamError>,
}

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
        if data.trim_ascii() == b"[DONE]" {
            return sink(Delta::End);
        }
        if event.name == b"error" {
            return sink(Delta::Error(upstream_error(data)));
        }
        let chunk = Chunk::read(data)?;
        self.tell(chunk, sink)
    }

    fn tell(&mut self, chunk: Chunk<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        if let Some(error) = chunk.error {
            return sink(Delta::Error(error));
        }
        // Azure's first chunk has no choice, and no id either (case 47).
        if chunk.choice && !self.started {
            self.started = true;
            self.id = chunk.id.as_ref().into();
            sink(Delta::Start { id: chunk.id, model: chunk.model, created: chunk.created })?;
        }
        if !self.finished {
            self.thought(chunk.thought, sink)?;
            if let Some(text) = chunk.text.filter(|text| !text.is_empty()) {
                sink(Delta::Text(text))?;
            }
            for citation in chunk.citations {
                sink(Delta::Citation(citation))?;
            }
            if let Some(text) = chunk.refusal.filter(|text| !text.is_empty()) {
                sink(Delta::Refusal(text))?;
            }
            for call in chunk.calls {
                self.call(call, sink)?;
            }
            if let Some(reason) = chunk.reason {
                self.finished = true;
                self.unwrap_held(sink)?;
                sink(Delta::Finish(settled(reason, chunk.sequence, self.told > 0)))?;
            }
        }
        match chunk.usage {
            Some(usage) => sink(Delta::Usage(usage)),
            None => Ok(()),
        }
    }

    /// Blocks repeat what the text says; alone they say it themselves.
    fn thought(&mut self, thought: Thought<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let spoken = thought.text.filter(|text| !text.is_empty());
        self.thinking |= spoken.is_some();
        if let Some(text) = spoken {
            sink(Delta::Thinking(text))?;
        }
        for block in thought.blocks {
            match block {
                Part::RedactedThinking { data } => sink(Delta::RedactedThinking(data))?,
                Part::Thinking(block) => {
                    if !self.thinking && !block.text.is_empty() {
                        sink(Delta::Thinking(block.text))?;
                        self.thinking = true;
                    }
                    if let Some(signature) = block.signature {
                        sink(Delta::Signature(signature))?;
                        self.thinking = false;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn call(&mut self, call: Call<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        if call.foreign.is_some() {
            return Err(StreamFault::Shape { why: "a call of a tool that is no function" });
        }
        let at = self.slot(&call)?;
        let Some(started) = self.calls.get_mut(at) else { return Ok(()) };
        let arguments = call.arguments.unwrap_or_default();
        if let Some(index) = started.told {
            return match arguments.is_empty() {
                true => Ok(()),
                false => sink(Delta::ToolArguments { index, fragment: arguments }),
            };
        }
        started.held.push_str(&arguments);
        if started.held.len() > MOST_HELD {
            return Err(StreamFault::HeldTooMuch { limit: MOST_HELD });
        }
        let Some(name) = call.name.filter(|_| !started.wrapper) else { return Ok(()) };
        if name == WRAPPER {
            started.wrapper = true;
            return Ok(());
        }
        let index = self.told;
        self.told += 1;
        started.told = Some(index);
        let id = started.wire_id.as_deref().map_or_else(|| made_id(&self.id, at).into(), Cow::Borrowed);
        sink(Delta::ToolStart { index, id, name })?;
        match std::mem::take(&mut started.held) {
            held if held.is_empty() => Ok(()),
            held => sink(Delta::ToolArguments { index, fragment: held.into() }),
        }
    }

    /// The call that `call` goes on with, or a new one. Some vendors leave out the index, or give all calls the same;
    /// then a new id is a new call.
    fn slot(&mut self, call: &Call<'_>) -> Result<usize, StreamFault> {
        let same = self.calls.iter().rposition(|known| {
            known.wire_index == call.index
                && (call.id.is_none()
                    || known.wire_id.is_none()
                    || known.wire_id.as_deref() == call.id.as_deref())
        });
        if let Some(at) = same {
            return Ok(at);
        }
        if call.id.is_none() && call.name.is_none() {
            return Err(StreamFault::Shape { why: "arguments of a call of a tool that did not begin" });
        }
        if self.calls.len() == MOST_CALLS {
            return Err(StreamFault::Shape { why: "too many calls of tools" });
        }
        self.calls.push(Started {
            wire_index: call.index,
            wire_id: call.id.as_deref().map(Into::into),
            told: None,
            wrapper: false,
            held: String::new(),
        });
        Ok(self.calls.len() - 1)
    }

    /// Tells the calls that are wrapped in one (case 31), and those whose name never came.
    fn unwrap_held(&mut self, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        for (at, call) in self.calls.iter().enumerate().filter(|(_, call)| call.told.is_none()) {
            let id = call.wire_id.as_deref().map_or_else(|| made_id(&self.id, at), str::to_owned);
            if !call.wrapper {
                return Err(StreamFault::Shape { why: "a call of a tool without a name" });
            }
            let arguments = or_empty(Some(Cow::Borrowed(call.held.as_str())));
            let mut tell = |id: Cow<'_, str>, name: Cow<'_, str>, arguments: Cow<'_, str>| {
                let index = self.told;
                self.told += 1;
                sink(Delta::ToolStart { index, id, name })?;
                sink(Delta::ToolArguments { index, fragment: arguments })
            };
            match unwrapped(&id, &arguments) {
                None => tell(id.into(), WRAPPER.into(), arguments)?,
                Some(parts) => {
                    for part in parts {
                        if let Part::ToolUse(call) = part {
                            tell(call.id, call.name, call.arguments)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'a> Chunk<'a> {
    fn read(data: &'a [u8]) -> Result<Self, StreamFault> {
        let mut cursor = Cursor::new(data, u8::MAX)?;
        if cursor.peek()? != Kind::Object {
            return Err(StreamFault::Shape { why: "an event is no object" });
        }
        let mut chunk = Self::default();
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("id", Kind::String) => chunk.id = cursor.text()?,
                ("model", Kind::String) => chunk.model = cursor.text()?,
                ("created", Kind::Number) => chunk.created = cursor.raw()?.parse().ok(),
                ("choices", Kind::Array) => chunk.choices(cursor)?,
                ("usage", Kind::Object) => chunk.usage = usage(cursor)?,
                ("x_groq", Kind::Object) => chunk.groq(cursor)?,
                ("error", Kind::Object | Kind::String) => {
                    chunk.error = Some(from_value(cursor.raw()?.as_bytes()));
                }
                _ => cursor.skip_unknown(name, &CHUNK)?,
            }
            Ok::<_, StreamFault>(())
        })?;
        cursor.end()?;
        if chunk.reason == Some(StopReason::Error) && chunk.error.is_none() {
            chunk.error = Some(upstream_error(data));
        }
        Ok(chunk)
    }

    fn choices(&mut self, cursor: &mut Cursor<'a>) -> Result<(), StreamFault> {
        cursor.elements(|cursor, _, kind| {
            if kind != Kind::Object {
                return Err(StreamFault::Shape { why: "a choice is no object" });
            }
            let mut choice = Self::default();
            let mut index = 0;
            cursor.members(|cursor, name, kind| {
                match (name, kind) {
                    ("index", Kind::Number) => index = cursor.raw()?.parse().unwrap_or(0),
                    ("delta" | "message", Kind::Object) => choice.delta(cursor)?,
                    ("finish_reason", Kind::String) => choice.reason = Some(reason(cursor)?),
                    ("stop_reason", Kind::String) => choice.sequence = Some(cursor.text()?),
                    _ => cursor.skip_unknown(name, &CHOICE)?,
                }
                Ok::<_, JsonFault>(())
            })?;
            if index != 0 {
                return Err(StreamFault::Shape { why: "an answer more than was asked for" });
            }
            let head = std::mem::take(self);
            *self = Self {
                id: head.id,
                model: head.model,
                created: head.created,
                usage: head.usage,
                error: head.error,
                choice: true,
                ..choice
            };
            Ok(())
        })
    }

    fn delta(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonFault> {
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("content", Kind::String) => self.text = Some(cursor.text()?),
                ("refusal", Kind::String) => self.refusal = Some(cursor.text()?),
                ("annotations", Kind::Array) => Citation::list(cursor, |c| self.citations.push(c))?,
                _ if Call::member(&mut self.calls, cursor, name, kind)? => {}
                _ if self.thought.member(cursor, name, kind)? => {}
                _ => cursor.skip_unknown(name, &DELTA)?,
            }
            Ok(())
        })
    }

    /// Groq repeats the usage under a name of its own, and used to have it only there.
    fn groq(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonFault> {
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("usage", Kind::Object) => self.usage = self.usage.or(usage(cursor)?),
                ("error", Kind::Object | Kind::String) => {
                    self.error = Some(from_value(cursor.raw()?.as_bytes()));
                }
                _ => {
                    cursor.skip()?;
                }
            }
            Ok(())
        })
    }
}

/// A reason that is nearly a known one was garbled on the way.
fn reason(cursor: &mut Cursor<'_>) -> Result<StopReason, JsonFault> {
    const KNOWN: [&str; 5] = ["stop", "length", "tool_calls", "function_call", "content_filter"];
    let word = cursor.text()?;
    if KNOWN.iter().any(|known| nearly(&word, known)) {
        return Err(JsonFault::Syntax { at: cursor.at(), expected: "a reason that is spelt right" });
    }
    Ok(stop_reason(&word))
}
