//! What happens between calls: reports, returns, windows lent ahead, records that are no longer needed.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
};

use super::{Ledger, SHARDS, account::Account, lock};
use crate::{
    clock::{MS, Now},
    message::{Lend, MoneyAsk},
};

/// A tick looks at a quarter of the accounts when ticks come at least this often, so that each is seen once a second.
const OFTEN: u64 = 250 * MS;
/// Ticks between two sweeps over all accounts.
const FULL_SWEEP: u64 = 300;

impl Ledger {
    /// To be called about every 200 ms: reports what was spent (each account at most once a second), returns surplus,
    /// moves on to new windows. With a remote lender the messages are then in [`Ledger::outgoing`].
    pub fn tick(&self, now: Now) {
        let since = now.mono.saturating_sub(self.last_now().mono);
        self.remember_now(now);
        let part = if since <= OFTEN { SHARDS / 4 } else { SHARDS };
        let round = self.inner.swept.fetch_add(1, Ordering::Relaxed);
        let first = if part < SHARDS { usize::try_from(round % 4).unwrap_or(0) * part } else { 0 };
        // Once a minute also those that nobody has touched: what they hold of an ended window goes back.
        let all = round % FULL_SWEEP >= FULL_SWEEP - 4;
        let stirred = Cell::new(false);
        let wanted = &|account: &Account| {
            let was = account.was_stirred();
            stirred.set(stirred.get() || was);
            was || all
        };
        let accounts: Vec<_> =
            (first..first + part).flat_map(|shard| self.shard_accounts(shard, wanted)).collect();
        if stirred.get() {
            self.money_moved();
        }
        self.sweep(now, &accounts);
        drop(accounts);
        if all {
            (first..first + part).for_each(|shard| self.forget_idle(shard));
        }
        lock(&self.inner.spend).purge(self.wall(now));
        if !self.inner.local {
            self.beat(now);
        }
        self.tell_of_predecessors(now);
    }

    fn sweep(&self, now: Now, accounts: &[Arc<Account>]) {
        for account in accounts {
            self.lend_ahead(now, account);
        }
        for some in accounts.chunks(64) {
            let build = || some.iter().flat_map(|account| self.sweep_one(now, account)).collect();
            if self.inner.local {
                self.trade(now, build);
            } else {
                self.send_some(build());
            }
        }
    }

    pub(super) fn send_some(&self, asks: Vec<MoneyAsk>) {
        if !asks.is_empty() {
            self.send(asks);
        }
    }

    fn sweep_one(&self, now: Now, account: &Account) -> Vec<MoneyAsk> {
        let mut state = account.lock_quietly_at(self.wall(now));
        state.current.give_back_surplus();
        if state.waits_if_any().is_some() {
            state.waits().tidy(now.mono);
        }
        let gone = state.drop_ended();
        let (limit, revision) = (state.limit, state.revision);
        let today = state.current.window.start;
        let mut asks = Vec::new();
        for holding in state.all().filter(|holding| holding.unanswered == 0) {
            // An ended window is closed once its last reservation has settled and all was said.
            let over = holding.window.end <= today && holding.reserved == 0 && !holding.closed;
            if holding.dirty || over {
                let from = account.sender(self.identity(), limit, revision);
                let last_word = over && !holding.dirty;
                asks.push(holding.ask(from, holding.last_reservation, None, last_word));
            }
        }
        account.stir_if_in_use(&state, now.mono);
        if !gone.is_empty() {
            // Before the account is unlocked, so that a lender that lost its data hears of it from one or the other.
            let mut spend = lock(&self.inner.spend);
            gone.into_iter().for_each(|(slot, end)| spend.keep(slot, end));
        }
        asks
    }

    /// Lends in the next window from a minute before it starts (L3).
    fn lend_ahead(&self, now: Now, account: &Account) {
        let wall = self.wall(now);
        let window = {
            let state = account.lock_quietly_at(wall);
            account.next_window(&state, now.mono, wall)
        };
        let Some(window) = window else { return };
        let Ok(slot) = lock(&self.inner.spend).take(account.id(), window) else { return };
        let build = || {
            let mut state = account.lock_quietly_at(wall);
            if account.next_window(&state, now.mono, wall) != Some(window) {
                drop(state);
                lock(&self.inner.spend).give(slot);
                return Vec::new();
            }
            let from = account.sender(self.identity(), state.limit, state.revision);
            let (size, reservation) = (state.current.size, state.current.last_reservation);
            let lend = Lend { at_least: reservation.max(1), background: true };
            vec![state.lend_ahead(window, slot, size).ask(from, reservation, Some(lend), false)]
        };
        if self.inner.local { self.trade(now, build) } else { self.send_some(build()) }
    }
}
