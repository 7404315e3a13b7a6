//! The pod's side of one account: admits from what it was lent, asks when that does not do, and knows when not to ask.
//! All rates of the account are taken together or not at all.

mod levels;
mod talk;

use std::num::NonZeroU32;

use super::{
    headers::RateLevels,
    lease::Leases,
    message::RateLimits,
    pace::Pace,
    permits::Permits,
    ring::SLOT_NANOS,
    rows::{Pair, Rows},
};
use crate::account::{AccountId, Incarnation, Revision};

/// What a caller is told when nobody can know when a permit is free.
const PERMIT_WAIT: u64 = SLOT_NANOS;

/// Which limit refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Calls in flight.
    Parallel,
}

/// Why a call may not go now, and when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limit.
    pub which: Which,
    /// Nanoseconds until room for this call is due, if nobody else takes it. For [`Which::Parallel`] nobody can know:
    /// one second.
    pub retry_after: u64,
    /// All limits of the account, for the headers.
    pub levels: RateLevels,
}

/// What one admitted call took.
#[derive(Clone, Copy, Debug)]
pub(in crate::rate) struct Taken {
    row: u32,
    units: Pair,
}

/// What became of a call.
#[derive(Clone, Copy, Debug)]
pub(in crate::rate) enum Step {
    Admitted(Taken),
    Refused(Refusal),
    /// The lender must be asked.
    Short,
}

/// What calls that came since the last message lack.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    calls: u32,
    tokens: u32,
    first_tokens: u32,
}

/// A refusal to remember: calls of at least `least` are refused until `until`; room is due at `room`.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    least: u32,
    until: u64,
    room: u64,
}

/// The message under way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    at: u64,
    ahead: bool,
    least: Pair,
    permits: u32,
}

/// What a message is headed with.
#[derive(Clone, Copy, Debug)]
pub(in crate::rate) struct Names {
    pub(in crate::rate) account: AccountId,
    pub(in crate::rate) incarnation: Incarnation,
    pub(in crate::rate) revision: Revision,
    /// Greater than in any earlier message of the incarnation.
    pub(in crate::rate) number: u64,
}

/// One account in one pod while it is used.
#[derive(Debug, Default)]
pub(in crate::rate) struct PodRates {
    limits: RateLimits,
    answered: u64,
    generation: u64,
    sent: Option<Sent>,
    spoke: u64,
    leases: Leases,
    rows: Rows,
    permits: Permits,
    in_flight: u32,
    waiting: Waiting,
    pace: (Pace, Pace),
    refused: (Refused, Refused),
    /// Free at the lender after its last answer.
    free: Pair,
    /// When the lender's rings are empty.
    reset_at: (u64, u64),
    /// Pods that share the limits when the lender is away.
    fleet: u32,
    local_until: u64,
    misses: u32,
}

impl PodRates {
    pub(in crate::rate) fn new(limits: RateLimits, fleet: u32) -> Self {
        Self { limits, fleet, ..Self::default() }
    }

    /// Limits changed: what was refused under the old ones may be asked for again, and idle permits go back.
    pub(in crate::rate) fn set_limits(&mut self, limits: RateLimits) {
        self.limits = limits;
        self.refused = Default::default();
        self.permits.lost();
    }

    /// Admits a call of `tokens` estimated tokens, or says why not.
    pub(in crate::rate) fn admit(&mut self, now: u64, tokens: u32) -> Step {
        let tokens = if self.limits.tokens.is_some() { tokens } else { 0 };
        self.turn(now);
        let held = self.leases.units();
        let lacks_requests = self.limits.requests.is_some() && held.requests == 0;
        let lacks_tokens = held.tokens < tokens;
        let lacks_permit = self.limits.parallel.is_some() && !self.permits.is_free(now);
        if !(lacks_requests || lacks_tokens || lacks_permit) {
            return Step::Admitted(self.take(now, tokens));
        }
        if self.is_local(now) {
            return self.admit_locally(now, tokens);
        }
        let (requests, by_tokens) = self.refused;
        if lacks_requests && now < requests.until {
            return self.refuse(now, Which::Requests, requests.room.saturating_sub(now));
        }
        if lacks_tokens && now < by_tokens.until && tokens - held.tokens >= by_tokens.least {
            return self.refuse(now, Which::Tokens, by_tokens.room.saturating_sub(now));
        }
        if lacks_permit && self.permits.is_refused(now) {
            return self.refuse(now, Which::Parallel, PERMIT_WAIT);
        }
        if self.waiting.calls == 0 {
            self.waiting.first_tokens = tokens;
        }
        self.waiting.calls += 1;
        self.waiting.tokens = self.waiting.tokens.saturating_add(tokens);
        Step::Short
    }

