//! Reading a provider's stream for the caller: in the format that both speak, or out of one into the other.

use crate::posed::Posed;
use bytes::Bytes;
use smartflow_dialect::openai::{
    self, AssembleFault, DONE, StreamEnd, StreamFault, UpstreamError, final_chunk, usage_chunk,
};
use smartflow_dialect::translate::{self, Stream};
use smartflow_dialect::{Dialect, FinishReason, Usage, anthropic};

/// Longest event, in bytes.
const LONGEST_EVENT: usize = 1 << 20;

/// A stream under way.
#[expect(clippy::large_enum_variant, reason = "it lies in a relay, which is boxed")]
pub enum Reading {
    /// OpenAI's: its bytes pass.
    OpenAi(openai::StreamScan),
    /// Anthropic's: its bytes pass.
    Anthropic(anthropic::StreamScan),
    /// Translated event by event.
    Translated(Box<Stream>),
}

/// Why a stream cannot go on. What came before it is for the caller.
#[derive(Debug)]
pub enum Broken {
    /// The provider reports an error.
    Upstream(UpstreamError),
    /// It is not what its format says.
    Garbled(&'static str),
}

impl Reading {
    /// At the start of the answer to `posed`. What is put together for the caller is read in the target's format.
    #[must_use]
    pub fn of(posed: &Posed<'_>) -> Self {
        let (caller, form) = (posed.caller, posed.form());
        match (&posed.translation, form.dialect()) {
            (Some(translation), from) if caller.streams() => {
                let memory = translation.memory.clone();
                Self::Translated(Box::new(Stream::new(from, caller.dialect(), memory, LONGEST_EVENT)))
            }
            (_, Dialect::OpenAi) => Self::OpenAi(openai::StreamScan::new(openai::StreamSettings {
                withhold_usage: caller.streams() && !caller.wants_usage(),
                choices: form.choices(),
                max_event: LONGEST_EVENT,
            })),
            (_, Dialect::Anthropic) => {
                Self::Anthropic(anthropic::StreamScan::new(anthropic::StreamSettings {
                    max_event: LONGEST_EVENT,
                }))
            }
        }
    }

    /// Takes the next bytes and appends to `out` what the caller is to be sent: whole events.
    ///
    /// # Errors
    /// [`Broken`]; `out` holds what came before.
    pub fn feed(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), Broken> {
        match self {
            Self::OpenAi(scan) => Ok(scan.feed(data, out)?),
            Self::Anthropic(scan) => Ok(scan.feed(data, out)?),
            Self::Translated(stream) => {
                let mut told = Vec::new();
                let fed = stream.feed(&data, &mut told);
                push(out, told);
                Ok(fed?)
            }
        }
    }

    /// No bytes will come. True when the answer is whole; what its end lacks is appended to `out`.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Result<bool, Broken> {
        let (end, missing) = match self {
            Self::OpenAi(scan) => (scan.end(out)?, DONE),
            Self::Anthropic(scan) => (scan.end(out)?, anthropic::MESSAGE_STOP),
            Self::Translated(stream) => {
                let mut told = Vec::new();
                let end = stream.end(&mut told);
                push(out, told);
                return Ok(end?.complete);
            }
        };
        if end == StreamEnd::Finished {
            out.push(Bytes::from_static(missing));
        }
        Ok(end != StreamEnd::Cut)
    }

    /// Ends the answer ourselves: it reached a limit, and used `usage`, which is told where the caller wants it.
    pub fn shorten(&mut self, usage: &Usage, tells_usage: bool, out: &mut Vec<Bytes>) {
        match self {
            Self::OpenAi(scan) => {
                if let Some(head) = scan.head() {
                    out.push(final_chunk(head, scan.unfinished(), FinishReason::Length));
                    if tells_usage {
                        out.push(usage_chunk(head, usage));
                    }
                }
                out.push(Bytes::from_static(DONE));
            }
            Self::Anthropic(scan) => match (scan.head(), scan.finish()) {
                (None, _) => {}
                (_, Some(_)) => out.push(Bytes::from_static(anthropic::MESSAGE_STOP)),
                (_, None) => {
                    out.push(anthropic::final_events(scan.open_blocks(), FinishReason::Length, usage))
                }
            },
            Self::Translated(stream) => {
                let mut told = Vec::new();
                stream.shorten(usage, &mut told);
                push(out, told);
            }
        }
    }

