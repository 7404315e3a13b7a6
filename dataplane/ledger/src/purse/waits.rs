//! Calls that wait for money of one account (L8): they share one poll and hold nothing.

use std::{collections::BTreeMap, task::Waker};

use crate::{
    clock::{MS, SECOND},
    message::{MoneyAnswer, MoneyAsk},
};

/// Waiting calls of an account ask this often, together.
pub(super) const POLL: u64 = 25 * MS;
/// A refused need is remembered this long.
const REMEMBER: u64 = SECOND;

#[derive(Debug, Default)]
pub(super) struct Waits {
    calls: BTreeMap<u64, Call>,
    /// The sum of their amounts.
    wanted: i128,
    next_id: u64,
    turns: u64,
    /// The time between polls, as last decided.
    every: u64,
    /// When the last lend was sent.
    asked_at: Option<u64>,
    /// When the last answer to a lend came in, by the time its ask was sent.
    pub(super) answered: Option<u64>,
    /// The last short answer: when its ask was sent, and the need that it could not meet.
    pub(super) short: Option<Short>,
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) sent: u64,
    pub(super) need: i64,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    need: i64,
    until: u64,
}

#[derive(Debug)]
struct Call {
    amount: i64,
    asked_at: u64,
    waker: Option<Waker>,
}

impl Waits {
    pub(super) fn enter(&mut self, amount: i64) -> u64 {
        self.next_id += 1;
        self.wanted += i128::from(amount);
        self.calls.insert(self.next_id, Call { amount, asked_at: 0, waker: None });
        self.next_id
    }

    pub(super) fn leave(&mut self, id: u64) {
        if let Some(call) = self.calls.remove(&id) {
            self.wanted -= i128::from(call.amount);
        }
    }

    pub(super) fn register(&mut self, id: u64, waker: &Waker) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.waker = Some(waker.clone());
        }
    }

    pub(super) fn wanted(&self) -> i64 {
        i64::try_from(self.wanted).unwrap_or(i64::MAX)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.refused.is_none()
    }

    /// Calls that should try again: money came back to the pod.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.calls.values_mut().filter_map(|call| call.waker.take()).collect()
    }

    /// The amount of the call whose turn it is to be asked for, when it is time.
    ///
    /// Without `hope` (nobody holds money that could come back) the poll is a quarter as frequent.
    pub(super) fn turn(&mut self, mono: u64, available: i64, hope: bool) -> Option<i64> {
        self.every = if hope { POLL } else { 4 * POLL };
        if self.asked_at.is_some_and(|at| mono < at.saturating_add(self.every)) {
            return None;
        }
        // What cannot be lent for the smallest cannot be lent for any; every other turn goes round, so that large
        // calls are asked for as well.
        self.turns = self.turns.wrapping_add(1);
        let round = self.turns.is_multiple_of(2);
        let lacking = self.calls.values_mut().filter(|call| call.amount > available);
        let call = lacking.min_by_key(|call| (if round { call.asked_at } else { 0 }, call.amount))?;
        call.asked_at = mono;
        self.asked_at = Some(mono);
        Some(call.amount)
    }

    /// When the next poll is due.
    pub(super) fn next_poll(&self, mono: u64) -> u64 {
        self.asked_at.map_or(mono, |at| at.saturating_add(self.every)).max(mono.saturating_add(MS))
    }

    pub(super) fn answered(&mut self, sent: u64, ask: &MoneyAsk, answer: &MoneyAnswer) -> Vec<Waker> {
        if self.refused.is_some_and(|refused| answer.lendable >= refused.need) {
            self.refused = None;
        }
        if let Some(lend) = ask.lend.filter(|lend| !lend.background) {
            self.answered = self.answered.max(Some(sent));
            if answer.short {
                self.short = Some(Short { sent, need: lend.at_least - ask.totals.granted });
            } else if answer.granted >= lend.at_least {
                // Somebody's need was met; whoever still lacks may ask at once.
                self.asked_at = None;
            }
        }
        self.take_wakers()
    }

    /// Remembers that `need` could not be met.
    pub(super) fn refuse(&mut self, need: i64, mono: u64) {
        self.refused = Some(Refused { need, until: mono.saturating_add(REMEMBER) });
    }

    /// Whether a need this large was refused a moment ago.
    pub(super) fn is_refused(&self, need: i64, mono: u64) -> bool {
        self.refused.is_some_and(|refused| refused.need <= need && mono < refused.until)
    }

    pub(super) fn forget_refusal(&mut self) {
        (self.refused, self.short) = (None, None);
    }

    /// Drops a memory that is too old to matter.
    pub(super) fn tidy(&mut self, mono: u64) {
        self.refused = self.refused.filter(|refused| mono < refused.until);
    }
}
