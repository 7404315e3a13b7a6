//! Messages to the lender and its answers. A local lender is asked on the spot; for a remote one messages collect in an
//! outbox that a driver empties.

use std::{collections::VecDeque, sync::atomic::Ordering, task::Waker};

use super::{Ledger, account::Account, lock};
use crate::{
    clock::{MS, Now},
    lender::{LenderError, at_once},
    message::{Answers, Batch, Lend, MoneyAnswer, MoneyAsk, Recalls},
};

/// Most messages in one batch.
const BATCH: usize = 256;
/// A local exchange may call for another (a return under tightness); never for many.
const FOLLOW_UPS: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    asks: VecDeque<MoneyAsk>,
    /// A batch is due even without messages.
    heartbeat: bool,
    last_sent: u64,
}

/// A batch on its way to a remote lender. Give it to [`Ledger::feed`] with what became of it, always.
#[derive(Debug)]
pub struct Outgoing {
    /// What to send.
    pub batch: Batch,
    sent: u64,
}

impl Ledger {
    pub(super) fn batch(&self, money: Vec<MoneyAsk>) -> Batch {
        Batch {
            incarnation: self.inner.options.incarnation,
            pod: self.inner.options.pod,
            recalls_after: self.inner.recalls_upto.load(Ordering::Relaxed),
            money,
            rates: Vec::new(),
        }
    }

    /// The next batch for a remote lender, if one is due. Several may be under way.
    pub fn outgoing(&self, now: Now) -> Option<Outgoing> {
        self.outgoing_up_to(now, BATCH)
    }

    /// The same with at most `most` messages: a server that did not answer in time is given less at once.
    pub fn outgoing_up_to(&self, now: Now, most: usize) -> Option<Outgoing> {
        let mut outbox = lock(&self.inner.outbox);
        if outbox.asks.is_empty() && !outbox.heartbeat {
            return None;
        }
        let count = outbox.asks.len().min(most.clamp(1, BATCH));
        let money = outbox.asks.drain(..count).collect();
        (outbox.heartbeat, outbox.last_sent) = (false, now.mono);
        drop(outbox);
        Some(Outgoing { batch: self.batch(money), sent: now.mono })
    }

    /// Calls `wake` whenever a remote lender's driver should look at [`Ledger::outgoing`] before its next tick.
    pub fn on_outgoing(&self, wake: impl Fn() + Send + Sync + 'static) {
        *lock(&self.inner.wake) = Some(Box::new(wake));
    }

    pub(super) fn send(&self, asks: impl IntoIterator<Item = MoneyAsk>) {
        lock(&self.inner.outbox).asks.extend(asks);
        if let Some(wake) = &*lock(&self.inner.wake) {
            wake();
        }
    }

    /// Makes the next batch due when the last is older than the heartbeat (a tenth of the lease, at most 5 s).
    pub(super) fn beat(&self, now: Now) {
        let every = (self.inner.options.lease_millis / 10).min(5_000).saturating_mul(MS);
        let mut outbox = lock(&self.inner.outbox);
        outbox.heartbeat |= now.mono.saturating_sub(outbox.last_sent) >= every;
    }

    /// Makes the next batch due, also without messages: there may be news at the lender.
    pub fn want_answer(&self) {
        lock(&self.inner.outbox).heartbeat = true;
    }

