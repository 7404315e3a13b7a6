//! The end of a reservation on one account (L21).

use super::{Ledger, account::Account};
use crate::{clock::Now, money::NANOS_PER_USD, window::Window};

/// Ten million US dollars: no call costs more. A vendor that reports an absurd usage must not overflow the totals.
const MOST: i64 = 10_000_000 * NANOS_PER_USD;

impl Ledger {
    /// Bills `actual` against `held` in `window`; answers the overrun. Without `now` (a
    /// reservation that was dropped) the last tick's clock serves.
    pub(super) fn settle_hold(
        &self,
        now: Option<Now>,
        account: &Account,
        window: Window,
        held: i64,
        actual: i64,
    ) -> i64 {
        let mut state = account.lock();
        let current = state.current.window == window;
        let Some(holding) = state.find(window) else { return 0 };
        let overrun = holding.settle(held, actual.clamp(0, MOST.max(held)));
        if !current {
            holding.give_back(0);
            return overrun;
        }
        let tight = holding.tight;
        if tight {
            let keep = state.wanted();
            state.current.give_back(keep);
        }
        let wakers = if state.waits_if_any().is_some() { state.waits().take_wakers() } else { Vec::new() };
        drop(state);
        wakers.into_iter().for_each(std::task::Waker::wake);
        if tight {
            self.report(now.unwrap_or_else(|| self.last_now()), account);
        }
        overrun
    }
}
