//! The lender's side of rates: rings of requests and tokens (L23, L24) and permits (L25), per account.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    message::{RateAnswer, RateAsk, RateLimits, Units, UnitsAsk},
    ring::{CELLS, Ring, SLOT_NANOS, Slot, SlotClock},
    seat::{Change, Seat},
};
use crate::{
    account::{AccountId, Incarnation, Revision},
    clock::Now,
};

/// A pod counts as active for this long after its last message about an account, nanoseconds.
const ACTIVE: u64 = 10 * SLOT_NANOS;
/// A pod counts towards the fleet for this long after its last sign of life.
const FLEET: u64 = 60 * SLOT_NANOS;
/// An incarnation with nothing left in the ring is forgotten after this long; older messages are then harmless.
const FORGET: u64 = 120 * SLOT_NANOS;
/// How long nothing is granted after the ring was lost.
const LOST: u64 = 60 * SLOT_NANOS;
/// Room below the first slot for windows that reach back.
const FIRST_SLOT: Slot = 100;

/// Permits of an incarnation that is not heard for this long are lent to others, nanoseconds (L25).
pub const PERMIT_LEASE: u64 = 10 * SLOT_NANOS;

/// The rings and permits of all accounts. Idle accounts are dropped.
#[derive(Debug)]
pub struct RateBook {
    generation: u64,
    clock: SlotClock,
    lost_until: u64,
    swept: Slot,
    accounts: HashMap<AccountId, Account>,
    /// When each incarnation was last heard, nanoseconds.
    fleet: HashMap<Incarnation, u64>,
}

/// What a lender writes down before it answers: the cells that a message changed, with their new content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRecord {
    /// Which account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// The lender's slot at that moment.
    #[serde(rename = "n")]
    pub now: Slot,
    /// Slot, requests and tokens lent in it.
    #[serde(rename = "c")]
    pub cells: Vec<(Slot, u32, u32)>,
}

#[derive(Debug, Default)]
struct Account {
    limits: RateLimits,
    revision: Revision,
    requests: Ring,
    tokens: Ring,
    seats: Vec<(Incarnation, Seat)>,
}

/// One message's view of time.
#[derive(Clone, Copy)]
struct Moment {
    mono: u64,
    slot: Slot,
    left: u64,
}

impl RateBook {
    /// An empty book. `generation` is the ledger's, at least 1; `lost` says that an earlier ring was lost, so for 60 s
    /// pods keep to local windows.
    #[must_use]
    pub fn new(generation: u64, now: Now, lost: bool) -> Self {
        let lost_until = if lost { now.mono.saturating_add(LOST) } else { 0 };
        let clock = SlotClock::starting(FIRST_SLOT, now.mono);
        Self {
            generation,
            clock,
            lost_until,
            swept: FIRST_SLOT,
            accounts: HashMap::new(),
            fleet: HashMap::new(),
        }
    }

    /// The book that wrote `records`, oldest first, each with its unix milliseconds, after a restart. Time that passed in between is read off the wall
    /// clock; a wall clock that was put back counts as no time, so the rings then remember longer.
    #[must_use]
    pub fn reopened(generation: u64, now: Now, records: impl IntoIterator<Item = (i64, RateRecord)>) -> Self {
        let mut book = Self::new(generation, now, false);
        let mut last = None;
        for (wall, record) in records {
            last = last.max(Some((record.now, wall)));
            let account = book.accounts.entry(record.account).or_default();
            for (slot, requests, tokens) in record.cells {
                account.requests.set(slot, requests);
                account.tokens.set(slot, tokens);
            }
        }
        let (slot, wall) = last.unwrap_or((FIRST_SLOT, now.wall));
        let passed = now.wall.saturating_sub(wall).max(0) / 1000;
        let base = slot.saturating_add(Slot::try_from(passed).unwrap_or(Slot::MAX / 2));
        book.clock = SlotClock::starting(base, now.mono);
        book.sweep(Moment { mono: now.mono, slot: base, left: SLOT_NANOS });
        book
    }

