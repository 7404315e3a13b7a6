//! Streamed answers: scanned as they pass, ended by us, put together.

mod assemble;
mod ending;
mod event;
mod scan;

pub use assemble::Assembler;
pub use ending::{MESSAGE_STOP, error_event, final_events};
pub use scan::{StreamScan, StreamSettings};
