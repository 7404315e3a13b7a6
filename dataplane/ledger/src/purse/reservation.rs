//! Money set aside for one call (L21, L22). It is settled exactly once, if need be by being dropped.

use std::sync::Arc;

use super::{Ledger, Outcome, account::Account};
use crate::{clock::Now, window::Window};

/// What a call may cost at most, set aside on every account that pays for it. Dropped without [`Reservation::settle`]
/// it is billed in full, as for an attempt that was sent and never answered (L22).
#[derive(Debug)]
#[must_use = "a reservation that is dropped is billed in full"]
pub struct Reservation {
    ledger: Ledger,
    first: Hold,
    more: Vec<Hold>,
    open: bool,
}

/// Set aside on one account, in the window in which that happened.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) account: Arc<Account>,
    pub(super) window: Window,
    pub(super) amount: i64,
    /// Which of the amounts given to `reserve` this is.
    pub(super) leg: u16,
}

/// How a call was billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Billed beyond what was reserved and available, on the worst account (O, L21). Zero with an honest vendor.
    pub overrun: i64,
}

/// What became of a wish for more (L18, L22).
#[derive(Debug)]
pub enum Extension {
    /// The reservation is larger now.
    Done,
    /// Not decided: poll it, then [`Reservation::absorb`] what it becomes.
    Wait(super::Waiting),
    /// No room.
    Refused(super::Refusal),
    /// The lender is away and this process holds too little.
    Away,
}

impl Reservation {
    pub(super) fn new(ledger: Ledger, first: Hold, more: Vec<Hold>) -> Self {
        Self { ledger, first, more, open: true }
    }

    fn holds(&self) -> impl Iterator<Item = &Hold> {
        std::iter::once(&self.first).chain(&self.more)
    }

    fn legs(&self) -> u16 {
        self.holds().map(|hold| hold.leg).max().map_or(0, |last| last + 1)
    }

    /// What is reserved for the `leg`-th amount given to `reserve`.
    pub fn reserved(&self, leg: usize) -> i64 {
        self.holds().filter(|hold| usize::from(hold.leg) == leg).map(|hold| hold.amount).sum()
    }

    /// Bills `actual` on every account and returns the rest.
    pub fn settle(mut self, now: Now, actual: i64) -> Settled {
        self.end(Some(now), |_| actual)
    }

    /// Bills `actual[i]` on the account of the `i`-th amount given to `reserve`, and returns the rest. A missing amount
    /// is billed as reserved.
    pub fn settle_each(mut self, now: Now, actual: &[i64]) -> Settled {
        let all: Vec<i64> = (0..usize::from(self.legs()))
            .map(|leg| actual.get(leg).copied().unwrap_or_else(|| self.reserved(leg)))
            .collect();
        self.end(Some(now), |leg| all[usize::from(leg)])
    }

    /// Bills `amount` on every account at once and keeps the rest reserved: what an earlier leg owes (L22).
    pub fn charge(&mut self, now: Now, amount: i64) -> Settled {
        let mut overrun = 0;
        for leg in 0..self.legs() {
            overrun = overrun.max(self.bill(Some(now), leg, amount, false));
        }
        Settled { overrun }
    }

    /// Reserves `amount` more on every account: the next slice of a stream, or what a dearer target lacks.
    pub fn extend(&mut self, now: Now, amount: i64) -> Extension {
        let amounts = vec![amount; usize::from(self.legs())];
        self.extend_each(now, &amounts)
    }

    /// Reserves `amounts[i]` more on the account of the `i`-th amount given to `reserve`.
    pub fn extend_each(&mut self, now: Now, amounts: &[i64]) -> Extension {
        let mut legs = Vec::with_capacity(amounts.len());
        for (leg, amount) in (0..self.legs()).zip(amounts) {
            let account = self.holds().find(|hold| hold.leg == leg).map(|hold| Arc::clone(&hold.account));
            legs.extend(account.map(|account| (account, *amount)));
        }
        match self.ledger.reserve(now, &legs) {
            Outcome::Reserved(more) => {
                self.absorb(more);
                Extension::Done
            }
            Outcome::Wait(waiting) => Extension::Wait(waiting),
            Outcome::Refused(refusal) => Extension::Refused(refusal),
            Outcome::Away => Extension::Away,
        }
    }

    /// Takes over what `other` reserved on the same accounts.
    pub fn absorb(&mut self, mut other: Self) {
        other.open = false;
        let first = Hold { account: Arc::clone(&other.first.account), ..other.first };
        for hold in std::iter::once(first).chain(std::mem::take(&mut other.more)) {
            let same = |mine: &&mut Hold| mine.leg == hold.leg && mine.window == hold.window;
            match std::iter::once(&mut self.first).chain(&mut self.more).find(same) {
                Some(mine) => mine.amount += hold.amount,
                None => self.more.push(hold),
            }
        }
    }

    fn end(&mut self, now: Option<Now>, actual: impl Fn(u16) -> i64) -> Settled {
        self.open = false;
        let overrun = if self.more.is_empty() {
            let hold = &self.first;
            self.ledger.settle_hold(now, &hold.account, hold.window, hold.amount, actual(hold.leg).max(0))
        } else {
            (0..self.legs()).map(|leg| self.bill(now, leg, actual(leg), true)).max().unwrap_or(0)
        };
        Settled { overrun }
    }

    /// Bills a leg, oldest window first; with `free` the rest is returned. What exceeds all holds falls on the last.
    fn bill(&mut self, now: Option<Now>, leg: u16, actual: i64, free: bool) -> i64 {
        let mut left = actual.max(0);
        let mut overrun = 0;
        let ledger = self.ledger.clone();
        let holds = std::iter::once(&mut self.first).chain(&mut self.more).filter(|hold| hold.leg == leg);
        let mut holds: Vec<&mut Hold> = holds.collect();
        let last = holds.len().saturating_sub(1);
        for (at, hold) in holds.iter_mut().enumerate() {
            let part = if at == last { left } else { left.min(hold.amount) };
            left -= part;
            let ends = if free { hold.amount } else { hold.amount.min(part) };
            if ends > 0 || part > 0 {
                overrun += ledger.settle_hold(now, &hold.account, hold.window, ends, part);
                hold.amount -= ends;
            }
        }
        overrun
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.open {
            let full: Vec<i64> = (0..usize::from(self.legs())).map(|leg| self.reserved(leg)).collect();
            self.end(None, |leg| full[usize::from(leg)]);
        }
    }
}
