//! A stream on its way from the vendor to the caller: bytes pass unchanged, facts are picked out. What is alike in all
//! formats; each says by its [`Facts`] what an event means.

use super::{Frames, Judge, Verdict, event};
use crate::openai::{StreamEnd, StreamFault, StreamHead, UpstreamError, upstream_error};
use crate::{FinishReason, Usage};
use bytes::Bytes;

/// What the events of any format said so far.
#[derive(Default)]
pub struct Seen {
    pub(crate) head: Option<StreamHead>,
    pub(crate) usage: Option<Usage>,
    pub(crate) finish: Option<FinishReason>,
    pub(crate) content_bytes: u64,
    pub(crate) events: u64,
    pub(crate) done: bool,
    failed: bool,
}

/// Why an event is a fault.
pub enum Fault {
    /// It is not JSON.
    NotJson,
    /// It is an error of the vendor.
    Upstream(UpstreamError),
}

/// What the events of one format say.
pub trait Facts {
    /// What they said so far.
    fn seen(&self) -> &Seen;

    /// The same, to be added to.
    fn seen_mut(&mut self) -> &mut Seen;

    /// True when every answer ended with a reason.
    fn finished(&self) -> bool;

    /// Reads the data of an event, which is not empty. True when the event is kept from the caller.
    ///
    /// # Errors
    /// The stream cannot go on.
    fn read(&mut self, data: &[u8]) -> Result<bool, Fault>;
}

/// Scans a stream that comes in chunks of any size. Whole events are handed out; what is left of a chunk is kept until
/// the event is complete.
pub struct Scan<F> {
    frames: Frames,
    pub(crate) facts: F,
}

impl<F: Facts> std::fmt::Debug for Scan<F> {
    /// Without the held bytes: they are what the model said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = self.facts.seen();
        f.debug_struct("StreamScan")
            .field("events", &seen.events)
            .field("content_bytes", &seen.content_bytes)
            .field("usage", &seen.usage)
            .field("done", &seen.done)
            .finish_non_exhaustive()
    }
}

impl<F: Facts> Scan<F> {
    /// At the start of a stream; `max_event` is the length of the longest event, in bytes.
    pub(crate) fn of(facts: F, max_event: usize) -> Self {
        Self { frames: Frames::new(max_event), facts }
    }

    /// Takes the next bytes of the stream and appends to `out` what is to be sent to the caller: whole events,
    /// unchanged, as slices of `chunk` where no event began in an earlier one. Bytes after the end or after a fault
    /// are dropped.
    ///
    /// # Errors
    /// An event is too long or not JSON, or the vendor reports an error; `out` holds what came before it.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        self.frames.feed(chunk, &mut Judging(&mut self.facts), out)
    }

    /// Says that no bytes will come. An event that lacks only its blank line is completed and handed out; one that is
    /// broken is not.
    ///
    /// # Errors
    /// That event is an error of the vendor.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Result<StreamEnd, StreamFault> {
        match self.frames.end(&mut Judging(&mut self.facts)) {
            // It was cut off.
            Err(StreamFault::NotJson) => return Ok(StreamEnd::Cut),
            last => out.extend(last?),
        }
        Ok(match (self.done(), self.facts.finished()) {
            (true, _) => StreamEnd::Done,
            (false, true) => StreamEnd::Finished,
            (false, false) => StreamEnd::Cut,
        })
    }

    /// True once the vendor closed the stream.
    #[must_use]
    pub fn done(&self) -> bool {
        self.facts.seen().done
    }

    /// The newest usage that was reported. Until the answer ends, Anthropic's output is what was known when it began.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.facts.seen().usage.as_ref()
    }

    /// How the first answer ended.
    #[must_use]
    pub fn finish(&self) -> Option<FinishReason> {
        self.facts.seen().finish
    }

    /// Bytes of text, tool arguments, refusals and thinking so far, all answers together: no fewer than their tokens.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.facts.seen().content_bytes
    }

    /// Events with data so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.facts.seen().events
    }

    /// Id, model and what else all events have alike; `None` before the first one.
    #[must_use]
    pub fn head(&self) -> Option<&StreamHead> {
        self.facts.seen().head.as_ref()
    }
}

/// Facts, while events are read.
struct Judging<'f, F>(&'f mut F);

impl<F: Facts> Judge for Judging<'_, F> {
    type Fault = StreamFault;

    fn closed(&self) -> bool {
        let seen = self.0.seen();
        seen.done || seen.failed
    }

    fn too_long(&mut self, limit: usize) -> StreamFault {
        self.0.seen_mut().failed = true;
        StreamFault::EventTooLarge { limit }
    }

    /// What to do with a whole event; keeps what it says.
    #[inline]
    fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, StreamFault> {
        let event = event(bytes);
        let Some(data) = event.data else { return Ok(Verdict::Forward) };
        self.0.seen_mut().events += 1;
        if data.trim_ascii().is_empty() {
            return Ok(Verdict::Forward);
        }
        let read = match event.name {
            b"error" => Err(Fault::Upstream(upstream_error(&data))),
            _ => self.0.read(&data),
        };
        match read {
            Ok(withhold) => Ok(if withhold { Verdict::Withhold } else { Verdict::Forward }),
            Err(fault) => {
                let seen = self.0.seen_mut();
                seen.failed = true;
                Err(match fault {
                    Fault::Upstream(error) => StreamFault::Upstream(error),
                    Fault::NotJson => {
                        // It may be something that the model produced.
                        seen.content_bytes += data.len() as u64;
                        StreamFault::NotJson
                    }
                })
            }
        }
    }
}
