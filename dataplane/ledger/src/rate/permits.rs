//! The pod's side of L25: permits for calls in flight, held from the lender by a heartbeat.

use super::{book::PERMIT_LEASE, message::PermitsAsk, ring::SLOT_NANOS};

/// The pod lets go of its permits this much earlier than the lender may lend them to others.
const DEADLINE: u64 = PERMIT_LEASE / 4 * 3;
/// A refused pod asks again after this; other pods' calls end at any moment.
const ASK_AGAIN: u64 = SLOT_NANOS / 4;
/// Idle permits go back after this long without a new call.
const QUIET: u64 = 2 * SLOT_NANOS;

/// Permits of one account in one pod.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Permits {
    in_use: u32,
    held: u32,
    until: u64,
    tight: bool,
    refused_until: u64,
    last_taken: u64,
}

impl Permits {
    /// A permit is there to be taken.
    pub(super) fn is_free(&self, now: u64) -> bool {
        now < self.until && self.in_use < self.held
    }

    /// The lender said no a moment ago and no call has ended since.
    pub(super) fn is_refused(&self, now: u64) -> bool {
        now < self.refused_until
    }

    /// Calls in flight.
    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// A call begins.
    pub(super) fn take(&mut self, now: u64) {
        self.in_use += 1;
        self.last_taken = now;
    }

    /// A call ended.
    pub(super) fn give_back(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
        self.refused_until = 0;
    }

    /// The next message's part. What it does not keep is given up before the message leaves.
    pub(super) fn ask(&mut self, now: u64, waiting: u32) -> PermitsAsk {
        let quiet = waiting == 0 && now.saturating_sub(self.last_taken) > QUIET;
        if self.tight || quiet || now >= self.until {
            self.held = self.held.min(self.in_use);
        }
        let hold = self.held.max(self.in_use);
        let need = (self.in_use + waiting).saturating_sub(hold);
        PermitsAsk { hold, need, want: if need > 0 { need.max(self.in_use) } else { 0 } }
    }

    /// The lender's answer to a message sent at `sent` that lacked `need` permits.
    pub(super) fn answered(&mut self, now: u64, sent: u64, need: u32, permits: u32, tight: bool) {
        self.held = permits;
        self.until = sent.saturating_add(DEADLINE);
        self.tight = tight;
        if need > 0 && permits <= self.in_use {
            self.refused_until = now.saturating_add(ASK_AGAIN);
        }
    }

    /// Others lack what is idle here.
    pub(super) fn owes(&self) -> bool {
        self.tight && self.held > self.in_use
    }

    /// The heartbeat must go on: something is held.
    pub(super) fn is_held(&self) -> bool {
        self.held > 0 || self.in_use > 0
    }

    /// The lender that lent them is no more, or the limit changed: only calls in flight count.
    pub(super) fn lost(&mut self) {
        self.held = self.held.min(self.in_use);
        self.refused_until = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_permits_go_back_when_few_are_left_or_nothing_happens() {
        let mut permits = Permits::default();
        assert_eq!(permits.ask(0, 1), PermitsAsk { hold: 0, need: 1, want: 1 });
        permits.answered(0, 0, 1, 4, false);
        permits.take(0);
        assert_eq!(permits.ask(1, 0).hold, 4);
        assert_eq!(permits.ask(QUIET + 1, 0).hold, 1);
        permits.answered(QUIET + 1, QUIET + 1, 0, 4, true);
        assert_eq!(permits.ask(QUIET + 2, 0).hold, 1);
    }

    #[test]
    fn nothing_is_taken_past_the_deadline() {
        let mut permits = Permits::default();
        permits.answered(10, 5, 1, 4, false);
        assert!(permits.is_free(5 + DEADLINE - 1));
        assert!(!permits.is_free(5 + DEADLINE));
    }

    #[test]
    fn a_refusal_ends_when_a_call_does() {
        let mut permits = Permits::default();
        permits.answered(0, 0, 1, 1, true);
        permits.take(0);
        permits.answered(1, 1, 1, 1, true);
        assert!(permits.is_refused(2));
        permits.give_back();
        assert!(!permits.is_refused(2) && permits.is_free(2));
    }
}
