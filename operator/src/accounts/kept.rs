//! What was read of the ledger, kept for when the ledger loses it (ledger.md L14). Pure.

use smartflow_ledger::book::{Row, Standing};
use smartflow_ledger::lender::redis::{PutBack, Stands};
use smartflow_ledger::{AccountId, PodId, Window};
use std::collections::{BTreeSet, HashMap};

/// Windows that ended longer ago take no reports any more: milliseconds.
const LATE: i64 = 48 * 3_600_000;
/// Accounts that are kept at most; of further ones the ledger's own word counts.
const MOST: usize = 500_000;

/// All accounts, as they were read last.
#[derive(Debug, Default)]
pub struct Kept {
    accounts: HashMap<AccountId, Stands>,
}

impl Kept {
    /// Takes an account as it was read; one without windows is gone.
    pub fn take(&mut self, stands: Stands, wall: i64) {
        let Stands { account, limit, mut windows } = stands;
        windows.retain(|s| s.window.end.saturating_add(LATE) > wall);
        if windows.is_empty() {
            self.accounts.remove(&account);
        } else if self.accounts.len() < MOST || self.accounts.contains_key(&account) {
            self.accounts.insert(account, Stands { account, limit, windows });
        }
    }

    /// Windows of an account, oldest first.
    #[must_use]
    pub fn windows(&self, account: AccountId) -> &[Standing] {
        self.accounts.get(&account).map_or(&[], |stands| &stands.windows)
    }

    /// Everything, as it is put back: rows of those who live and of those who ended.
    #[must_use]
    pub fn put_backs(&self, wall: i64) -> Vec<PutBack> {
        let of = |stands: &Stands| {
            let windows = stands.windows.iter().filter(|s| s.window.end.saturating_add(LATE) > wall);
            let (account, limit) = (stands.account, stands.limit);
            windows
                .map(move |s| PutBack {
                    account,
                    window: s.window,
                    closed_total: s.closed_total,
                    limit,
                    rows: s.rows.clone(),
                })
                .collect::<Vec<_>>()
        };
        self.accounts.values().flat_map(of).collect()
    }

    /// Rows of a pod that were not closed: account, window, row.
    #[must_use]
    pub fn rows_of(&self, pod: PodId) -> Vec<(AccountId, Window, Row)> {
        let windows =
            self.accounts.values().flat_map(|stands| stands.windows.iter().map(|s| (stands.account, s)));
        let rows = windows.flat_map(|(account, s)| s.rows.iter().map(move |row| (account, s.window, *row)));
        rows.filter(|(_, _, row)| row.pod == pod && row.closed.is_none()).collect()
    }

    /// Pods that may hold money.
    #[must_use]
    pub fn pods(&self) -> BTreeSet<PodId> {
        let windows = self.accounts.values().flat_map(|stands| &stands.windows);
        let rows = windows.flat_map(|s| &s.rows).filter(|row| row.closed.is_none());
        rows.map(|row| row.pod).collect()
    }
}
