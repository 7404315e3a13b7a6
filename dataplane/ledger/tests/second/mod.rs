//! A lender written from `ledger.md` alone, with faults to order. It shares no code with `book`.

use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    sync::Mutex,
};

use smartflow_ledger::{
    AccountId, Incarnation, Now, Revision, Window,
    book::{Row, Standing, WriteOffError},
    lender::{Lender, LenderError, Pending},
    message::{Answers, Batch, MoneyAnswer, MoneyAsk, Recalls, Totals, WindowState},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ForgetsTheMaximum,
    LendsOverTheLimit,
    LendsTwice,
    CarriesOutLateLends,
    MixesIncarnations,
    ChangesGeneration,
    PaysAfterClosing,
    ForgetsForfeits,
    LowersC,
    WritesOffTheLiving,
    IgnoresRevisions,
    IgnoresOverruns,
    LendsPartly,
    RefillsWhenTight,
    NeverRecalls,
    RecallsForRefills,
    LendsInEndedWindows,
    LendsFarAhead,
    OverlapsWindows,
    LosesRecordsInAKill,
    LosesClosingsInAKill,
    LosesNumbersInAKill,
    AnswersOutOfOrder,
    ForgetsToPurge,
    TakesReportsForEver,
}

/// Each fault, and the rule under which it must be found.
pub(crate) const FAULTS: &[(Fault, &str)] = &[
    (Fault::ForgetsTheMaximum, "L5 the maximum"),
    (Fault::LendsOverTheLimit, "L6 never more"),
    (Fault::LendsTwice, "L5 a retry lends once"),
    (Fault::CarriesOutLateLends, "L5 a late lend"),
    (Fault::MixesIncarnations, "L5 every incarnation"),
    (Fault::ChangesGeneration, "L5 answers come in order"),
    (Fault::PaysAfterClosing, "L5a a closed incarnation gets"),
    (Fault::ForgetsForfeits, "L5a what a closed"),
    (Fault::LowersC, "L5a C only grows"),
    (Fault::WritesOffTheLiving, "L10"),
    (Fault::IgnoresRevisions, "L4 the newest"),
    (Fault::IgnoresOverruns, "L6 overruns"),
    (Fault::LendsPartly, "L7 all or nothing"),
    (Fault::RefillsWhenTight, "L7 a tight account"),
    (Fault::NeverRecalls, "L8"),
    (Fault::RecallsForRefills, "L8"),
    (Fault::LendsInEndedWindows, "L3 an ended window"),
    (Fault::LendsFarAhead, "L3 the next window"),
    (Fault::OverlapsWindows, "L3 a stored window"),
    (Fault::LosesRecordsInAKill, "L12"),
    (Fault::LosesClosingsInAKill, "L12"),
    (Fault::LosesNumbersInAKill, "L12"),
    (Fault::AnswersOutOfOrder, "L5 answers come in order"),
    (Fault::ForgetsToPurge, "L2"),
    (Fault::TakesReportsForEver, "L3 reports to a window"),
];

#[derive(Clone, Default)]
struct Account {
    limit: Option<(i64, Revision)>,
    /// By window and incarnation.
    rows: BTreeMap<(Window, Incarnation), Row>,
}

#[derive(Default)]
struct State {
    accounts: HashMap<AccountId, Account>,
    recalls: Vec<(AccountId, Incarnation)>,
    exchanges: u64,
}

pub(crate) struct SecondLender {
    fault: Option<Fault>,
    state: Mutex<State>,
}

impl SecondLender {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self { fault, state: Mutex::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn limits(&self, account: &mut Account, ask: &MoneyAsk) {
        if let Some((limit, revision)) = ask.limit {
            let newer = account.limit.is_none_or(|(_, known)| revision > known);
            if newer || self.has(Fault::IgnoresRevisions) {
                account.limit = Some((limit, revision));
            }
        }
    }

    fn window(&self, account: &Account, ask: &MoneyAsk, wall: i64) -> (bool, WindowState) {
        let window = ask.window;
        let kept = account.rows.keys().any(|(known, _)| *known == window);
        let other = account
            .rows
            .keys()
            .find(|(known, _)| *known != window && known.end > wall && known.overlaps(&window));
        if wall >= window.end + 48 * 3_600_000 && !self.has(Fault::TakesReportsForEver) {
            (false, WindowState::Ended)
        } else if let Some((known, _)) = other.filter(|_| !kept && !self.has(Fault::OverlapsWindows)) {
            (false, WindowState::Overlaps(*known))
        } else if wall >= window.end {
            (true, if self.has(Fault::LendsInEndedWindows) { WindowState::Open } else { WindowState::Ended })
        } else if wall < window.start - 60_000 && !self.has(Fault::LendsFarAhead) {
            (kept, WindowState::Early)
        } else {
            (true, WindowState::Open)
        }
    }

