//! The stream of accounts that pods are short of (L8).

use std::collections::VecDeque;

use crate::{
    account::{AccountId, Incarnation},
    message::Recalls,
};

/// Older recalls are dropped: a pod that reads this late has long been asked again.
const KEPT: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct RecallStream {
    /// Number of the last entry.
    last: u64,
    entries: VecDeque<(u64, AccountId, Incarnation)>,
}

impl RecallStream {
    pub(super) fn push(&mut self, account: AccountId, short: Incarnation) {
        self.last += 1;
        self.entries.push_back((self.last, account, short));
        if self.entries.len() > KEPT {
            self.entries.pop_front();
        }
    }

    /// Everything after the point `after`, each account once.
    pub(super) fn after(&self, after: u64) -> Recalls {
        let mut accounts: Vec<(AccountId, Incarnation)> = Vec::new();
        for (number, account, short) in self.entries.iter().rev() {
            if *number <= after {
                break;
            }
            if !accounts.contains(&(*account, *short)) {
                accounts.push((*account, *short));
            }
        }
        Recalls { upto: self.last, accounts }
    }
}
