//! L23 and L24: the sliding window.

use super::{Rule, Run, need, requests, same, tokens};
use crate::{
    clock::SECOND,
    rate::message::{RateAsk, UnitsAsk},
};

pub(super) const RULES: &[Rule] = &[
    ("L23 no more than the limit is granted, whoever asks", limit_holds),
    ("L23 a grant counts in its slot and the 60 that follow, and no longer", window_slides),
    ("L23 what is needed is granted, what is only wanted up to a fair share", shares),
    ("L23 what is granted ahead counts in both slots", ahead_counts),
    ("L23 a refusal says when there is room", wait_is_true),
    ("L24 a call's tokens are granted whole or not at all", tokens_whole),
    ("L24 requests and tokens of one account do not mix", apart),
];

fn limit_holds(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let first = run.granted(&run.ask(1, 1, requests(10), need(7)))?;
    same("first pod's grant", first, 7)?;
    same("second pod's grant", run.granted(&run.ask(2, 1, requests(10), need(7)))?, 3)?;
    same("grant beyond the limit", run.granted(&run.ask(1, 2, requests(10), need(1)))?, 0)
}

fn window_slides(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    same("first grant", run.granted(&run.ask(1, 1, requests(10), need(10)))?, 10)?;
    run.stage.pass(60 * SECOND);
    same("grant 60 slots later", run.granted(&run.ask(1, 2, requests(10), need(10)))?, 0)?;
    run.stage.pass(SECOND);
    same("grant 61 slots later", run.granted(&run.ask(1, 3, requests(10), need(10)))?, 10)
}

fn shares(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let wish = |need: u32, want: u32| UnitsAsk { least: need.min(1), need, want };
    same("one pod's share of 100", run.granted(&run.ask(1, 1, requests(100), wish(1, 100)))?, 50)?;
    let answer = run.say(&run.ask(2, 1, requests(100), wish(1, 100)))?;
    same("pods", answer.pods, 2)?;
    same("two pods' share of 50, rounded up", answer.requests.granted, 13)?;
    same("free after it", answer.requests.free, 37)?;
    same("a need above the share", run.granted(&run.ask(1, 2, requests(100), wish(30, 30)))?, 30)?;
    same("a need above what is free", run.granted(&run.ask(1, 3, requests(100), wish(30, 30)))?, 7)?;
    run.stage.pass(11 * SECOND);
    let answer = run.say(&run.ask(3, 1, requests(100), UnitsAsk::default()))?;
    same("pods heard in the last 10 s", answer.pods, 1)
}

fn ahead_counts(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    same("grant", run.granted(&run.ask(1, 1, requests(10), need(2)))?, 2)?;
    let ahead = RateAsk { ahead: true, ..run.ask(1, 2, requests(10), need(5)) };
    let now = run.say(&run.ask(2, 1, requests(10), UnitsAsk::default()))?.slot;
    let answer = run.say(&ahead)?;
    same("slot of a grant ahead", answer.slot, now + 1)?;
    same("grant ahead", answer.requests.granted, 5)?;
    same("grant now", run.granted(&run.ask(2, 2, requests(10), need(10)))?, 3)?;
    run.stage.pass(60 * SECOND);
    same("grant 60 slots later", run.granted(&run.ask(2, 3, requests(10), need(10)))?, 0)?;
    run.stage.pass(SECOND);
    same("grant 61 slots later", run.granted(&run.ask(2, 4, requests(10), need(10)))?, 5)
}

fn wait_is_true(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    run.granted(&run.ask(1, 1, requests(10), need(6)))?;
    run.stage.pass(10 * SECOND + SECOND / 4);
    run.granted(&run.ask(1, 2, requests(10), need(4)))?;
    let refused = run.say(&run.ask(1, 3, requests(10), need(1)))?.requests;
    same("grant beyond the limit", refused.granted, 0)?;
    same("free", refused.free, 0)?;
    same("time until there is room", refused.wait, 50 * SECOND + SECOND / 4 * 3)?;
    same("time until all is free", refused.reset, 60 * SECOND + SECOND / 4 * 3)?;
    run.stage.pass(refused.wait - 1);
    same("grant just before", run.granted(&run.ask(1, 4, requests(10), need(1)))?, 0)?;
    run.stage.pass(1);
    same("grant at that time", run.granted(&run.ask(1, 5, requests(10), need(1)))?, 1)
}

fn tokens_whole(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let wish = |least, need| UnitsAsk { least, need, want: need };
    let mut say = |number, wish| {
        let ask = RateAsk { tokens: wish, ..run.ask(1, number, tokens(1000), UnitsAsk::default()) };
        run.say(&ask).map(|answer| answer.tokens)
    };
    same("grant", say(1, wish(700, 700))?.granted, 700)?;
    let refused = say(2, wish(400, 400))?;
    same("grant of less than one call takes", refused.granted, 0)?;
    same("free", refused.free, 300)?;
    same("grant for two calls of which one fits", say(3, wish(200, 400))?.granted, 300)
}

fn apart(run: &mut Run<'_>) -> Result<(), String> {
    run.slot_begins()?;
    let both = crate::rate::RateLimits { tokens: tokens(500).tokens, ..requests(5) };
    let wish = UnitsAsk { least: 500, need: 500, want: 500 };
    let answer = run.say(&RateAsk { tokens: wish, ..run.ask(1, 1, both, need(2)) })?;
    same("requests", answer.requests.granted, 2)?;
    same("tokens", answer.tokens.granted, 500)?;
    same("requests left", run.granted(&run.ask(1, 2, both, need(9)))?, 3)
}
