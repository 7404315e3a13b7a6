//! What pods say: numbers, generations, limits, returns. Late, doubled and reordered messages change nothing.

use super::{Rule, Run, need, requests, same, tokens};
use crate::{
    account::Revision,
    clock::SECOND,
    rate::message::{RateAnswer, RateAsk, SlotTotals, UnitsAsk},
};

pub(super) const RULES: &[Rule] = &[
    ("L5 a message is carried out once", once),
    ("L5 a message older than one that was carried out is not", in_order),
    ("L5 a message of another generation is told the present one and gets nothing", generations),
    ("L5 a grant whose answer was never taken comes back", unheard),
    ("L4 the newest limits hold", newest_limits),
    ("L23 unused units come back, once", returns_once),
    ("L23 nobody returns more than was granted, nor another's", returns_bounded),
    ("L24 tokens beyond the estimate count from then on, once", over_counts),
];

fn once(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let ask = run.ask(1, 1, requests(10), need(4));
    let first = run.say(&ask)?;
    same("first time", (first.requests.granted, first.repeated), (4, false))?;
    same("marked as repeated", run.say(&ask)?.repeated, true)?;
    same("left for others", run.granted(&run.ask(2, 1, requests(10), need(10)))?, 6)
}

fn in_order(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    run.say(&run.ask(1, 5, requests(10), need(1)))?;
    let old = run.say(&run.ask(1, 4, requests(10), need(4)))?;
    same("grant to an old message", (old.requests.granted, old.repeated), (0, true))?;
    same("left for others", run.granted(&run.ask(2, 1, requests(10), need(10)))?, 9)
}

fn generations(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let present = run.say(&run.ask(1, 1, requests(10), need(1)))?.generation;
    let foreign = RateAsk { generation: present + 1, ..run.ask(1, 2, requests(10), need(4)) };
    let answer = run.say(&foreign)?;
    same("generation", answer.generation, present)?;
    same("grant", answer.requests.granted, 0)?;
    let known = RateAsk { generation: present, ..run.ask(1, 3, requests(10), need(10)) };
    same("grant to the present generation", run.granted(&known)?, 9)
}

fn unheard(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    run.say(&run.ask(1, 1, requests(10), need(1)))?;
    run.say(&run.ask(1, 2, requests(10), need(6)))?;
    run.stage.pass(3 * SECOND);
    let retry = RateAsk { answered: 1, ..run.ask(1, 3, requests(10), need(10)) };
    same("grant to one that missed 6 of 7", run.granted(&retry)?, 9)?;
    let again = RateAsk { answered: 1, ..run.ask(1, 3, requests(10), need(10)) };
    run.say(&again)?;
    same("left for others", run.granted(&run.ask(2, 1, requests(10), need(10)))?, 0)
}

fn newest_limits(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let aged = |ask: RateAsk, number| RateAsk { revision: Revision { epoch: 1, number }, ..ask };
    same("grant", run.granted(&aged(run.ask(1, 1, requests(10), need(4)), 2))?, 4)?;
    same("under an older limit", run.granted(&aged(run.ask(2, 1, requests(99), need(9)), 1))?, 6)?;
    same("under a newer limit", run.granted(&aged(run.ask(2, 2, requests(12), need(9)), 3))?, 2)?;
    same("under a lowered limit", run.granted(&aged(run.ask(2, 3, requests(1), need(9)), 4))?, 0)
}

/// A message that only reports.
fn report(run: &Run<'_>, who: u128, number: u64, totals: SlotTotals) -> RateAsk {
    RateAsk { slots: vec![totals], ..run.ask(who, number, requests(10), UnitsAsk::default()) }
}

fn back(answer: &RateAnswer, requests_back: u32) -> SlotTotals {
    SlotTotals { slot: answer.slot, requests_back, ..SlotTotals::default() }
}

fn returns_once(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let granted = run.say(&run.ask(1, 1, requests(10), need(10)))?;
    run.stage.pass(SECOND);
    let first = report(run, 1, 2, back(&granted, 4));
    same("free after 4 came back", run.say(&first)?.requests.free, 4)?;
    run.say(&first)?;
    let same_total = report(run, 1, 3, back(&granted, 4));
    same("free after the same total", run.say(&same_total)?.requests.free, 4)?;
    let lower = report(run, 1, 4, back(&granted, 3));
    same("free after a lower total", run.say(&lower)?.requests.free, 4)?;
    let higher = report(run, 1, 5, back(&granted, 6));
    same("free after 2 more", run.say(&higher)?.requests.free, 6)
}

fn returns_bounded(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let granted = run.say(&run.ask(1, 1, requests(10), need(2)))?;
    run.say(&run.ask(2, 1, requests(10), need(8)))?;
    let too_much = report(run, 1, 2, back(&granted, 9));
    same("free after 9 of 2 came back", run.say(&too_much)?.requests.free, 2)?;
    let foreign = report(run, 3, 1, back(&granted, 5));
    same("free after a stranger's return", run.say(&foreign)?.requests.free, 2)?;
    run.stage.pass(61 * SECOND);
    run.say(&run.ask(2, 2, requests(10), need(10)))?;
    let late = report(run, 2, 3, back(&granted, 8));
    same("free after a late return", run.say(&late)?.requests.free, 0)
}

fn over_counts(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let call = UnitsAsk { least: 300, need: 300, want: 300 };
    let granted = run.say(&RateAsk { tokens: call, ..run.ask(1, 1, tokens(1000), UnitsAsk::default()) })?;
    run.stage.pass(30 * SECOND);
    let over = SlotTotals { slot: granted.slot + 30, tokens_over: 500, ..SlotTotals::default() };
    let tell = |run: &Run<'_>, number| RateAsk {
        slots: vec![over],
        ..run.ask(1, number, tokens(1000), UnitsAsk::default())
    };
    same("free", run.say(&tell(run, 2))?.tokens.free, 200)?;
    same("free after the same total", run.say(&tell(run, 3))?.tokens.free, 200)?;
    run.stage.pass(31 * SECOND);
    let free = run.say(&run.ask(1, 4, tokens(1000), UnitsAsk::default()))?.tokens.free;
    same("free when only the excess counts", free, 500)?;
    run.stage.pass(30 * SECOND);
    let free = run.say(&run.ask(1, 5, tokens(1000), UnitsAsk::default()))?.tokens.free;
    same("free when nothing counts", free, 1000)
}
