//! Never above the limit, at any instant that the books or the pods tell of; and nothing beyond reservations.

use super::books::Books;
use super::trial::{Rule, Trial};
use crate::evidence::{Account, Entry, History};

pub(super) fn check(trial: &mut Trial<'_>) {
    let evidence = trial.evidence;
    for history in &evidence.books {
        for account in &evidence.accounts {
            if let Some(what) = broken(history, account) {
                trial.find(Rule::Cap, what);
            }
        }
    }
    for (_, page) in trial.books.pages.clone() {
        if page.overrun() != 0 {
            trial.find(Rule::Overrun, format!("{} beyond what was reserved", page.overrun()));
        }
    }
    for told in &evidence.statements {
        if told.spent + told.unattributed > told.limit {
            let what =
                format!("pod {} says {} of {}, {} lost", told.pod, told.spent, told.limit, told.unattributed);
            trial.find(Rule::Cap, what);
        }
    }
}

/// The first frame after which an account is above its limit.
fn broken(history: &History, account: &Account) -> Option<String> {
    let mut books = Books::default();
    for (at, frame) in history.frames.iter().enumerate() {
        books.turn(frame);
        for entry in frame {
            let Entry::Row(row) = entry else { continue };
            let page = books.pages.get(&(row.account, row.window)).filter(|_| row.account == account.id);
            let Some(page) = page else { continue };
            let (spent, leased, lost) = (page.spent(), page.leased(), page.forfeited());
            if spent + leased + lost > account.limit {
                let limit = account.limit;
                return Some(format!(
                    "{}: {spent} spent, {leased} lent and {lost} lost of {limit} after frame {at}",
                    account.name
                ));
            }
        }
    }
    None
}
