//! Faults that a vendor can be told to show.

use std::time::Duration;

/// One way to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status and an error body in OpenAI's shape.
    Status {
        /// HTTP status, 300 to 599.
        status: u16,
        /// Value of `retry-after`, seconds.
        retry_after: Option<u64>,
    },
    /// Answers 307 to this URL.
    Redirect(String),
    /// Takes the request and never answers.
    Hang,
    /// Sends this many tokens (or half of a body), then nothing, with the connection left open.
    Stall(u64),
    /// Sends this many tokens (or half of a body), then closes the connection in good order.
    Cut(u64),
    /// Sends this many tokens (or nothing at all, when 0), then resets the connection.
    Reset(u64),
    /// Sends this many tokens, then an error object as an event, then closes.
    ErrorEvent(u64),
    /// Answers 200 with JSON that ends in the middle.
    Malformed,
    /// Sends the answer's head byte by byte, this long apart.
    SlowHead(Duration),
    /// Leaves usage out, asked for or not.
    NoUsage,
    /// Answers whole, although a stream was asked for.
    Whole,
}
