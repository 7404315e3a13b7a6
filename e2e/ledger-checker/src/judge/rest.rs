//! At the end: nothing held, nothing lost without reason, nearly all usable.

use super::trial::{Rule, Trial, meets};
use crate::evidence::{Account, Ask, AskEnd};

/// Least part of a budget that must be usable, in thousandths.
const USABLE: i64 = 950;
/// How long a pod may take to settle a call whose caller has all of its answer, and one whose caller left, microseconds.
const SETTLE: u64 = 200_000;
const CANCEL: u64 = 1_000_000;
/// A lease is at most this part of the limit (L7), and a pod keeps at most two of them (L9).
const LEASE: i64 = 100;

pub(super) fn check(trial: &mut Trial<'_>) {
    for account in &trial.evidence.accounts {
        let (in_flight, left) = (in_flight(trial), left_by_gone(trial, account));
        let (mut spent, mut lost, mut stranded, mut fullest) = (0, 0, 0, 0);
        for window in trial.windows(account) {
            let Some(page) = trial.books.pages.get(&(account.id, window)) else { continue };
            let gone = trial.stranded(page);
            let leased = page.leased() - gone;
            spent += page.spent();
            lost += page.forfeited();
            stranded += gone;
            fullest = fullest.max(page.spent() + page.forfeited() + gone);
            if leased != 0 {
                trial.find(Rule::Rest, format!("{}: {leased} lent for ever", account.name));
            }
        }
        if lost > in_flight {
            let what = format!("{}: {lost} lost, {in_flight} in flight when pods were killed", account.name);
            trial.find(Rule::Rest, what);
        }
        let leases = gone(trial) * 2 * (account.limit / LEASE);
        let (reserved, unreported) = (left.reserved.min(in_flight), left.unreported);
        if stranded > reserved + unreported + leases {
            let what = format!(
                "{}: {stranded} lost with pods that are gone; {reserved} in flight, {unreported} not reported, {leases} lent",
                account.name
            );
            trial.find(Rule::Rest, what);
        }
        trial.summary.spent += spent;
        trial.summary.forfeited += lost + stranded;
        usable(trial, account, fullest);
    }
    for told in trial.evidence.statements.iter().filter(|told| told.at_rest && told.reserved != 0) {
        let what = format!("pod {} holds {} for calls, and none is in flight", told.pod, told.reserved);
        trial.find(Rule::Rest, what);
    }
}

/// How many pods were killed and never came back.
fn gone(trial: &Trial<'_>) -> i64 {
    let gone = trial.evidence.kills.iter().filter(|kill| !kill.back).count();
    i64::try_from(gone).unwrap_or(i64::MAX)
}

/// What pods that are gone wrote down.
#[derive(Default)]
struct Left {
    /// Held by calls in flight.
    reserved: i64,
    /// Spent or given back, and the lender never heard of it.
    unreported: i64,
}

fn left_by_gone(trial: &Trial<'_>, account: &Account) -> Left {
    let mut left = Left::default();
    for file in trial.evidence.spent.iter().filter(|file| file.gone && file.account == account.id) {
        let page = trial.books.pages.get(&(account.id, file.window));
        let Some(row) = page.and_then(|page| page.rows.get(&file.incarnation)).filter(|row| !row.closed)
        else {
            continue;
        };
        left.reserved += file.reserved;
        left.unreported += (file.spent - row.spent).max(0) + (file.returned - row.returned).max(0);
    }
    left
}

/// The most that calls in flight on killed pods can have held.
fn in_flight(trial: &Trial<'_>) -> i64 {
    let after = |ask: &Ask| if ask.end == AskEnd::Left { CANCEL } else { SETTLE };
    let asks = &trial.evidence.asks;
    let held = trial
        .evidence
        .kills
        .iter()
        .flat_map(|kill| asks.iter().filter(move |ask| meets(ask, kill, after(ask))));
    // A retry holds on to what the attempt before it is billed for.
    held.map(|ask| ask.most.saturating_mul(trial.legs(&ask.tag).len().max(1).try_into().unwrap_or(i64::MAX)))
        .sum()
}

/// The tightest account is used up: a call takes from all of its accounts, so the others need not be. Where a window
/// ended in between, another one may be what refused.
fn usable(trial: &mut Trial<'_>, account: &Account, fullest: i64) {
    let changed = trial.evidence.accounts.iter().any(|account| trial.windows(account).len() > 1);
    if !trial.evidence.used_up || account.limit == 0 || changed {
        return;
    }
    let tightest = trial.evidence.accounts.iter().map(|other| other.limit).min() == Some(account.limit);
    if !tightest {
        return;
    }
    let used = fullest * 1000 / account.limit;
    trial.summary.used = Some(used);
    if used < USABLE {
        trial.find(Rule::Usable, format!("{}: {used} thousandths could be used", account.name));
    }
}
