//! Answers that cannot be translated.

use crate::JsonFault;
use crate::openai::UpstreamError;

/// Why an answer cannot be translated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Garbled {
    /// It is not JSON.
    #[error("the provider's answer is not JSON: {0}")]
    Json(#[from] JsonFault),
    /// It is JSON of another shape.
    #[error("the provider's answer is not one: expected {expected}")]
    Shape {
        /// What would have been right.
        expected: &'static str,
    },
    /// It is an error that came with a status of success.
    #[error("the provider reported an error with a status of success: {}", .0.message)]
    Upstream(UpstreamError),
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
    /// An event is not JSON.
    #[error("an event of the stream is not JSON: {0}")]
    Json(#[from] JsonFault),
    /// An event makes no sense where it is.
    #[error("the stream is not one: {why}")]
    Shape {
        /// What is wrong.
        why: &'static str,
    },
    /// More is held back than the limit: calls of tools that interleave.
    #[error("the stream holds back more than {limit} bytes")]
    HeldTooMuch {
        /// The limit.
        limit: usize,
    },
    /// The vendor reported an error within the stream.
    #[error("the provider reported an error in the stream: {}", .0.message)]
    Upstream(UpstreamError),
}
