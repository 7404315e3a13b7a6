//! One incarnation's line in a window.

use serde::{Deserialize, Serialize};

use crate::{
    account::{Incarnation, PodId},
    message::{MoneyAsk, Totals},
};

/// What the lender knows of one incarnation in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose.
    pub incarnation: Incarnation,
    /// In which pod it ran.
    pub pod: PodId,
    /// Its totals.
    pub totals: Totals,
    /// The highest message number seen.
    pub number: u64,
    /// When it was closed, unix milliseconds; it gets no more grants.
    pub closed: Option<i64>,
    /// Of what it held when closed, written off by an administrator.
    pub written_off: i64,
    /// When it last spoke for itself, monotonic nanoseconds of this process; not kept over a restart.
    #[serde(skip)]
    pub seen: Option<u64>,
}

impl Row {
    pub(super) fn new(ask: &MoneyAsk) -> Self {
        Self {
            incarnation: ask.incarnation,
            pod: ask.pod,
            totals: Totals::default(),
            number: 0,
            closed: None,
            written_off: 0,
            seen: None,
        }
    }

    /// ΣS + ΣO of this row.
    pub fn spent(&self) -> i64 {
        self.totals.billed()
    }

    /// Money that a live incarnation may still spend.
    pub fn leased(&self) -> i64 {
        if self.closed.is_some() { 0 } else { self.totals.leased() }
    }

    /// Money that a closed incarnation took along, less what was written off. What it turns out to have spent of it is
    /// no longer written off.
    pub fn forfeited(&self) -> i64 {
        if self.closed.is_some() { (self.totals.leased() - self.written_off).max(0) } else { 0 }
    }

    /// Its part of C: spent and forfeited, if closed. A write-off does not lower it.
    pub fn closed_total(&self) -> i64 {
        if self.closed.is_some() { self.spent().saturating_add(self.totals.leased()) } else { 0 }
    }

    /// Takes the maximum of each total; whether anything changed. R of a closed row stands, so that C only grows.
    pub(super) fn learn(&mut self, told: Totals) -> bool {
        let mut next = self.totals.max(told);
        if self.closed.is_some() {
            next.returned = self.totals.returned;
        }
        let changed = next != self.totals;
        self.totals = next;
        changed
    }
}
