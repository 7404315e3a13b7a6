//! What earlier processes on this data directory left behind (L10): their spend is reported, what they had not reserved
//! is returned, and they are closed.

use std::{collections::HashMap, fs::File, path::PathBuf, sync::atomic::Ordering};

use super::{Ledger, lock};
use crate::{
    account::{AccountId, Incarnation, PodId},
    clock::{LATE_REPORTS, Now},
    lender::at_once,
    message::{MoneyAnswer, MoneyAsk, Totals},
    spend_file::{self, DeadFile, SpentRow},
    window::Window,
};

/// Above every number of the dead process, so that a lend of its that is still under way is not carried out between its
/// report and its closing. Exact in a double, for lenders that compute in those.
const LAST_WORD: u64 = (1 << 53) - 1;

/// One earlier process, or what this one no longer holds in memory.
#[derive(Debug)]
pub(super) struct Predecessor {
    path: PathBuf,
    /// Its file, to note in it what was closed; none where nothing is to be noted.
    file: Option<File>,
    /// The file says already that all of it was closed.
    marked: bool,
    incarnation: Incarnation,
    pod: PodId,
    rows: Vec<(SpentRow, Phase)>,
    places: HashMap<(AccountId, Window), usize>,
    /// No row before this one is due.
    from: usize,
    /// Answers that are still wanted.
    steps: usize,
}

/// What the lender is to be told of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Its spend, to learn the lender's G.
    Report,
    /// G is known: the rest is returned, and the row closed.
    Close,
    /// It was closed before, and C includes it.
    Count,
}

/// How far the lender has been told of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// This is to be said.
    Due(Step),
    /// It was said; due again if the message is lost.
    Asked(Step),
    /// Acknowledged.
    Closed,
}

impl Phase {
    /// Answers that are still wanted.
    fn steps(self) -> usize {
        match self {
            Self::Due(Step::Report) | Self::Asked(Step::Report) => 2,
            Self::Due(_) | Self::Asked(_) => 1,
            Self::Closed => 0,
        }
    }

    fn first(row: &SpentRow) -> Self {
        Self::Due(if row.counted { Step::Count } else { Step::Report })
    }
}

impl Predecessor {
    pub(super) fn new(file: DeadFile, generation: u64) -> Self {
        let told = generation > 0 && file.closed == generation;
        let phase = |row: &SpentRow| if told { Phase::Closed } else { Phase::first(row) };
        let mut places = HashMap::with_capacity(file.rows.len());
        let mut rows: Vec<(SpentRow, Phase)> = Vec::with_capacity(file.rows.len());
        for row in file.rows {
            let at = *places.entry((row.account, row.window)).or_insert(rows.len());
            match rows.get_mut(at) {
                // A window that was left (the lender held another one) and entered again has two records.
                Some((known, now)) => {
                    known.merge(&row);
                    *now = phase(known);
                }
                None => rows.push((row, phase(&row))),
            }
        }
        let steps = rows.iter().map(|(_, phase)| phase.steps()).sum();
        let (path, incarnation, pod, marked) = (file.path, file.incarnation, file.pod, file.closed > 0);
        let file = File::options().write(true).open(&path).ok();
        Self { path, file, marked, incarnation, pod, rows, places, from: 0, steps }
    }

    /// Windows that this process has closed and no longer holds in memory.
    fn of_this_process(rows: Vec<SpentRow>, incarnation: Incarnation, pod: PodId) -> Self {
        let (path, closed, heard, damaged) = (PathBuf::new(), 0, 0, 0);
        let mut all = Self::new(DeadFile { path, incarnation, pod, closed, heard, rows, damaged }, 0);
        all.marked = true;
        all
    }

    fn is_closed(&self) -> bool {
        self.steps == 0
    }

    fn set(&mut self, at: usize, phase: Phase) {
        self.steps = self.steps - self.rows[at].1.steps() + phase.steps();
        self.rows[at].1 = phase;
        if matches!(phase, Phase::Due(_)) {
            self.from = self.from.min(at);
        }
    }

