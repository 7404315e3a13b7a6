//! What the lender knows of one incarnation at one account.

use std::collections::VecDeque;

use super::{
    message::SlotTotals,
    ring::{CELLS, Slot},
};

/// Units granted to one incarnation in one slot, and what it said of them.
#[derive(Clone, Copy, Debug)]
struct Row {
    slot: Slot,
    requests: u32,
    tokens: u32,
    said: SlotTotals,
}

/// The latest grant, which is taken back when the pod never got the answer.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    number: u64,
    slot: Slot,
    requests: u32,
    tokens: u32,
}

/// Units to take out of, or to add to, the rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// In which slot units come back or were used beyond the estimate.
    pub(super) slot: Slot,
    /// Requests that come back.
    pub(super) requests_back: u32,
    /// Tokens that come back.
    pub(super) tokens_back: u32,
    /// Requests that were not granted.
    pub(super) requests_over: u32,
    /// Tokens that were not granted.
    pub(super) tokens_over: u32,
}

/// One incarnation at one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat {
    /// Highest message number carried out.
    pub(super) number: u64,
    /// When it was last heard, nanoseconds.
    pub(super) heard: u64,
    /// Permits that it holds.
    pub(super) permits: u32,
    latest: Latest,
    rows: VecDeque<Row>,
}

impl Seat {
    /// Notes a grant.
    pub(super) fn granted(&mut self, number: u64, slot: Slot, requests: u32, tokens: u32) {
        self.latest = Latest { number, slot, requests, tokens };
        if requests > 0 || tokens > 0 {
            let row = self.row(slot);
            row.requests = row.requests.saturating_add(requests);
            row.tokens = row.tokens.saturating_add(tokens);
        }
    }

    /// The pod took no answer after that to message `answered`: a later grant comes back, once.
    pub(super) fn unheard(&mut self, answered: u64) -> Option<Change> {
        let latest = self.latest;
        if latest.number <= answered {
            return None;
        }
        self.latest = Latest::default();
        let row = self.rows.iter_mut().find(|row| row.slot == latest.slot)?;
        row.requests = row.requests.saturating_sub(latest.requests);
        row.tokens = row.tokens.saturating_sub(latest.tokens);
        Some(Change {
            slot: latest.slot,
            requests_back: latest.requests,
            tokens_back: latest.tokens,
            ..Change::default()
        })
    }

    /// Takes running totals in and says what is new in them. Never more comes back than was granted; a slot that has
    /// left the minute is history.
    pub(super) fn said(&mut self, totals: &SlotTotals, now: Slot) -> Option<Change> {
        if totals.slot.saturating_add(CELLS) <= now || totals.slot > now + CELLS {
            return None;
        }
        let row = self.row(totals.slot);
        let before = row.said;
        row.said.requests_over = before.requests_over.max(totals.requests_over);
        row.said.tokens_over = before.tokens_over.max(totals.tokens_over);
        let requests = row.requests.saturating_add(row.said.requests_over);
        let tokens = row.tokens.saturating_add(row.said.tokens_over);
        row.said.requests_back = before.requests_back.max(totals.requests_back.min(requests));
        row.said.tokens_back = before.tokens_back.max(totals.tokens_back.min(tokens));
        Some(Change {
            slot: totals.slot,
            requests_back: row.said.requests_back - before.requests_back,
            tokens_back: row.said.tokens_back - before.tokens_back,
            requests_over: row.said.requests_over - before.requests_over,
            tokens_over: row.said.tokens_over - before.tokens_over,
        })
    }

    /// Forgets slots that have left the minute.
    pub(super) fn forget(&mut self, now: Slot) {
        while self.rows.front().is_some_and(|row| row.slot + CELLS <= now) {
            self.rows.pop_front();
        }
    }

    fn row(&mut self, slot: Slot) -> &mut Row {
        let at = self.rows.partition_point(|row| row.slot < slot);
        if self.rows.get(at).is_none_or(|row| row.slot != slot) {
            let said = SlotTotals { slot, ..SlotTotals::default() };
            self.rows.insert(at, Row { slot, requests: 0, tokens: 0, said });
        }
        &mut self.rows[at]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn back(slot: Slot, requests_back: u32) -> SlotTotals {
        SlotTotals { slot, requests_back, ..SlotTotals::default() }
    }

    #[test]
    fn returns_count_once_and_never_beyond_the_grant() {
        let mut seat = Seat::default();
        seat.granted(1, 100, 10, 0);
        assert_eq!(seat.said(&back(100, 4), 101).unwrap().requests_back, 4);
        assert_eq!(seat.said(&back(100, 4), 101).unwrap().requests_back, 0);
        assert_eq!(seat.said(&back(100, 3), 101).unwrap().requests_back, 0);
        assert_eq!(seat.said(&back(100, 99), 101).unwrap().requests_back, 6);
    }

    #[test]
    fn history_and_the_far_future_are_ignored() {
        let mut seat = Seat::default();
        seat.granted(1, 100, 10, 0);
        assert_eq!(seat.said(&back(100, 4), 162), None);
        assert_eq!(seat.said(&back(163, 4), 100), None);
    }

    #[test]
    fn a_grant_that_was_never_received_comes_back_once() {
        let mut seat = Seat::default();
        seat.granted(7, 100, 10, 30);
        assert_eq!(seat.unheard(7), None);
        let change = seat.unheard(6).unwrap();
        assert_eq!((change.requests_back, change.tokens_back), (10, 30));
        assert_eq!(seat.unheard(6), None);
        assert_eq!(seat.said(&back(100, 4), 101).unwrap().requests_back, 0);
    }
}