    /// Everything that still counts, for a compacted journal.
    pub fn records(&mut self, now: Now) -> Vec<RateRecord> {
        let (slot, _) = self.clock.read(now.mono);
        let record = |(id, account): (&AccountId, &Account)| RateRecord {
            account: *id,
            now: slot,
            cells: (slot.saturating_sub(CELLS)..=slot + 1)
                .map(|cell| (cell, account.requests.get(cell), account.tokens.get(cell)))
                .filter(|cell| cell.1 > 0 || cell.2 > 0)
                .collect(),
        };
        self.accounts.iter().map(record).filter(|record| !record.cells.is_empty()).collect()
    }

    /// Accounts in memory.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// A pod gave a sign of life: a batch, with or without messages about rates.
    pub fn hear(&mut self, now: Now, incarnation: Incarnation) {
        self.fleet.insert(incarnation, now.mono);
    }

    fn fleet(&self, now: Now) -> u32 {
        let heard = self.fleet.values().filter(|heard| now.mono.saturating_sub(**heard) < FLEET).count();
        u32::try_from(heard).unwrap_or(u32::MAX).max(1)
    }

    /// Carries out one message. The record, if any, must be durable before the answer is given.
    pub fn handle(&mut self, now: Now, ask: &RateAsk) -> (RateAnswer, Option<RateRecord>) {
        self.hear(now, ask.incarnation);
        let (slot, left) = self.clock.read(now.mono);
        let moment = Moment { mono: now.mono, slot, left };
        if slot >= self.swept + CELLS {
            self.sweep(moment);
        }
        let local_for = self.lost_until.saturating_sub(now.mono);
        let mut answer = RateAnswer {
            account: ask.account,
            number: ask.number,
            generation: self.generation,
            repeated: false,
            slot: if ask.ahead { slot + 1 } else { slot },
            left,
            requests: Units::default(),
            tokens: Units::default(),
            permits: 0,
            tight: false,
            pods: 1,
            fleet: self.fleet(now),
            local_for,
        };
        if ask.generation != 0 && ask.generation != self.generation {
            return (answer, None);
        }
        let account = self.accounts.entry(ask.account).or_default();
        let changed = account.handle(moment, ask, &mut answer);
        let cells: Vec<_> =
            changed.map(|slot| (slot, account.requests.get(slot), account.tokens.get(slot))).collect();
        let record = RateRecord { account: ask.account, now: slot, cells };
        (answer, (!record.cells.is_empty()).then_some(record))
    }

    fn sweep(&mut self, now: Moment) {
        self.swept = now.slot;
        self.accounts.retain(|_, account| account.sweep(now));
        self.fleet.retain(|_, heard| now.mono.saturating_sub(*heard) < FLEET);
    }
}

impl Account {
    /// Answers, and says which cells changed.
    fn handle(
        &mut self,
        now: Moment,
        ask: &RateAsk,
        answer: &mut RateAnswer,
    ) -> impl Iterator<Item = Slot> + use<> {
        let mut changed = Changed::default();
        if ask.revision >= self.revision {
            (self.limits, self.revision) = (ask.limits, ask.revision);
        }
        let at = self.seat(ask.incarnation);
        let fresh = ask.number > self.seats[at].1.number;
        if fresh {
            self.seats[at].1.number = ask.number;
            self.seats[at].1.heard = now.mono;
            self.take_in(at, now, ask, &mut changed);
        }
        answer.repeated = !fresh;
        answer.pods = self.active(now);
        if fresh && answer.local_for == 0 {
            self.grant(at, now, ask, answer);
            if answer.requests.granted > 0 || answer.tokens.granted > 0 {
                changed.push(answer.slot);
            }
        }
        changed.slots.into_iter()
    }

    /// What the pod says of earlier grants and of its permits.
    fn take_in(&mut self, at: usize, now: Moment, ask: &RateAsk, changed: &mut Changed) {
        let seat = &mut self.seats[at].1;
        seat.forget(now.slot);
        seat.permits = ask.permits.hold;
        let unheard = seat.unheard(ask.answered);
        let said: Vec<_> =
            ask.slots.iter().take(CELLS as usize).filter_map(|totals| seat.said(totals, now.slot)).collect();
        for change in unheard.into_iter().chain(said) {
            self.apply(now, change, changed);
        }
    }

