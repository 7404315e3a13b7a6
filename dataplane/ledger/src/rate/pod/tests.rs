#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::{
    clock::Now,
    rate::{
        RateBook,
        message::{RateAnswer, RateAsk, Units},
    },
};

const LIMITS: RateLimits =
    RateLimits { requests: NonZeroU32::new(10), tokens: NonZeroU32::new(1000), parallel: NonZeroU32::new(4) };

struct Couple {
    pod: PodRates,
    book: RateBook,
    number: u64,
}

impl Couple {
    fn new() -> Self {
        Self { pod: PodRates::new(LIMITS, 1), book: RateBook::new(1, at(0), false), number: 0 }
    }

    fn ask(&mut self, now: u64) -> RateAsk {
        self.number += 1;
        let names = Names {
            account: AccountId(1),
            incarnation: Incarnation(1),
            revision: Revision::default(),
            number: self.number,
        };
        self.pod.ask(now, false, names)
    }

    /// A call; the lender answers at once.
    fn call(&mut self, now: u64, tokens: u32) -> Step {
        let step = self.pod.admit(now, tokens);
        let Step::Short = step else { return step };
        let ask = self.ask(now);
        let answer = self.book.handle(at(now), &ask).0;
        self.pod.answer(now, &answer);
        self.pod.admit(now, tokens)
    }

    fn admitted(&mut self, now: u64, tokens: u32) -> Taken {
        let Step::Admitted(taken) = self.call(now, tokens) else { panic!("refused at {now}") };
        taken
    }

    fn refused(&mut self, now: u64, tokens: u32) -> Refusal {
        let Step::Refused(refusal) = self.call(now, tokens) else { panic!("not refused at {now}") };
        refusal
    }
}

fn at(mono: u64) -> Now {
    Now { mono, wall: 0 }
}

#[test]
fn a_refusal_names_the_limit_and_is_kept_without_asking() {
    let mut pair = Couple::new();
    for _ in 0..4 {
        pair.admitted(0, 10);
    }
    assert_eq!(pair.refused(0, 10).which, Which::Parallel);
    pair.pod.end();
    pair.admitted(0, 10);
    pair.pod.end();
    let refusal = pair.refused(0, 990);
    assert_eq!((refusal.which, refusal.retry_after), (Which::Tokens, 61 * SLOT_NANOS));
    let asked = pair.number;
    assert_eq!(pair.refused(SLOT_NANOS / 2, 990).retry_after, 60 * SLOT_NANOS + SLOT_NANOS / 2);
    assert_eq!(pair.number, asked);
    for _ in 0..5 {
        pair.admitted(0, 1);
        pair.pod.end();
    }
    let refusal = pair.refused(0, 1);
    assert_eq!((refusal.which, refusal.retry_after), (Which::Requests, 61 * SLOT_NANOS));
    assert_eq!(refusal.levels.requests.unwrap().remaining, 0);
    assert!(matches!(pair.call(61 * SLOT_NANOS, 1), Step::Admitted(_)));
}

#[test]
fn the_difference_to_the_estimate_comes_back_or_is_taken() {
    let mut pair = Couple::new();
    let taken = pair.admitted(0, 800);
    pair.pod.settle(30 * SLOT_NANOS, taken, 100);
    pair.pod.end();
    let taken = pair.admitted(30 * SLOT_NANOS, 900);
    assert_eq!(pair.refused(30 * SLOT_NANOS, 1).which, Which::Tokens);
    pair.pod.settle(31 * SLOT_NANOS, taken, 1900);
    pair.pod.end();
    assert_eq!(pair.refused(90 * SLOT_NANOS, 1).which, Which::Tokens);
    // What was used beyond the estimate counts from when it was known.
    assert_eq!(pair.refused(91 * SLOT_NANOS, 1).retry_after, SLOT_NANOS);
    pair.admitted(92 * SLOT_NANOS, 1000);
}

