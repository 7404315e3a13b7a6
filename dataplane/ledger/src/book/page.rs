//! One window of one account at the lender.

use serde::{Deserialize, Serialize};

use super::{record::Record, row::Row};
use crate::{
    account::{AccountId, Incarnation},
    clock::{LATE_REPORTS, SECOND},
    message::{MoneyAsk, Totals},
    window::Window,
};

/// A pod is *active* on an account for this long after its last message about it (L7).
const ACTIVE: u64 = 10 * SECOND;

/// A row that says nothing is kept this long after its last message.
const SILENT: u64 = 3_600 * SECOND;

/// Of folded rows the names of this many are kept, so that none is counted again.
const NAMES: usize = 4_096;

/// The rows of one window, and what became of rows that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Which window.
    pub window: Window,
    /// One row per incarnation.
    pub rows: Vec<Row>,
    /// Sums of closed rows that were folded away or that this ledger lost.
    pub folded: Folded,
    /// Whose rows were folded, oldest first.
    pub(super) names: Vec<Incarnation>,
    /// Used may stand above the limit up to here: the limit was lowered, or a pod reported grants that were lost.
    pub(super) excused: i64,
}

/// Closed rows known only as a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// Spent by rows folded after 48 h.
    pub spent: i64,
    /// Forfeited by rows folded after 48 h, less write-offs.
    pub forfeited: i64,
    /// Of the spent part, beyond what was reserved.
    pub overrun: i64,
    /// Written off among those.
    pub written_off: i64,
    /// C of closed rows that this ledger lost and heard of from pods (L14).
    pub lost: i64,
}

impl Page {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, rows: Vec::new(), folded: Folded::default(), names: Vec::new(), excused: 0 }
    }

    /// ΣS + ΣO.
    pub fn spent(&self) -> i64 {
        sum(self.rows.iter().map(Row::spent)).saturating_add(self.folded.spent)
    }

    /// Held by live incarnations.
    pub fn leased(&self) -> i64 {
        sum(self.rows.iter().map(Row::leased))
    }

    /// Held by closed incarnations, less write-offs; includes what is known of lost ones.
    pub fn forfeited(&self) -> i64 {
        let folded = self.folded.forfeited.saturating_add(self.folded.lost);
        sum(self.rows.iter().map(Row::forfeited)).saturating_add(folded)
    }

    /// ΣO.
    pub fn overrun(&self) -> i64 {
        sum(self.rows.iter().map(|row| row.totals.overrun)).saturating_add(self.folded.overrun)
    }

    /// Spent, leased and forfeited: what is not lendable.
    pub fn used(&self) -> i64 {
        sum([self.spent(), self.leased(), self.forfeited()].into_iter())
    }

    /// C: only grows.
    pub fn closed_total(&self) -> i64 {
        let Folded { spent, forfeited, written_off, lost, .. } = self.folded;
        sum(self.rows.iter().map(Row::closed_total).chain([spent, forfeited, written_off, lost]))
    }

    /// Incarnations that spoke of this window in the last 10 s, at least 1.
    pub(super) fn active(&self, mono: u64) -> i64 {
        let fresh =
            |row: &&Row| row.closed.is_none() && row.seen.is_some_and(|at| mono.saturating_sub(at) < ACTIVE);
        i64::try_from(self.rows.iter().filter(fresh).count()).unwrap_or(i64::MAX).max(1)
    }

    /// The row of the ask's incarnation, made when it is not there yet; whether it was made.
    pub(super) fn row(&mut self, ask: &MoneyAsk) -> (usize, bool) {
        if let Some(at) = self.rows.iter().position(|row| row.incarnation == ask.incarnation) {
            return (at, false);
        }
        self.rows.push(Row::new(ask));
        (self.rows.len() - 1, true)
    }

    /// The row of an incarnation.
    pub fn find(&self, incarnation: Incarnation) -> Option<&Row> {
        self.rows.iter().find(|row| row.incarnation == incarnation)
    }

    /// The whole page.
    pub(super) fn records(&self, account: AccountId) -> impl Iterator<Item = Record> + '_ {
        let window = self.window;
        let rows = self.rows.iter().map(move |row| Record::Row { account, window, row: *row });
        let (folded, names) = (self.folded, self.names.clone());
        std::iter::once(Record::Folded { account, window, folded, names }).chain(rows)
    }

    /// A pod knows a greater C than this ledger, which lost data: the difference is kept as a sum (L14). Closed rows
    /// that this ledger still has are not counted twice.
    pub(super) fn hear_of_lost(&mut self, told: i64) -> bool {
        let mine = self.closed_total() - self.folded.lost;
        let lost = told - mine;
        let grows = lost > self.folded.lost;
        if grows {
            self.folded.lost = lost;
        }
        grows
    }

    /// A row that the teller knew to be part of C, now in this page: `c` is C as it was or was told, and stays.
    pub(super) fn count_within(&mut self, c: i64) -> bool {
        let lost = (c - (self.closed_total() - self.folded.lost)).max(0);
        let changed = lost != self.folded.lost;
        self.folded.lost = lost;
        changed
    }

    /// The row of this incarnation is in the sums.
    pub(super) fn has_folded(&self, incarnation: Incarnation) -> bool {
        self.find(incarnation).is_none() && self.names.contains(&incarnation)
    }

    /// Rows closed 48 h ago become a sum, so that a Lifetime budget does not grow with every restart. In a window that
    /// ended 48 h ago all do. With `mono`, rows that never held anything and were silent for an hour go as well: a
    /// process that only looked.
    pub(super) fn fold(&mut self, wall: i64, mono: Option<u64>) -> bool {
        let before = self.rows.len();
        let over = self.window.end.saturating_add(LATE_REPORTS) <= wall;
        let (folded, names) = (&mut self.folded, &mut self.names);
        self.rows.retain(|row| {
            let old = row.closed.is_some_and(|at| at.saturating_add(LATE_REPORTS) <= wall);
            if old || over {
                folded.spent = folded.spent.saturating_add(row.spent());
                folded.overrun = folded.overrun.saturating_add(row.totals.overrun);
                folded.forfeited += row.forfeited() + row.leased();
                folded.written_off += row.written_off.min(row.totals.leased());
                names.push(row.incarnation);
            }
            let silent = |mono: u64| row.seen.is_none_or(|at| mono.saturating_sub(at) >= SILENT);
            let idle = row.closed.is_none() && row.totals == Totals::default() && mono.is_some_and(silent);
            !(old || over || idle)
        });
        let surplus = self.names.len().saturating_sub(NAMES);
        self.names.drain(..surplus);
        before != self.rows.len()
    }
}

/// Of amounts that are not negative. It saturates: what is billed beyond all bounds must not read as nothing.
fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}
