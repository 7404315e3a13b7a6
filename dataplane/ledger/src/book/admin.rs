//! What an operator or administrator reads and does, and the book as records.

use super::{Book, Page, Record, Row};
use crate::{
    account::{AccountId, Incarnation},
    window::Window,
};

/// One window of an account as the lender sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which window.
    pub window: Window,
    /// The limit in force.
    pub limit: i64,
    /// ΣS + ΣO.
    pub spent: i64,
    /// Held by live incarnations.
    pub leased: i64,
    /// Held by closed ones, less write-offs.
    pub forfeited: i64,
    /// C.
    pub closed_total: i64,
    /// The rows behind the sums.
    pub rows: Vec<Row>,
}

/// Why nothing was written off (L10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteOffError {
    /// No such row.
    #[error("{0} holds nothing in this window")]
    Unknown(Incarnation),
    /// It may still be spending what it holds.
    #[error("{0} is not closed; only a closed incarnation can be written off")]
    Live(Incarnation),
}

impl Book {
    /// All windows that are kept of an account, oldest first.
    pub fn standing(&self, account: AccountId) -> Vec<Standing> {
        let Some(entry) = self.entries.get(&account) else { return Vec::new() };
        let mut all: Vec<_> =
            entry.pages.iter().map(|page| standing(page, entry.limit.unwrap_or(0))).collect();
        all.sort_by_key(|standing| standing.window);
        all
    }

    /// Makes lendable again what a closed incarnation took along; answers how much.
    ///
    /// # Errors
    /// There is no such row, or it is not closed.
    pub fn write_off(
        &mut self,
        account: AccountId,
        window: Window,
        who: Incarnation,
    ) -> Result<i64, WriteOffError> {
        let page =
            self.entries.get_mut(&account).and_then(|e| e.pages.iter_mut().find(|p| p.window == window));
        let row = page.and_then(|page| page.rows.iter_mut().find(|row| row.incarnation == who));
        let row = row.ok_or(WriteOffError::Unknown(who))?;
        if row.closed.is_none() {
            return Err(WriteOffError::Live(who));
        }
        let freed = row.forfeited();
        row.written_off += freed;
        let row = *row;
        self.changes.push(Record::Row { account, window, row });
        Ok(freed)
    }

    /// Forgets an account that no pod uses any more; the only way for a Lifetime budget to go.
    pub fn purge(&mut self, account: AccountId) -> bool {
        self.changes.push(Record::Purged { account });
        self.entries.remove(&account).is_some()
    }

    /// The whole book; [`Book::replay`] of it makes an equal one.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.entries.iter().flat_map(|(account, entry)| {
            let account = *account;
            let revision = entry.revision;
            let limit = entry.limit.map(|limit| Record::Limit { account, limit, revision });
            limit.into_iter().chain(entry.pages.iter().flat_map(move |page| page.records(account)))
        })
    }

    /// Takes a record of an earlier run.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Limit { account, limit, revision } => {
                let entry = self.entries.entry(account).or_default();
                (entry.limit, entry.revision) = (Some(limit), revision);
            }
            Record::Purged { account } => {
                self.entries.remove(&account);
            }
            Record::Row { account, window, row } => {
                let page = self.page(account, window);
                page.rows.retain(|old| old.incarnation != row.incarnation);
                page.rows.push(row);
            }
            Record::Folded { account, window, folded, names } => {
                let page = self.page(account, window);
                page.rows.clear();
                (page.folded, page.names) = (folded, names);
            }
        }
    }

    /// After the last record: what stands above a limit now was excused before.
    pub fn replayed(&mut self) {
        for page in self.entries.values_mut().flat_map(|entry| &mut entry.pages) {
            page.excused = page.used();
        }
    }

    fn page(&mut self, account: AccountId, window: Window) -> &mut Page {
        let pages = &mut self.entries.entry(account).or_default().pages;
        let at = pages.iter().position(|page| page.window == window).unwrap_or_else(|| {
            pages.push(Page::new(window));
            pages.len() - 1
        });
        &mut pages[at]
    }
}

fn standing(page: &Page, limit: i64) -> Standing {
    Standing {
        window: page.window,
        limit,
        spent: page.spent(),
        leased: page.leased(),
        forfeited: page.forfeited(),
        closed_total: page.closed_total(),
        rows: page.rows.clone(),
    }
}
