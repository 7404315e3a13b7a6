//! What one event of a stream adds.

use super::{Citation, Stop};
use crate::Usage;
use crate::openai::UpstreamError;
use std::borrow::Cow;

/// What one event of a stream adds to the (only) answer. A decoder yields `Start` first and once; `Finish` once;
/// `End` last and once, when the vendor says that the stream is complete. Nothing follows `Error`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delta<'a> {
    /// The stream begins.
    Start {
        /// The vendor's id.
        id: Cow<'a, str>,
        /// The model that answers.
        model: Cow<'a, str>,
        /// Unix seconds, where the vendor says.
        created: Option<u64>,
    },
    /// More text.
    Text(Cow<'a, str>),
    /// Where the text so far, or a part of it, has it from.
    Citation(Citation<'a>),
    /// More thinking.
    Thinking(Cow<'a, str>),
    /// The signature of the thinking so far; ends that block.
    Signature(Cow<'a, str>),
    /// A block of encrypted thinking, whole.
    RedactedThinking(Cow<'a, str>),
    /// More of a refusal.
    Refusal(Cow<'a, str>),
    /// A call of a tool begins.
    ToolStart {
        /// 0 for the answer's first call, then 1, …
        index: u32,
        /// The call's id.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
    },
    /// More of a call's arguments. Calls may interleave.
    ToolArguments {
        /// Which call.
        index: u32,
        /// A piece of JSON.
        fragment: Cow<'a, str>,
    },
    /// The answer ends.
    Finish(Stop<'a>),
    /// What it used so far: cumulative, never to be summed (case 57). May come before and after `Finish`.
    Usage(Usage),
    /// A sign of life.
    Ping,
    /// The stream is complete.
    End,
    /// The vendor failed.
    Error(UpstreamError),
}
