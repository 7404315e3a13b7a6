//! The sliding window of L23: 62 slot-tagged one-second cells.

/// A second of the lender's monotone clock, counted from any fixed moment.
pub type Slot = u32;

/// Cells in a ring: the 61 that end at this second, and the next one.
pub(super) const CELLS: Slot = 62;

/// One cell outlives the minute, so that a pod whose clock is a little slow admits nothing into a 61st second.
const BEHIND: Slot = 60;

#[derive(Clone, Copy, Default, Debug)]
struct Cell {
    slot: Slot,
    units: u32,
}

/// Units lent per second over the last minute. Nothing is allocated before the first unit.
#[derive(Clone, Default, Debug)]
pub struct Ring(Option<Box<[Cell; CELLS as usize]>>);

impl Ring {
    /// Units lent in `slot`; 0 when its cell was reused or never written.
    #[must_use]
    pub fn get(&self, slot: Slot) -> u32 {
        self.0
            .as_ref()
            .map(|cells| cells[index(slot)])
            .filter(|cell| cell.slot == slot)
            .map_or(0, |cell| cell.units)
    }

    /// Lends `units` more in `slot`. A slot older than the cell's present one is left alone: it is out of every window.
    pub fn add(&mut self, slot: Slot, units: u32) {
        self.set(slot, self.get(slot).saturating_add(units));
    }

    /// Takes back up to `units` of `slot`; nothing when the slot has left the ring.
    pub fn take(&mut self, slot: Slot, units: u32) {
        let left = self.get(slot);
        if left > 0 {
            self.set(slot, left.saturating_sub(units));
        }
    }

    /// Makes `units` what was lent in `slot`; used when a journal is read.
    pub fn set(&mut self, slot: Slot, units: u32) {
        if units == 0 && self.0.is_none() {
            return;
        }
        let cells = self.0.get_or_insert_with(|| Box::new([Cell::default(); CELLS as usize]));
        let cell = &mut cells[index(slot)];
        if slot >= cell.slot {
            *cell = Cell { slot, units };
        }
    }

    /// Units lent in the slots `from..=to`.
    #[must_use]
    pub fn sum(&self, from: Slot, to: Slot) -> u64 {
        let Some(cells) = &self.0 else { return 0 };
        cells.iter().filter(|cell| (from..=to).contains(&cell.slot)).map(|cell| u64::from(cell.units)).sum()
    }

    /// What may still be lent in slot `now`: the limit less the fuller of the windows that end with it and with the
    /// next slot, because what was lent ahead for the next slot counts as well.
    #[must_use]
    pub fn free(&self, limit: u32, now: Slot) -> u32 {
        let here = self.sum(now.saturating_sub(BEHIND), now);
        let ahead = self.sum((now + 1).saturating_sub(BEHIND), now + 1);
        room(limit, here.max(ahead))
    }

    /// What may be lent ahead of its time for slot `next`.
    #[must_use]
    pub fn free_ahead(&self, limit: u32, next: Slot) -> u32 {
        room(limit, self.sum(next.saturating_sub(BEHIND), next))
    }

    /// After how many slots (at least 1) `need` units are free if nobody takes any; `CELLS` when they never are.
    #[must_use]
    pub fn slots_until(&self, limit: u32, need: u32, now: Slot) -> u32 {
        let mut held = self.sum(now.saturating_sub(BEHIND), now + 1);
        for later in 1..CELLS {
            held -= u64::from((now + later).checked_sub(BEHIND + 1).map_or(0, |slot| self.get(slot)));
            if held + u64::from(need) <= u64::from(limit) {
                return later;
            }
        }
        CELLS
    }

    /// After how many slots nothing is held any more; 0 when nothing is.
    #[must_use]
    pub fn slots_until_empty(&self, now: Slot) -> u32 {
        self.cells(now).map(|(slot, _)| slot + BEHIND + 1).max().map_or(0, |end| end.saturating_sub(now))
    }

