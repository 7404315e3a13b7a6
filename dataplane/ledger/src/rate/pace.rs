//! How fast an account is used: admitted units per second, as a running average that halves each second.

use super::ring::SLOT_NANOS;

/// Milli-units per second and what was counted since the average was last moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    per_second_milli: u64,
    counted: u64,
    since: u64,
}

impl Pace {
    /// Counts admitted units.
    pub(super) fn count(&mut self, units: u32) {
        self.counted += u64::from(units);
    }

    /// What `left` nanoseconds are expected to take, with a fifth to spare.
    pub(super) fn expected(&mut self, now: u64, left: u64) -> u32 {
        self.advance(now);
        let nano_units = u128::from(self.per_second_milli) * u128::from(left) * 6 / 5;
        u32::try_from(nano_units.div_ceil(1000 * u128::from(SLOT_NANOS))).unwrap_or(u32::MAX)
    }

    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.since);
        if passed < SLOT_NANOS {
            return;
        }
        let recent = u128::from(self.counted) * 1000 * u128::from(SLOT_NANOS) / u128::from(passed);
        let recent = u64::try_from(recent).unwrap_or(u64::MAX);
        // After a pause the old average says nothing any more.
        let old = if passed < 4 * SLOT_NANOS { self.per_second_milli } else { recent };
        *self = Self { per_second_milli: old / 2 + recent / 2, counted: 0, since: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expects_a_fifth_more_than_it_saw() {
        let mut pace = Pace { since: 0, ..Pace::default() };
        for second in 1..20_u64 {
            pace.count(100);
            pace.expected(second * SLOT_NANOS, SLOT_NANOS);
        }
        assert_eq!(pace.expected(19 * SLOT_NANOS, SLOT_NANOS), 120);
        assert_eq!(pace.expected(19 * SLOT_NANOS, SLOT_NANOS / 2), 60);
    }

    #[test]
    fn forgets_after_a_pause() {
        let mut pace = Pace::default();
        pace.count(1000);
        assert_eq!(pace.expected(SLOT_NANOS, SLOT_NANOS), 600);
        assert_eq!(pace.expected(100 * SLOT_NANOS, SLOT_NANOS), 0);
    }
}