    /// True once the stream said that it is over.
    #[must_use]
    pub fn done(&self) -> bool {
        match self {
            Self::OpenAi(scan) => scan.done(),
            Self::Anthropic(scan) => scan.done(),
            Self::Translated(stream) => stream.done(),
        }
    }

    /// True once the provider said why the answer ends, and with it what it used.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self {
            Self::OpenAi(scan) => scan.all_finished(),
            Self::Anthropic(scan) => scan.finish().is_some(),
            Self::Translated(stream) => stream.finished(),
        }
    }

    /// The newest usage that was reported.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        match self {
            Self::OpenAi(scan) => scan.usage(),
            Self::Anthropic(scan) => scan.usage(),
            Self::Translated(stream) => stream.usage(),
        }
    }

    /// Bytes of what was produced so far: no fewer than its tokens.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        match self {
            Self::OpenAi(scan) => scan.content_bytes(),
            Self::Anthropic(scan) => scan.content_bytes(),
            Self::Translated(stream) => stream.content_bytes(),
        }
    }

    /// Events with data so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        match self {
            Self::OpenAi(scan) => scan.events(),
            Self::Anthropic(scan) => scan.events(),
            Self::Translated(stream) => stream.events(),
        }
    }
}

fn push(out: &mut Vec<Bytes>, told: Vec<u8>) {
    if !told.is_empty() {
        out.push(told.into());
    }
}

impl From<StreamFault> for Broken {
    fn from(fault: StreamFault) -> Self {
        match fault {
            StreamFault::Upstream(error) => Self::Upstream(error),
            StreamFault::EventTooLarge { .. } => Self::Garbled("an event is too long"),
            StreamFault::NotJson => Self::Garbled("an event is not JSON"),
        }
    }
}

impl From<translate::StreamFault> for Broken {
    fn from(fault: translate::StreamFault) -> Self {
        match fault {
            translate::StreamFault::Upstream(error) => Self::Upstream(error),
            translate::StreamFault::EventTooLarge { .. } => Self::Garbled("an event is too long"),
            translate::StreamFault::HeldTooMuch { .. } => {
                Self::Garbled("its calls of tools interleave too far")
            }
            translate::StreamFault::Json(_) => Self::Garbled("an event is not JSON"),
            translate::StreamFault::Shape { why } => Self::Garbled(why),
        }
    }
}

/// A stream that is put together again, in the target's format.
pub enum Gathering {
    /// OpenAI's.
    OpenAi(openai::Assembler),
    /// Anthropic's.
    Anthropic(anthropic::Assembler),
}

impl Gathering {
    /// Nothing yet; `limit` is the most bytes of stream that it takes.
    #[must_use]
    pub fn of(posed: &Posed<'_>, limit: usize) -> Self {
        match posed.form().dialect() {
            Dialect::OpenAi => Self::OpenAi(openai::Assembler::new(limit)),
            Dialect::Anthropic => Self::Anthropic(anthropic::Assembler::new(limit)),
        }
    }

    /// Takes whole events.
    ///
    /// # Errors
    /// They are more than the limit.
    pub fn feed(&mut self, events: &[u8]) -> Result<(), AssembleFault> {
        match self {
            Self::OpenAi(assembler) => assembler.feed(events),
            Self::Anthropic(assembler) => assembler.feed(events),
        }
    }

    /// The whole answer, with its `usage`.
    ///
    /// # Errors
    /// There was none.
    pub fn finish(self, usage: &Usage) -> Result<Bytes, AssembleFault> {
        match self {
            Self::OpenAi(assembler) => assembler.finish(Some(usage)),
            Self::Anthropic(assembler) => assembler.finish(Some(usage)),
        }
    }
}
