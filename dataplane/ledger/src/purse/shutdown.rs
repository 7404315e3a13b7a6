//! The clean end of a process (L5a): everything unreserved goes back, and the incarnation is closed.

use std::sync::atomic::Ordering;

use super::{Ledger, SHARDS, account::Account, lock};
use crate::{clock::Now, message::MoneyAsk, spend_file};

impl Ledger {
    /// Takes no more reservations, returns what is unreserved and closes this incarnation. To be called when no call is
    /// in flight; what still is reserved is forfeited, unless it settles before the next start on this data directory.
    /// Answers whether the lender has acknowledged all, also of earlier processes: with a remote one, drive
    /// [`Ledger::outgoing`] and call again.
    pub fn close(&self, now: Now) -> bool {
        self.inner.closed.store(true, Ordering::Relaxed);
        self.money_moved();
        self.tell_of_predecessors(now);
        let mut open = 0;
        let mut in_flight = 0;
        for shard in 0..SHARDS {
            for some in self.shard_accounts(shard, |_| true).chunks(256) {
                // First what is unsaid, which also tells the lender's G; then the closing itself.
                for _ in 0..if self.inner.local { 2 } else { 1 } {
                    let build = || some.iter().flat_map(|account| self.close_one(now, account)).collect();
                    if self.inner.local { self.trade(now, build) } else { self.send_some(build()) }
                }
                for account in some {
                    let mut state = account.lock();
                    in_flight += state.all().map(|holding| holding.reserved).sum::<i64>();
                    let unsaid = |holding: &&mut super::holding::Holding| {
                        holding.slot.is_some() && (holding.dirty || holding.unanswered > 0 || !holding.closed)
                    };
                    open += state.all().filter(unsaid).count();
                }
            }
        }
        let generation = self.inner.generation.load(Ordering::Relaxed);
        if open == 0 && in_flight == 0 && generation > 0 {
            // Without the mark the next start repeats what was said here; each record says that it was counted.
            let _ = spend_file::mark_closed(lock(&self.inner.spend).path(), generation);
        }
        open == 0 && self.steps_to_go() == 0
    }

    fn close_one(&self, now: Now, account: &Account) -> Vec<MoneyAsk> {
        let mut state = account.lock_at(self.wall(now));
        state.give_back_all(0);
        let (limit, revision) = (state.limit, state.revision);
        let mut asks = Vec::new();
        for holding in state.all().filter(|holding| holding.slot.is_some() && holding.unanswered == 0) {
            if !holding.closed || holding.dirty {
                let from = account.sender(self.identity(), limit, revision);
                let last_word = !holding.dirty;
                asks.push(holding.ask(from, holding.last_reservation, None, last_word));
            }
        }
        asks
    }
}
