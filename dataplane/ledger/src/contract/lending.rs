//! L5 to L8: totals, numbers, sizes, the limit.

use super::talk::{A, ACCOUNT, B, Talk, expect, totals};
use crate::{
    account::{AccountId, Incarnation},
    message::{Lend, MoneyAsk, Totals},
};

pub(super) fn maximum(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 100)?;
    let newer = talk.report(A, totals(g, 50, 20, 0));
    talk.say(newer)?;
    let older = talk.report(A, totals(g, 30, 5, 0));
    let answer = talk.say(older)?;
    expect("spent after an older report", answer.spent, 50)?;
    expect("leased after an older report", talk.stands()?.leased, g - 70)?;
    // Each total on its own.
    let mixed = talk.report(A, totals(g, 10, 40, 0));
    talk.say(mixed)?;
    expect("leased after a report with a greater R only", talk.stands()?.leased, g - 90)
}

pub(super) fn retry(talk: &mut Talk) -> Result<(), String> {
    let first = talk.grant(A, Totals::default(), 300)?;
    expect("G", first, 300)?;
    // The answer was lost: the pod asks again for the same G.
    expect("G after the retry", talk.grant(A, Totals::default(), 300)?, 300)
}

pub(super) fn twice(talk: &mut Talk) -> Result<(), String> {
    let ask = talk.lend(A, Totals::default(), 300);
    let first = talk.say(ask)?.granted;
    expect("G after the second arrival", talk.say(ask)?.granted, first)?;
    expect("leased", talk.stands()?.leased, first)
}

pub(super) fn late(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 10)?;
    let late = talk.lend(A, totals(g, 0, 0, 0), g + 300);
    // The pod gave up, and has said something since.
    let since = talk.report(A, totals(g, g, 0, 0));
    talk.say(since)?;
    expect("G after a late lend", talk.say(late)?.granted, g)?;
    expect("leased after a late lend", talk.stands()?.leased, 0)
}

pub(super) fn incarnations(talk: &mut Talk) -> Result<(), String> {
    let a = talk.grant(A, Totals::default(), 100)?;
    let b = talk.grant(B, Totals::default(), 200)?;
    let report = talk.report(A, totals(a, 60, 40, 0));
    expect("G of A", talk.say(report)?.granted, a)?;
    let report = talk.report(B, totals(b, 10, 0, 0));
    let answer = talk.say(report)?;
    expect("spent", answer.spent, 70)?;
    expect("leased to others than B", answer.leased_elsewhere, a - 100)?;
    let rows = talk.stands()?.rows;
    expect("rows", rows.len(), 2)
}

pub(super) fn in_order(talk: &mut Talk) -> Result<(), String> {
    let asks: Vec<MoneyAsk> = (1..=20)
        .map(|n| MoneyAsk { account: AccountId(n), ..talk.lend(A, Totals::default(), 100) })
        .collect();
    let first = talk.say_all(&asks)?;
    let wrong = asks.iter().zip(&first.money).find(|(ask, answer)| ask.account != answer.account);
    expect("an answer out of order", wrong.is_some(), false)?;
    expect("a generation", first.generation >= 1, true)?;
    let second = talk.say_all(&[])?;
    expect("the generation later", second.generation, first.generation)?;
    expect("the clock went back", second.wall < first.wall, false)
}

pub(super) fn limit(talk: &mut Talk) -> Result<(), String> {
    let mut granted = 0;
    for pod in 1..=40_u128 {
        granted += talk.grant(Incarnation(pod), Totals::default(), 37)?;
    }
    expect("granted beyond 1,000", granted > 1_000, false)?;
    let stands = talk.stands()?;
    expect("leased", stands.leased, granted)?;
    expect("above the limit", stands.spent + stands.leased + stands.forfeited > stands.limit, false)
}

pub(super) fn usable(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 1_000)?;
    expect("G of a pod that needs all", g, 1_000)?;
    let report = talk.report(A, totals(1_000, 1_000, 0, 0));
    expect("lendable", talk.say(report)?.lendable, 0)
}

pub(super) fn returned(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 1_000)?;
    expect("G of B while A holds all", talk.grant(B, Totals::default(), 400)?, 0)?;
    let report = talk.report(A, totals(g, 600, 400, 0));
    expect("lendable after the return", talk.say(report)?.lendable, 400)?;
    expect("G of B after the return", talk.grant(B, Totals::default(), 400)?, 400)
}

