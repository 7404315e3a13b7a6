//! The lender's sums against the bills, window by window, and against what was served.

use super::trial::{ByWindow, Rule, Trial};
use crate::evidence::{Account, Ask, AskEnd, Leg, Line, Step, Window};

/// Bills of one account, by the window of the reservation.
#[derive(Default)]
struct Bills {
    /// Surely in this window.
    sure: ByWindow,
    /// In this window or in another one: the call ran over a change.
    unsure: ByWindow,
    /// All of them, each once.
    all: i64,
    /// Calls that left no line, at most; they may be in any window.
    lost: i64,
    /// What was served and is billed, or should be.
    served: i64,
}

pub(super) fn check(trial: &mut Trial<'_>) {
    for account in &trial.evidence.accounts {
        let windows = trial.windows(account);
        let bills = bills(trial, account, &windows);
        let back = trial.evidence.kills.iter().all(|kill| kill.back);
        let (mut used, mut spent_in_all) = (0, 0);
        for window in windows {
            let Some(page) = trial.books.pages.get(&(account.id, window)) else { continue };
            let (spent, forfeited) = (page.spent(), page.forfeited() + trial.stranded(page));
            let sure = bills.sure.get(&window).copied().unwrap_or(0);
            let most = sure + bills.unsure.get(&window).copied().unwrap_or(0) + bills.lost;
            // A pod that never came back did not report its last second: it is among what was lost with it.
            let least = if back { sure } else { sure - forfeited };
            if spent < least || spent > most {
                let what = format!("{} {window:?}: {spent} spent, billed {sure} to {most}", account.name);
                trial.find(Rule::Sum, what);
            }
            used += spent + forfeited;
            spent_in_all += spent;
        }
        if spent_in_all < bills.all && back {
            let what = format!("{}: {spent_in_all} spent in all windows, {} billed", account.name, bills.all);
            trial.find(Rule::Sum, what);
        }
        if spent_in_all > bills.all + bills.lost {
            let (all, lost) = (bills.all, bills.lost);
            let what = format!(
                "{}: {spent_in_all} spent in all windows, {all} billed, {lost} at most without a line",
                account.name
            );
            trial.find(Rule::Sum, what);
        }
        if bills.served > used {
            let what = format!("{}: {} served, {used} spent or lost", account.name, bills.served);
            trial.find(Rule::Served, what);
        }
    }
}

fn bills(trial: &Trial<'_>, account: &Account, windows: &[Window]) -> Bills {
    let mut bills = Bills::default();
    let clock = Clock::of(trial);
    for line in trial.evidence.lines.iter().filter(|line| account.keys.contains(&line.key)) {
        let span = clock.span(trial, line);
        let within =
            |window: &&Window| span.is_some_and(|(began, ended)| window.start <= began && ended < window.end);
        // Whose clock a pod goes by, and when it hears of it, is not to be seen from outside.
        let clear = !trial.evidence.fleet || windows.len() == 1;
        match windows.iter().find(within).filter(|_| clear) {
            Some(window) => *bills.sure.entry(*window).or_default() += line.cost,
            None => windows.iter().for_each(|w| *bills.unsure.entry(*w).or_default() += line.cost),
        }
        bills.all += line.cost;
        bills.served += served(trial, line);
    }
    for ask in trial.lost() {
        let legs = trial.legs(&ask.tag);
        bills.lost += most(ask, legs);
        bills.served += legs.iter().map(|leg| leg.served).sum::<i64>();
    }
    bills
}

/// The lender's clock, which never goes back: the latest time that any line tells, by when its caller had his answer.
struct Clock(Vec<(u64, i64)>);

impl Clock {
    fn of(trial: &Trial<'_>) -> Self {
        let lines = trial.evidence.lines.iter();
        let mut seen: Vec<(u64, i64)> =
            lines.filter_map(|line| Some((trial.asks.get(&*line.tag)?.ended, line.time))).collect();
        seen.sort_unstable();
        let mut latest = i64::MIN;
        for (_, time) in &mut seen {
            latest = latest.max(*time);
            *time = latest;
        }
        Self(seen)
    }

    /// Begin and end of a call by that clock; `None` when a clock was changed meanwhile.
    fn span(&self, trial: &Trial<'_>, line: &Line) -> Option<(i64, i64)> {
        let ask = trial.asks.get(&*line.tag)?;
        let meets = |step: &Step| ask.began <= step.to && ask.ended >= step.from;
        if trial.evidence.steps.iter().any(meets) {
            return None;
        }
        let before = self.0.partition_point(|(ended, _)| *ended < ask.began);
        let latest = before.checked_sub(1).and_then(|at| self.0.get(at)).map_or(i64::MIN, |(_, time)| *time);
        let began = line.time - i64::try_from(line.took / 1000).ok()? - 1;
        Some((began.max(latest), line.time.max(latest)))
    }
}

/// An estimate that is below what the vendor wrote is judged call by call: what nobody read is not on the bill.
fn served(trial: &Trial<'_>, line: &Line) -> i64 {
    let served: i64 = trial.legs(&line.tag).iter().map(|leg| leg.served).sum();
    if line.estimated { served.min(line.cost) } else { served }
}

/// The most that a call without a line can be billed: what its vendors reported, where all did, and its caller has the end
/// of the answer (some report in the middle, too); nothing, where no vendor was asked.
fn most(ask: &Ask, legs: &[&Leg]) -> i64 {
    if (legs.is_empty() || ask.end == AskEnd::Whole)
        && legs.iter().all(|leg| leg.refused || leg.reported.is_some())
    {
        return legs.iter().filter_map(|leg| leg.reported).sum();
    }
    ask.most.saturating_mul(i64::try_from(legs.len()).unwrap_or(i64::MAX))
}
