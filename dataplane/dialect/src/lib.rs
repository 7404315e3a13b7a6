//! Wire formats as pure codecs: what a request asks for and costs at most, what an answer used, what a stream says.
//!
//! Nothing here waits, keeps time or imports another crate of ours. Same dialect on both sides: bodies are scanned,
//! not parsed into values, and the original bytes pass but for the few that must change ([`openai::ChatScan::splice`]).
//! Different dialects: [`translate`], by way of the canonical [`chat`].

pub mod anthropic;
pub mod chat;
mod dialect;
mod feature;
mod json;
pub mod openai;
mod sse;
pub mod translate;
mod usage;

pub use dialect::Dialect;
pub use feature::{Feature, Features};
pub use json::{JsonFault, Span, Text};
pub use usage::{FinishReason, Usage};
