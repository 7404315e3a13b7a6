//! A pod's memory of the last minute: what it was lent in each slot and what became of it.

use std::collections::VecDeque;

use super::{
    message::SlotTotals,
    ring::{SLOT_NANOS, Slot},
};

/// Seconds for which a row counts in a local window: as long as a cell of the lender's ring.
const WINDOW: u32 = 61;
/// Seconds for which a row is kept, so that settled calls find their slot.
const KEEP: u32 = 64;

/// Requests and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) requests: u32,
    pub(super) tokens: u32,
}

/// How far the lender knows a row's totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Yes,
    Sent,
    No,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    id: u32,
    /// Second of the pod's own clock.
    second: u32,
    /// The lender's slot; 0 = lent by no lender that still knows it.
    slot: Slot,
    lent: Pair,
    back: Pair,
    over: Pair,
    told: Told,
}

impl Row {
    fn used(&self) -> (u64, u64) {
        let used =
            |lent: u32, over: u32, back: u32| (u64::from(lent) + u64::from(over)).saturating_sub(back.into());
        let requests = used(self.lent.requests, self.over.requests, self.back.requests);
        (requests, used(self.lent.tokens, self.over.tokens, self.back.tokens))
    }
}

/// Rows of the last minute, oldest first; one per lender's slot and one per second of local admissions.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: VecDeque<Row>,
    last: u32,
}

impl Rows {
    /// The row of lender's slot `slot` (0 = local), made at `now` if there is none.
    pub(super) fn open(&mut self, now: u64, slot: Slot) -> u32 {
        let second = second(now);
        let same = |row: &&Row| row.slot == slot && (slot != 0 || row.second == second);
        if let Some(row) = self.rows.iter().rev().take(4).find(same) {
            return row.id;
        }
        self.last = self.last.wrapping_add(1);
        let (lent, back) = (Pair::default(), Pair::default());
        let over = Pair::default();
        self.rows.push_back(Row { id: self.last, second, slot, lent, back, over, told: Told::Yes });
        self.last
    }

    /// Notes units lent in a row.
    pub(super) fn lent(&mut self, id: u32, units: Pair) {
        if let Some(row) = self.find(id) {
            row.lent.requests = row.lent.requests.saturating_add(units.requests);
            row.lent.tokens = row.lent.tokens.saturating_add(units.tokens);
        }
    }

    /// Notes units of a row that were not used; nothing when the row has left the minute.
    pub(super) fn back(&mut self, id: u32, units: Pair) {
        if units == Pair::default() {
            return;
        }
        if let Some(row) = self.find(id) {
            row.back.requests = row.back.requests.saturating_add(units.requests);
            row.back.tokens = row.back.tokens.saturating_add(units.tokens);
            row.told = Told::No;
        }
    }

    /// Notes units used beyond all that was lent.
    pub(super) fn over(&mut self, id: u32, units: Pair) {
        if let Some(row) = self.find(id) {
            row.over.requests = row.over.requests.saturating_add(units.requests);
            row.over.tokens = row.over.tokens.saturating_add(units.tokens);
            row.told = Told::No;
        }
    }

    /// Requests lent in a row so far, and tokens.
    pub(super) fn lent_so_far(&self, id: u32) -> Pair {
        self.rows.iter().rev().find(|row| row.id == id).map_or(Pair::default(), |row| row.lent)
    }

    /// Totals that the lender has not acknowledged.
    pub(super) fn send(&mut self) -> Vec<SlotTotals> {
        let news = self.rows.iter_mut().filter(|row| row.told != Told::Yes && row.slot != 0);
        news.map(|row| {
            row.told = Told::Sent;
            SlotTotals {
                slot: row.slot,
                requests_back: row.back.requests,
                tokens_back: row.back.tokens,
                requests_over: row.over.requests,
                tokens_over: row.over.tokens,
            }
        })
        .collect()
    }

