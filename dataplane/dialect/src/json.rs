//! JSON read where it lies: one validating pass that yields spans instead of values.
//!
//! serde's ignore path knows no depth limit, no position of what it skipped and no UTF-8 check of skipped strings;
//! the scanners of this crate need all three at once, at several bytes a nanosecond. The tests hold this reader
//! equal to `serde_json` in what it accepts.

mod cursor;
mod cuts;
mod number;
mod object;
mod patch;
mod string;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub(crate) use cursor::{Cursor, Kind};
pub(crate) use cuts::Cuts;
pub(crate) use object::{List, Object, nearly, push_array};
pub(crate) use patch::Patch;
pub(crate) use string::Str;
pub use text::{Span, Text};
pub(crate) use write::{push_escaped, push_number, push_string};

/// Why bytes are not a JSON document that we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonFault {
    /// Not UTF-8.
    #[error("the text is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset in bytes.
        at: usize,
    },
    /// Not JSON.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// Offset in bytes.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
    },
    /// Nested deeper than the limit.
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// Offset in bytes.
        at: usize,
        /// The limit.
        limit: u8,
    },
}
