//! A conversation with the lender under test: what a few pods say, with sensible values for what a rule does not mind.

use super::{Rig, block_on};
use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    book::Standing,
    clock::Now,
    lender::{LenderError, MemoryLender},
    message::{Answers, Batch, Lend, MoneyAnswer, MoneyAsk, Recalls, Totals},
    window::Window,
};

const HOUR: i64 = 3_600_000;

pub(super) struct Talk {
    rig: Rig,
    number: u64,
    mono: u64,
    /// The window that the lender's clock stands in.
    pub(super) today: Window,
    pub(super) limit: (i64, Revision),
}

/// Pods that speak.
pub(super) const A: Incarnation = Incarnation(0xA);
pub(super) const B: Incarnation = Incarnation(0xB);
pub(super) const ACCOUNT: AccountId = AccountId(0xACC);

pub(super) fn revision(number: u64) -> Revision {
    Revision { epoch: 1, number }
}

pub(super) fn totals(granted: i64, spent: i64, returned: i64, overrun: i64) -> Totals {
    Totals { granted, spent, returned, overrun }
}

/// Fails a rule with what was seen.
pub(super) fn expect<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, want: T) -> Result<(), String> {
    if seen == want { Ok(()) } else { Err(format!("{what}: {seen:?}, not {want:?}")) }
}

impl Talk {
    pub(super) fn new(rig: Rig) -> Self {
        let today = Window { start: rig.wall - HOUR, end: rig.wall + HOUR };
        Self { rig, number: 0, mono: 1_000_000_000, today, limit: (1_000, revision(1)) }
    }

    pub(super) fn wall(&self) -> i64 {
        self.rig.wall
    }

    /// A report of `who` in today's window, numbered after all before it.
    pub(super) fn report(&mut self, who: Incarnation, totals: Totals) -> MoneyAsk {
        self.number += 1;
        MoneyAsk {
            account: ACCOUNT,
            window: self.today,
            incarnation: who,
            pod: PodId(who.0),
            number: self.number,
            totals,
            reservation: 1,
            lend: None,
            limit: Some(self.limit),
            close: false,
            closed_total: 0,
            counted: false,
        }
    }

    /// The same with a wish that G be at least `at_least`.
    pub(super) fn lend(&mut self, who: Incarnation, totals: Totals, at_least: i64) -> MoneyAsk {
        let lend = Some(Lend { at_least, background: false });
        MoneyAsk { lend, ..self.report(who, totals) }
    }

    /// Says all in one batch.
    pub(super) fn say_all(&mut self, asks: &[MoneyAsk]) -> Result<Answers, String> {
        self.mono += 1_000_000;
        let batch = Batch {
            incarnation: asks.first().map_or(A, |ask| ask.incarnation),
            pod: asks.first().map_or(PodId(0xA), |ask| ask.pod),
            recalls_after: 0,
            money: asks.to_vec(),
            rates: Vec::new(),
        };
        let now = Now { mono: self.mono, wall: self.rig.wall };
        let answers = block_on(self.rig.lender.exchange(now, &batch)).map_err(|fault| fault.to_string())?;
        expect("number of answers", answers.money.len(), asks.len())?;
        Ok(answers)
    }

    pub(super) fn say(&mut self, ask: MoneyAsk) -> Result<MoneyAnswer, String> {
        let answers = self.say_all(&[ask])?;
        answers.money.first().copied().ok_or_else(|| "no answer".to_owned())
    }

    /// Lends `need` more to an incarnation that the lender knows by `totals`; its G afterwards.
    pub(super) fn grant(&mut self, who: Incarnation, totals: Totals, at_least: i64) -> Result<i64, String> {
        let ask = self.lend(who, totals, at_least);
        Ok(self.say(ask)?.granted)
    }

    pub(super) fn close(&mut self, who: Incarnation, totals: Totals) -> Result<MoneyAnswer, String> {
        let ask = MoneyAsk { close: true, ..self.report(who, totals) };
        self.say(ask)
    }

    pub(super) fn recalls(&self, reader: Incarnation) -> Result<Recalls, String> {
        block_on(self.rig.lender.recalls(reader, 0)).map_err(|fault| fault.to_string())
    }

    pub(super) fn standing(&self) -> Result<Vec<Standing>, String> {
        block_on(self.rig.lender.standing(ACCOUNT)).map_err(|fault| fault.to_string())
    }

    /// How today's window stands.
    pub(super) fn stands(&self) -> Result<Standing, String> {
        let all = self.standing()?;
        let today = all.into_iter().find(|standing| standing.window == self.today);
        today.ok_or_else(|| "the lender does not know today's window".to_owned())
    }

    pub(super) fn write_off(&self, who: Incarnation) -> Result<i64, LenderError> {
        block_on(self.rig.lender.write_off(ACCOUNT, self.today, who))
    }

    pub(super) fn purge(&self) -> Result<bool, String> {
        block_on(self.rig.lender.purge(ACCOUNT)).map_err(|fault| fault.to_string())
    }

    /// Kills and reopens the lender; false when it keeps nothing.
    pub(super) fn restart(&mut self) -> bool {
        let Some(restart) = &self.rig.restart else { return false };
        let old = std::mem::replace(&mut self.rig.lender, Box::new(MemoryLender::default()));
        self.rig.lender = restart(old);
        true
    }
}
