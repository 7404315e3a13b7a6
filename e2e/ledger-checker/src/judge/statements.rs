//! What pods say of their accounts.

use super::trial::{Rule, Trial};
use crate::evidence::{Account, Evidence, Start, Statement, Step};
use std::collections::BTreeMap;

pub(super) fn check(trial: &mut Trial<'_>) {
    for account in &trial.evidence.accounts {
        let windows = trial.windows(account);
        let told: Vec<&Statement> =
            trial.evidence.statements.iter().filter(|told| told.limit == account.limit).collect();
        // Spend falls when a new window begins; then only the books can say what is right.
        if windows.len() == 1 {
            falls(trial, account, &told);
        }
        let pages = windows.iter().filter_map(|window| trial.books.pages.get(&(account.id, *window)));
        // The last window; in the minute before a change the next one may have begun in the books.
        let all: Vec<(i64, i64)> = pages.map(|page| (page.spent(), page.forfeited())).collect();
        let Some(&(spent, forfeited)) = all.last() else { continue };
        let at_rest = told.iter().filter(|told| told.at_rest).map(|told| (told.pod, *told));
        for last in at_rest.collect::<BTreeMap<_, _>>().into_values() {
            let now = if trial.evidence.fleet { &all[..] } else { &all[all.len() - 1..] };
            if !now.contains(&(last.spent, last.unattributed)) {
                let what = format!(
                    "{}: pod {} says {} spent and {} lost, the lender {spent} and {forfeited}",
                    account.name, last.pod, last.spent, last.unattributed
                );
                trial.find(Rule::Statement, what);
            }
        }
    }
}

fn falls(trial: &mut Trial<'_>, account: &Account, told: &[&Statement]) {
    let mut last: BTreeMap<usize, &Statement> = BTreeMap::new();
    for after in told {
        let Some(before) = last.insert(after.pod, after) else { continue };
        if after.spent < before.spent && !may_fall(trial.evidence, before, after) {
            let what = format!(
                "{}: fell from {} to {} at pod {}",
                account.name, before.spent, after.spent, after.pod
            );
            trial.find(Rule::Statement, what);
        }
    }
}

/// Where the lender is apart, a pod that has just begun knows nothing until it has asked, and what a lender forgot is
/// missing until all pods have told it again.
fn may_fall(evidence: &Evidence, before: &Statement, after: &Statement) -> bool {
    let began = |start: &Start| start.pod == after.pod && before.at <= start.at && start.at <= after.at;
    let forgot = |loss: &Step| before.at <= loss.to && loss.from <= after.at;
    evidence.fleet && (evidence.starts.iter().any(began) || evidence.losses.iter().any(forgot))
}
