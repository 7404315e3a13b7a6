//! The lender's books, turned page by page.

use crate::evidence::{Entry, Row, Window};
use std::collections::BTreeMap;

/// Books at an instant.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) limits: BTreeMap<u128, i64>,
    pub(super) pages: BTreeMap<(u128, Window), Page>,
}

/// One window of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    pub(super) rows: BTreeMap<u128, Row>,
    sum: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    spent: i64,
    forfeited: i64,
    overrun: i64,
}

impl Books {
    /// Takes what changed together.
    pub(super) fn turn(&mut self, frame: &[Entry]) {
        for entry in frame {
            match *entry {
                Entry::Limit { account, limit } => {
                    self.limits.insert(account, limit);
                }
                Entry::Row(row) => {
                    let page = self.pages.entry((row.account, row.window)).or_default();
                    page.rows.insert(row.incarnation, row);
                }
                Entry::Sum { account, window, spent, forfeited, overrun } => {
                    let page = self.pages.entry((account, window)).or_default();
                    page.rows.clear();
                    page.sum = Sum { spent, forfeited, overrun };
                }
            }
        }
    }
}

impl Page {
    pub(super) fn spent(&self) -> i64 {
        self.sum.spent + self.rows.values().map(|row| row.spent + row.overrun).sum::<i64>()
    }

    /// Of the spent, what is known only as a sum: rows of a window that ended 48 hours ago.
    pub(super) fn summed(&self) -> i64 {
        self.sum.spent
    }

    pub(super) fn overrun(&self) -> i64 {
        self.sum.overrun + self.rows.values().map(|row| row.overrun).sum::<i64>()
    }

    pub(super) fn leased(&self) -> i64 {
        self.rows.values().filter(|row| !row.closed).map(held).sum()
    }

    /// What is lent to processes of which `gone` says that they never come back.
    pub(super) fn stranded(&self, gone: impl Fn(u128) -> bool) -> i64 {
        self.rows.values().filter(|row| !row.closed && gone(row.incarnation)).map(held).sum()
    }

    pub(super) fn forfeited(&self) -> i64 {
        let closed = self.rows.values().filter(|row| row.closed);
        self.sum.forfeited + closed.map(|row| (held(row) - row.written_off).max(0)).sum::<i64>()
    }
}

pub(super) fn held(row: &Row) -> i64 {
    (row.granted - row.spent - row.returned).max(0)
}
