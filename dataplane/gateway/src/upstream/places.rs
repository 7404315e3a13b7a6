//! Which of a provider's places a call goes to. A place that cannot be connected to is left alone for a few seconds, and
//! as nothing was sent to it, the call goes to the next one at once.

use super::pool::Pool;
use crate::routing::breaker::{Admission, Settings};
use crate::routing::strategy::{Candidate, Draw, MOST, weighted};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A place that one call could not connect to is left alone for this long.
const ALONE: Settings = Settings { threshold: NonZeroU32::MIN, cooldown: Duration::from_secs(5) };

/// Monotonic nanoseconds; breakers of places know no other clock.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Places in the order in which one call tries them.
pub struct Places<'a> {
    first: &'a Rc<Pool>,
    order: [Candidate; MOST],
    len: usize,
    next: usize,
    /// One bit for each that was tried.
    tried: u16,
    /// Those that are left alone are tried as well, once the others failed: a call has nowhere else to go.
    desperate: bool,
}

/// A place to try.
pub struct Place<'a> {
    /// Connections to it.
    pub pool: &'a Rc<Pool>,
    probe: bool,
}

impl<'a> Places<'a> {
    /// The places of `first`'s provider, in the order of one call.
    #[must_use]
    pub fn of(first: &'a Rc<Pool>) -> Self {
        let mut order = [Candidate { index: 0, priority: 0, weight: 0, busy: 0 }; MOST];
        let mut len = 0;
        let weights = std::iter::once(first).chain(&first.beside).map(|p| p.upstream.weight);
        for ((slot, weight), index) in order.iter_mut().zip(weights).zip(0u8..) {
            *slot = Candidate { index, weight, ..*slot };
            len += 1;
        }
        let turn = first.upstream.next_call();
        // The turn is as good as chance for who stands in: it is spread before it is used.
        weighted::order(order.get_mut(..len).unwrap_or_default(), Draw { turn, random: turn });
        Self { first, order, len, next: 0, tried: 0, desperate: false }
    }

    /// The next place to try; `None` after the last.
    pub fn advance(&mut self) -> Option<Place<'a>> {
        loop {
            if self.next >= self.len {
                if self.desperate {
                    return None;
                }
                (self.desperate, self.next) = (true, 0);
            }
            let index = usize::from(self.order.get(self.next)?.index);
            self.next += 1;
            if self.tried & (1 << index) != 0 {
                continue;
            }
            let pool = if index == 0 { self.first } else { self.first.beside.get(index - 1)? };
            let upstream = &pool.upstream;
            let admission = upstream.breaker.admit(now(), upstream.provider.timeouts.connect);
            if matches!(admission, Admission::Open(_)) && !self.desperate {
                continue;
            }
            self.tried |= 1 << index;
            return Some(Place { pool, probe: admission == Admission::Probe });
        }
    }
}

impl Place<'_> {
    /// A connection was had, or no word about it was: the call was left before.
    pub fn reached(&self) {
        self.pool.upstream.breaker.succeeded(self.probe);
    }

    /// It could not be connected to.
    pub fn unreachable(&self) {
        self.pool.upstream.breaker.failed(self.probe, now(), &ALONE);
    }
}
