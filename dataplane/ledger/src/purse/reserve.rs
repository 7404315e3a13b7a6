//! Setting money aside (L11): on all accounts or on none, in pod memory, in account-id order.

use std::sync::{Arc, MutexGuard};

use super::{
    Ledger,
    account::{Account, State},
    reservation::{Hold, Reservation},
    waiting::Waiting,
};
use crate::{account::AccountId, clock::Now};

/// What became of a wish for money.
#[derive(Debug)]
pub enum Outcome {
    /// Set aside.
    Reserved(Reservation),
    /// Not decided: poll again at [`Waiting::next_poll`] or when woken.
    Wait(Waiting),
    /// There is not enough (429), or the key is disabled.
    Refused(Refusal),
    /// The lender is away and this process holds too little (503).
    Away,
}

/// Why a call was refused, and by which account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the amounts given to `reserve` did not fit.
    pub leg: usize,
    /// The account.
    pub account: AccountId,
    /// Why.
    pub why: Why,
    /// What is left in the account for calls that are smaller.
    pub remaining: i64,
    /// When its window ends, unix milliseconds; never for Lifetime.
    pub resets_at: Option<i64>,
}

/// Why an account refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Too little is left.
    Exhausted,
    /// Disabled or deleted (L4).
    Disabled,
}

/// One amount on one account.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) account: Arc<Account>,
    pub(super) amount: i64,
    pub(super) leg: u16,
}

/// The result of one look at pod memory.
pub(super) enum Attempt {
    Done(Reservation),
    /// An account is used for the first time in this window: it needs a place in the spend file first.
    NoSlot,
    /// Positions in the legs, and what each lacks.
    Lacks(Vec<(usize, i64)>),
    Disabled(usize),
    /// The lease ended, or the ledger is closed.
    Ended,
}

impl Ledger {
    /// Sets amounts aside on several accounts, all or none. With a local lender money is lent on the way, so that the
    /// answer is `Wait` only when all money is in flight. Negative amounts count as zero.
    pub fn reserve(&self, now: Now, wishes: &[(Arc<Account>, i64)]) -> Outcome {
        let legs = wishes.iter().enumerate().map(|(leg, (account, amount))| Leg {
            account: Arc::clone(account),
            amount: (*amount).max(0),
            leg: u16::try_from(leg).unwrap_or(u16::MAX),
        });
        if let [_] = wishes {
            let mut only = legs;
            let Some(leg) = only.next() else { return Outcome::Away };
            return match self.attempt_one(now, &leg) {
                Attempt::Done(reservation) => Outcome::Reserved(reservation),
                rest => self.after_attempt(now, vec![leg], rest),
            };
        }
        let mut legs: Vec<Leg> = legs.collect();
        legs.sort_by_key(|leg| leg.account.id());
        let attempt = self.attempt(now, &legs);
        self.after_attempt(now, legs, attempt)
    }

    fn after_attempt(&self, now: Now, legs: Vec<Leg>, attempt: Attempt) -> Outcome {
        match attempt {
            Attempt::Done(reservation) => Outcome::Reserved(reservation),
            Attempt::Ended => Outcome::Away,
            Attempt::Disabled(at) => Outcome::Refused(self.refusal(now, &legs[at], Why::Disabled)),
            Attempt::Lacks(lacks) => match self.refused_before(now, &legs, &lacks) {
                Some(at) => Outcome::Refused(self.refusal(now, &legs[at], Why::Exhausted)),
                None => Waiting::enter(self, now, legs).poll(now, None),
            },
            Attempt::NoSlot => Waiting::enter(self, now, legs).poll(now, None),
        }
    }

    /// The leg whose need was refused a moment ago (L8).
    pub(super) fn refused_before(&self, now: Now, legs: &[Leg], lacks: &[(usize, i64)]) -> Option<usize> {
        let refused = |(at, lack): &&(usize, i64)| {
            let state = legs[*at].account.lock();
            state.waits_if_any().is_some_and(|waits| waits.is_refused(*lack, now.mono))
        };
        lacks.iter().find(refused).map(|(at, _)| *at)
    }

