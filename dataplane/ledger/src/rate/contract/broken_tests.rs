//! The suite against whole lenders, and against lenders that break one rule each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    future::ready,
    sync::{Arc, Mutex},
};

use super::{Breach, Simulated, check, survives};
use crate::{
    account::{AccountId, Incarnation, Revision},
    book::Standing,
    clock::Now,
    lender::{FileLender, Lender, MemoryLender, Pending, at_once},
    message::{Answers, Batch, Recalls},
    rate::message::{RateAnswer, RateAsk},
    window::Window,
};

const START: Now = Now { mono: 5_000_000_123, wall: 1_700_000_000_000 };

/// What is wrong with a lender: changes to messages before they reach a whole one, or to its answers.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    rule: &'static str,
    ask: fn(&mut RateAsk, &mut u64, &mut Now),
    answer: fn(&mut RateAnswer),
}

const NONE: Fault = Fault { name: "", rule: "", ask: |_, _, _| {}, answer: |_| {} };

const FAULTS: &[Fault] = &[
    Fault {
        name: "knows every pod as another account",
        rule: "L23 no more than the limit",
        ask: |ask, _, _| ask.account.0 ^= ask.incarnation.0 << 64,
        ..NONE
    },
    Fault {
        name: "adds to its grants",
        rule: "L23 no more",
        answer: |answer| answer.requests.granted += 1,
        ..NONE
    },
    Fault {
        name: "has seconds that are too short",
        rule: "L23 a grant counts in its slot",
        ask: |_, _, now| now.mono += now.mono / 50,
        ..NONE
    },
    Fault {
        name: "has seconds that are too long",
        rule: "L23 a grant counts in its slot",
        ask: |_, _, now| now.mono -= now.mono / 50,
        ..NONE
    },
    Fault {
        name: "grants all that is wanted",
        rule: "L23 what is needed is granted",
        ask: |ask, _, _| ask.requests.need = ask.requests.need.max(ask.requests.want),
        ..NONE
    },
    Fault {
        name: "grants ahead into the present slot",
        rule: "L23 what is granted ahead",
        ask: |ask, _, _| ask.ahead = false,
        ..NONE
    },
    Fault {
        name: "forgets what it granted ahead",
        rule: "L23 what is granted ahead",
        ask: |ask, _, _| {
            if ask.ahead {
                ask.account.0 |= 1 << 99;
            }
        },
        ..NONE
    },
    Fault {
        name: "promises room too early",
        rule: "L23 a refusal says when",
        answer: |answer| answer.requests.wait /= 2,
        ..NONE
    },
    Fault {
        name: "grants a part of a call's tokens",
        rule: "L24 a call's tokens",
        ask: |ask, _, _| ask.tokens.least = ask.tokens.least.min(1),
        ..NONE
    },
    Fault {
        name: "takes requests for tokens",
        rule: "L24 requests and tokens",
        ask: |ask, _, _| std::mem::swap(&mut ask.requests, &mut ask.tokens),
        ..NONE
    },
    Fault {
        name: "carries out repeated messages",
        rule: "L5 a message is carried out once",
        ask: |ask, number, _| {
            *number += 1;
            (ask.number, ask.answered) = (*number, *number - 1);
        },
        ..NONE
    },
    Fault {
        name: "hides repetitions",
        rule: "L5 a message is",
        answer: |answer| answer.repeated = false,
        ..NONE
    },
    Fault {
        name: "carries out old messages",
        rule: "L5 a message older",
        ask: |ask, number, _| {
            *number = ask.number.max(*number + 1);
            ask.number = *number;
        },
        ..NONE
    },
    Fault {
        name: "serves every generation",
        rule: "L5 a message of another generation",
        ask: |ask, _, _| ask.generation = 0,
        ..NONE
    },
    Fault {
        name: "keeps what nobody received",
        rule: "L5 a grant whose answer",
        ask: |ask, _, _| ask.answered = ask.number - 1,
        ..NONE
    },
    Fault {
        name: "believes old limits",
        rule: "L4 the newest limits",
        ask: |ask, number, _| {
            *number += 1;
            ask.revision = Revision { epoch: 9, number: *number };
        },
        ..NONE
    },
    Fault {
        name: "keeps the first limits",
        rule: "L4 the newest limits",
        ask: |ask, number, _| {
            *number += 1;
            ask.revision = Revision { epoch: 0, number: u64::MAX - *number };
        },
        ..NONE
    },
    Fault {
        name: "ignores returns",
        rule: "L23 unused units come back",
        ask: |ask, _, _| ask.slots.iter_mut().for_each(|totals| totals.requests_back = 0),
        ..NONE
    },
    Fault {
        name: "takes returns from anybody",
        rule: "L23 nobody returns more",
        ask: |ask, number, _| {
            *number = ask.number.max(*number + 1);
            ask.number = *number;
            ask.incarnation = Incarnation(1);
        },
        ..NONE
    },
    Fault {
        name: "forgives excess",
        rule: "L24 tokens beyond",
        ask: |ask, _, _| ask.slots.iter_mut().for_each(|totals| totals.tokens_over = 0),
        ..NONE
    },
    Fault {
        name: "counts excess again with every message",
        rule: "L24 tokens beyond",
        ask: |ask, number, _| {
            *number += 100;
            ask.slots.iter_mut().for_each(|totals| totals.tokens_over += u32::try_from(*number).unwrap());
        },
        ..NONE
    },
    Fault {
        name: "forgets permits",
        rule: "L25 no more permits",
        ask: |ask, _, _| ask.permits.hold = 0,
        answer: |answer| answer.permits += 1,
    },
    Fault {
        name: "never takes permits back",
        rule: "L25 a pod keeps",
        ask: |ask, _, _| ask.permits.hold = ask.permits.hold.max(7),
        ..NONE
    },
    Fault {
        name: "waits for the dead for ever",
        rule: "L25 permits of a pod that is silent",
        ask: |_, _, now| now.mono = 6_000_000_000 + now.mono / 100,
        ..NONE
    },
    Fault {
        name: "is never short of permits",
        rule: "L25 pods are told",
        answer: |answer| answer.tight = false,
        ..NONE
    },
];

