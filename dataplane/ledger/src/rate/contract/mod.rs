//! What every lender of rates must do, rule by rule; run against each lender, and against broken ones, which must be
//! refused. Every rule has an account of its own.

mod permits;
mod window;
mod words;

use std::num::NonZeroU32;

use super::message::{RateAnswer, RateAsk, RateLimits, UnitsAsk};
use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    clock::{Now, SECOND},
    lender::{Lender, LenderError, Pending, at_once},
    message::{Answers, Batch},
};

/// The suite's clock and executor.
pub trait Stage {
    /// This moment, as the lender is told it.
    fn now(&mut self) -> Now;
    /// Lets `nanos` pass.
    fn pass(&mut self, nanos: u64);
    /// Waits for an answer.
    ///
    /// # Errors
    /// Those of the lender.
    fn answers(&mut self, pending: Pending<'_, Answers>) -> Result<Answers, LenderError>;
}

/// Simulated time, for lenders that take the clock from their caller and answer at once.
#[derive(Clone, Copy, Debug)]
pub struct Simulated(pub Now);

impl Stage for Simulated {
    fn now(&mut self) -> Now {
        self.0
    }

    fn pass(&mut self, nanos: u64) {
        self.0 = self.0.plus_millis(nanos / 1_000_000);
        self.0.mono += nanos % 1_000_000;
    }

    fn answers(&mut self, pending: Pending<'_, Answers>) -> Result<Answers, LenderError> {
        at_once(pending)
    }
}

/// A rule that a lender broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

type Rule = (&'static str, fn(&mut Run<'_>) -> Result<(), String>);

/// Runs all rules. Durability is [`survives`]'s, because it needs a lender opened twice.
pub fn check(lender: &dyn Lender, stage: &mut dyn Stage) -> Vec<Breach> {
    let rules = window::RULES.iter().chain(words::RULES).chain(permits::RULES);
    let mut breaches = Vec::new();
    for (at, (rule, check)) in (1_u128..).zip(rules) {
        if let Err(seen) = check(&mut Run { lender, stage, account: AccountId(at) }) {
            breaches.push(Breach { rule, seen });
        }
    }
    breaches
}

/// L12: what was granted still counts after the lender was killed and opened again, and is free after the minute.
///
/// # Errors
/// What was seen instead.
pub fn survives(open: &mut dyn FnMut(Now) -> Box<dyn Lender>, stage: &mut dyn Stage) -> Result<(), String> {
    let account = AccountId(u128::MAX);
    let lender = open(stage.now());
    let mut run = Run { lender: &*lender, stage, account };
    let granted = run.say(&run.ask(1, 1, requests(10), need(6)))?.requests.granted;
    same("granted before the restart", granted, 6)?;
    drop(lender);
    // The monotonic clock of a new process starts anywhere.
    stage.pass(20 * SECOND);
    let lender = open(stage.now());
    let mut run = Run { lender: &*lender, stage, account };
    let granted = run.say(&run.ask(2, 1, requests(10), need(10)))?.requests.granted;
    same("granted after the restart", granted, 4)?;
    run.stage.pass(42 * SECOND);
    let granted = run.say(&run.ask(2, 2, requests(10), need(10)))?.requests.granted;
    same("granted after the minute", granted, 6)
}

/// One rule under way.
struct Run<'a> {
    lender: &'a dyn Lender,
    stage: &'a mut dyn Stage,
    account: AccountId,
}

impl Run<'_> {
    /// Message `number` of incarnation `who`, asking for requests.
    fn ask(&self, who: u128, number: u64, limits: RateLimits, requests: UnitsAsk) -> RateAsk {
        RateAsk {
            account: self.account,
            incarnation: Incarnation(who),
            number,
            generation: 0,
            limits,
            revision: Revision::default(),
            ahead: false,
            answered: number - 1,
            requests,
            tokens: UnitsAsk::default(),
            permits: super::message::PermitsAsk::default(),
            slots: Vec::new(),
        }
    }

    fn say(&mut self, ask: &RateAsk) -> Result<RateAnswer, String> {
        let pod = PodId(ask.incarnation.0);
        let batch = Batch {
            incarnation: ask.incarnation,
            pod,
            recalls_after: 0,
            money: Vec::new(),
            rates: vec![ask.clone()],
        };
        let now = self.stage.now();
        let answers =
            self.stage.answers(self.lender.exchange(now, &batch)).map_err(|fault| fault.to_string())?;
        let answer = answers.rates.first().copied().ok_or("no answer")?;
        same("account answered", answer.account, ask.account)?;
        same("number answered", answer.number, ask.number)?;
        Ok(answer)
    }

    /// Requests granted to a message.
    fn granted(&mut self, ask: &RateAsk) -> Result<u32, String> {
        self.say(ask).map(|answer| answer.requests.granted)
    }

    /// Lets time pass until a slot has just begun.
    fn slot_begins(&mut self) -> Result<(), String> {
        let probe = self.ask(99, 1, requests(1), UnitsAsk::default());
        let probe = RateAsk { account: AccountId(self.account.0 | 1 << 100), ..probe };
        let left = self.say(&probe)?.left;
        self.stage.pass(left);
        Ok(())
    }
}

fn requests(limit: u32) -> RateLimits {
    RateLimits { requests: NonZeroU32::new(limit), ..RateLimits::default() }
}

fn tokens(limit: u32) -> RateLimits {
    RateLimits { tokens: NonZeroU32::new(limit), ..RateLimits::default() }
}

fn need(units: u32) -> UnitsAsk {
    UnitsAsk { least: units.min(1), need: units, want: units }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, right: T) -> Result<(), String> {
    if seen == right { Ok(()) } else { Err(format!("{what}: {seen:?}, not {right:?}")) }
}

#[cfg(test)]
mod broken_tests;
