//! One account in this process: the window that it spends from, and what is left of others.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use super::{
    holding::{Holding, Sender},
    waits::Waits,
};
use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    clock::SECOND,
    message::{Lend, MoneyAnswer, MoneyAsk, Totals, WindowState},
    spend_file::Slot,
    window::{Calendar, Window},
};

/// The next window is lent ahead from 60 s before it starts, spread over this many milliseconds (L3).
const LEND_AHEAD_SPREAD: u128 = 25_000;
const LEND_AHEAD_AT_LEAST: i64 = 30_000;
/// Only accounts that were used this recently are lent ahead for.
const IN_USE: u64 = 10 * SECOND;

/// An account that this process has used. Made by [`crate::Ledger::account`]; keep it as long as you like.
#[derive(Debug)]
pub struct Account {
    id: AccountId,
    calendar: Calendar,
    /// It was locked since the last sweep, so there may be something to do.
    stirred: AtomicBool,
    state: Mutex<State>,
}

/// Everything that changes. Locked for a few loads and stores at a time, never across a wait.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limit: i64,
    pub(super) revision: Revision,
    pub(super) used_at: u64,
    pub(super) current: Holding,
    /// What most accounts have none of most of the time.
    side: Option<Box<Side>>,
    pub(super) disabled: bool,
}

#[derive(Debug, Default)]
struct Side {
    next: Option<Holding>,
    ended: Vec<Holding>,
    waits: Waits,
}

/// Who this process is, and the next message number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) incarnation: Incarnation,
    pub(super) pod: PodId,
    pub(super) number: u64,
}

impl Account {
    pub(super) fn new(id: AccountId, calendar: Calendar, limit: i64, revision: Revision, wall: i64) -> Self {
        let current = Holding::new(calendar.at(wall));
        let state = State { limit, revision, used_at: 0, current, side: None, disabled: false };
        Self { id, calendar, stirred: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Its id.
    pub fn id(&self) -> AccountId {
        self.id
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Before the lock, so that a sweep that holds it now looks again later.
        self.stirred.store(true, Ordering::Relaxed);
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked, and in the window that `wall` lies in.
    pub(super) fn lock_at(&self, wall: i64) -> MutexGuard<'_, State> {
        self.in_window(self.lock(), wall)
    }

    /// The same for the sweep, which stirs nothing itself.
    pub(super) fn lock_quietly_at(&self, wall: i64) -> MutexGuard<'_, State> {
        self.in_window(self.state.lock().unwrap_or_else(PoisonError::into_inner), wall)
    }

    /// Nothing was spent, held or asked in this window, and nothing is left of others.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let current = &state.current;
        let said = !current.dirty && current.unanswered == 0;
        state.side.is_none() && !state.disabled && current.slot.is_none() && said
    }

