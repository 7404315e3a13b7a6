//! Plays the simulated provider's answers in real time.

use bytes::Bytes;
use std::task::{Context, Poll};

/// An answer being played.
pub struct Play {}

impl Play {
    /// The next piece.
    pub fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(None)
    }
}