#[test]
fn an_undone_call_leaves_no_trace() {
    let mut pair = Couple::new();
    for second in 0..40 {
        let taken = pair.admitted(second * SLOT_NANOS, 1000);
        pair.pod.undo(second * SLOT_NANOS + SLOT_NANOS * 3 / 2, taken);
        pair.pod.end();
    }
    let taken = pair.admitted(40 * SLOT_NANOS, 1000);
    pair.pod.undo(40 * SLOT_NANOS, taken);
    pair.pod.end();
    for _ in 0..10 {
        pair.admitted(40 * SLOT_NANOS, 100);
        pair.pod.end();
    }
    assert_eq!(pair.refused(40 * SLOT_NANOS, 0).which, Which::Requests);
}

#[test]
fn late_doubled_and_foreign_answers_change_nothing() {
    let mut pair = Couple::new();
    assert!(matches!(pair.pod.admit(0, 10), Step::Short));
    let first = pair.ask(0);
    let late = pair.book.handle(at(0), &first).0;
    pair.pod.unanswered();
    let second = pair.ask(0);
    let answer = pair.book.handle(at(0), &second).0;
    pair.pod.answer(0, &late);
    assert_eq!(pair.pod.levels(0).requests.unwrap().remaining, 10);
    pair.pod.answer(0, &answer);
    let before = pair.pod.levels(0);
    for wrong in [late, answer, RateAnswer { number: 77, ..answer }, RateAnswer { generation: 0, ..answer }] {
        pair.pod.answer(0, &wrong);
    }
    assert_eq!(pair.pod.levels(0), before);
}

#[test]
fn a_lender_that_is_away_leaves_this_pods_share_of_what_it_did_not_use() {
    let mut pair = Couple::new();
    pair.admitted(0, 10);
    pair.pod.end();
    let answer =
        RateAnswer { fleet: 2, number: pair.number + 1, ..pair.book.handle(at(0), &pair.ask_other()).0 };
    pair.ask(0);
    pair.pod.answer(0, &RateAnswer { requests: Units::default(), tokens: Units::default(), ..answer });
    pair.pod.unanswered();
    let mut admitted = 0;
    for _ in 0..20 {
        if let Step::Admitted(_) = pair.pod.admit(2 * SLOT_NANOS, 10) {
            pair.pod.end();
            admitted += 1;
        }
    }
    assert_eq!(admitted, 4, "one of this pod's five was used before");
    let Step::Refused(refusal) = pair.pod.admit(2 * SLOT_NANOS, 10) else { panic!("admitted") };
    assert_eq!((refusal.which, refusal.retry_after), (Which::Requests, 59 * SLOT_NANOS));
    assert_eq!(refusal.levels.requests.unwrap().remaining, 0);
}

impl Couple {
    fn ask_other(&self) -> RateAsk {
        let mut other = PodRates::new(LIMITS, 1);
        let names = Names {
            account: AccountId(1),
            incarnation: Incarnation(2),
            revision: Revision::default(),
            number: 1,
        };
        other.ask(0, false, names)
    }
}

#[test]
fn a_new_generation_drops_what_the_old_one_lent() {
    let mut pair = Couple::new();
    pair.admitted(0, 10);
    pair.book = RateBook::new(2, at(0), true);
    let ask = pair.ask(0);
    let answer = pair.book.handle(at(0), &ask).0;
    assert_eq!(answer.generation, 2);
    pair.pod.answer(0, &answer);
    assert!(pair.pod.is_local(59 * SLOT_NANOS));
    assert!(!pair.pod.is_local(60 * SLOT_NANOS));
    let ask = pair.ask(SLOT_NANOS);
    assert_eq!((ask.generation, ask.slots), (2, Vec::new()));
    assert_eq!(ask.permits.hold, 1, "the call in flight");
}

#[test]
fn nothing_is_kept_of_an_account_without_calls() {
    let mut pair = Couple::new();
    pair.admitted(0, 10);
    assert!(!pair.pod.is_idle(0, true));
    pair.pod.end();
    for second in 1..70 {
        let now = second * SLOT_NANOS;
        if pair.pod.is_due(now) {
            let ask = pair.ask(now);
            let answer = pair.book.handle(at(now), &ask).0;
            pair.pod.answer(now, &answer);
        }
    }
    assert!(pair.pod.is_idle(70 * SLOT_NANOS, true));
    assert!(pair.number < 8, "{} messages", pair.number);
}