    fn learn(&self, row: &mut Row, ask: &MoneyAsk) {
        let told = ask.totals;
        let frozen = row.totals.returned;
        row.totals = if self.has(Fault::ForgetsTheMaximum) {
            Totals { granted: row.totals.granted, ..told }
        } else {
            row.totals.max(told)
        };
        if row.closed.is_some() && !self.has(Fault::LowersC) {
            row.totals.returned = frozen;
        }
        if ask.close && row.closed.is_none() {
            row.closed = Some(0);
        }
    }

    fn ask(&self, state: &mut State, wall: i64, ask: &MoneyAsk) -> MoneyAnswer {
        let account = state.accounts.entry(ask.account).or_default();
        self.limits(account, ask);
        let limit = account.limit.map_or(0, |(limit, _)| limit);
        let (kept, window_state) = self.window(account, ask, wall);
        let mut answer = blank(ask, window_state, limit);
        if !kept {
            return answer;
        }
        let who = if self.has(Fault::MixesIncarnations) { Incarnation(0) } else { ask.incarnation };
        let row = account.rows.entry((ask.window, who)).or_insert(new_row(ask, who));
        self.learn(row, ask);
        let (fresh, closed) = (ask.number > row.number, row.closed.is_some());
        let fresh = fresh || self.has(Fault::CarriesOutLateLends);
        row.number = row.number.max(ask.number);
        let granted = row.totals.granted;
        row.seen = Some(1);
        let sums = self.sums(account, ask.window);
        let lendable = (limit - sums.used).max(0);
        let active = sums.active.max(1);
        let tight = lendable < 4 * active * ask.reservation.max(1);
        let size = (lendable / (4 * active)).min(limit / 100);
        let mut grant = 0;
        if let Some(lend) = ask.lend {
            let mut need = lend.at_least - granted;
            if self.has(Fault::LendsTwice) {
                need = lend.at_least - ask.totals.granted;
            }
            let may =
                fresh && window_state == WindowState::Open && (!closed || self.has(Fault::PaysAfterClosing));
            let ahead_of_tight = lend.background && tight && !self.has(Fault::RefillsWhenTight);
            if may && need > 0 && !ahead_of_tight {
                grant = if need <= lendable || self.has(Fault::LendsOverTheLimit) {
                    if tight { need } else { need.max(size) }
                } else if self.has(Fault::LendsPartly) {
                    lendable
                } else {
                    0
                };
            }
            answer.short = may && need > 0 && grant == 0;
            let on_stream =
                !self.has(Fault::NeverRecalls) && (!lend.background || self.has(Fault::RecallsForRefills));
            let wanted = answer.short || (self.has(Fault::RecallsForRefills) && need > 0 && lendable < need);
            if wanted && on_stream {
                state.recalls.push((ask.account, ask.incarnation));
            }
        }
        let row = account.rows.entry((ask.window, who)).or_insert(new_row(ask, who));
        row.totals.granted += grant;
        let row = *row;
        let sums = self.sums(account, ask.window);
        answer.granted = row.totals.granted;
        (answer.tight, answer.size) = (tight, size);
        answer.lendable = (limit - sums.used).max(0);
        (answer.spent, answer.forfeited, answer.closed_total) =
            (sums.spent, sums.forfeited, sums.closed_total);
        answer.leased_elsewhere = sums.leased - if row.closed.is_none() { row.totals.leased() } else { 0 };
        answer.closed = row.closed.is_some();
        answer
    }

