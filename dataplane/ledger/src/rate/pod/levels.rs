//! What callers are told of an account.

use std::num::NonZeroU32;

use super::{
    super::headers::{Level, RateLevels},
    PodRates,
};

impl PodRates {
    /// What the headers say.
    pub(in crate::rate) fn levels(&self, now: u64) -> RateLevels {
        if self.is_local(now) {
            return self.local_levels(now);
        }
        let held = self.leases.units();
        let level = |limit: Option<NonZeroU32>, left: u32, reset_at: u64| {
            limit.map(|limit| Level {
                limit: limit.get(),
                remaining: if now >= reset_at { limit.get() } else { left.min(limit.get()) },
                reset: reset_at.saturating_sub(now),
            })
        };
        RateLevels {
            requests: level(
                self.limits.requests,
                held.requests.saturating_add(self.free.requests),
                self.reset_at.0,
            ),
            tokens: level(self.limits.tokens, held.tokens.saturating_add(self.free.tokens), self.reset_at.1),
        }
    }

    fn local_levels(&self, now: u64) -> RateLevels {
        let (requests, tokens) = self.rows.used(now);
        let reset = self.reset_at.0.max(self.reset_at.1).saturating_sub(now);
        let level = |limit: Option<NonZeroU32>, used: u64| {
            let left = |limit: u32| u64::from(limit / self.fleet.max(1)).saturating_sub(used);
            limit.map(|limit| Level {
                limit: limit.get(),
                remaining: u32::try_from(left(limit.get())).unwrap_or(u32::MAX),
                reset,
            })
        };
        RateLevels {
            requests: level(self.limits.requests, requests),
            tokens: level(self.limits.tokens, tokens),
        }
    }
}
