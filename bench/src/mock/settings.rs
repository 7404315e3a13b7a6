//! What the mock can be told, at its start and while it runs.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest wait that may be set: one minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Settings of the mock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Wait before an answer begins, microseconds
    #[arg(long, default_value_t = 0)]
    pub first_byte_us: u64,
    /// Content events of a stream
    #[arg(long, default_value_t = 50)]
    pub events: u32,
    /// Wait between two events of a stream, microseconds
    #[arg(long, default_value_t = 10_000)]
    pub gap_us: u64,
    /// Bytes of text in a whole answer
    #[arg(long, default_value_t = 200)]
    pub answer_bytes: u32,
    /// Bytes of text in an event
    #[arg(long, default_value_t = 6)]
    pub event_bytes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { first_byte_us: 0, events: 50, gap_us: 10_000, answer_bytes: 200, event_bytes: 6 }
    }
}

impl Settings {
    /// The same within bounds: a mock must not be made to eat the machine.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            first_byte_us: self.first_byte_us.min(LONGEST_US),
            events: self.events.min(100_000),
            gap_us: self.gap_us.min(LONGEST_US),
            answer_bytes: self.answer_bytes.min(16 << 20),
            event_bytes: self.event_bytes.min(64 << 10),
        }
    }

    /// Wait before an answer begins.
    #[must_use]
    pub fn first_byte(&self) -> Duration {
        Duration::from_micros(self.first_byte_us)
    }

    /// Wait between two events.
    #[must_use]
    pub fn gap(&self) -> Duration {
        Duration::from_micros(self.gap_us)
    }
}