    /// The slots that still count at `now`, with their units; in no order.
    pub fn cells(&self, now: Slot) -> impl Iterator<Item = (Slot, u32)> + '_ {
        let oldest = now.saturating_sub(BEHIND);
        let cells = self.0.as_deref().map_or(&[][..], |cells| &cells[..]);
        cells
            .iter()
            .filter(move |cell| cell.units > 0 && cell.slot >= oldest)
            .map(|cell| (cell.slot, cell.units))
    }

    /// Gives the memory back once nothing counts any more.
    pub fn shrink(&mut self, now: Slot) {
        if self.0.is_some() && self.cells(now).next().is_none() {
            self.0 = None;
        }
    }

    /// Nothing was lent, or all of it was forgotten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

fn index(slot: Slot) -> usize {
    (slot % CELLS) as usize
}

fn room(limit: u32, held: u64) -> u32 {
    u32::try_from(u64::from(limit).saturating_sub(held)).unwrap_or(u32::MAX)
}

/// Seconds of a monotone clock, numbered; survives a restart without going back.
#[derive(Clone, Copy, Debug)]
pub struct SlotClock {
    base: Slot,
    origin: u64,
    latest: u64,
}

/// Nanoseconds in a slot.
pub(super) const SLOT_NANOS: u64 = 1_000_000_000;

impl SlotClock {
    /// A clock that reads `base` from `mono` (nanoseconds) on.
    #[must_use]
    pub fn starting(base: Slot, mono: u64) -> Self {
        Self { base, origin: mono, latest: mono }
    }

    /// The slot at `mono` and the nanoseconds left in it (1 to 10⁹). A reading from before the latest one, as threads
    /// produce them, counts as the latest.
    pub fn read(&mut self, mono: u64) -> (Slot, u64) {
        self.latest = self.latest.max(mono);
        let passed = self.latest - self.origin;
        let slots = Slot::try_from(passed / SLOT_NANOS).unwrap_or(Slot::MAX);
        (self.base.saturating_add(slots), SLOT_NANOS - passed % SLOT_NANOS)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_unit_counts_in_its_slot_and_the_sixty_that_follow() {
        let mut ring = Ring::default();
        assert!(ring.is_empty());
        ring.add(100, 3);
        assert_eq!(ring.free(10, 100), 7);
        assert_eq!(ring.free(10, 160), 7);
        assert_eq!(ring.free(10, 161), 10);
    }

    #[test]
    fn what_is_lent_ahead_counts_at_once() {
        let mut ring = Ring::default();
        ring.add(101, 10);
        assert_eq!(ring.free(10, 100), 0);
        assert_eq!(ring.free_ahead(10, 101), 0);
    }

    #[test]
    fn late_writes_to_a_slot_that_left_change_nothing() {
        let mut ring = Ring::default();
        ring.add(100, 5);
        ring.add(162, 4);
        ring.add(100, 7);
        ring.take(100, 1);
        assert_eq!((ring.get(162), ring.get(100)), (4, 0));
    }

    #[test]
    fn says_when_room_returns() {
        let mut ring = Ring::default();
        ring.add(100, 6);
        ring.add(110, 4);
        assert_eq!(ring.slots_until(10, 6, 120), 41);
        assert_eq!(ring.free(10, 161), 6);
        assert_eq!(ring.slots_until(10, 7, 120), 51);
        assert_eq!(ring.slots_until(10, 11, 120), CELLS);
        assert_eq!(ring.slots_until_empty(120), 51);
    }

    #[test]
    fn memory_goes_when_nothing_counts() {
        let mut ring = Ring::default();
        ring.add(100, 6);
        ring.shrink(160);
        assert!(!ring.is_empty());
        ring.shrink(161);
        assert!(ring.is_empty());
    }

    #[test]
    fn the_clock_never_goes_back() {
        let mut clock = SlotClock::starting(100, 500);
        assert_eq!(clock.read(500), (100, SLOT_NANOS));
        assert_eq!(clock.read(500 + SLOT_NANOS), (101, SLOT_NANOS));
        assert_eq!(clock.read(600), (101, SLOT_NANOS));
        assert_eq!(clock.read(499 + 2 * SLOT_NANOS), (101, 1));
    }
}
