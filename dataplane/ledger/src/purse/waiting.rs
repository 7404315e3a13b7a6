//! A call that waits for money (L8): it holds nothing, shares its account's poll, and is refused only by the answer to
//! an ask that was made 300 ms after the first short one.

use std::task::Waker;

use super::{
    Ledger, Outcome, Why,
    reserve::{Attempt, Leg},
};
use crate::clock::{MS, Now, SECOND};

/// A call is refused by an ask made this long after it was first short.
const PATIENCE: u64 = 300 * MS;
/// Without any answer for this long the lender is away.
const UNANSWERED: u64 = SECOND;
/// Answers that neither lend nor refuse (a ledger that recovers, a window that changes) are borne this long.
const UNDECIDED: u64 = 2 * SECOND;
/// With a local lender a call may lose what it was lent to another thread this often before it waits.
const ROUNDS: usize = 8;

/// A call that is not decided yet. Dropping it gives up.
#[derive(Debug)]
#[must_use = "a waiting call is decided only by polling it"]
pub struct Waiting {
    ledger: Ledger,
    legs: Vec<Leg>,
    /// Its number on each account.
    ids: Vec<u64>,
    since: u64,
    short_since: Option<u64>,
    next_poll: u64,
}

impl Waiting {
    pub(super) fn enter(ledger: &Ledger, now: Now, legs: Vec<Leg>) -> Self {
        let wall = ledger.wall(now);
        let mut ids = Vec::with_capacity(legs.len());
        for (at, leg) in legs.iter().enumerate() {
            // An account that pays twice asks once, for both.
            let same = |other: &&Leg| other.account.id() == leg.account.id();
            let first = !legs[..at].iter().any(|other| same(&other));
            let all = legs.iter().filter(same).fold(0_i64, |sum, leg| sum.saturating_add(leg.amount));
            ids.push(leg.account.lock_at(wall).waits().enter(if first { all } else { 0 }));
        }
        let ledger = ledger.clone();
        Self { ledger, legs, ids, since: now.mono, short_since: None, next_poll: now.mono }
    }

    /// When to poll next, on the clock of [`Now::mono`].
    pub fn next_poll(&self) -> u64 {
        self.next_poll
    }

    /// Looks whether the call can be decided. `waker` is woken when that may have changed before `next_poll`.
    pub fn poll(mut self, now: Now, waker: Option<&Waker>) -> Outcome {
        if let Some(waker) = waker {
            // Before the look, so that nothing falls between.
            self.legs
                .iter()
                .zip(&self.ids)
                .for_each(|(leg, id)| leg.account.lock().waits().register(*id, waker));
        }
        for _ in 0..ROUNDS {
            match self.ledger.attempt(now, &self.legs) {
                Attempt::Done(reservation) => return Outcome::Reserved(reservation),
                Attempt::Ended => return Outcome::Away,
                Attempt::Disabled(at) => {
                    return Outcome::Refused(self.ledger.refusal(now, &self.legs[at], Why::Disabled));
                }
                Attempt::NoSlot => {
                    if !self.legs.iter().all(|leg| self.ledger.ensure_slot(now, &leg.account)) {
                        return Outcome::Away;
                    }
                }
                Attempt::Lacks(lacks) => {
                    if let Some(at) = lacks.iter().find_map(|(at, lack)| self.refused_by(now, *at, *lack)) {
                        return Outcome::Refused(self.ledger.refusal(now, &self.legs[at], Why::Exhausted));
                    }
                    let asked = lacks.iter().filter(|(at, _)| self.ask(now, *at)).count();
                    if asked > 0 && self.ledger.is_local() {
                        continue;
                    }
                    if self.is_hopeless(now, &lacks) {
                        return Outcome::Away;
                    }
                    break;
                }
            }
        }
        let next = self.legs.iter().map(|leg| leg.account.lock().waits().next_poll(now.mono)).min();
        self.next_poll = next.unwrap_or(now.mono);
        Outcome::Wait(self)
    }

    /// Judges the last short answer of a leg that lacks money; the leg, if that decides the call.
    fn refused_by(&mut self, now: Now, at: usize, lack: i64) -> Option<usize> {
        let mut state = self.legs[at].account.lock();
        let waits = state.waits();
        let short = waits.short.filter(|short| short.need <= lack && short.sent >= self.since)?;
        let since = *self.short_since.get_or_insert(now.mono);
        let asked_late = short.sent >= since.saturating_add(PATIENCE);
        if asked_late {
            waits.refuse(lack, now.mono);
        }
        (asked_late || waits.is_refused(lack, now.mono)).then_some(at)
    }

    /// Whether answers stay away, or decide nothing, for too long.
    fn is_hopeless(&self, now: Now, lacks: &[(usize, i64)]) -> bool {
        let waited = now.mono.saturating_sub(self.since);
        let silent = |at: usize| {
            let mut state = self.legs[at].account.lock();
            state.waits().answered.is_none_or(|sent| now.mono.saturating_sub(sent) >= UNANSWERED)
        };
        waited >= UNDECIDED || (waited >= UNANSWERED && lacks.iter().any(|(at, _)| silent(*at)))
    }

    /// Asks for the account's next waiting call, when it is time; whether it did.
    fn ask(&self, now: Now, at: usize) -> bool {
        let account = &self.legs[at].account;
        let amount = {
            let mut state = account.lock_at(self.ledger.wall(now));
            if state.current.lending {
                return false;
            }
            let held = &state.current;
            let available = held.available;
            let hope = !held.known || held.reserved > 0 || held.leased_elsewhere > 0;
            state.waits().turn(now.mono, available, hope)
        };
        let Some(amount) = amount else { return false };
        self.ledger.lend(now, account, amount);
        true
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for (leg, id) in self.legs.iter().zip(&self.ids) {
            let returned = {
                let mut state = leg.account.lock();
                state.waits().leave(*id);
                let keep = state.wanted();
                state.current.tight && state.current.give_back(keep)
            };
            if returned {
                self.ledger.report_soon(&leg.account);
            }
        }
    }
}
