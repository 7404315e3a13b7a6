//! L3: windows by the lender's clock.

use super::talk::{A, B, Talk, expect, totals};
use crate::{
    message::{MoneyAsk, Totals, WindowState},
    window::Window,
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

pub(super) fn ended(talk: &mut Talk) -> Result<(), String> {
    talk.today = Window { start: talk.wall() - 3 * HOUR, end: talk.wall() - 2 * HOUR };
    let report = talk.report(A, totals(100, 60, 30, 0));
    let answer = talk.say(report)?;
    expect("state", answer.state, WindowState::Ended)?;
    expect("spent", talk.stands()?.spent, 60)?;
    expect("G", talk.grant(A, totals(100, 60, 30, 0), 150)?, 100)
}

pub(super) fn too_late(talk: &mut Talk) -> Result<(), String> {
    talk.today = Window { start: talk.wall() - 60 * HOUR, end: talk.wall() - 49 * HOUR };
    let report = talk.report(A, totals(100, 60, 40, 0));
    expect("state", talk.say(report)?.state, WindowState::Ended)?;
    let kept = talk.standing()?.into_iter().filter(|s| s.window == talk.today).map(|s| s.spent).sum::<i64>();
    expect("spent", kept, 0)
}

pub(super) fn ahead(talk: &mut Talk) -> Result<(), String> {
    talk.today = Window { start: talk.wall() + 30_000, end: talk.wall() + HOUR };
    let ask = talk.lend(A, Totals::default(), 100);
    let answer = talk.say(ask)?;
    expect("state half a minute ahead", answer.state, WindowState::Open)?;
    expect("G half a minute ahead", answer.granted, 100)?;
    talk.today = Window { start: talk.wall() + 2 * HOUR, end: talk.wall() + 3 * HOUR };
    let ask = talk.lend(A, Totals::default(), 100);
    let answer = talk.say(ask)?;
    expect("state two hours ahead", answer.state, WindowState::Early)?;
    expect("G two hours ahead", answer.granted, 0)
}

pub(super) fn overlapping(talk: &mut Talk) -> Result<(), String> {
    let stored = talk.today;
    talk.grant(A, Totals::default(), 1_000)?;
    let shifted = Window { start: stored.start + MINUTE, end: stored.end + MINUTE };
    let ask = MoneyAsk { window: shifted, ..talk.lend(B, Totals::default(), 100) };
    let answer = talk.say(ask)?;
    expect("state", answer.state, WindowState::Overlaps(stored))?;
    expect("G in a window that overlaps", answer.granted, 0)
}

pub(super) fn overlapping_ended(talk: &mut Talk) -> Result<(), String> {
    let today = talk.today;
    talk.today = Window { start: talk.wall() - 3 * HOUR, end: talk.wall() - HOUR / 2 };
    let report = talk.report(A, totals(100, 60, 40, 0));
    talk.say(report)?;
    talk.today = today;
    let ask = talk.lend(A, Totals::default(), 1_000);
    let answer = talk.say(ask)?;
    expect("state", answer.state, WindowState::Open)?;
    expect("G", answer.granted, 1_000)
}

pub(super) fn separate(talk: &mut Talk) -> Result<(), String> {
    let today = Window { end: talk.wall() + 30_000, ..talk.today };
    let tomorrow = Window { start: today.end, end: today.end + HOUR };
    talk.today = today;
    expect("G today", talk.grant(A, Totals::default(), 1_000)?, 1_000)?;
    talk.today = tomorrow;
    expect("G tomorrow", talk.grant(A, Totals::default(), 1_000)?, 1_000)?;
    expect("windows kept", talk.standing()?.len(), 2)
}
