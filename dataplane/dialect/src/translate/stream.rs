//! Streams: bytes of the vendor's format in, bytes of the caller's out, event by event as they come (case 43).

use super::codec::{Reader, Writer};
use super::pass::Pass;
use super::{Memory, StreamFault};
use crate::chat::{Delta, StopReason};
use crate::sse::{Frames, Judge, Verdict, event};
use crate::{Dialect, FinishReason, Usage};

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamEnd {
    /// The vendor said why the answer ends, and the caller was told. Else it broke off: the caller has to be told of
    /// an error ([`error_event`](super::error_event)).
    pub complete: bool,
    /// What it used, as far as the vendor said.
    pub usage: Option<Usage>,
    /// How the answer ended.
    pub finish: Option<FinishReason>,
}

/// Translates one stream that comes in pieces of any size.
pub struct Stream {
    frames: Frames,
    state: State,
}

struct State {
    reader: Reader,
    writer: Writer,
    memory: Memory,
    pass: Pass,
    to: Dialect,
    events: u64,
    done: bool,
    failed: bool,
}

impl std::fmt::Debug for Stream {
    /// Without the held bytes: they are what the model said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("to", &self.state.to)
            .field("events", &self.state.events)
            .field("pass", &self.state.pass)
            .field("done", &self.state.done)
            .finish_non_exhaustive()
    }
}

/// The state, and where what it says goes.
struct Passage<'p> {
    state: &'p mut State,
    out: &'p mut Vec<u8>,
}

impl Judge for Passage<'_> {
    type Fault = StreamFault;

    fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, StreamFault> {
        let event = event(bytes);
        if event.stray {
            self.state.failed = true;
            return Err(StreamFault::Shape { why: "an event has a line that is no field" });
        }
        self.state.events += u64::from(event.data.is_some());
        let State { reader, writer, memory, pass, done, .. } = &mut *self.state;
        let out = &mut *self.out;
        let result = reader.event(&event, &mut |delta| {
            pass.delta(memory, delta, &mut |delta| {
                *done |= matches!(delta, Delta::End);
                writer.delta(delta, out)
            })
        });
        self.state.failed |= result.is_err();
        result.map(|()| Verdict::Withhold)
    }

    fn too_long(&mut self, limit: usize) -> StreamFault {
        self.state.failed = true;
        StreamFault::EventTooLarge { limit }
    }

    fn closed(&self) -> bool {
        self.state.closed()
    }
}

impl State {
    fn closed(&self) -> bool {
        self.done || self.failed
    }

    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        // Only what must be held back can fail, and an end or error is not.
        self.failed |= self.writer.delta(delta, out).is_err();
    }
}

impl Stream {
    /// At the start of a stream in the format `from`, to be told in the format `to`. `max_event` is the length of the
    /// longest event that is taken, in bytes.
    #[must_use]
    pub fn new(from: Dialect, to: Dialect, memory: Memory, max_event: usize) -> Self {
        let (reader, writer) = (Reader::new(from), Writer::new(to, &memory));
        let pass = Pass::default();
        let state = State { reader, writer, memory, pass, to, events: 0, done: false, failed: false };
        Self { frames: Frames::new(max_event), state }
    }

    /// Takes the next bytes of the vendor's stream and appends to `out` what the caller is to be sent: whole events.
    /// Bytes after the end or after a fault are dropped.
    ///
    /// # Errors
    /// The stream cannot go on; `out` holds what came before. Nothing is written about the fault itself: that is for
    /// [`error_event`](super::error_event).
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.frames.each(bytes, &mut Passage { state: &mut self.state, out })
    }

    /// Says that no bytes will come. Where the vendor told why the answer ends and only the close of the stream is
    /// missing, it is written.
    ///
    /// # Errors
    /// As for [`Stream::feed`]: the last event lacked only its blank line.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<StreamEnd, StreamFault> {
        self.frames.end(&mut Passage { state: &mut self.state, out })?;
        if !self.state.closed() && self.state.pass.finish.is_some() {
            self.state.done = true;
            self.state.write(&Delta::End, out);
        }
        let Pass { usage, finish, .. } = self.state.pass;
        Ok(StreamEnd { complete: self.state.done, usage, finish })
    }

    /// Ends the answer ourselves, honestly: it reached a limit, and used `usage`. Nothing when it has ended.
    pub fn shorten(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        if self.state.closed() || !self.state.pass.started {
            return;
        }
        if self.state.pass.finish.is_none() {
            self.state.pass.finish = Some(FinishReason::Length);
            self.state.write(&Delta::Finish(StopReason::MaxTokens.into()), out);
        }
        self.state.write(&Delta::Usage(*usage), out);
        self.state.write(&Delta::End, out);
        self.state.done = true;
    }

    /// True once the vendor closed the stream: nothing that follows counts.
    #[must_use]
    pub fn done(&self) -> bool {
        self.state.done
    }

    /// True when the vendor told why the answer ends.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.state.pass.finish.is_some()
    }

    /// True once the answer began: a fault before can still be told by a status.
    #[must_use]
    pub fn started(&self) -> bool {
        self.state.pass.started
    }

    /// The newest usage that was reported.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.state.pass.usage.as_ref()
    }

    /// How the answer ended.
    #[must_use]
    pub fn finish(&self) -> Option<FinishReason> {
        self.state.pass.finish
    }

    /// Bytes of text, tool arguments, refusals and reasoning so far: no fewer than their tokens.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.state.pass.content_bytes
    }

    /// Events with data so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.state.events
    }
}
