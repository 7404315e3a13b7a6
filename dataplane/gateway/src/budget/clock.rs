//! Time as the ledger wants it.

use smartflow_ledger::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks. Copies agree.
#[derive(Clone, Copy)]
pub struct Clock {
    began: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock {
    /// Now. Both clocks are read in user space (vDSO).
    #[must_use]
    pub fn now(&self) -> Now {
        self.at(Instant::now())
    }

    /// Now, by who has just read the monotonic clock.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mono = instant.saturating_duration_since(self.began);
        Now {
            mono: u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX),
            wall: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }
}