    pub(super) fn refusal(&self, now: Now, leg: &Leg, why: Why) -> Refusal {
        let state = leg.account.lock_at(self.wall(now));
        let end = state.current.window.end;
        Refusal {
            leg: usize::from(leg.leg),
            account: leg.account.id(),
            why,
            remaining: if why == Why::Disabled { 0 } else { state.current.left(state.limit) },
            resets_at: (end < i64::MAX).then_some(end),
        }
    }

    /// One look at one account: the ordinary call.
    pub(super) fn attempt_one(&self, now: Now, leg: &Leg) -> Attempt {
        if !self.may_spend(now) {
            return Attempt::Ended;
        }
        let mut state = leg.account.lock_at(self.wall(now));
        if state.disabled {
            return Attempt::Disabled(0);
        }
        if state.current.slot.is_none() {
            return Attempt::NoSlot;
        }
        let lack = leg.amount - state.current.available;
        if lack > 0 {
            return Attempt::Lacks(vec![(0, lack)]);
        }
        let hold = set_aside(&mut state, leg, now);
        let refill = state.current.wants_refill();
        drop(state);
        if refill {
            self.refill(now, &leg.account);
        }
        Attempt::Done(Reservation::new(self.clone(), hold, Vec::new()))
    }

    /// One look at all accounts, sorted by id.
    pub(super) fn attempt(&self, now: Now, legs: &[Leg]) -> Attempt {
        if let [leg] = legs {
            return self.attempt_one(now, leg);
        }
        if !self.may_spend(now) {
            return Attempt::Ended;
        }
        let mut held = Held::lock(legs, self.wall(now));
        match held.fits(legs) {
            Fit::Yes => {}
            Fit::No(attempt) => return attempt,
        }
        let mut holds = Vec::with_capacity(legs.len());
        let mut low = Vec::new();
        for (at, leg) in legs.iter().enumerate() {
            let state = held.state(at);
            holds.push(set_aside(state, leg, now));
            if state.current.wants_refill() {
                low.push(at);
            }
        }
        drop(held);
        low.into_iter().for_each(|at| self.refill(now, &legs[at].account));
        let more = holds.split_off(1.min(holds.len()));
        match holds.pop() {
            Some(first) => Attempt::Done(Reservation::new(self.clone(), first, more)),
            None => Attempt::Ended,
        }
    }
}

fn set_aside(state: &mut State, leg: &Leg, now: Now) -> Hold {
    state.used_at = now.mono;
    state.current.reserve(leg.amount);
    Hold { account: Arc::clone(&leg.account), window: state.current.window, amount: leg.amount, leg: leg.leg }
}

/// The accounts of a call, locked together in id order; an account that pays twice is locked once.
struct Held<'a> {
    states: Vec<MutexGuard<'a, State>>,
    /// For each leg, where its account is.
    places: Vec<usize>,
}

enum Fit {
    Yes,
    No(Attempt),
}

impl<'a> Held<'a> {
    fn lock(legs: &'a [Leg], wall: i64) -> Self {
        let mut held =
            Self { states: Vec::with_capacity(legs.len()), places: Vec::with_capacity(legs.len()) };
        for (at, leg) in legs.iter().enumerate() {
            if at == 0 || legs[at - 1].account.id() != leg.account.id() {
                held.states.push(leg.account.lock_at(wall));
            }
            held.places.push(held.states.len() - 1);
        }
        held
    }

    fn state(&mut self, leg: usize) -> &mut State {
        &mut self.states[self.places[leg]]
    }

    fn fits(&mut self, legs: &[Leg]) -> Fit {
        if let Some(at) = (0..legs.len()).find(|at| self.state(*at).disabled) {
            return Fit::No(Attempt::Disabled(at));
        }
        if (0..legs.len()).any(|at| self.state(at).current.slot.is_none()) {
            return Fit::No(Attempt::NoSlot);
        }
        let mut lacks = Vec::new();
        for at in 0..legs.len() {
            let same = (0..legs.len()).filter(|other| self.places[*other] == self.places[at]);
            let want = same.fold(0_i64, |sum, leg| sum.saturating_add(legs[leg].amount));
            let lack = want - self.state(at).current.available;
            if lack > 0 {
                lacks.push((at, lack));
            }
        }
        if lacks.is_empty() { Fit::Yes } else { Fit::No(Attempt::Lacks(lacks)) }
    }
}
