//! The lender's side: accounts, their windows, a row per incarnation. Pure; every lender that is not a script in a
//! server is a shell around this.

mod admin;
mod check;
mod page;
mod recall;
mod record;
mod row;
mod size;

use std::collections::HashMap;

pub use self::{
    admin::{Standing, WriteOffError},
    check::Breach,
    page::{Folded, Page},
    record::Record,
    row::Row,
};
use self::{recall::RecallStream, size::Wish};
use crate::{
    account::{AccountId, Incarnation, Revision},
    clock::{LATE_REPORTS, LEND_AHEAD, Now, WALL_HOUR},
    message::{Answers, Batch, MoneyAnswer, MoneyAsk, Recalls, WindowState},
    window::Window,
};

/// A closed window and its account are kept this long (L2).
const KEPT_AFTER_END: i64 = 35 * 24 * WALL_HOUR;

/// All accounts of an install.
#[derive(Debug, Default)]
pub struct Book {
    generation: u64,
    wall: i64,
    purged: i64,
    entries: HashMap<AccountId, Entry>,
    recalls: RecallStream,
    changes: Vec<Record>,
}

/// One account.
#[derive(Debug, Default)]
struct Entry {
    limit: Option<i64>,
    revision: Revision,
    pages: Vec<Page>,
}

impl Book {
    /// An empty book of a ledger generation (the first is 1).
    pub fn new(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// The ledger's generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The lender's clock: the latest of what it has seen and its own.
    pub fn wall(&self) -> i64 {
        self.wall
    }

    /// Moves the clock forward, never back.
    pub fn see_clock(&mut self, wall: i64) {
        self.wall = self.wall.max(wall);
    }

    /// Carries out a batch.
    pub fn exchange(&mut self, now: Now, batch: &Batch) -> Answers {
        self.see_clock(now.wall);
        let money = batch.money.iter().map(|ask| self.ask(now, batch.incarnation, ask)).collect();
        debug_assert_eq!(self.check_asked(batch), Ok(()));
        if self.wall - self.purged >= WALL_HOUR {
            self.purge_old(now.mono);
        }
        let recalls = self.recalls(batch.incarnation, batch.recalls_after);
        let (generation, wall, rates) = (self.generation, self.wall, Vec::new());
        Answers { generation, recovering: false, wall, money, rates, recalls }
    }

    /// What pods other than `reader` are short of, after a point of the stream.
    pub fn recalls(&self, reader: Incarnation, after: u64) -> Recalls {
        let mut recalls = self.recalls.after(after);
        recalls.accounts.retain(|(_, short)| *short != reader);
        recalls
    }

    /// What changed since the last call; a journal writes it before the answers leave.
    pub fn take_changes(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.changes)
    }

    fn ask(&mut self, now: Now, speaker: Incarnation, ask: &MoneyAsk) -> MoneyAnswer {
        let entry = self.entries.entry(ask.account).or_default();
        if let Some(record) = entry.learn_limit(ask) {
            self.changes.push(record);
        }
        let limit = entry.limit;
        let (at, state) = entry.place(ask.window, self.wall);
        let Some(page) = at.and_then(|at| entry.pages.get_mut(at)) else {
            return refused(ask, state, limit.unwrap_or(0));
        };
        // A ledger that never lost anything knows of all that was ever closed in it.
        let told = if self.generation > 1 { ask.closed_total } else { 0 };
        if page.has_folded(ask.incarnation) {
            if page.hear_of_lost(told) {
                self.changes.extend(page.records(ask.account));
            }
            return folded(ask, page, state, limit.unwrap_or(0));
        }
        let c = page.closed_total().max(told);
        let (at, made) = page.row(ask);
        let was_closed = page.rows[at].closed.is_some();
        let mut changed = made | learn(page, at, ask, self.wall);
        let heard = if ask.counted && !was_closed { page.count_within(c) } else { page.hear_of_lost(told) };
        let fresh = ask.number > page.rows[at].number;
        page.rows[at].number = page.rows[at].number.max(ask.number);
        if speaker == ask.incarnation {
            page.rows[at].seen = Some(now.mono);
        }
        let wish = Wish {
            lendable: limit.map_or(0, |limit| (limit - page.used()).max(0)),
            active: page.active(now.mono),
            limit: limit.unwrap_or(0),
            reservation: ask.reservation,
        };
        let mut short = false;
        if let Some(lend) = ask.lend {
            let row = &mut page.rows[at];
            let need = lend.at_least - row.totals.granted;
            if state == WindowState::Open && row.closed.is_none() && fresh {
                let grant = wish.grant(need, lend.background);
                row.totals.granted = row.totals.granted.saturating_add(grant);
                changed |= grant > 0;
                short = need > 0 && grant == 0;
            }
            if short && !lend.background {
                self.recalls.push(ask.account, ask.incarnation);
            }
        }
        if heard {
            self.changes.extend(page.records(ask.account));
        } else if changed {
            self.changes.push(Record::Row { account: ask.account, window: page.window, row: page.rows[at] });
        }
        answer(ask, page, at, state, &wish, short)
    }

