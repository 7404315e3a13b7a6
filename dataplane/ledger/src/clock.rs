//! Time as a value: whoever calls the ledger brings the clock.

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds on a monotonic clock, counted from some start of the process; never goes back.
    pub mono: u64,
    /// Milliseconds since the Unix epoch; may be stepped.
    pub wall: i64,
}

/// One millisecond in the unit of [`Now::mono`].
pub(crate) const MS: u64 = 1_000_000;
/// One second in the unit of [`Now::mono`].
pub(crate) const SECOND: u64 = 1_000 * MS;
/// One hour in the unit of [`Now::wall`].
pub(crate) const WALL_HOUR: i64 = 3_600_000;
/// How long a closed window takes late reports (L3).
pub(crate) const LATE_REPORTS: i64 = 48 * WALL_HOUR;
/// How long before its start a window may be lent ahead (L3).
pub(crate) const LEND_AHEAD: i64 = 60_000;

impl Now {
    /// The same instant, `millis` later on both clocks.
    #[must_use]
    pub fn plus_millis(self, millis: u64) -> Self {
        let wall = i64::try_from(millis).unwrap_or(i64::MAX);
        Self {
            mono: self.mono.saturating_add(millis.saturating_mul(MS)),
            wall: self.wall.saturating_add(wall),
        }
    }
}
