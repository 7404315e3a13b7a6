//! A stream on its way from the vendor to the caller: bytes pass unchanged, facts are picked out.

use super::super::token_usage::Meter;
use super::event::{EventKind, Facts as Event, read};
use crate::openai::{StreamEnd, StreamFault, StreamHead, upstream_error};
use crate::sse::{Frames, Judge, Verdict, event};
use crate::{FinishReason, Usage};
use bytes::Bytes;

/// How to treat a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamSettings {
    /// Longest event, in bytes.
    pub max_event: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { max_event: 1 << 20 }
    }
}

/// Scans a stream that comes in chunks of any size. Whole events are handed out; what is left of a chunk is kept until
/// the event is complete.
pub struct StreamScan {
    frames: Frames,
    facts: Facts,
}

/// What the events said.
#[derive(Default)]
struct Facts {
    head: Option<StreamHead>,
    meter: Meter,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    content_bytes: u64,
    events: u64,
    open: Vec<u64>,
    done: bool,
    failed: bool,
}

/// Most blocks that are open at once before further ones are not kept in mind: Anthropic opens one at a time.
const MOST_OPEN: usize = 64;

impl std::fmt::Debug for StreamScan {
    /// Without the held bytes: they are what the model said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamScan")
            .field("events", &self.facts.events)
            .field("content_bytes", &self.facts.content_bytes)
            .field("usage", &self.facts.usage)
            .field("done", &self.facts.done)
            .finish_non_exhaustive()
    }
}

impl StreamScan {
    /// At the start of a stream.
    #[must_use]
    pub fn new(settings: StreamSettings) -> Self {
        Self { frames: Frames::new(settings.max_event), facts: Facts::default() }
    }

    /// Takes the next bytes of the stream and appends to `out` what is to be sent to the caller: whole events,
    /// unchanged, as slices of `chunk` where no event began in an earlier one. Bytes after `message_stop` or after a
    /// fault are dropped.
    ///
    /// # Errors
    /// An event is too long or not JSON, or the vendor reports an error; `out` holds what came before it.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        self.frames.feed(chunk, &mut self.facts, out)
    }

    /// Says that no bytes will come. An event that lacks only its blank line is completed and handed out; one that is
    /// broken is not.
    ///
    /// # Errors
    /// That event is an error of the vendor.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Result<StreamEnd, StreamFault> {
        match self.frames.end(&mut self.facts) {
            // It was cut off.
            Err(StreamFault::NotJson) => return Ok(StreamEnd::Cut),
            last => out.extend(last?),
        }
        Ok(match (self.facts.done, self.facts.finish) {
            (true, _) => StreamEnd::Done,
            (false, Some(_)) => StreamEnd::Finished,
            (false, None) => StreamEnd::Cut,
        })
    }

    /// Blocks that have begun and not ended, in order: for ending them ourselves.
    pub fn open_blocks(&self) -> impl Iterator<Item = u64> + '_ {
        self.facts.open.iter().copied()
    }

    /// True once `message_stop` was seen.
    #[must_use]
    pub fn done(&self) -> bool {
        self.facts.done
    }

    /// What was reported so far. Until the answer ends, output is what the vendor knew when it began.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.facts.usage.as_ref()
    }

    /// How the answer ended.
    #[must_use]
    pub fn finish(&self) -> Option<FinishReason> {
        self.facts.finish
    }

    /// Bytes of text, tool arguments and thinking so far: no fewer than their tokens.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.facts.content_bytes
    }

    /// Events with data so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.facts.events
    }

    /// Id and model; `None` before `message_start`.
    #[must_use]
    pub fn head(&self) -> Option<&StreamHead> {
        self.facts.head.as_ref()
    }
}

impl Judge for Facts {
    type Fault = StreamFault;

    fn closed(&self) -> bool {
        self.done || self.failed
    }

    fn too_long(&mut self, limit: usize) -> StreamFault {
        self.failed = true;
        StreamFault::EventTooLarge { limit }
    }

    #[inline]
    fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, StreamFault> {
        let event = event(bytes);
        let Some(data) = event.data else { return Ok(Verdict::Forward) };
        self.events += 1;
        if data.trim_ascii().is_empty() {
            return Ok(Verdict::Forward);
        }
        if event.name == b"error" {
            self.failed = true;
            return Err(StreamFault::Upstream(upstream_error(&data)));
        }
        match read(&data, &mut self.meter) {
            Ok(read) => self.take(read, &data),
            Err(_) => {
                // It may be something that the model produced.
                self.content_bytes += data.len() as u64;
                self.failed = true;
                Err(StreamFault::NotJson)
            }
        }
    }
}

impl Facts {
    fn take(&mut self, event: Event, data: &[u8]) -> Result<Verdict, StreamFault> {
        self.content_bytes += event.content_bytes;
        match event.kind {
            EventKind::Error => {
                self.failed = true;
                return Err(StreamFault::Upstream(event.error.unwrap_or_default()));
            }
            EventKind::MessageStart if self.head.is_none() => {
                let text = |text: Option<crate::Text>| text.map(|t| t.get(data).into()).unwrap_or_default();
                self.head = Some(StreamHead {
                    id: text(event.id),
                    model: text(event.model),
                    service_tier: self.meter.tier.map(|tier| tier.get(data).into()),
                    ..StreamHead::default()
                });
            }
            EventKind::BlockStart if self.open.len() < MOST_OPEN => self.open.push(event.index),
            EventKind::BlockStop => self.open.retain(|index| *index != event.index),
            EventKind::MessageDelta => self.finish = event.finish.or(self.finish),
            EventKind::MessageStop => self.done = true,
            _ => {}
        }
        if matches!(event.kind, EventKind::MessageStart | EventKind::MessageDelta | EventKind::MessageStop) {
            self.usage = self.meter.usage();
        }
        Ok(Verdict::Forward)
    }
}
