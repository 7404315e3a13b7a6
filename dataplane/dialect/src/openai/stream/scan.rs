//! A stream on its way from the vendor to the caller: bytes pass unchanged, facts are picked out.

use super::super::{UpstreamError, upstream_error};
use super::chunk::{Chunk, Glance, StreamHead, read};
use crate::sse::{boundary, event, missing, rest_of_line};
use crate::{FinishReason, Usage};
use bytes::{Bytes, BytesMut};

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
    settings: StreamSettings,
    glance: Glance,
    held: BytesMut,
    /// Where to look for the end of the held event.
    look_from: usize,
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

#[derive(PartialEq, Eq)]
enum Verdict {
    Forward,
    Withhold,
    Opaque,
    Done,
}

impl std::fmt::Debug for StreamScan {
    /// Without the held bytes: they are what the model said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamScan")
            .field("events", &self.events)
            .field("content_bytes", &self.content_bytes)
            .field("usage", &self.usage)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl StreamScan {
    /// At the start of a stream.
    #[must_use]
    pub fn new(settings: StreamSettings) -> Self {
        Self {
            settings,
            glance: Glance::new(),
            held: BytesMut::new(),
            look_from: 0,
            head: None,
            usage: None,
            finish: None,
            content_bytes: 0,
            events: 0,
            opened: 0,
            finished: 0,
            done: false,
            failed: false,
        }
    }

    /// Takes the next bytes of the stream and appends to `out` what is to be sent to the caller: whole events,
    /// unchanged, as slices of `chunk` where no event began in an earlier one. Bytes after `[DONE]` or after a fault
    /// are dropped.
    ///
    /// # Errors
    /// An event is too long, or the vendor reports an error; `out` holds what came before it.
    pub fn feed(&mut self, mut chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        while !self.held.is_empty() && !chunk.is_empty() {
            let line = chunk.split_to(rest_of_line(&chunk));
            self.held.extend_from_slice(&line);
            self.complete_held(out)?;
        }
        if !chunk.is_empty() {
            self.feed_whole(&chunk, out)?;
        }
        Ok(())
    }

    fn complete_held(&mut self, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        match boundary(&self.held, self.look_from) {
            Ok(found) => {
                self.look_from = 0;
                let event = self.held.split_to(found.end).freeze();
                // A line that is taken at a time never holds more than the event; a CR may leave nothing.
                if self.judge(&event)? != Verdict::Withhold {
                    out.push(event);
                }
            }
            Err(look_from) => {
                self.look_from = look_from;
                self.check_size(self.held.len())?;
            }
        }
        Ok(())
    }

    fn feed_whole(&mut self, chunk: &Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        // Events in `run` are handed out as one slice.
        let mut run = 0;
        let mut at = 0;
        while !self.closed() {
            let found = match boundary(&chunk[at..], 0) {
                Ok(found) => found,
                Err(look_from) => {
                    self.look_from = look_from;
                    self.held.extend_from_slice(&chunk[at..]);
                    break;
                }
            };
            let next = at + found.end;
            let verdict = self.judge(&chunk[at..next]);
            if !matches!(verdict, Ok(Verdict::Forward | Verdict::Opaque | Verdict::Done)) {
                push_slice(out, chunk, run, at);
                run = next;
            }
            at = next;
            verdict?;
            if at == chunk.len() {
                break;
            }
        }
        push_slice(out, chunk, run, at);
        self.check_size(self.held.len())
    }

    fn closed(&self) -> bool {
        self.done || self.failed
    }

    fn check_size(&mut self, size: usize) -> Result<(), StreamFault> {
        if size > self.settings.max_event {
            self.failed = true;
            self.held = BytesMut::new();
            return Err(StreamFault::EventTooLarge { limit: self.settings.max_event });
        }
        Ok(())
    }

    /// What to do with a whole event; keeps what it says.
    fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, StreamFault> {
        if self.closed() {
            return Ok(Verdict::Withhold);
        }
        self.check_size(bytes.len())?;
        let event = event(bytes);
        let Some(data) = event.data else { return Ok(Verdict::Forward) };
        self.events += 1;
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(Verdict::Done);
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
                // Not ours to judge; but it may be something that the model produced.
                self.content_bytes += data.len() as u64;
                Ok(Verdict::Opaque)
            }
        }
    }

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

    /// Says that no bytes will come. An event that lacks only its blank line is completed and handed out; one that is
    /// broken is not.
    ///
    /// # Errors
    /// That event is an error of the vendor.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Result<StreamEnd, StreamFault> {
        if !self.held.is_empty() && !self.closed() {
            let mut last = std::mem::take(&mut self.held);
            last.extend_from_slice(missing(&last));
            if matches!(self.judge(&last)?, Verdict::Forward | Verdict::Done) {
                out.push(last.freeze());
            }
        }
        Ok(if self.done {
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
        self.finished.count_ones() >= self.settings.choices && self.opened == self.finished
    }

    /// Choices that have not ended, of those asked for, in order: for ending them ourselves.
    pub fn unfinished(&self) -> impl Iterator<Item = u32> + use<> {
        let (finished, choices) = (self.finished, self.settings.choices);
        (0..choices.min(128)).filter(move |index| finished & (1 << index) == 0)
    }

    /// True once `[DONE]` was seen.
    #[must_use]
    pub fn done(&self) -> bool {
        self.done
    }

    /// The newest usage that was reported.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// How the first choice ended.
    #[must_use]
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    /// Bytes of text, tool arguments, refusals and reasoning so far, all choices together: no fewer than their tokens.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Events with data so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What the chunks have alike; `None` before the first one.
    #[must_use]
    pub fn head(&self) -> Option<&StreamHead> {
        self.head.as_ref()
    }
}

fn push_slice(out: &mut Vec<Bytes>, chunk: &Bytes, start: usize, end: usize) {
    if start == 0 && end == chunk.len() {
        out.push(chunk.clone());
    } else if start < end {
        out.push(chunk.slice(start..end));
    }
}