    /// Folds rows and drops windows and accounts that nobody needs any more.
    fn purge_old(&mut self, mono: u64) {
        // Not at once after a start: it is not known yet who is still there.
        let mono = (self.purged > 0).then_some(mono);
        self.purged = self.wall;
        let wall = self.wall;
        let changes = &mut self.changes;
        self.entries.retain(|account, entry| {
            for page in &mut entry.pages {
                if page.fold(wall, mono) {
                    changes.extend(page.records(*account));
                }
            }
            let had = !entry.pages.is_empty();
            entry.pages.retain(|page| page.window.end.saturating_add(KEPT_AFTER_END) > wall);
            !had || !entry.pages.is_empty()
        });
    }
}

/// Takes the ask's totals and its closing into a row; whether anything changed.
fn learn(page: &mut Page, at: usize, ask: &MoneyAsk, wall: i64) -> bool {
    let row = &mut page.rows[at];
    let unknown_grant = ask.totals.granted > row.totals.granted;
    let mut changed = row.learn(ask.totals);
    if (ask.close || ask.counted) && row.closed.is_none() {
        row.closed = Some(wall);
        changed = true;
    }
    if unknown_grant {
        page.excused = page.excused.max(page.used());
    }
    changed
}

fn answer(
    ask: &MoneyAsk,
    page: &Page,
    at: usize,
    state: WindowState,
    wish: &Wish,
    short: bool,
) -> MoneyAnswer {
    let row = &page.rows[at];
    MoneyAnswer {
        account: ask.account,
        window: page.window,
        state,
        granted: row.totals.granted,
        tight: wish.tight(),
        short,
        size: wish.size(),
        lendable: (wish.limit - page.used()).max(0),
        spent: page.spent(),
        leased_elsewhere: page.leased() - row.leased(),
        forfeited: page.forfeited(),
        closed_total: page.closed_total(),
        limit: wish.limit,
        closed: row.closed.is_some(),
    }
}

/// The answer about a row that became part of the sums.
fn folded(ask: &MoneyAsk, page: &Page, state: WindowState, limit: i64) -> MoneyAnswer {
    MoneyAnswer {
        lendable: (limit - page.used()).max(0),
        spent: page.spent(),
        leased_elsewhere: page.leased(),
        forfeited: page.forfeited(),
        closed_total: page.closed_total(),
        closed: true,
        ..refused(ask, state, limit)
    }
}

/// The answer about a window that is not kept.
fn refused(ask: &MoneyAsk, state: WindowState, limit: i64) -> MoneyAnswer {
    MoneyAnswer {
        account: ask.account,
        window: ask.window,
        state,
        granted: ask.totals.granted,
        tight: false,
        short: false,
        size: 0,
        lendable: 0,
        spent: ask.totals.billed(),
        leased_elsewhere: 0,
        forfeited: 0,
        closed_total: ask.closed_total,
        limit,
        closed: ask.close,
    }
}

impl Entry {
    /// Keeps the newest limit (L4).
    fn learn_limit(&mut self, ask: &MoneyAsk) -> Option<Record> {
        let (limit, revision) = ask.limit?;
        if self.limit.is_some() && revision <= self.revision {
            return None;
        }
        if self.limit.is_some_and(|old| limit < old) {
            for page in &mut self.pages {
                page.excused = page.excused.max(page.used());
            }
        }
        (self.limit, self.revision) = (Some(limit), revision);
        Some(Record::Limit { account: ask.account, limit, revision })
    }

    /// The page of a window and whether it may be lent from (L3).
    fn place(&mut self, window: Window, wall: i64) -> (Option<usize>, WindowState) {
        let state = if wall >= window.end {
            WindowState::Ended
        } else if wall < window.start.saturating_sub(LEND_AHEAD) {
            WindowState::Early
        } else {
            WindowState::Open
        };
        if wall >= window.end.saturating_add(LATE_REPORTS) {
            return (None, WindowState::Ended);
        }
        if let Some(at) = self.pages.iter().position(|page| page.window == window) {
            return (Some(at), state);
        }
        let standing = |page: &&Page| page.window.end > wall && page.window.overlaps(&window);
        if let Some(page) = self.pages.iter().find(standing) {
            return (None, WindowState::Overlaps(page.window));
        }
        if state == WindowState::Early || window.start >= window.end {
            return (None, WindowState::Early);
        }
        self.pages.push(Page::new(window));
        (Some(self.pages.len() - 1), state)
    }
}
