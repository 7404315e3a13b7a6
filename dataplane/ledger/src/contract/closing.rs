//! L5a and L10: incarnations that end.

use super::talk::{A, B, Talk, expect, totals};
use crate::{lender::LenderError, message::Totals};

pub(super) fn no_grants(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 100)?;
    expect("closed", talk.close(A, totals(g, g, 0, 0))?.closed, true)?;
    let ask = talk.lend(A, totals(g, g, 0, 0), g + 1);
    let answer = talk.say(ask)?;
    expect("G after closing", answer.granted, g)?;
    expect("closed in later answers", answer.closed, true)
}

pub(super) fn forfeits(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 800)?;
    let answer = talk.close(A, totals(g, 300, 100, 0))?;
    expect("forfeited", answer.forfeited, 400)?;
    expect("lendable", answer.lendable, 300)?;
    expect("G of B above what is left", talk.grant(B, Totals::default(), 301)?, 0)?;
    expect("G of B within what is left", talk.grant(B, Totals::default(), 300)?, 300)?;
    let stands = talk.stands()?;
    expect("leased", stands.leased, 300)?;
    expect("forfeited in the end", stands.forfeited, 400)
}

pub(super) fn closed_total(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 800)?;
    expect("C before", talk.stands()?.closed_total, 0)?;
    expect("C", talk.close(A, totals(g, 300, 100, 0))?.closed_total, 700)?;
    // A return after the closing would lower C: it does not count.
    let late = talk.report(A, totals(g, 300, 500, 0));
    expect("C after a late return", talk.say(late)?.closed_total, 700)?;
    let other = talk.report(B, Totals::default());
    expect("C in the answer to another", talk.say(other)?.closed_total, 700)?;
    expect("C in the status", talk.stands()?.closed_total, 700)
}

pub(super) fn late_spend(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 800)?;
    talk.close(A, totals(g, 300, 0, 0))?;
    let late = talk.report(A, totals(g, 450, 0, 0));
    let answer = talk.say(late)?;
    expect("spent", answer.spent, 450)?;
    expect("forfeited", answer.forfeited, 350)?;
    expect("lendable", answer.lendable, 200)?;
    let twice = talk.report(A, totals(g, 450, 0, 0));
    expect("lendable after a repetition", talk.say(twice)?.lendable, 200)
}

pub(super) fn write_off(talk: &mut Talk) -> Result<(), String> {
    let g = talk.grant(A, Totals::default(), 800)?;
    let live = talk.write_off(A);
    expect("a live one was written off", matches!(live, Err(LenderError::WriteOff(_))), true)?;
    expect("leased after the refusal", talk.stands()?.leased, g)?;
    talk.close(A, totals(g, 300, 0, 0))?;
    expect("written off", talk.write_off(A).map_err(|fault| fault.to_string())?, 500)?;
    let stands = talk.stands()?;
    expect("forfeited", stands.forfeited, 0)?;
    expect("C is not lowered", stands.closed_total, 800)?;
    // It turns out to have spent some of it: that is no longer written off.
    let late = talk.report(A, totals(g, 350, 0, 0));
    expect("lendable", talk.say(late)?.lendable, 650)?;
    expect("G of B for all that is left", talk.grant(B, Totals::default(), 651)?, 0)
}