    /// The message that [`Rows::send`] went into was answered, or was not.
    pub(super) fn sent(&mut self, answered: bool) {
        for row in self.rows.iter_mut().filter(|row| row.told == Told::Sent) {
            row.told = if answered { Told::Yes } else { Told::No };
        }
    }

    /// Something is to be told to the lender.
    pub(super) fn has_news(&self) -> bool {
        self.rows.iter().any(|row| row.told == Told::No && row.slot != 0)
    }

    /// Units used beyond all that was lent are to be told to the lender.
    pub(super) fn has_untold_over(&self) -> bool {
        self.rows.iter().any(|row| {
            row.told == Told::No && row.slot != 0 && (row.over.requests > 0 || row.over.tokens > 0)
        })
    }

    /// The lender lost its ring: its slots mean nothing any more, but what was used still counts here.
    pub(super) fn lost(&mut self) {
        for row in &mut self.rows {
            (row.slot, row.told) = (0, Told::Yes);
        }
    }

    /// Used by this pod within the local window.
    pub(super) fn used(&self, now: u64) -> (u64, u64) {
        let since = second(now).saturating_sub(WINDOW - 1);
        let counting = self.rows.iter().filter(|row| row.second >= since);
        counting.map(Row::used).fold((0, 0), |sum, used| (sum.0 + used.0, sum.1 + used.1))
    }

    /// Nanoseconds until the oldest row that counts leaves the local window.
    pub(super) fn oldest_leaves(&self, now: u64) -> u64 {
        let since = second(now).saturating_sub(WINDOW - 1);
        let oldest =
            self.rows.iter().filter(|row| row.second >= since && row.used() != (0, 0)).map(|row| row.second);
        let end = oldest.min().map_or(0, |oldest| u64::from(oldest + WINDOW) * SLOT_NANOS);
        end.saturating_sub(now)
    }

    /// Drops what has left the minute.
    pub(super) fn forget(&mut self, now: u64) {
        let since = second(now).saturating_sub(KEEP);
        while self.rows.front().is_some_and(|row| row.second < since) {
            self.rows.pop_front();
        }
    }

    /// Nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn find(&mut self, id: u32) -> Option<&mut Row> {
        self.rows.iter_mut().rev().find(|row| row.id == id)
    }
}

fn second(now: u64) -> u32 {
    u32::try_from(now / SLOT_NANOS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 200 * SLOT_NANOS;

    #[test]
    fn totals_are_sent_until_answered_and_again_when_they_grow() {
        let mut rows = Rows::default();
        let id = rows.open(AT, 7);
        rows.lent(id, Pair { requests: 5, tokens: 0 });
        assert!(!rows.has_news());
        rows.back(id, Pair { requests: 2, tokens: 0 });
        assert_eq!(rows.send()[0].requests_back, 2);
        rows.sent(false);
        assert_eq!(rows.send()[0].requests_back, 2);
        rows.back(id, Pair { requests: 1, tokens: 0 });
        rows.sent(true);
        assert_eq!(rows.send()[0].requests_back, 3);
        rows.sent(true);
        assert!(rows.send().is_empty());
    }

    #[test]
    fn a_lost_ring_keeps_what_was_used() {
        let mut rows = Rows::default();
        let id = rows.open(AT, 7);
        rows.lent(id, Pair { requests: 5, tokens: 90 });
        rows.back(id, Pair { requests: 2, tokens: 0 });
        rows.lost();
        assert!(rows.send().is_empty());
        assert_eq!(rows.used(AT), (3, 90));
        assert_eq!(rows.oldest_leaves(AT), 61 * SLOT_NANOS);
        assert_eq!(rows.used(AT + 61 * SLOT_NANOS), (0, 0));
    }

    #[test]
    fn rows_go_after_the_minute() {
        let mut rows = Rows::default();
        rows.open(AT, 7);
        rows.forget(AT + 64 * SLOT_NANOS);
        assert!(!rows.is_empty());
        rows.forget(AT + 65 * SLOT_NANOS);
        assert!(rows.is_empty());
    }
}
