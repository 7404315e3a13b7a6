//! The pod's side of one account: admits from what it was lent, asks when that does not do, and knows when not to ask.
//! All rates of the account are taken together or not at all.

use std::num::NonZeroU32;

use super::{
    headers::{Level, RateLevels},
    lease::Leases,
    message::{RateAnswer, RateAsk, RateLimits, UnitsAsk},
    pace::Pace,
    permits::Permits,
    ring::SLOT_NANOS,
    rows::{Pair, Rows},
};
use crate::account::{AccountId, Incarnation, Revision};

/// A message not answered for this long is given up and another one sent, nanoseconds.
pub(super) const PATIENCE: u64 = SLOT_NANOS / 10;
/// So many in a row mean that the lender is away; together the 300 ms for which L8 lets a call wait.
const MISSES: u32 = 3;
/// How long before the end of a slot the next one is asked for.
const AHEAD: u64 = SLOT_NANOS / 10 * 3;
/// How often a pod that holds something speaks, and how often it tries a lender that is away.
const HEARTBEAT: u64 = SLOT_NANOS;
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
pub(super) struct Taken {
    row: u32,
    units: Pair,
}

/// What became of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
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
pub(super) struct Names {
    pub(super) account: AccountId,
    pub(super) incarnation: Incarnation,
    pub(super) revision: Revision,
    /// Greater than in any earlier message of the incarnation.
    pub(super) number: u64,
}

/// One account in one pod while it is used.
#[derive(Debug, Default)]
pub(super) struct PodRates {
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
    pods: u32,
    local_until: u64,
    misses: u32,
}

