//! L25: permits for calls in flight.

use std::num::NonZeroU32;

use super::{Rule, Run, same};
use crate::{
    clock::SECOND,
    rate::{
        book::PERMIT_LEASE,
        message::{PermitsAsk, RateAnswer, RateLimits, UnitsAsk},
    },
};

pub(super) const RULES: &[Rule] = &[
    ("L25 no more permits than the limit", limit_holds),
    ("L25 a pod keeps what it says that it holds and no more", holds),
    ("L25 permits of a pod that is silent are free after the lease, not before", silence),
    ("L25 pods are told when few are left", tight),
];

fn permits(run: &mut Run<'_>, who: u128, number: u64, hold: u32, need: u32) -> Result<RateAnswer, String> {
    let limits = RateLimits { parallel: NonZeroU32::new(10), ..RateLimits::default() };
    let mut ask = run.ask(who, number, limits, UnitsAsk::default());
    ask.permits = PermitsAsk { hold, need, want: need };
    run.say(&ask)
}

fn limit_holds(run: &mut Run<'_>) -> Result<(), String> {
    same("first pod", permits(run, 1, 1, 0, 7)?.permits, 7)?;
    same("second pod", permits(run, 2, 1, 0, 7)?.permits, 3)?;
    same("beyond the limit", permits(run, 2, 2, 3, 1)?.permits, 3)
}

fn holds(run: &mut Run<'_>) -> Result<(), String> {
    permits(run, 1, 1, 0, 7)?;
    same("after 5 were given back", permits(run, 1, 2, 2, 0)?.permits, 2)?;
    same("second pod", permits(run, 2, 1, 0, 10)?.permits, 8)?;
    same("a late message of the first", permits(run, 1, 1, 0, 7)?.repeated, true)?;
    same("what the first holds still", permits(run, 2, 2, 8, 1)?.permits, 8)
}

fn silence(run: &mut Run<'_>) -> Result<(), String> {
    permits(run, 1, 1, 0, 7)?;
    run.stage.pass(PERMIT_LEASE - SECOND);
    same("before the lease ends", permits(run, 2, 1, 0, 10)?.permits, 3)?;
    run.stage.pass(SECOND + SECOND / 2);
    same("after it ended", permits(run, 2, 2, 3, 7)?.permits, 10)?;
    same("a pod that was thought dead", permits(run, 1, 2, 7, 1)?.permits, 7)?;
    same("while more are held than the limit", permits(run, 2, 3, 5, 1)?.permits, 5)
}

fn tight(run: &mut Run<'_>) -> Result<(), String> {
    same("with 8 of 10 left", permits(run, 1, 1, 0, 2)?.tight, false)?;
    same("with 3 of 10 left", permits(run, 1, 2, 2, 5)?.tight, true)
}
