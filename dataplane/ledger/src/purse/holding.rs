//! What this process holds of one window of one account. Pure but for the record that it keeps up to date.

use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    message::{Lend, MoneyAnswer, MoneyAsk, Totals},
    spend_file::Slot,
    window::Window,
};

/// The pod half of L6: `reserved + available = G − S − R` at every instant.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) window: Window,
    pub(super) totals: Totals,
    /// Lent, not reserved.
    pub(super) available: i64,
    /// Reserved by calls in flight.
    pub(super) reserved: i64,
    pub(super) last_reservation: i64,
    /// The usual grant, as last answered.
    pub(super) size: i64,
    /// Lendable, spent and forfeited elsewhere, as last answered.
    pub(super) lendable: i64,
    pub(super) spent_elsewhere: i64,
    pub(super) leased_elsewhere: i64,
    pub(super) forfeited: i64,
    pub(super) slot: Option<Slot>,
    /// Messages that are not answered yet.
    pub(super) unanswered: u16,
    /// A lend is under way.
    pub(super) lending: bool,
    pub(super) tight: bool,
    /// Totals changed since they were last sent.
    pub(super) dirty: bool,
    /// The lender has closed it: it gets no more grants.
    pub(super) closed: bool,
    /// The lender has said so, so that its C includes what was spent here.
    counted: bool,
    /// The lender has answered about this window.
    pub(super) known: bool,
    /// When the last message that was answered had been sent.
    pub(super) heard: u64,
}

/// Who sends a message, with which number and limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) account: AccountId,
    pub(super) incarnation: Incarnation,
    pub(super) pod: PodId,
    pub(super) number: u64,
    pub(super) limit: i64,
    pub(super) revision: Revision,
}

impl Holding {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            totals: Totals::default(),
            available: 0,
            reserved: 0,
            last_reservation: 0,
            size: 0,
            lendable: 0,
            spent_elsewhere: 0,
            leased_elsewhere: 0,
            forfeited: 0,
            slot: None,
            unanswered: 0,
            lending: false,
            tight: false,
            dirty: false,
            closed: false,
            counted: false,
            known: false,
            heard: 0,
        }
    }

    fn save(&self) {
        debug_assert_eq!(
            self.reserved + self.available,
            self.totals.granted - self.totals.spent - self.totals.returned,
            "L6, the pod's half: {self:?}"
        );
        if let Some(slot) = &self.slot {
            slot.write(&self.totals, self.reserved);
        }
    }

    /// The caller has checked that the money is there.
    pub(super) fn reserve(&mut self, amount: i64) {
        self.available -= amount;
        self.reserved += amount;
        self.last_reservation = amount;
        self.save();
    }

    /// Ends a reservation of `held` at its `actual` cost (L21); answers the overrun.
    pub(super) fn settle(&mut self, held: i64, actual: i64) -> i64 {
        let within = actual.min(held);
        self.reserved -= held;
        self.totals.spent += within;
        self.available += held - within;
        let excess = actual - within;
        let taken = excess.min(self.available);
        self.available -= taken;
        self.totals.spent += taken;
        self.totals.overrun = self.totals.overrun.saturating_add(excess - taken);
        self.dirty = true;
        self.save();
        excess - taken
    }

    /// Returns what is available beyond `keep`; whether there was any.
    pub(super) fn give_back(&mut self, keep: i64) -> bool {
        let give = self.available - keep.max(0);
        if give <= 0 {
            return false;
        }
        self.available -= give;
        self.totals.returned += give;
        self.dirty = true;
        self.save();
        true
    }

    /// More than two leases go back (L9).
    pub(super) fn give_back_surplus(&mut self) -> bool {
        self.give_back(self.size.max(self.last_reservation).saturating_mul(2))
    }

    /// Below this the pod refills ahead of need (L7).
    pub(super) fn low_water(&self) -> i64 {
        self.last_reservation.max(self.size / 2)
    }

    pub(super) fn wants_refill(&self) -> bool {
        !self.tight && !self.lending && self.available < self.low_water()
    }

    /// A message about this window as it stands.
    pub(super) fn ask(
        &mut self,
        from: Sender,
        reservation: i64,
        lend: Option<Lend>,
        close: bool,
    ) -> MoneyAsk {
        self.dirty = false;
        self.unanswered = self.unanswered.saturating_add(1);
        self.lending |= lend.is_some();
        MoneyAsk {
            account: from.account,
            window: self.window,
            incarnation: from.incarnation,
            pod: from.pod,
            number: from.number,
            totals: self.totals,
            reservation,
            lend,
            limit: Some((from.limit, from.revision)),
            close,
            closed_total: self.slot.as_ref().map_or(0, Slot::closed_total),
            counted: self.counted,
        }
    }

    /// A message got no answer: what it said must be said again.
    pub(super) fn unanswered(&mut self, ask: &MoneyAsk) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.lending &= ask.lend.is_none();
        self.dirty = true;
    }

    pub(super) fn answered(&mut self, sent: u64, ask: &MoneyAsk, answer: &MoneyAnswer) {
        self.heard = self.heard.max(sent);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.lending &= ask.lend.is_none();
        (self.known, self.closed, self.counted) = (true, answer.closed, answer.closed);
        let more = answer.granted - self.totals.granted;
        if more > 0 {
            self.totals.granted += more;
            self.available += more;
            self.save();
        }
        (self.size, self.tight, self.lendable) = (answer.size, answer.tight, answer.lendable);
        self.spent_elsewhere = answer.spent - ask.totals.billed();
        (self.leased_elsewhere, self.forfeited) = (answer.leased_elsewhere, answer.forfeited);
        if let Some(slot) = &self.slot {
            slot.write_closed_total(answer.closed_total);
            if answer.closed {
                slot.write_counted();
            }
        }
    }

    /// What could still be spent by new calls of this pod, as far as is known.
    pub(super) fn left(&self, limit: i64) -> i64 {
        if self.known { (self.lendable + self.available).min(limit).max(0) } else { limit.max(0) }
    }

    pub(super) fn spent(&self) -> i64 {
        self.totals.billed()
    }

    /// By this pod, and by the others as of the last answer.
    pub(super) fn spent_by_all(&self) -> i64 {
        self.spent().saturating_add(self.spent_elsewhere)
    }

    /// What nobody has spent, reserved here or taken elsewhere, as of the last answer.
    pub(super) fn remaining(&self, limit: i64) -> i64 {
        let used = [self.reserved, self.leased_elsewhere, self.forfeited];
        let used = used.into_iter().fold(self.spent_by_all(), i64::saturating_add);
        limit.saturating_sub(used).max(0)
    }
}
