use std::num::NonZeroU32;

use super::*;
use crate::rate::message::PermitsAsk;

const LIMITS: RateLimits = RateLimits { requests: NonZeroU32::new(10), tokens: None, parallel: None };

fn ask(account: u128, number: u64, need: u32) -> RateAsk {
    RateAsk {
        account: AccountId(account),
        incarnation: Incarnation(1),
        number,
        generation: 0,
        limits: LIMITS,
        revision: Revision::default(),
        ahead: false,
        answered: number - 1,
        requests: UnitsAsk { least: need.min(1), need, want: need },
        tokens: UnitsAsk::default(),
        permits: PermitsAsk::default(),
        slots: Vec::new(),
    }
}

fn at(seconds: u64) -> Now {
    Now { mono: seconds * SLOT_NANOS, wall: i64::try_from(seconds).unwrap_or(0) * 1000 }
}

#[test]
fn a_record_holds_the_cells_that_changed_and_nothing_else() {
    let mut book = RateBook::new(1, at(0), false);
    let (answer, record) = book.handle(at(5), &ask(1, 1, 4));
    let cells = vec![(answer.slot, 4, 0)];
    assert_eq!(record, Some(RateRecord { account: AccountId(1), now: answer.slot, cells }));
    assert_eq!(book.handle(at(5), &ask(1, 2, 0)).1, None);
}

#[test]
fn idle_accounts_are_dropped() {
    let mut book = RateBook::new(1, at(0), false);
    for account in 0..50 {
        book.handle(at(1), &ask(account, 1, 1));
    }
    book.handle(at(70), &ask(99, 1, 1));
    assert_eq!(book.accounts(), 51);
    book.handle(at(140), &ask(99, 2, 1));
    assert_eq!(book.accounts(), 1);
    assert!(book.records(at(140)).iter().all(|record| record.account == AccountId(99)));
}

#[test]
fn a_clock_that_was_put_back_makes_the_rings_remember_longer_never_shorter() {
    let mut book = RateBook::new(1, at(1000), false);
    let record = book.handle(at(1000), &ask(1, 1, 10)).1;
    let records = || record.clone().map(|record| (at(1000).wall, record));
    let granted = |book: &mut RateBook, now| book.handle(now, &ask(1, 7, 10)).0.requests.granted;
    let mut back = RateBook::reopened(1, at(400), records());
    assert_eq!(granted(&mut back, at(460)), 0);
    let mut forth = RateBook::reopened(1, at(1060), records());
    assert_eq!(granted(&mut forth, at(1060)), 0);
    let mut later = RateBook::reopened(1, at(1061), records());
    assert_eq!(granted(&mut later, at(1061)), 10);
}

#[test]
fn a_lost_ring_grants_nothing_for_a_minute() {
    let mut book = RateBook::new(2, at(0), true);
    let (early, _) = book.handle(at(59), &ask(1, 1, 1));
    assert_eq!((early.requests.granted, early.local_for), (0, SLOT_NANOS));
    let (late, _) = book.handle(at(60), &ask(1, 2, 1));
    assert_eq!((late.requests.granted, late.local_for), (1, 0));
}