    fn in_window<'a>(&self, mut state: MutexGuard<'a, State>, wall: i64) -> MutexGuard<'a, State> {
        if wall >= state.current.window.end {
            state.roll(&self.calendar, wall);
        }
        state
    }

    /// Whether it was locked since the last call; asked by the sweep, which passes over the others.
    pub(super) fn was_stirred(&self) -> bool {
        self.stirred.load(Ordering::Relaxed) && self.stirred.swap(false, Ordering::Relaxed)
    }

    /// An account in use is looked at again, so that its next window is lent ahead.
    pub(super) fn stir_if_in_use(&self, state: &State, mono: u64) {
        if state.used_at > 0 && mono.saturating_sub(state.used_at) < IN_USE {
            self.stirred.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn sender(&self, who: Identity, limit: i64, revision: Revision) -> Sender {
        let Identity { incarnation, pod, number } = who;
        Sender { account: self.id, incarnation, pod, number, limit, revision }
    }

    /// A message about the current window.
    pub(super) fn ask(
        &self,
        state: &mut State,
        who: Identity,
        reservation: i64,
        lend: Option<Lend>,
    ) -> MoneyAsk {
        let from = self.sender(who, state.limit, state.revision);
        state.current.ask(from, reservation, lend, false)
    }

    /// The window to lend ahead, when it is time and there is none yet (L3).
    pub(super) fn next_window(&self, state: &State, mono: u64, wall: i64) -> Option<Window> {
        let spread = i64::try_from(self.id.0 % LEND_AHEAD_SPREAD).unwrap_or(0);
        let lead = LEND_AHEAD_AT_LEAST + spread;
        let due = wall >= state.current.window.end.saturating_sub(lead);
        let in_use = state.used_at > 0 && mono.saturating_sub(state.used_at) < IN_USE;
        let has = state.side.as_ref().is_some_and(|side| side.next.is_some());
        (due && in_use && !has && !state.disabled).then(|| self.calendar.after(state.current.window))?
    }
}

impl State {
    pub(super) fn waits(&mut self) -> &mut Waits {
        &mut self.side.get_or_insert_default().waits
    }

    pub(super) fn waits_if_any(&self) -> Option<&Waits> {
        self.side.as_ref().map(|side| &side.waits)
    }

    /// What calls that wait want together: it is not returned under tightness (L8).
    pub(super) fn wanted(&self) -> i64 {
        self.waits_if_any().map_or(0, Waits::wanted)
    }

    /// Moves on to the window of `wall`; what is left of the old one goes back.
    fn roll(&mut self, calendar: &Calendar, wall: i64) {
        let ahead = self.side.as_mut().and_then(|side| side.next.take());
        let next =
            ahead.filter(|next| wall < next.window.end).unwrap_or_else(|| Holding::new(calendar.at(wall)));
        self.change_window(next);
    }

    fn change_window(&mut self, next: Holding) {
        let mut old = mem::replace(&mut self.current, next);
        old.give_back(0);
        if old.slot.is_some() {
            // Nothing ever happened in it: there is nothing to tell the lender.
            old.closed |= old.totals == Totals::default();
            self.side.get_or_insert_default().ended.push(old);
        }
        if let Some(side) = &mut self.side {
            side.waits.forget_refusal();
        }
    }

    /// The holding of a window. Two may begin at the same instant: the rules of the time zone changed, and the lender
    /// holds the window with the old end.
    pub(super) fn find(&mut self, window: Window) -> Option<&mut Holding> {
        if self.current.window == window {
            return Some(&mut self.current);
        }
        let side = self.side.as_mut()?;
        side.next.iter_mut().chain(&mut side.ended).find(|holding| holding.window == window)
    }

    /// Every window that is held in memory.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Holding> {
        let side = self.side.iter_mut().flat_map(|side| side.next.iter_mut().chain(&mut side.ended));
        std::iter::once(&mut self.current).chain(side)
    }

    pub(super) fn lend_ahead(&mut self, window: Window, slot: Slot, size: i64) -> &mut Holding {
        let mut next = Holding::new(window);
        (next.slot, next.size, next.last_reservation) = (Some(slot), size, self.current.last_reservation);
        self.side.get_or_insert_default().next.insert(next)
    }

    /// Unreserved money of the current and the next window goes back at once (L4, L8).
    pub(super) fn give_back_all(&mut self, keep: i64) -> bool {
        let next = self.side.as_mut().and_then(|side| side.next.as_mut());
        let ahead = next.is_some_and(|next| next.give_back(0));
        self.current.give_back(keep) || ahead
    }

    /// Ended windows whose last word was acknowledged leave memory; their records stay in the file.
    pub(super) fn drop_ended(&mut self) -> Vec<(Slot, i64)> {
        let Some(side) = &mut self.side else { return Vec::new() };
        let mut gone = Vec::new();
        for at in (0..side.ended.len()).rev() {
            let old = &side.ended[at];
            if old.reserved == 0 && !old.dirty && old.unanswered == 0 && old.closed {
                let old = side.ended.swap_remove(at);
                gone.extend(old.slot.map(|slot| (slot, old.window.end)));
            }
        }
        if side.next.is_none() && side.ended.is_empty() && side.waits.is_idle() {
            self.side = None;
        }
        gone
    }

    /// Takes an answer; the wakers of waiting calls that may now go on, and whether to report at once.
    pub(super) fn answered(&mut self, sent: u64, ask: &MoneyAsk, answer: &MoneyAnswer) -> (Vec<Waker>, bool) {
        let current = self.current.window == ask.window;
        let Some(holding) = self.find(ask.window) else { return (Vec::new(), false) };
        holding.answered(sent, ask, answer);
        if !current && ask.window.end <= self.current.window.start {
            let report = self.find(ask.window).is_some_and(|ended| ended.give_back(0));
            return (Vec::new(), report);
        }
        if !current {
            return (Vec::new(), false);
        }
        if let WindowState::Overlaps(stored) = answer.state {
            self.change_window(Holding::new(stored));
        }
        let keep = self.wanted();
        let report = self.current.tight && self.current.give_back(keep);
        let wakers = self.side.as_mut().map_or_else(Vec::new, |side| side.waits.answered(sent, ask, answer));
        (wakers, report)
    }
}