    fn sums(&self, account: &Account, window: Window) -> Sums {
        let mut sums = Sums::default();
        for row in account.rows.iter().filter(|((known, _), _)| *known == window).map(|(_, row)| row) {
            let spent = row.totals.spent + row.totals.overrun;
            let held = row.totals.leased();
            sums.spent += spent;
            sums.used += if self.has(Fault::IgnoresOverruns) { row.totals.spent } else { spent };
            if row.closed.is_some() {
                let kept = (held - row.written_off).max(0);
                sums.closed_total += spent + held;
                sums.forfeited += kept;
                sums.used += if self.has(Fault::ForgetsForfeits) { 0 } else { kept };
            } else {
                sums.leased += held;
                sums.used += held;
                sums.active += i64::from(row.seen.is_some());
            }
        }
        sums
    }
}

#[derive(Default)]
struct Sums {
    spent: i64,
    leased: i64,
    forfeited: i64,
    closed_total: i64,
    used: i64,
    active: i64,
}

fn new_row(ask: &MoneyAsk, who: Incarnation) -> Row {
    Row {
        incarnation: who,
        pod: ask.pod,
        totals: Totals::default(),
        number: 0,
        closed: None,
        written_off: 0,
        seen: None,
    }
}

fn blank(ask: &MoneyAsk, state: WindowState, limit: i64) -> MoneyAnswer {
    MoneyAnswer {
        account: ask.account,
        window: ask.window,
        state,
        granted: ask.totals.granted,
        tight: false,
        short: false,
        size: 0,
        lendable: 0,
        spent: 0,
        leased_elsewhere: 0,
        forfeited: 0,
        closed_total: 0,
        limit,
        closed: false,
    }
}

/// Kills the lender and opens it again on what it kept.
pub(crate) fn restart(old: Box<dyn Lender>) -> Box<dyn Lender> {
    let standing = |account| take(old.standing(account)).unwrap();
    let fault = take(old.purge(AccountId(u128::MAX))).map(|_| ()).err();
    let fault = fault.and_then(|fault| {
        FAULTS.iter().map(|(f, _)| *f).find(|f| fault.to_string().contains(&format!("{f:?}")))
    });
    let new = SecondLender::new(fault);
    let account = AccountId(0xACC);
    let kept: Vec<Standing> = standing(account);
    let mut rows = BTreeMap::new();
    let mut limit = None;
    for s in kept {
        // The limit's age is not in a standing; the suite's durable rules end with revision 2.
        limit = Some((s.limit, Revision { epoch: 1, number: if s.limit == 900 { 2 } else { 1 } }));
        for mut row in s.rows {
            row.seen = None;
            match fault {
                Some(Fault::LosesRecordsInAKill) => row.totals.spent -= row.totals.spent % 7,
                Some(Fault::LosesClosingsInAKill) => row.closed = None,
                Some(Fault::LosesNumbersInAKill) => row.number = 0,
                _ => {}
            }
            rows.insert((s.window, row.incarnation), row);
        }
    }
    if !rows.is_empty() {
        new.state.lock().unwrap().accounts.insert(account, Account { limit, rows });
    }
    Box::new(new)
}

fn take<T>(pending: Pending<'_, T>) -> Result<T, LenderError> {
    let mut pending = pending;
    match pending.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => Err(LenderError::NotReady),
    }
}

impl Lender for SecondLender {
    fn exchange<'a>(&'a self, now: Now, batch: &'a Batch) -> Pending<'a, Answers> {
        let mut state = self.state.lock().unwrap();
        state.exchanges += 1;
        let mut money: Vec<_> = batch.money.iter().map(|ask| self.ask(&mut state, now.wall, ask)).collect();
        if self.has(Fault::AnswersOutOfOrder) {
            money.reverse();
        }
        let generation = if self.has(Fault::ChangesGeneration) { state.exchanges } else { 1 };
        let recalls = recalls(&state, batch.incarnation, batch.recalls_after);
        let answers =
            Answers { generation, recovering: false, wall: now.wall, money, rates: Vec::new(), recalls };
        Box::pin(ready(Ok(answers)))
    }

    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls> {
        Box::pin(ready(Ok(recalls(&self.state.lock().unwrap(), reader, after))))
    }

    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>> {
        let state = self.state.lock().unwrap();
        let Some(account) = state.accounts.get(&account) else { return Box::pin(ready(Ok(Vec::new()))) };
        let mut windows: Vec<Window> = account.rows.keys().map(|(window, _)| *window).collect();
        windows.dedup();
        let standing = windows.into_iter().map(|window| {
            let sums = self.sums(account, window);
            Standing {
                window,
                limit: account.limit.map_or(0, |(limit, _)| limit),
                spent: sums.spent,
                leased: sums.leased,
                forfeited: sums.forfeited,
                closed_total: sums.closed_total,
                rows: account.rows.iter().filter(|((w, _), _)| *w == window).map(|(_, row)| *row).collect(),
            }
        });
        Box::pin(ready(Ok(standing.collect())))
    }

    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64> {
        let mut state = self.state.lock().unwrap();
        let row = state.accounts.get_mut(&account).and_then(|account| account.rows.get_mut(&(window, who)));
        let freed = match row {
            None => Err(WriteOffError::Unknown(who)),
            Some(row) if row.closed.is_none() && !self.has(Fault::WritesOffTheLiving) => {
                Err(WriteOffError::Live(who))
            }
            Some(row) => {
                let freed = (row.totals.leased() - row.written_off).max(0);
                row.written_off += freed;
                Ok(freed)
            }
        };
        Box::pin(ready(freed.map_err(LenderError::WriteOff)))
    }

    fn purge(&self, account: AccountId) -> Pending<'_, bool> {
        if account == AccountId(u128::MAX) {
            // How `restart` asks a lender that it knows only by the trait for its fault.
            return Box::pin(ready(Err(LenderError::Away(format!("{:?}", self.fault)))));
        }
        if self.has(Fault::ForgetsToPurge) {
            return Box::pin(ready(Ok(true)));
        }
        Box::pin(ready(Ok(self.state.lock().unwrap().accounts.remove(&account).is_some())))
    }

    fn is_local(&self) -> bool {
        true
    }
}

fn recalls(state: &State, reader: Incarnation, after: u64) -> Recalls {
    let skip = usize::try_from(after).unwrap();
    let mut accounts: Vec<_> =
        state.recalls.iter().skip(skip).filter(|(_, short)| *short != reader).copied().collect();
    accounts.dedup();
    Recalls { upto: state.recalls.len() as u64, accounts }
}