    /// Lets time pass. What a slot leaves unused may make room for what was refused.
    fn turn(&mut self, now: u64) {
        if self.leases.turn(now, &mut self.rows) {
            self.refused = Default::default();
        }
    }

    fn take(&mut self, now: u64, tokens: u32) -> Taken {
        let units = Pair { requests: u32::from(self.limits.requests.is_some()), tokens };
        let row = match self.leases.current() {
            Some(lease) => {
                lease.units.requests = lease.units.requests.saturating_sub(units.requests);
                lease.units.tokens = lease.units.tokens.saturating_sub(units.tokens);
                lease.row
            }
            None => 0,
        };
        self.taken(now, row, units)
    }

    fn taken(&mut self, now: u64, row: u32, units: Pair) -> Taken {
        self.permits.take(now);
        self.in_flight += 1;
        self.pace.0.count(units.requests);
        self.pace.1.count(units.tokens);
        let reset = now + 60 * SLOT_NANOS + self.leases.slot_at(now).1;
        self.reset_at.0 = self.reset_at.0.max(reset);
        if units.tokens > 0 {
            self.reset_at.1 = self.reset_at.1.max(reset);
        }
        Taken { row, units }
    }

    /// Local windows are in force.
    pub(in crate::rate) fn is_local(&self, now: u64) -> bool {
        self.is_away() || now < self.local_until
    }

    /// L25: this pod's share of the limit, in a window of its own that counts all that it admitted.
    fn admit_locally(&mut self, now: u64, tokens: u32) -> Step {
        let pods = self.fleet.max(1);
        let (requests, used_tokens) = self.rows.used(now);
        let fits = |limit: Option<NonZeroU32>, used: u64, more: u32| {
            limit.is_none_or(|limit| used + u64::from(more) <= u64::from(limit.get() / pods))
        };
        let leaves = self.rows.oldest_leaves(now).max(SLOT_NANOS);
        if !fits(self.limits.requests, requests, 1) {
            return self.refuse(now, Which::Requests, leaves);
        }
        if !fits(self.limits.tokens, used_tokens, tokens) {
            return self.refuse(now, Which::Tokens, leaves);
        }
        if !fits(self.limits.parallel, u64::from(self.permits.in_use()), 1) {
            return self.refuse(now, Which::Parallel, PERMIT_WAIT);
        }
        let units = Pair { requests: u32::from(self.limits.requests.is_some()), tokens };
        let row = self.rows.open(now, self.leases.slot_at(now).0);
        self.rows.over(row, units);
        Step::Admitted(self.taken(now, row, units))
    }

    fn refuse(&self, now: u64, which: Which, retry_after: u64) -> Step {
        Step::Refused(Refusal { which, retry_after: retry_after.max(1), levels: self.levels(now) })
    }

    /// The call ended with `actual` tokens: the difference to its estimate counts from now on, or comes back (L24).
    pub(in crate::rate) fn settle(&mut self, now: u64, taken: Taken, actual: u32) {
        if self.limits.tokens.is_none() {
            return;
        }
        self.turn(now);
        if let Some(unused) = taken.units.tokens.checked_sub(actual) {
            return self.put_back(taken.row, Pair { requests: 0, tokens: unused });
        }
        let mut over = actual - taken.units.tokens;
        self.pace.1.count(over);
        over = self.leases.eat(over);
        self.free.tokens = self.free.tokens.saturating_sub(over);
        if over > 0 {
            let slot = self.leases.slot_at(now).0;
            let row = self.rows.open(now, slot);
            self.rows.over(row, Pair { requests: 0, tokens: over });
        }
    }

    /// The call was never made: everything comes back but the permit, which [`PodRates::end`] gives.
    pub(in crate::rate) fn undo(&mut self, now: u64, taken: Taken) {
        self.turn(now);
        self.put_back(taken.row, taken.units);
    }

    fn put_back(&mut self, row: u32, units: Pair) {
        if units == Pair::default() {
            return;
        }
        // Where the lender had nothing left, more than the limit may be counted already: it must see what comes back.
        let spare = |units: u32, free: u32| units == 0 || free > 0;
        if spare(units.requests, self.free.requests) && spare(units.tokens, self.free.tokens) {
            self.leases.put_back(row, units, &mut self.rows);
        } else {
            self.rows.back(row, units);
        }
        self.refused = Default::default();
    }

    /// A call is no longer in flight.
    pub(in crate::rate) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.permits.give_back();
    }
}

#[cfg(test)]
mod tests;