struct Broken {
    inner: Box<dyn Lender>,
    fault: Fault,
    number: Arc<Mutex<u64>>,
}

impl Lender for Broken {
    fn exchange<'a>(&'a self, mut now: Now, batch: &'a Batch) -> Pending<'a, Answers> {
        let mut batch = batch.clone();
        let mut number = self.number.lock().unwrap();
        let names: Vec<_> = batch.rates.iter().map(|ask| (ask.account, ask.number)).collect();
        for ask in &mut batch.rates {
            (self.fault.ask)(ask, &mut number, &mut now);
        }
        let mut answers = at_once(self.inner.exchange(now, &batch)).unwrap();
        for (answer, name) in answers.rates.iter_mut().zip(names) {
            (answer.account, answer.number) = name;
            (self.fault.answer)(answer);
        }
        Box::pin(ready(Ok(answers)))
    }

    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls> {
        self.inner.recalls(reader, after)
    }

    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>> {
        self.inner.standing(account)
    }

    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64> {
        self.inner.write_off(account, window, who)
    }

    fn purge(&self, account: AccountId) -> Pending<'_, bool> {
        self.inner.purge(account)
    }

    fn is_local(&self) -> bool {
        true
    }
}

fn breaches(fault: Fault) -> Vec<Breach> {
    let inner: Box<dyn Lender> = Box::new(MemoryLender::default());
    check(&Broken { inner, fault, number: Arc::default() }, &mut Simulated(START))
}

#[test]
fn the_memory_lender_keeps_every_rule() {
    assert_eq!(check(&MemoryLender::default(), &mut Simulated(START)), []);
    assert_eq!(breaches(NONE), []);
}

#[test]
fn the_file_lender_keeps_every_rule() {
    let dir = tempfile::tempdir().unwrap();
    let lender = FileLender::open(dir.path(), START).unwrap();
    assert_eq!(check(&lender, &mut Simulated(START)), []);
}

#[test]
fn the_file_lender_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = |now| Box::new(FileLender::open(dir.path(), now).unwrap()) as Box<dyn Lender>;
    assert_eq!(survives(&mut open, &mut Simulated(START)), Ok(()));
}

#[test]
fn a_lender_that_forgets_is_refused() {
    let mut open = |_| Box::new(MemoryLender::default()) as Box<dyn Lender>;
    let seen = survives(&mut open, &mut Simulated(START)).unwrap_err();
    assert!(seen.contains("after the restart"), "{seen}");
}

#[test]
fn broken_lenders_are_refused_by_the_rule_that_they_break() {
    for fault in FAULTS {
        let breaches = breaches(*fault);
        let found = breaches.iter().any(|breach| breach.rule.starts_with(fault.rule));
        assert!(found, "a lender that {} passed {:?}: {breaches:#?}", fault.name, fault.rule);
    }
}
