//! The invariant of the lender (L6), checked after every exchange in debug builds and by tests.

use super::{Book, Page};
use crate::{account::AccountId, message::Batch, window::Window};

/// L6 does not hold: a fault in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("L6: {account} {window:?}: {used} used without overrun, limit {limit}")]
pub struct Breach {
    /// Where.
    pub account: AccountId,
    /// In which window.
    pub window: Window,
    /// ΣS + leased + forfeited.
    pub used: i64,
    /// The limit in force.
    pub limit: i64,
}

impl Book {
    /// Checks L6 on every account.
    ///
    /// # Errors
    /// The first account on which it does not hold.
    pub fn check(&self) -> Result<(), Breach> {
        self.entries.keys().try_for_each(|account| self.check_account(*account))
    }

    pub(super) fn check_asked(&self, batch: &Batch) -> Result<(), Breach> {
        batch.money.iter().try_for_each(|ask| self.check_account(ask.account))
    }

    fn check_account(&self, account: AccountId) -> Result<(), Breach> {
        let Some(entry) = self.entries.get(&account) else { return Ok(()) };
        let limit = entry.limit.unwrap_or(0);
        entry.pages.iter().try_for_each(|page| check_page(account, page, limit))
    }
}

fn check_page(account: AccountId, page: &Page, limit: i64) -> Result<(), Breach> {
    let used = page.used() - page.overrun() - page.folded.lost;
    if used <= limit.max(page.excused) {
        return Ok(());
    }
    Err(Breach { account, window: page.window, used, limit })
}