pub(super) fn overrun(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 100)?;
    let report = talk.report(A, totals(g, 100, g - 100, 850));
    expect("spent with the overrun", talk.say(report)?.spent, 950)?;
    expect("G of B, too large for what is left", talk.grant(B, Totals::default(), 60)?, 0)?;
    expect("G of B, within what is left", talk.grant(B, Totals::default(), 50)?, 50)?;
    // An overrun hides no later grant: S and O are separate totals.
    let report = talk.report(A, totals(g, 100, g - 100, 2_000));
    talk.say(report)?;
    expect("leased while overrun", talk.stands()?.leased, 50)?;
    expect("G of B while overrun", talk.grant(B, totals(50, 0, 0, 0), 51)?, 50)
}

pub(super) fn size(talk: &mut Talk) -> Result<(), String> {
    talk.limit.0 = 100_000;
    let first = talk.lend(A, Totals::default(), 10);
    let answer = talk.say(first)?;
    expect("tight", answer.tight, false)?;
    expect("G for a need of 10: limit / 100", answer.granted, 1_000)?;
    let second = talk.lend(B, Totals::default(), 7_000);
    expect("G for a need of 7,000", talk.say(second)?.granted, 7_000)?;
    // 92,000 lendable, spend it down to 800, two pods active: 800 / 8.
    let much = talk.lend(A, totals(1_000, 1_000, 0, 0), 92_200);
    expect("G for all but 800", talk.say(much)?.granted, 92_200)?;
    let little = talk.lend(B, totals(7_000, 7_000, 0, 0), 7_001);
    expect("G with 800 lendable and two pods", talk.say(little)?.granted, 7_100)?;
    let ahead = Some(Lend { at_least: 7_101, background: true });
    let refill = MoneyAsk { lend: ahead, ..talk.report(B, totals(7_100, 7_050, 0, 0)) };
    expect("a refill ahead of need is lent as well", talk.say(refill)?.granted > 7_100, true)
}

pub(super) fn tight(talk: &mut Talk) -> Result<(), String> {
    // 1,000 < 4 · 1 · 300.
    let ask = MoneyAsk { reservation: 300, ..talk.lend(A, Totals::default(), 300) };
    let answer = talk.say(ask)?;
    expect("tight", answer.tight, true)?;
    expect("G", answer.granted, 300)?;
    let background = Some(Lend { at_least: 400, background: true });
    let refill = MoneyAsk { reservation: 300, lend: background, ..talk.report(A, totals(300, 0, 0, 0)) };
    let answer = talk.say(refill)?;
    expect("G after a refill under tightness", answer.granted, 300)
}

pub(super) fn all_or_nothing(talk: &mut Talk) -> Result<(), String> {
    talk.grant(A, Totals::default(), 900)?;
    let ask = talk.lend(B, Totals::default(), 101);
    let answer = talk.say(ask)?;
    expect("G", answer.granted, 0)?;
    expect("short", answer.short, true)?;
    expect("lendable", answer.lendable, 100)?;
    let ask = talk.lend(B, Totals::default(), 100);
    let answer = talk.say(ask)?;
    expect("G for what there is", answer.granted, 100)?;
    expect("short when served", answer.short, false)
}

pub(super) fn recall(talk: &mut Talk) -> Result<(), String> {
    talk.grant(A, Totals::default(), 1_000)?;
    let background = Some(Lend { at_least: 5, background: true });
    let refill = MoneyAsk { lend: background, ..talk.report(B, Totals::default()) };
    talk.say(refill)?;
    expect("recalled for a refill", talk.recalls(A)?.accounts.len(), 0)?;
    talk.grant(B, Totals::default(), 5)?;
    expect("recalled from A", talk.recalls(A)?.accounts, vec![(ACCOUNT, B)])?;
    expect("recalled from B itself", talk.recalls(B)?.accounts, vec![])?;
    let report = talk.report(A, totals(1_000, 0, 0, 0));
    let answers = talk.say_all(&[report])?;
    expect("recalled by the answer", answers.recalls.accounts, vec![(ACCOUNT, B)])
}
