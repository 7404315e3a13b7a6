//! A stream on its way from the vendor to the caller: bytes pass unchanged, facts are picked out.

use super::super::{UpstreamError, upstream_error};
use super::chunk::{Chunk, Glance, StreamHead, read};
use crate::sse::{Frames, Judge, Verdict, event};
use crate::{FinishReason, Usage};
use bytes::Bytes;

/// How to treat a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamSettings {
    /// The caller did not ask for the usage chunk: keep it from him.
    pub withhold_usage: bool,
    /// Answers asked for (`n`).
    pub choices: u32,
    /// Longest event, in bytes.
    pub max_event: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { withhold_usage: false, choices: 1, max_event: 1 << 20 }
    }
}

/// Why a stream cannot go on. What came before has been handed out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StreamFault {
    /// An event is longer than the limit.
    #[error("an event of the stream is longer than {limit} bytes")]
    EventTooLarge {
        /// The limit.
        limit: usize,
    },
    /// An event is not JSON: something was garbled on the way.
    #[error("an event of the stream is not JSON")]
    NotJson,
    /// The vendor reported an error within the stream; its event is not handed out.
    #[error("the provider reported an error in the stream: {}", .0.message)]
    Upstream(UpstreamError),
}

/// How a stream stood when its bytes ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEnd {
    /// `[DONE]` was seen.
    Done,
    /// Every choice ended with a reason, but `[DONE]` is missing.
    Finished,
    /// It broke off: not a success.
    Cut,
}

/// Scans a stream that comes in chunks of any size. Whole events are handed out; what is left of a chunk is kept until
/// the event is complete.
pub struct StreamScan {
    frames: Frames,
    facts: Facts,
}

/// What the events said.
struct Facts {
    settings: StreamSettings,
    glance: Glance,
    head: Option<StreamHead>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    content_bytes: u64,
    events: u64,
    /// One bit a choice.
    opened: u128,
    finished: u128,
    done: bool,
    failed: bool,
}

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
        let facts = Facts {
            settings,
            glance: Glance::new(),
            head: None,
            usage: None,
            finish: None,
            content_bytes: 0,
            events: 0,
            opened: 0,
            finished: 0,
            done: false,
            failed: false,
        };
        Self { frames: Frames::new(settings.max_event), facts }
    }

    /// Takes the next bytes of the stream and appends to `out` what is to be sent to the caller: whole events,
    /// unchanged, as slices of `chunk` where no event began in an earlier one. Bytes after `[DONE]` or after a fault
    /// are dropped.
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
        Ok(if self.facts.done {
            StreamEnd::Done
        } else if self.all_finished() {
            StreamEnd::Finished
        } else {
            StreamEnd::Cut
        })
    }

    /// True when every choice asked for has ended with a reason.
    #[must_use]
    pub fn all_finished(&self) -> bool {
        self.facts.finished.count_ones() >= self.facts.settings.choices
            && self.facts.opened == self.facts.finished
    }

    /// Choices that have not ended, of those asked for, in order: for ending them ourselves.
    pub fn unfinished(&self) -> impl Iterator<Item = u32> + use<> {
        let (finished, choices) = (self.facts.finished, self.facts.settings.choices);
        (0..choices.min(128)).filter(move |index| finished & (1 << index) == 0)
    }

    /// True once `[DONE]` was seen.
    #[must_use]
    pub fn done(&self) -> bool {
        self.facts.done
    }

    /// The newest usage that was reported.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.facts.usage.as_ref()
    }

    /// How the first choice ended.
    #[must_use]
    pub fn finish(&self) -> Option<FinishReason> {
        self.facts.finish
    }

    /// Bytes of text, tool arguments, refusals and reasoning so far, all choices together: no fewer than their tokens.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.facts.content_bytes
    }

    /// Events with data so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.facts.events
    }

    /// What the chunks have alike; `None` before the first one.
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

    /// What to do with a whole event; keeps what it says.
    #[inline]
    fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, StreamFault> {
        let event = event(bytes);
        let Some(data) = event.data else { return Ok(Verdict::Forward) };
        self.events += 1;
        match data.trim_ascii() {
            b"[DONE]" => {
                self.done = true;
                return Ok(Verdict::Forward);
            }
            b"" => return Ok(Verdict::Forward),
            _ => {}
        }
        if event.name == b"error" {
            self.failed = true;
            return Err(StreamFault::Upstream(upstream_error(&data)));
        }
        if self.settings.choices == 1
            && self.head.is_some()
            && let Some(content) = self.glance.content_bytes(&data)
        {
            self.content_bytes += content;
            return Ok(Verdict::Forward);
        }
        match read(&data) {
            Ok(chunk) => self.take(chunk),
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
    fn take(&mut self, chunk: Chunk) -> Result<Verdict, StreamFault> {
        self.usage = chunk.usage.or(self.usage);
        if let Some(error) = chunk.error {
            self.failed = true;
            return Err(StreamFault::Upstream(error));
        }
        for choice in &chunk.choices {
            let bit = 1_u128.checked_shl(choice.index).unwrap_or(0);
            self.opened |= bit;
            self.content_bytes += choice.content_bytes;
            if let Some(reason) = choice.finish {
                self.finished |= bit;
                self.finish.get_or_insert(reason);
            }
        }
        let only_usage = chunk.choices.is_empty() && chunk.usage.is_some();
        if self.head.is_none() && !chunk.choices.is_empty() {
            self.head = Some(chunk.head);
        }
        let withhold = only_usage && self.settings.withhold_usage;
        Ok(if withhold { Verdict::Withhold } else { Verdict::Forward })
    }
}