    fn apply(&mut self, now: Moment, change: Change, changed: &mut Changed) {
        // What was used without a grant counts from then on, also if it is heard later.
        let slot = change.slot.min(now.slot);
        if change.requests_over > 0 || change.tokens_over > 0 {
            self.requests.add(slot, change.requests_over);
            self.tokens.add(slot, change.tokens_over);
            changed.push(slot);
        }
        if change.requests_back > 0 || change.tokens_back > 0 {
            self.requests.take(change.slot, change.requests_back);
            self.tokens.take(change.slot, change.tokens_back);
            changed.push(change.slot);
        }
    }

    fn grant(&mut self, at: usize, now: Moment, ask: &RateAsk, answer: &mut RateAnswer) {
        let pods = answer.pods;
        if let Some(limit) = self.limits.requests {
            answer.requests = lend(&mut self.requests, limit.get(), now, ask.ahead, ask.requests, pods);
        }
        if let Some(limit) = self.limits.tokens {
            answer.tokens = lend(&mut self.tokens, limit.get(), now, ask.ahead, ask.tokens, pods);
        }
        let seat = &mut self.seats[at].1;
        seat.granted(ask.number, answer.slot, answer.requests.granted, answer.tokens.granted);
        if let Some(limit) = self.limits.parallel {
            let free = limit.get().saturating_sub(self.permits(now));
            let more = share(free, ask.permits.need, ask.permits.want, pods);
            let seat = &mut self.seats[at].1;
            seat.permits = seat.permits.saturating_add(more);
            answer.permits = seat.permits;
            answer.tight = free - more < 4 * pods;
        }
    }

    /// Permits held by incarnations that are still heard.
    fn permits(&self, now: Moment) -> u32 {
        let heard = self.seats.iter().filter(|(_, seat)| now.mono.saturating_sub(seat.heard) <= PERMIT_LEASE);
        heard.fold(0, |sum, (_, seat)| sum.saturating_add(seat.permits))
    }

    fn active(&self, now: Moment) -> u32 {
        let active =
            self.seats.iter().filter(|(_, seat)| now.mono.saturating_sub(seat.heard) < ACTIVE).count();
        u32::try_from(active).unwrap_or(u32::MAX).max(1)
    }

    fn seat(&mut self, incarnation: Incarnation) -> usize {
        if let Some(at) = self.seats.iter().position(|(holder, _)| *holder == incarnation) {
            return at;
        }
        self.seats.push((incarnation, Seat::default()));
        self.seats.len() - 1
    }

    /// Whether anything of it still matters.
    fn sweep(&mut self, now: Moment) -> bool {
        self.requests.shrink(now.slot);
        self.tokens.shrink(now.slot);
        self.seats.retain(|(_, seat)| now.mono.saturating_sub(seat.heard) < FORGET);
        !(self.requests.is_empty() && self.tokens.is_empty() && self.seats.is_empty())
    }
}

/// Changed slots, each once.
#[derive(Default)]
struct Changed {
    slots: Vec<Slot>,
}

impl Changed {
    fn push(&mut self, slot: Slot) {
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
    }
}

/// L23: `g = min(free, max(need, min(want, ⌈free / (2·active)⌉)))`; nothing when not even `least` is free.
fn lend(ring: &mut Ring, limit: u32, now: Moment, ahead: bool, ask: UnitsAsk, pods: u32) -> Units {
    let (slot, free) = if ahead {
        (now.slot + 1, ring.free_ahead(limit, now.slot + 1))
    } else {
        (now.slot, ring.free(limit, now.slot))
    };
    let granted = if free < ask.least { 0 } else { share(free, ask.need, ask.want, pods) };
    if granted > 0 {
        ring.add(slot, granted);
    }
    let slots = |count: u32| if count == 0 { 0 } else { now.left + u64::from(count - 1) * SLOT_NANOS };
    let refused = granted < ask.least;
    Units {
        granted,
        free: free - granted,
        wait: if refused { slots(ring.slots_until(limit, ask.least, now.slot)) } else { 0 },
        reset: slots(ring.slots_until_empty(now.slot)),
    }
}

fn share(free: u32, need: u32, want: u32, pods: u32) -> u32 {
    let fair = free.div_ceil(pods.saturating_mul(2).max(1));
    free.min(need.max(want.min(fair)))
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
