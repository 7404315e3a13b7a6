//! L12: what a lender that keeps its books has told survives its death.

use super::talk::{A, B, Talk, expect, revision, totals};
use crate::{book::Standing, message::Totals};

pub(super) fn survives(talk: &mut Talk) -> Result<(), String> {
    let a = talk.grant(A, Totals::default(), 300)?;
    let b = talk.grant(B, Totals::default(), 200)?;
    let report = talk.report(A, totals(a, 120, 30, 7));
    talk.say(report)?;
    talk.close(B, totals(b, 50, 0, 0))?;
    let late = talk.lend(A, totals(a, 120, 30, 7), a + 100);
    talk.limit = (900, revision(2));
    let report = talk.report(A, totals(a, 130, 30, 7));
    let before = talk.say(report)?;
    let stood = talk.stands()?;
    if !talk.restart() {
        return Ok(());
    }
    same(talk, stood)?;
    expect("G after a late lend", talk.say(late)?.granted, a)?;
    talk.limit = (5_000, revision(1));
    let report = talk.report(A, totals(a, 130, 30, 7));
    let after = talk.say(report)?;
    expect("limit after an older revision", after.limit, 900)?;
    expect("lendable", after.lendable, before.lendable)?;
    expect("C", after.closed_total, before.closed_total)?;
    expect("G of closed B", talk.grant(B, totals(b, 50, 0, 0), b + 1)?, b)
}

pub(super) fn step_by_step(talk: &mut Talk) -> Result<(), String> {
    let mut held = Totals::default();
    for step in 1..=12 {
        held.granted = talk.grant(A, held, held.granted + 40)?;
        held.spent += 20;
        held.returned += step;
        let report = talk.report(A, held);
        talk.say(report)?;
        let stood = talk.stands()?;
        if !talk.restart() {
            return Ok(());
        }
        same(talk, stood)?;
    }
    talk.close(A, held)?;
    let freed = talk.write_off(A).map_err(|fault| fault.to_string())?;
    expect("written off", freed, held.leased())?;
    let stood = talk.stands()?;
    talk.restart();
    same(talk, stood)?;
    talk.purge()?;
    talk.restart();
    expect("windows kept after a purge", talk.standing()?.len(), 0)
}

/// The books after a restart are those before, but for when pods last spoke.
fn same(talk: &Talk, mut before: Standing) -> Result<(), String> {
    let mut after = talk.stands()?;
    for standing in [&mut before, &mut after] {
        standing.rows.iter_mut().for_each(|row| row.seen = None);
        standing.rows.sort_by_key(|row| row.incarnation);
    }
    expect("standing", after, before)
}
