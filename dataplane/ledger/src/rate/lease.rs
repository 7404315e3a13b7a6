//! Units that a pod holds right now: those of the present slot and those lent ahead for the next.

use super::{
    message::RateAnswer,
    ring::{SLOT_NANOS, Slot},
    rows::{Pair, Rows},
};

/// Units of one slot, to be admitted in `from..until` of the pod's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) row: u32,
    pub(super) slot: Slot,
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) units: Pair,
}

/// The two leases of an account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leases {
    now: Option<Lease>,
    next: Option<Lease>,
    /// Latest slot heard of and when it ends, for wishes and for slots between leases.
    known: Option<(Slot, u64)>,
    /// The slot last asked for ahead of its time.
    ahead: Slot,
}

impl Leases {
    /// Ends what is over and begins what was lent ahead; whether units came back.
    pub(super) fn turn(&mut self, now: u64, rows: &mut Rows) -> bool {
        let mut back = false;
        for lease in [&mut self.now, &mut self.next] {
            if let Some(over) = lease.take_if(|lease| now >= lease.until) {
                rows.back(over.row, over.units);
                back |= over.units != Pair::default();
            }
        }
        if self.now.is_none() {
            self.now = self.next.take_if(|lease| now >= lease.from);
        }
        back
    }

    /// Units to be admitted at once.
    pub(super) fn units(&self) -> Pair {
        self.now.map_or(Pair::default(), |lease| lease.units)
    }

    /// Takes up to `tokens` out of what is held, of the present slot first; answers what is still lacking.
    pub(super) fn eat(&mut self, mut tokens: u32) -> u32 {
        for lease in [&mut self.now, &mut self.next].into_iter().flatten() {
            let held = tokens.min(lease.units.tokens);
            lease.units.tokens -= held;
            tokens -= held;
        }
        tokens
    }

    /// The lease in force.
    pub(super) fn current(&mut self) -> Option<&mut Lease> {
        self.now.as_mut()
    }

    /// Installs what an answer to a message sent at `sent` brought. The bounds are the latest start and the earliest
    /// end that the slot can have on the pod's clock.
    pub(super) fn install(&mut self, now: u64, sent: u64, ahead: bool, answer: &RateAnswer, rows: &mut Rows) {
        let ends = sent.saturating_add(answer.left);
        let present = if ahead { answer.slot - 1 } else { answer.slot };
        if self.known.is_none_or(|known| known.0 <= present) {
            self.known = Some((present, ends));
        }
        let units = Pair { requests: answer.requests.granted, tokens: answer.tokens.granted };
        if units == Pair::default() {
            return;
        }
        let row = rows.open(now, answer.slot);
        rows.lent(row, units);
        let (from, until) = if ahead {
            (now.saturating_add(answer.left), ends.saturating_add(SLOT_NANOS))
        } else {
            (now, ends)
        };
        let lease = Lease { row, slot: answer.slot, from, until, units };
        if ahead && self.now.is_none_or(|current| current.slot != answer.slot) {
            self.next = Some(lease);
            return;
        }
        self.begin(lease, rows);
    }

    fn begin(&mut self, mut lease: Lease, rows: &mut Rows) {
        for held in [self.now.take(), self.next.take()].into_iter().flatten() {
            if held.slot == lease.slot {
                lease.units = lease.units.plus(held.units);
                lease.until = lease.until.max(held.until);
                lease.from = lease.from.min(held.from);
            } else if held.slot > lease.slot {
                self.next = Some(held);
            } else {
                rows.back(held.row, held.units);
            }
        }
        self.now = Some(lease);
    }

    /// Gives units of `row` back: to the lease while it lasts, else to the lender.
    pub(super) fn put_back(&mut self, row: u32, units: Pair, rows: &mut Rows) {
        let held = [&mut self.now, &mut self.next].into_iter().flatten().find(|lease| lease.row == row);
        match held {
            Some(lease) => lease.units = lease.units.plus(units),
            None => rows.back(row, units),
        }
    }

    /// The lender's slot by all that is known (0 = unknown), and the nanoseconds left in it.
    pub(super) fn slot_at(&self, now: u64) -> (Slot, u64) {
        let Some((slot, ends)) = self.known else { return (0, SLOT_NANOS) };
        match now.checked_sub(ends) {
            None => (slot, ends - now),
            Some(past) => {
                let slots = u32::try_from(past / SLOT_NANOS).unwrap_or(u32::MAX / 2);
                (slot.saturating_add(1 + slots), SLOT_NANOS - past % SLOT_NANOS)
            }
        }
    }

    /// Whether the next slot should be asked for now: once, in the last `early` nanoseconds of a used slot.
    pub(super) fn wants_next(&mut self, now: u64, early: u64) -> bool {
        let Some(lease) = self.now else { return false };
        let due =
            now.saturating_add(early) >= lease.until && self.next.is_none() && self.ahead != lease.slot + 1;
        if due {
            self.ahead = lease.slot + 1;
        }
        due
    }

    /// The lender lost its ring: nothing is held.
    pub(super) fn lost(&mut self, rows: &mut Rows) {
        for held in [self.now.take(), self.next.take()].into_iter().flatten() {
            rows.back(held.row, held.units);
        }
        *self = Self::default();
    }

    /// Nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.now.is_none() && self.next.is_none()
    }
}

impl Pair {
    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
