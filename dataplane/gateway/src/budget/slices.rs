//! A stream that is paid for slice by slice (L18). Pure: time is passed in.

use super::plan::SLICE;
use std::time::{Duration, Instant};

/// How long a stream that ran out of money waits for more.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// How often it asks meanwhile.
pub const POLL: Duration = Duration::from_millis(25);
/// Tokens that may still come after a stream is cut, at least.
const LEAST_TAIL: u64 = 64;

/// Progress of one stream. Output is counted in content bytes, which bound its tokens from above.
pub struct Slices {
    /// Tokens paid for.
    paid: u64,
    /// Tokens that the whole answer may have.
    full: u64,
    began: Instant,
    asked: Option<Instant>,
    dry: Option<Instant>,
}

/// What the stream should do.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// Ask for this many tokens, and read on meanwhile.
    Ask(u64),
    /// Stop reading; ask for this many tokens; look again after [`POLL`].
    Wait(u64),
    /// No money came: end honestly.
    End,
}

impl Slices {
    /// A stream whose first `paid` of `full` output tokens are paid for.
    #[must_use]
    pub fn new(paid: u64, full: u64, now: Instant) -> Self {
        Self { paid, full, began: now, asked: None, dry: None }
    }

    fn slice(&self) -> u64 {
        SLICE.min(self.full.saturating_sub(self.paid))
    }

    /// What to do after `bytes` of content.
    pub fn next(&mut self, bytes: u64, now: Instant) -> Next {
        let slice = self.slice();
        let tail = self.tail(bytes, now);
        if slice == 0 || bytes + tail.saturating_mul(2).max(SLICE / 2) < self.paid {
            self.dry = None;
            return Next::Read;
        }
        if bytes + tail < self.paid {
            // Some is left: ask ahead, but not at every event.
            if self.asked.is_some_and(|at| now < at + POLL) {
                return Next::Read;
            }
            self.asked = Some(now);
            return Next::Ask(slice);
        }
        let since = *self.dry.get_or_insert(now);
        if now >= since + PATIENCE { Next::End } else { Next::Wait(slice) }
    }

    /// `tokens` more were paid for.
    pub fn extended(&mut self, tokens: u64) {
        if tokens > 0 {
            self.paid = self.full.min(self.paid.saturating_add(tokens));
            (self.asked, self.dry) = (None, None);
        }
    }

    /// Tokens that may still come once we stop reading: 0.5 s at the observed rate. A young stream has no rate yet:
    /// as much as it brought may come again.
    fn tail(&self, bytes: u64, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.began).as_millis().max(500);
        let half_second = u128::from(bytes) * 500 / elapsed;
        u64::try_from(half_second).unwrap_or(u64::MAX).max(LEAST_TAIL)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stream(paid: u64, full: u64, now: Instant) -> Slices {
        Slices::new(paid, full, now)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_next_slice_is_asked_for_at_half_a_slice() {
        let begin = Instant::now();
        let mut s = stream(SLICE, 10_000, begin);
        // 512 bytes in 10 s: a slow stream, its tail is the least.
        let now = begin + SECOND * 10;
        assert_eq!(s.next(100, now), Next::Read);
        assert_eq!(s.next(SLICE / 2, now), Next::Ask(SLICE));
        assert_eq!(s.next(SLICE / 2 + 1, now), Next::Read, "not at every event");
        s.extended(SLICE);
        assert_eq!(s.next(SLICE / 2 + 2, now), Next::Read);
    }

    #[test]
    fn a_fast_stream_is_paid_half_a_second_ahead() {
        let begin = Instant::now();
        let mut s = stream(SLICE, 1_000_000, begin);
        // 80,000 bytes a second: 40,000 may come before the provider hears that it should stop.
        let (bytes, now) = (80_000, begin + SECOND);
        let mut paid = SLICE;
        while let Next::Wait(tokens) = s.next(bytes, now) {
            s.extended(tokens);
            paid += tokens;
        }
        assert!((120_000..=120_000 + SLICE).contains(&paid), "{paid}");
    }

    #[test]
    fn without_money_it_waits_and_then_ends() {
        let begin = Instant::now();
        let mut s = stream(SLICE, 10_000, begin);
        assert_eq!(s.next(SLICE, begin), Next::Wait(SLICE));
        assert_eq!(s.next(SLICE, begin + POLL), Next::Wait(SLICE));
        assert_eq!(s.next(SLICE, begin + PATIENCE), Next::End);
        s.extended(SLICE * 2);
        assert_eq!(s.next(SLICE, begin + SECOND * 100), Next::Read);
    }

    #[test]
    fn the_last_slice_is_smaller_and_the_end_is_never_waited_for() {
        let now = Instant::now();
        let mut s = stream(SLICE, SLICE + 10, now);
        assert_eq!(s.next(SLICE - 1, now), Next::Wait(10));
        s.extended(10);
        assert_eq!(s.next(SLICE * 5, now), Next::Read);
    }
}