impl PodRates {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, pods: 1, ..Self::default() }
    }

    /// Limits changed: what was refused under the old ones may be asked for again, and idle permits go back.
    pub(super) fn set_limits(&mut self, limits: RateLimits) {
        self.limits = limits;
        self.refused = Default::default();
        self.permits.lost();
    }

    /// Admits a call of `tokens` estimated tokens, or says why not.
    pub(super) fn admit(&mut self, now: u64, tokens: u32) -> Step {
        let tokens = if self.limits.tokens.is_some() { tokens } else { 0 };
        self.leases.turn(now, &mut self.rows);
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
    pub(super) fn is_local(&self, now: u64) -> bool {
        self.is_away() || now < self.local_until
    }

    /// L25: this pod's share of the limit, in a window of its own that counts all that it admitted.
    fn admit_locally(&mut self, now: u64, tokens: u32) -> Step {
        let pods = self.pods.max(1);
        let (requests, used_tokens) = self.rows.used(now);
        let fits = |limit: Option<NonZeroU32>, used: u64, more: u32| {
            limit.is_none_or(|limit| used + u64::from(more) <= u64::from(limit.get() / pods))
        };
        let leaves = self.rows.oldest_leaves(now).max(1);
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
    pub(super) fn settle(&mut self, now: u64, taken: Taken, actual: u32) {
        if self.limits.tokens.is_none() {
            return;
        }
        self.leases.turn(now, &mut self.rows);
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
    pub(super) fn undo(&mut self, now: u64, taken: Taken) {
        self.leases.turn(now, &mut self.rows);
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
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.permits.give_back();
    }

    /// What the headers say.
    pub(super) fn levels(&self, now: u64) -> RateLevels {
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
            let left = |limit: u32| u64::from(limit / self.pods.max(1)).saturating_sub(used);
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

    /// The lender was away and should be tried again.
    pub(super) fn retries(&self, now: u64) -> bool {
        self.is_away() && self.sent.is_none() && now >= self.spoke.saturating_add(HEARTBEAT)
    }

    /// A message is under way and still in time.
    pub(super) fn is_asking(&mut self, now: u64) -> bool {
        if self.sent.is_some_and(|sent| now >= sent.at + PATIENCE) {
            self.given_up(1);
        }
        self.sent.is_some()
    }

    /// The lender says that it cannot answer: local windows until it does.
    pub(super) fn unanswered(&mut self) {
        self.given_up(MISSES);
    }

    fn given_up(&mut self, misses: u32) {
        self.sent = None;
        self.misses = self.misses.saturating_add(misses);
        self.rows.sent(false);
    }

    fn is_away(&self) -> bool {
        self.misses >= MISSES
    }

    /// Whether the next slot should be asked for now.
    pub(super) fn wants_next(&mut self, now: u64) -> bool {
        let quiet = self.sent.is_none() && self.waiting.calls == 0 && !self.is_local(now);
        quiet && self.leases.wants_next(now, AHEAD)
    }

    /// Whether a remote lender must be told something although no call asks for it: units that were not used, the
    /// permits' heartbeat, a sign of life to one that was away.
    pub(super) fn is_due(&mut self, now: u64) -> bool {
        self.leases.turn(now, &mut self.rows);
        self.rows.forget(now);
        if self.is_asking(now) {
            return false;
        }
        let beat = now >= self.spoke.saturating_add(HEARTBEAT);
        if self.is_away() {
            return beat;
        }
        let news = self.rows.has_news() || self.permits.owes();
        news || self.waiting.calls > 0 || (beat && self.permits.is_held())
    }

    /// Nothing is held, in flight, remembered or to be said: the state may be dropped. A lender in this process frees
    /// permits itself, long before the minute is over.
    pub(super) fn is_idle(&mut self, now: u64, remote: bool) -> bool {
        self.leases.turn(now, &mut self.rows);
        self.rows.forget(now);
        let silent = !remote || (self.sent.is_none() && !self.permits.is_held());
        silent
            && self.in_flight == 0
            && self.rows.is_empty()
            && self.leases.is_empty()
            && now >= self.local_until
    }

    /// The next message.
    pub(super) fn ask(&mut self, now: u64, ahead: bool, names: Names) -> RateAsk {
        self.leases.turn(now, &mut self.rows);
        self.rows.forget(now);
        let waiting = if ahead { Waiting::default() } else { std::mem::take(&mut self.waiting) };
        let (requests, tokens) = self.units(now, ahead, waiting);
        let permits = self.permits.ask(now, if self.limits.parallel.is_some() { waiting.calls } else { 0 });
        self.spoke = now;
        let least = Pair { requests: requests.least, tokens: tokens.least };
        self.sent = Some(Sent { number: names.number, at: now, ahead, least, permits: permits.need });
        RateAsk {
            account: names.account,
            incarnation: names.incarnation,
            number: names.number,
            generation: self.generation,
            limits: self.limits,
            revision: names.revision,
            ahead,
            answered: self.answered,
            requests,
            tokens,
            permits,
            slots: self.rows.send(),
        }
    }

    fn units(&mut self, now: u64, ahead: bool, waiting: Waiting) -> (UnitsAsk, UnitsAsk) {
        let held = self.leases.units();
        let left = if ahead { SLOT_NANOS } else { self.leases.slot_at(now).1 };
        // What this slot took so far doubles the next wish, so a burst asks a few times only.
        let so_far = match self.leases.current() {
            Some(lease) if !ahead => self.rows.lent_so_far(lease.row),
            _ => Pair::default(),
        };
        let wish = |pace: &mut Pace, least: u32, need: u32, so_far: u32| match need {
            0 if !ahead => UnitsAsk::default(),
            _ => UnitsAsk { least, need, want: need.max(so_far).max(pace.expected(now, left)) },
        };
        let mut requests = UnitsAsk::default();
        if self.limits.requests.is_some() {
            let need = waiting.calls.saturating_sub(held.requests);
            requests = wish(&mut self.pace.0, need.min(1), need, so_far.requests);
        }
        let mut tokens = UnitsAsk::default();
        if self.limits.tokens.is_some() {
            let need = waiting.tokens.saturating_sub(held.tokens);
            let least = waiting.first_tokens.saturating_sub(held.tokens);
            tokens = wish(&mut self.pace.1, least, need, so_far.tokens);
        }
        (requests, tokens)
    }

    /// Takes an answer in. Late, doubled and foreign ones change nothing.
    pub(super) fn answer(&mut self, now: u64, answer: &RateAnswer) {
        if answer.generation < self.generation {
            return;
        }
        if answer.generation > self.generation {
            if self.generation != 0 {
                self.leases.lost(&mut self.rows);
                self.rows.lost();
                self.permits.lost();
            }
            self.generation = answer.generation;
        }
        let Some(sent) = self.sent.take_if(|sent| sent.number == answer.number && !answer.repeated) else {
            return;
        };
        self.answered = sent.number;
        self.misses = 0;
        self.pods = answer.pods;
        self.local_until = now.saturating_add(answer.local_for);
        self.rows.sent(true);
        self.leases.install(now, sent.at, sent.ahead, answer, &mut self.rows);
        self.leases.turn(now, &mut self.rows);
        self.permits.answered(now, sent.at, sent.permits, answer.permits, answer.tight);
        self.free = Pair { requests: answer.requests.free, tokens: answer.tokens.free };
        self.reset_at = (now + answer.requests.reset, now + answer.tokens.reset);
        let refused = |least: u32, granted: u32, wait: u64| {
            let room = now.saturating_add(wait);
            // Other pods may return what they did not use when the slot ends.
            let until = if answer.pods > 1 { room.min(now.saturating_add(answer.left)) } else { room };
            if granted < least { Refused { least, until, room } } else { Refused::default() }
        };
        self.refused.0 = refused(sent.least.requests, answer.requests.granted, answer.requests.wait);
        self.refused.1 = refused(sent.least.tokens, answer.tokens.granted, answer.tokens.wait);
    }
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
