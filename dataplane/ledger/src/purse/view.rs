//! What a caller may know of an account (`GET /v1/usage`, response headers).

use super::{Ledger, account::Account};
use crate::clock::{Now, SECOND};

/// An account as this process knows it; with a remote lender up to a second old for what other pods did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The limit of one window.
    pub limit: i64,
    /// Spent in this window, by all pods.
    pub spent: i64,
    /// Reserved by this process's calls in flight.
    pub reserved: i64,
    /// What is left for new calls.
    pub remaining: i64,
    /// When the window ends, unix milliseconds; never for Lifetime.
    pub resets_at: Option<i64>,
    /// Held by processes that died and never to be spent (L10).
    pub unattributed: i64,
    /// Disabled or deleted.
    pub disabled: bool,
}

impl Ledger {
    /// How an account stands. The lender is asked when this process has not heard of the window yet; a remote one also
    /// when the last answer is a second old, for the next look.
    pub fn view(&self, now: Now, account: &Account) -> View {
        self.make_known(now, account);
        let state = account.lock_at(self.wall(now));
        let held = &state.current;
        View {
            limit: state.limit,
            spent: held.spent_by_all(),
            reserved: held.reserved,
            remaining: held.remaining(state.limit),
            resets_at: (held.window.end < i64::MAX).then_some(held.window.end),
            unattributed: held.forfeited,
            disabled: state.disabled,
        }
    }

    /// What is left for one more call (L20): available here, and lendable when the lender last answered.
    pub fn left(&self, now: Now, account: &Account) -> i64 {
        self.make_known(now, account);
        let state = account.lock_at(self.wall(now));
        if state.disabled { 0 } else { state.current.left(state.limit) }
    }

    fn make_known(&self, now: Now, account: &Account) {
        let known = {
            let state = account.lock_at(self.wall(now));
            let held = &state.current;
            // What other pods did is asked for again when it is a second old; a lender in this process knows of nobody.
            let fresh = self.inner.local || now.mono.saturating_sub(held.heard) < SECOND;
            // A lender in this process answers at once: who finds another thread's ask under way asks, too, instead of
            // showing nothing spent. A remote one is not asked twice.
            (held.known && fresh) || (held.unanswered > 0 && !self.inner.local)
        };
        if !known {
            self.report(now, account);
        }
    }

    /// The key was disabled or deleted (L4): unreserved money goes back, calls in flight finish what they have reserved,
    /// nothing new is reserved until [`Ledger::account`] brings a newer revision.
    pub fn disable(&self, now: Now, account: &Account) {
        let mut state = account.lock_at(self.wall(now));
        state.disabled = true;
        let returned = state.give_back_all(0);
        let wakers = if state.waits_if_any().is_some() { state.waits().take_wakers() } else { Vec::new() };
        drop(state);
        wakers.into_iter().for_each(std::task::Waker::wake);
        if returned {
            self.report(now, account);
        }
    }
}
