//! From one wire format into another, through the canonical chat: what the gateway calls when caller and provider do
//! not speak alike.

mod facts;
mod fault;
mod memory;
mod names;

pub use facts::{TargetFacts, ThinkingSupport};
pub use fault::{Garbled, StreamFault};
pub use memory::Memory;
pub(crate) use names::fitting;