    fn ask(&self, row: &SpentRow, step: Step) -> MoneyAsk {
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
            close: step != Step::Report,
            closed_total: row.closed_total,
            counted: step == Step::Count,
        }
    }

    /// Messages that are due, at most `most`.
    fn due(&mut self, most: usize, wall: i64) -> Vec<MoneyAsk> {
        let mut asks = Vec::new();
        while self.from < self.rows.len() && asks.len() < most {
            let at = self.from;
            self.from += 1;
            let (row, phase) = self.rows[at];
            let Phase::Due(step) = phase else { continue };
            if row.window.end.saturating_add(LATE_REPORTS) <= wall {
                self.set(at, Phase::Closed);
            } else {
                asks.push(self.ask(&row, step));
                self.set(at, Phase::Asked(step));
            }
        }
        asks
    }

    fn place(&self, ask: &MoneyAsk) -> Option<usize> {
        self.places.get(&(ask.account, ask.window)).copied()
    }

    fn answered(&mut self, ask: &MoneyAsk, answer: &MoneyAnswer) {
        let Some(at) = self.place(ask) else { return };
        if ask.close || answer.closed {
            self.note_counted(at, answer.closed_total);
            return self.set(at, Phase::Closed);
        }
        // The lender's G, not the file's: a grant may have been under way.
        let row = &mut self.rows[at].0;
        row.totals.granted = row.totals.granted.max(answer.granted);
        let held = row.totals.granted - row.totals.spent - row.reserved;
        row.totals.returned = row.totals.returned.max(held);
        self.set(at, Phase::Due(Step::Close));
    }

    /// From now on C includes this row; said again it must not count a second time.
    fn note_counted(&mut self, at: usize, closed_total: i64) {
        let row = &mut self.rows[at].0;
        if std::mem::replace(&mut row.counted, true) {
            return;
        }
        row.closed_total = row.closed_total.max(closed_total);
        if let Some(file) = &self.file {
            // A note that cannot be written: after a loss of the lender's data money is forfeited, none is lent twice.
            let _ = spend_file::mark_counted(file, row);
        }
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
    pub(super) fn steps_to_go(&self) -> usize {
        lock(&self.inner.predecessors).iter().map(|predecessor| predecessor.steps).sum()
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

    /// The ledger's generation, as last answered; 0 before the first answer.
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Relaxed)
    }

    /// Whether the lender has acknowledged all that this process knows of itself and of its predecessors (L14). Looks at
    /// every account: to be asked only while a ledger recovers.
    pub fn has_said_all(&self) -> bool {
        let said = |holding: &super::holding::Holding| {
            holding.slot.is_none() || (!holding.dirty && holding.unanswered == 0)
        };
        let account = |account: &std::sync::Arc<super::Account>| account.lock().all().all(|h| said(h));
        (0..super::SHARDS).all(|shard| self.shard_accounts(shard, |_| true).iter().all(account))
            && self.steps_to_go() == 0
    }

    pub(super) fn predecessor_answered(&self, ask: &MoneyAsk, answer: &MoneyAnswer, generation: u64) {
        let mut all = lock(&self.inner.predecessors);
        let Some(at) = all.iter().position(|p| p.incarnation == ask.incarnation) else { return };
        all[at].answered(ask, answer);
        if !all[at].is_closed() {
            return;
        }
        // Once: the file goes 48 h after it was last written. Without the mark it is told again at the next start.
        if !std::mem::replace(&mut all[at].marked, true) {
            let _ = spend_file::mark_closed(&all[at].path, generation);
        }
        if self.inner.local {
            // Only a remote lender can lose its data while this process lives, and ask for all of it again.
            all.swap_remove(at);
        }
    }

    pub(super) fn predecessor_unanswered(&self, ask: &MoneyAsk) {
        let mut all = lock(&self.inner.predecessors);
        let predecessor = all.iter_mut().find(|p| p.incarnation == ask.incarnation);
        if let Some((predecessor, at)) = predecessor.and_then(|p| p.place(ask).map(|at| (p, at))) {
            let step = match (ask.counted, ask.close) {
                (true, _) => Step::Count,
                (false, true) => Step::Close,
                (false, false) => Step::Report,
            };
            predecessor.set(at, Phase::Due(step));
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
        let (own, pod) = (self.inner.options.incarnation, self.inner.options.pod);
        let mut kept = lock(&self.inner.spend).kept();
        kept.retain(|row| row.totals != Totals::default());
        let mut all = lock(&self.inner.predecessors);
        all.retain(|predecessor| predecessor.incarnation != own);
        for predecessor in all.iter_mut() {
            for at in 0..predecessor.rows.len() {
                predecessor.set(at, Phase::first(&predecessor.rows[at].0));
            }
        }
        if !kept.is_empty() {
            all.push(Predecessor::of_this_process(kept, own, pod));
        }
    }

    /// The last generation that an earlier process on this data directory heard; 0 for none.
    pub fn heard_before(&self) -> u64 {
        self.inner.heard_before.load(Ordering::Relaxed)
    }

    /// A message about what is no longer held in memory.
    pub(super) fn is_of_the_past(&self, ask: &MoneyAsk) -> bool {
        ask.incarnation != self.inner.options.incarnation || ask.number == LAST_WORD
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::message::WindowState;

    const WINDOW: Window = Window { start: 0, end: 1_000 };

    fn row(account: u128, granted: i64, spent: i64, reserved: i64) -> SpentRow {
        let totals = Totals { granted, spent, ..Totals::default() };
        let (account, counted, place) = (AccountId(account), false, 0);
        SpentRow { account, window: WINDOW, totals, reserved, closed_total: 0, counted, place }
    }

    fn predecessor(rows: Vec<SpentRow>) -> Predecessor {
        let (incarnation, pod) = (Incarnation(1), PodId(1));
        let (path, closed, heard, damaged) = (PathBuf::new(), 0, 0, 0);
        let file = DeadFile { path, incarnation, pod, closed, heard, rows, damaged };
        Predecessor::new(file, 1)
    }

    fn answer(ask: &MoneyAsk, granted: i64) -> MoneyAnswer {
        MoneyAnswer {
            account: ask.account,
            window: ask.window,
            state: WindowState::Open,
            granted,
            tight: false,
            short: false,
            size: 0,
            lendable: 0,
            spent: 0,
            leased_elsewhere: 0,
            forfeited: 0,
            closed_total: 0,
            limit: 0,
            closed: ask.close,
        }
    }

    #[test]
    fn a_window_with_two_records_is_told_once_and_closed() {
        let mut dead = predecessor(vec![row(1, 0, 0, 0), row(2, 5, 5, 0), row(1, 90, 30, 20)]);
        let reports = dead.due(10, 0);
        assert_eq!(reports.iter().map(|ask| ask.totals.spent).collect::<Vec<_>>(), [30, 5]);
        reports.iter().for_each(|ask| dead.answered(ask, &answer(ask, 100)));
        let closings = dead.due(10, 0);
        assert_eq!(
            closings.iter().map(|ask| (ask.close, ask.totals.returned)).collect::<Vec<_>>(),
            [(true, 50), (true, 95)]
        );
        assert!(!dead.is_closed());
        closings.iter().for_each(|ask| dead.answered(ask, &answer(ask, 100)));
        assert!(dead.is_closed() && dead.due(10, 0).is_empty());
    }

    #[test]
    fn what_was_lost_on_the_way_is_due_again_and_windows_that_are_over_are_not() {
        let mut dead = predecessor((0..600).map(|n| row(n, 9, 4, 0)).collect());
        let first = dead.due(256, 0);
        assert_eq!((first.len(), dead.due(1_000, 0).len()), (256, 344));
        assert!(dead.due(256, 0).is_empty(), "all are under way");
        let at = dead.place(&first[7]).unwrap();
        dead.set(at, Phase::Due(Step::Report));
        assert_eq!(dead.due(256, 0).iter().map(|ask| ask.account.0).collect::<Vec<_>>(), [7]);
        dead.set(at, Phase::Due(Step::Report));
        assert_eq!((dead.due(256, 1_000 + LATE_REPORTS), dead.steps), (Vec::new(), 599 * 2));
    }
}
