//! Streamed answers: scanned as they pass, ended by us, put together.

mod assemble;
mod chunk;
mod ending;
mod merge;
mod scan;

pub use assemble::{AssembleFault, Assembler};
pub use chunk::StreamHead;
pub use ending::{DONE, error_event, final_chunk, usage_chunk};
pub use scan::{StreamEnd, StreamFault, StreamScan, StreamSettings};
