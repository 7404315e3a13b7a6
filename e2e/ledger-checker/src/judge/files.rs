//! Spend files against the lender's rows.

use super::trial::{Rule, Trial};
use std::collections::BTreeMap;

pub(super) fn check(trial: &mut Trial<'_>) {
    let mut told: BTreeMap<_, (i64, i64, bool)> = BTreeMap::new();
    // A window that was left and entered again has two records: of each total the greater counts.
    for file in &trial.evidence.spent {
        let key = (file.account, file.window, file.incarnation);
        let (spent, overrun, gone) = told.entry(key).or_default();
        (*spent, *overrun, *gone) = (file.spent.max(*spent), file.overrun.max(*overrun), file.gone);
        if file.spent > file.granted {
            let what = format!("{:032x} spent {} of {} granted", file.incarnation, file.spent, file.granted);
            trial.find(Rule::File, what);
        }
    }
    for ((account, window, incarnation), (spent, overrun, gone)) in told {
        let page = trial.books.pages.get(&(account, window));
        let row = page.and_then(|page| page.rows.get(&incarnation));
        // Of a window that ended long ago the lender keeps the sum; the sum itself is judged by the bills.
        if row.is_none() && page.is_some_and(|page| page.summed() >= spent + overrun) {
            continue;
        }
        let known = row.map(|row| (row.spent, row.overrun));
        let nothing = known.is_none() && (spent, overrun) == (0, 0);
        // The lender did not hear the last words of a pod that is gone.
        if gone && known.is_none_or(|(heard, beyond)| heard <= spent && beyond <= overrun) {
            continue;
        }
        if known != Some((spent, overrun)) && !nothing {
            let what = format!(
                "{incarnation:032x} wrote {spent} and {overrun} beyond, the lender knows {known:?}, {window:?}"
            );
            trial.find(Rule::File, what);
        }
    }
}
