//! L4 and L2: limits and their age, accounts that go.

use super::talk::{A, B, Talk, expect, revision, totals};
use crate::{
    account::{AccountId, Revision},
    message::{MoneyAsk, Totals},
};

pub(super) fn newest(talk: &mut Talk) -> Result<(), String> {
    talk.limit = (1_000, revision(5));
    let report = talk.report(A, Totals::default());
    expect("limit", talk.say(report)?.limit, 1_000)?;
    talk.limit = (9_000, revision(4));
    let report = talk.report(B, Totals::default());
    expect("limit after an older revision", talk.say(report)?.limit, 1_000)?;
    talk.limit = (2_000, revision(6));
    let report = talk.report(B, Totals::default());
    expect("limit after a newer revision", talk.say(report)?.limit, 2_000)?;
    talk.limit = (500, Revision { epoch: 2, number: 1 });
    let report = talk.report(B, Totals::default());
    expect("limit after a newer epoch", talk.say(report)?.limit, 500)?;
    let silent = MoneyAsk { limit: None, ..talk.report(A, Totals::default()) };
    expect("limit after a report without one", talk.say(silent)?.limit, 500)
}

pub(super) fn lowered(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 800)?;
    talk.limit = (500, revision(2));
    expect("G of B under the lower limit", talk.grant(B, Totals::default(), 1)?, 0)?;
    expect("what A holds", talk.stands()?.leased, g)?;
    let report = talk.report(A, totals(g, 300, 450, 0));
    expect("lendable after A's return", talk.say(report)?.lendable, 150)?;
    expect("G of B after A's return", talk.grant(B, Totals::default(), 150)?, 150)
}

pub(super) fn unknown(talk: &mut Talk) -> Result<(), String> {
    let ask = MoneyAsk { limit: None, ..talk.lend(A, Totals::default(), 1) };
    expect("G", talk.say(ask)?.granted, 0)
}

pub(super) fn purge(talk: &mut Talk) -> Result<(), String> {
    talk.grant(A, Totals::default(), 100)?;
    let other = MoneyAsk { account: AccountId(7), ..talk.lend(A, Totals::default(), 100) };
    talk.say(other)?;
    expect("purged", talk.purge()?, true)?;
    expect("windows kept", talk.standing()?.len(), 0)?;
    expect("purged again", talk.purge()?, false)?;
    let report = MoneyAsk { account: AccountId(7), ..talk.report(A, totals(100, 0, 0, 0)) };
    expect("G of the other account", talk.say(report)?.granted, 100)
}
