//! What earlier processes on this data directory left behind (L10): their spend is reported, what they had not reserved
//! is returned, and they are closed.

use std::{path::PathBuf, sync::atomic::Ordering};

use super::{Ledger, lock};
use crate::{
    account::{Incarnation, PodId},
    clock::{LATE_REPORTS, Now},
    lender::at_once,
    message::{MoneyAnswer, MoneyAsk},
    spend_file::{self, DeadFile, SpentRow},
};

/// Above every number of the dead process, so that a lend of its that is still under way is not carried out between its
/// report and its closing. Exact in a double, for lenders that compute in those.
const LAST_WORD: u64 = (1 << 53) - 1;

/// One earlier process.
#[derive(Debug)]
pub(super) struct Predecessor {
    path: PathBuf,
    incarnation: Incarnation,
    pod: PodId,
    rows: Vec<(SpentRow, Phase)>,
}

/// How far the lender has been told of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its spend is to be reported, to learn the lender's G.
    Report,
    /// G is known: the rest is to be returned, and the row closed.
    Close,
    /// A message is under way; back to this phase if it is lost.
    Asked(bool),
    /// Acknowledged.
    Closed,
}

impl Predecessor {
    pub(super) fn new(file: DeadFile, generation: u64) -> Self {
        let phase = if generation > 0 && file.closed == generation { Phase::Closed } else { Phase::Report };
        let rows = file.rows.into_iter().map(|row| (row, phase)).collect();
        Self { path: file.path, incarnation: file.incarnation, pod: file.pod, rows }
    }

    fn is_closed(&self) -> bool {
        self.rows.iter().all(|(_, phase)| *phase == Phase::Closed)
    }

    fn ask(&self, row: &SpentRow, close: bool) -> MoneyAsk {
        MoneyAsk {
            account: row.account,
            window: row.window,
            incarnation: self.incarnation,
            pod: self.pod,
            number: LAST_WORD,
            totals: row.totals,
            reservation: 0,
            lend: None,
            limit: None,
            close,
            closed_total: row.closed_total,
        }
    }

    /// Messages that are due, at most `most`.
    fn due(&mut self, most: usize, wall: i64) -> Vec<MoneyAsk> {
        let mut asks = Vec::new();
        for at in 0..self.rows.len() {
            let (row, phase) = self.rows[at];
            let close = match phase {
                Phase::Report => false,
                Phase::Close => true,
                Phase::Asked(_) | Phase::Closed => continue,
            };
            if row.window.end.saturating_add(LATE_REPORTS) <= wall {
                self.rows[at].1 = Phase::Closed;
            } else if asks.len() < most {
                asks.push(self.ask(&row, close));
                self.rows[at].1 = Phase::Asked(close);
            }
        }
        asks
    }

    fn row(&mut self, ask: &MoneyAsk) -> Option<&mut (SpentRow, Phase)> {
        self.rows.iter_mut().find(|(row, _)| row.account == ask.account && row.window == ask.window)
    }
}

impl Ledger {
    /// Sends what is due about predecessors; with a local lender until all are closed.
    pub(super) fn tell_of_predecessors(&self, now: Now) {
        loop {
            let (to_go, asks) = (self.steps_to_go(), self.due_of_predecessors(now));
            if !self.inner.local {
                self.send_some(asks);
                return;
            }
            if asks.is_empty() {
                return;
            }
            self.trade(now, || asks);
            if self.steps_to_go() == to_go {
                // The lender does not answer; the next tick tries again.
                return;
            }
        }
    }

    /// Answers that are still wanted about predecessors.
    fn steps_to_go(&self) -> usize {
        let all = lock(&self.inner.predecessors);
        let steps = |phase: Phase| match phase {
            Phase::Report | Phase::Asked(false) => 2,
            Phase::Close | Phase::Asked(true) => 1,
            Phase::Closed => 0,
        };
        all.iter().flat_map(|p| &p.rows).map(|(_, phase)| steps(*phase)).sum()
    }

    /// The generation that the lender answers with, if it does so at once.
    pub(super) fn learn_generation(&self, now: Now) -> u64 {
        let batch = self.batch(Vec::new());
        let answers = self.inner.local.then(|| at_once(self.inner.lender.exchange(now, &batch)));
        if let Some(Ok(answers)) = answers {
            self.hear_clock(now, answers.wall);
            self.inner.generation.store(answers.generation, Ordering::Relaxed);
            self.inner.recalls_upto.store(answers.recalls.upto, Ordering::Relaxed);
        }
        self.inner.generation.load(Ordering::Relaxed)
    }

    fn due_of_predecessors(&self, now: Now) -> Vec<MoneyAsk> {
        let wall = self.wall(now);
        let mut asks = Vec::new();
        for predecessor in lock(&self.inner.predecessors).iter_mut() {
            asks.extend(predecessor.due(256 - asks.len().min(256), wall));
        }
        asks
    }

    /// Rows of predecessors that are not closed yet: while there are any, `unattributed` is not complete.
    pub fn open_rows(&self) -> usize {
        let all = lock(&self.inner.predecessors);
        all.iter().flat_map(|p| &p.rows).filter(|(_, phase)| *phase != Phase::Closed).count()
    }

    pub(super) fn predecessor_answered(&self, ask: &MoneyAsk, answer: &MoneyAnswer, generation: u64) {
        let mut all = lock(&self.inner.predecessors);
        let Some(at) = all.iter().position(|p| p.incarnation == ask.incarnation) else { return };
        if let Some((row, phase)) = all[at].row(ask) {
            if ask.close || answer.closed {
                *phase = Phase::Closed;
            } else {
                // The lender's G, not the file's: a grant may have been under way.
                row.totals.granted = row.totals.granted.max(answer.granted);
                let held = row.totals.granted - row.totals.spent - row.reserved;
                row.totals.returned = row.totals.returned.max(held);
                *phase = Phase::Close;
            }
        }
        if all[at].is_closed() {
            // A mark that cannot be written costs a repetition at the next start, nothing else.
            let _ = spend_file::mark_closed(&all[at].path, generation);
        }
    }

    pub(super) fn predecessor_unanswered(&self, ask: &MoneyAsk) {
        let mut all = lock(&self.inner.predecessors);
        let predecessor = all.iter_mut().find(|p| p.incarnation == ask.incarnation);
        if let Some((_, phase)) = predecessor.and_then(|p| p.row(ask)) {
            *phase = if ask.close { Phase::Close } else { Phase::Report };
        }
    }

    /// The ledger lost data (L5, L14): every row that this pod knows of is sent again.
    pub(super) fn say_all_again(&self) {
        for shard in 0..super::SHARDS {
            for account in self.shard_accounts(shard, |_| true) {
                let mut state = account.lock();
                state.all().filter(|holding| holding.slot.is_some()).for_each(|holding| holding.dirty = true);
            }
        }
        for predecessor in lock(&self.inner.predecessors).iter_mut() {
            predecessor.rows.iter_mut().for_each(|(_, phase)| *phase = Phase::Report);
        }
    }
}