    /// Takes what became of a batch.
    pub fn feed(&self, now: Now, outgoing: &Outgoing, result: Result<Answers, LenderError>) {
        let mut wakers = Vec::new();
        let follow = self.take(now, outgoing.sent, &outgoing.batch, result, &mut wakers);
        self.send_some(follow);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Exchanges messages with a local lender, built under the lock that orders exchanges.
    pub(super) fn trade(&self, now: Now, asks: impl FnOnce() -> Vec<MoneyAsk>) {
        let mut wakers = Vec::new();
        self.trade_in_order(now, asks, &mut wakers);
        // A waker may run anything, so it is called with no lock held.
        wakers.into_iter().for_each(Waker::wake);
    }

    fn trade_in_order(&self, now: Now, asks: impl FnOnce() -> Vec<MoneyAsk>, wakers: &mut Vec<Waker>) {
        let _order = lock(&self.inner.trade);
        let mut asks = asks();
        for _ in 0..FOLLOW_UPS {
            if asks.is_empty() {
                return;
            }
            let batch = self.batch(asks);
            let result = at_once(self.inner.lender.exchange(now, &batch));
            asks = self.take(now, now.mono, &batch, result, wakers);
        }
        // Not sent: they stay dirty for the next tick.
        asks.iter().for_each(|ask| self.lost(ask));
    }

    /// Takes answers; messages that should follow at once.
    fn take(
        &self,
        now: Now,
        sent: u64,
        batch: &Batch,
        result: Result<Answers, LenderError>,
        wakers: &mut Vec<Waker>,
    ) -> Vec<MoneyAsk> {
        let known = self.inner.generation.load(Ordering::Relaxed);
        let Some(answers) = result.ok().filter(|answers| answers.generation >= known) else {
            batch.money.iter().for_each(|ask| self.lost(ask));
            return Vec::new();
        };
        self.hear_clock(now, answers.wall);
        self.renew(sent);
        let mut follow = Vec::new();
        for (ask, answer) in batch.money.iter().zip(&answers.money) {
            let (woken, report) = self.answered(sent, ask, answer, answers.generation);
            wakers.extend(woken);
            follow.extend(report);
        }
        if answers.generation > known {
            self.inner.generation.store(answers.generation, Ordering::Relaxed);
            // Without it the next process cannot tell a ledger that knows of this one from one that does not.
            let _ = lock(&self.inner.spend).hear(answers.generation);
            if known > 0 {
                self.say_all_again();
            }
        }
        follow.extend(self.recalled(&answers.recalls));
        follow
    }

    fn renew(&self, sent: u64) {
        if !self.inner.local {
            // The margin: the lender may call the lease over a little before this clock does.
            let lease = self.inner.options.lease_millis.saturating_mul(MS) / 100 * 94;
            self.inner.deadline.fetch_max(sent.saturating_add(lease), Ordering::Relaxed);
        }
    }

    fn answered(
        &self,
        sent: u64,
        ask: &MoneyAsk,
        answer: &MoneyAnswer,
        generation: u64,
    ) -> (Vec<Waker>, Option<MoneyAsk>) {
        if self.is_of_the_past(ask) {
            self.predecessor_answered(ask, answer, generation);
            return (Vec::new(), None);
        }
        let Some(account) = self.find(ask.account) else { return (Vec::new(), None) };
        let mut state = account.lock();
        let (wakers, report) = state.answered(sent, ask, answer);
        let follow = report.then(|| {
            let reservation = state.current.last_reservation;
            account.ask(&mut state, self.identity(), reservation, None)
        });
        (wakers, follow)
    }

    fn lost(&self, ask: &MoneyAsk) {
        if self.is_of_the_past(ask) {
            self.predecessor_unanswered(ask);
        } else if let Some(account) = self.find(ask.account) {
            let mut state = account.lock();
            if let Some(holding) = state.find(ask.window) {
                holding.unanswered(ask);
            }
        }
    }

    /// Other pods are short: unreserved money goes back at once, also what was lent for waiting calls (L8).
    fn recalled(&self, recalls: &Recalls) -> Vec<MoneyAsk> {
        self.inner.recalls_upto.fetch_max(recalls.upto, Ordering::Relaxed);
        let mut follow = Vec::new();
        for (id, short) in &recalls.accounts {
            let Some(account) = self.find(*id).filter(|_| *short != self.inner.options.incarnation) else {
                continue;
            };
            let mut state = account.lock();
            if state.give_back_all(0) {
                let reservation = state.current.last_reservation;
                follow.push(account.ask(&mut state, self.identity(), reservation, None));
            }
        }
        follow
    }

    /// Takes recalls that a remote lender's stream delivered.
    pub fn feed_recalls(&self, recalls: &Recalls) {
        let follow = self.recalled(recalls);
        self.send_some(follow);
    }

    /// The point of the recall stream up to which this process has read.
    pub fn recalls_upto(&self) -> u64 {
        self.inner.recalls_upto.load(Ordering::Relaxed)
    }

    /// Asks for what a call of `amount` lacks.
    pub(super) fn lend(&self, now: Now, account: &Account, amount: i64) {
        self.ask(now, account, |available, _| (amount - available, amount), false);
    }

    /// Fills up ahead of need (L7).
    pub(super) fn refill(&self, now: Now, account: &Account) {
        self.ask(now, account, |available, (low, last)| (low - available, last), true);
    }

    /// `need` maps (available, (low water, last reservation)) to (need, reservation).
    fn ask(
        &self,
        now: Now,
        account: &Account,
        need: impl Fn(i64, (i64, i64)) -> (i64, i64),
        background: bool,
    ) {
        let build = || {
            let mut state = account.lock_at(self.wall(now));
            let holding = &state.current;
            let marks = (holding.low_water(), holding.last_reservation);
            let (need, reservation) = need(holding.available, marks);
            if need <= 0 || holding.lending || holding.slot.is_none() || state.disabled {
                return Vec::new();
            }
            let lend = Lend { at_least: holding.totals.granted.saturating_add(need), background };
            vec![account.ask(&mut state, self.identity(), reservation, Some(lend))]
        };
        if self.inner.local { self.trade(now, build) } else { self.send(build()) }
    }

    /// Says how the account stands without waiting for the next tick (L7, L8).
    pub(super) fn report(&self, now: Now, account: &Account) {
        let build = || {
            let mut state = account.lock();
            let reservation = state.current.last_reservation;
            vec![account.ask(&mut state, self.identity(), reservation, None)]
        };
        if self.inner.local { self.trade(now, build) } else { self.send(build()) }
    }

    pub(super) fn report_soon(&self, account: &Account) {
        self.report(self.last_now(), account);
    }
}
