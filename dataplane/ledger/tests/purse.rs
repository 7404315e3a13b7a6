//! The purse on the file lender, as the standalone gateway uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, sync::Arc};

use smartflow_ledger::{
    Account, AccountSpec, Extension, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Reservation,
    Revision, Why, Window,
    lender::{FileLender, Lender},
    message::{Batch, MoneyAsk, Totals},
    money::NANOS_PER_USD,
};

const START: Now = Now { mono: 1_000_000_000, wall: 1_795_262_400_000 };

fn at(millis: u64) -> Now {
    START.plus_millis(millis)
}

fn open(dir: &Path, now: Now) -> Ledger {
    let lender = Arc::new(FileLender::open(&dir.join("lender"), now).unwrap());
    let options = Options {
        install: "test".to_owned(),
        data_dir: dir.to_owned(),
        incarnation: Incarnation::random(),
        pod: PodId(1),
        lease_millis: 600_000,
    };
    Ledger::open(options, lender, now).unwrap()
}

fn spec(limit: i64, revision: u64) -> AccountSpec<'static> {
    AccountSpec {
        namespace: "default",
        name: "key/alice",
        budget: "budget",
        period: Period::Daily,
        timezone: "UTC",
        limit,
        revision: Revision { epoch: 1, number: revision },
    }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    std::fs::create_dir(to.path().join("lender")).unwrap();
    for part in ["", "lender"] {
        for entry in std::fs::read_dir(from.join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), to.path().join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    to
}

fn account(ledger: &Ledger, limit: i64) -> Arc<Account> {
    ledger.account(START, &spec(limit, 1)).unwrap()
}

fn reserve(ledger: &Ledger, now: Now, account: &Arc<Account>, amount: i64) -> Option<Reservation> {
    let mut now = now;
    let mut outcome = ledger.reserve(now, &[(Arc::clone(account), amount)]);
    loop {
        match outcome {
            Outcome::Reserved(reservation) => return Some(reservation),
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.why, Why::Exhausted);
                return None;
            }
            Outcome::Away => panic!("a local lender is never away"),
            Outcome::Wait(waiting) => {
                assert!(waiting.next_poll() > now.mono);
                now = now.plus_millis((waiting.next_poll() - now.mono).div_ceil(1_000_000));
                outcome = waiting.poll(now, None);
            }
        }
    }
}

#[test]
fn an_ordinary_call_never_waits_and_the_cap_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, NANOS_PER_USD);
    let mut now = START;
    for call in 0..200 {
        now = at(call);
        match ledger.reserve(now, &[(Arc::clone(&key), NANOS_PER_USD / 200)]) {
            Outcome::Reserved(reservation) => {
                assert_eq!(reservation.settle(now, NANOS_PER_USD / 200).overrun, 0);
            }
            other => panic!("call {call}: {other:?}"),
        }
    }
    assert!(reserve(&ledger, now, &key, 1).is_none());
    let view = ledger.view(now, &key);
    assert_eq!((view.spent, view.reserved, view.remaining), (NANOS_PER_USD, 0, 0));
    assert_eq!(view.resets_at, Some(1_795_305_600_000));
}

#[test]
fn a_refusal_takes_300_ms_and_is_remembered_for_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    let held = reserve(&ledger, START, &key, 100).unwrap();
    let Outcome::Wait(mut waiting) = ledger.reserve(START, &[(Arc::clone(&key), 50)]) else {
        panic!("decided")
    };
    for millis in (25..300).step_by(25) {
        waiting = match waiting.poll(at(millis), None) {
            Outcome::Wait(waiting) => waiting,
            other => panic!("after {millis} ms: {other:?}"),
        };
    }
    let Outcome::Refused(refusal) = waiting.poll(at(300), None) else { panic!("still waiting") };
    assert_eq!((refusal.why, refusal.remaining, refusal.leg), (Why::Exhausted, 0, 0));
    assert!(matches!(ledger.reserve(at(301), &[(Arc::clone(&key), 50)]), Outcome::Refused(_)));
    // What is smaller than the need that was refused, is not refused by memory.
    assert!(matches!(ledger.reserve(at(302), &[(Arc::clone(&key), 49)]), Outcome::Wait(_)));
    held.settle(at(400), 60);
    assert!(reserve(&ledger, at(401), &key, 40).is_some(), "money came back: the memory does not hold");
}

#[test]
fn a_settle_wakes_the_call_that_waits() {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::{Wake, Waker},
    };
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    let held = reserve(&ledger, START, &key, 80).unwrap();
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let Outcome::Wait(waiting) = ledger.reserve(at(1), &[(Arc::clone(&key), 50)]) else { panic!("decided") };
    let Outcome::Wait(waiting) = waiting.poll(at(2), Some(&Waker::from(Arc::clone(&flag)))) else {
        panic!("decided")
    };
    assert!(!flag.0.load(Ordering::SeqCst));
    held.settle(at(3), 10);
    assert!(flag.0.load(Ordering::SeqCst));
    assert!(matches!(waiting.poll(at(3), None), Outcome::Reserved(_)));
}

#[test]
fn several_accounts_all_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 1_000);
    let team = ledger.account(START, &AccountSpec { name: "key/team", limit: 10, ..spec(0, 1) }).unwrap();
    let both = |amount| [(Arc::clone(&key), amount), (Arc::clone(&team), amount)];
    let Outcome::Reserved(first) = ledger.reserve(START, &both(8)) else { panic!("refused") };
    let Outcome::Wait(waiting) = ledger.reserve(at(1), &both(8)) else { panic!("decided") };
    assert_eq!(ledger.view(at(1), &key).reserved, 8, "a waiting call holds nothing");
    let Outcome::Wait(waiting) = waiting.poll(at(100), None) else { panic!("decided") };
    let Outcome::Wait(waiting) = waiting.poll(at(276), None) else { panic!("decided early") };
    let Outcome::Refused(refusal) = waiting.poll(at(301), None) else { panic!("still waiting") };
    assert_eq!((refusal.leg, refusal.account), (1, team.id()));
    first.settle_each(at(402), &[5, 2]);
    assert_eq!((ledger.view(at(402), &key).spent, ledger.view(at(402), &team).spent), (5, 2));
}

#[test]
fn the_same_account_twice_pays_twice() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    let Outcome::Reserved(held) = ledger.reserve(START, &[(Arc::clone(&key), 30), (Arc::clone(&key), 40)])
    else {
        panic!("refused")
    };
    assert_eq!(ledger.view(START, &key).reserved, 70);
    held.settle_each(START, &[10, 40]);
    assert_eq!((ledger.view(START, &key).spent, ledger.view(START, &key).reserved), (50, 0));
}

#[test]
fn slices_legs_and_a_drop() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    let mut held = reserve(&ledger, START, &key, 10).unwrap();
    assert!(matches!(held.extend(at(1), 20), Extension::Done));
    assert_eq!(held.reserved(0), 30);
    // A leg that was sent and never answered owes its part; the rest serves the next leg.
    assert_eq!(held.charge(at(2), 25).overrun, 0);
    assert_eq!((held.reserved(0), ledger.view(at(2), &key).spent), (5, 25));
    assert!(matches!(held.extend(at(3), 20), Extension::Done));
    drop(held);
    let view = ledger.view(at(4), &key);
    assert_eq!((view.spent, view.reserved, view.remaining), (50, 0, 50), "dropped: billed in full");
}

#[test]
fn an_overrun_takes_what_is_available_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    let held = reserve(&ledger, START, &key, 90).unwrap();
    assert_eq!(held.settle(at(1), 120).overrun, 30, "nothing was available beyond the 90 that were lent");
    let view = ledger.view(at(2), &key);
    assert_eq!((view.spent, view.remaining), (120, 0));
    assert!(reserve(&ledger, at(3), &key, 1).is_none());
}

#[test]
fn a_new_day_is_a_new_window_and_a_reservation_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    let mut held = reserve(&ledger, START, &key, 100).unwrap();
    let tomorrow = at(12 * 3_600_000);
    assert_eq!(ledger.view(tomorrow, &key).remaining, 100);
    // The next slice comes from the new day.
    assert!(matches!(held.extend(tomorrow, 30), Extension::Done));
    held.settle(tomorrow, 110);
    let view = ledger.view(tomorrow, &key);
    assert_eq!((view.spent, view.reserved, view.remaining), (10, 0, 90));
}

#[test]
fn starts_that_only_look_at_an_exhausted_budget_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let lifetime = AccountSpec { period: Period::Lifetime, ..spec(100, 1) };
    let first = open(dir.path(), START);
    let key = first.account(START, &lifetime).unwrap();
    reserve(&first, START, &key, 100).unwrap().settle(START, 100);
    assert!(first.close(START));
    drop((first, key));
    for start in 1..=20 {
        let ledger = open(dir.path(), at(start));
        let key = ledger.account(at(start), &lifetime).unwrap();
        assert_eq!(ledger.left(at(start), &key), 0, "refused before anything is reserved");
        assert!(ledger.close(at(start)));
    }
    let lender = Arc::new(FileLender::open(&dir.path().join("lender"), at(100)).unwrap());
    let rows = |lender: &FileLender| {
        let mut standing = lender.standing(lifetime.id("test"));
        match standing.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(Ok(all)) => (all[0].rows.len(), all[0].spent),
            other => panic!("{other:?}"),
        }
    };
    let batch = |at| {
        let (incarnation, pod, money, rates) = (Incarnation(9), PodId(1), Vec::new(), Vec::new());
        drop(lender.exchange(at, &Batch { incarnation, pod, recalls_after: 0, money, rates }));
    };
    batch(at(100));
    assert_eq!(rows(&lender), (21, 100));
    batch(at(100 + 3_600_000));
    assert_eq!(rows(&lender), (1, 100), "who held and spent nothing is forgotten after an hour");
    drop(lender);
    let lender = FileLender::open(&dir.path().join("lender"), at(3_700_000)).unwrap();
    assert_eq!(rows(&lender), (1, 100), "for good");
}

/// A lender that holds today's window of `spec` with another end than the calendar's: the rules of the time zone changed
/// with an update of the gateway.
fn open_with_stored_window(dir: &Path, end: i64) -> Ledger {
    let lender = FileLender::open(&dir.join("lender"), START).unwrap();
    let window = Window { start: START.wall - 12 * 3_600_000, end };
    let ask = MoneyAsk {
        account: spec(0, 1).id("test"),
        window,
        incarnation: Incarnation(5),
        pod: PodId(1),
        number: 1,
        totals: Totals::default(),
        reservation: 0,
        lend: None,
        limit: Some((1_000, Revision { epoch: 1, number: 1 })),
        close: true,
        closed_total: 0,
        counted: false,
    };
    let (incarnation, pod, rates) = (Incarnation(5), PodId(1), Vec::new());
    let batch = Batch { incarnation, pod, recalls_after: 0, money: vec![ask], rates };
    let mut told = lender.exchange(START, &batch);
    let answer = told.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(answer, std::task::Poll::Ready(Ok(_))));
    drop(told);
    drop(lender);
    open(dir, START)
}

#[test]
fn a_window_whose_end_moved_with_the_time_zone_data_is_not_paid_twice() {
    let dir = tempfile::tempdir().unwrap();
    let ends = 300_000_u64;
    let ledger = open_with_stored_window(dir.path(), at(ends).wall);
    let key = account(&ledger, 1_000);
    let spend = |millis: u64, amount: i64| {
        let held = reserve(&ledger, at(millis), &key, amount)?;
        assert_eq!(held.settle(at(millis), amount).overrun, 0);
        Some(())
    };
    let mut spent = 0;
    for call in 0..60 {
        spent += spend(call * 10, 10).map_or(0, |()| 10);
    }
    assert_eq!((spent, ledger.view(at(1_000), &key).resets_at), (600, Some(at(ends).wall)));
    // In the last minute the next window is lent ahead; the calendar's begins where this one began.
    for second in (ends / 1_000 - 60)..(ends / 1_000 - 1) {
        spent += spend(second * 1_000, 1).map_or(0, |()| 1);
        (0..5).for_each(|n| ledger.tick(at(second * 1_000 + n * 200)));
        let view = ledger.view(at(second * 1_000 + 999), &key);
        assert_eq!((view.spent, view.remaining), (spent, 1_000 - spent), "{second}");
    }
    while spend(ends - 1_000, 10).is_some() {
        spent += 10;
        assert!(spent <= 1_000, "above the cap");
    }
    assert!(spent > 990);
    // When it has ended, the calendar's window opens.
    assert_eq!(ledger.view(at(ends), &key).remaining, 1_000);
    assert!(spend(ends, 1_000).is_some());
}

#[test]
fn limits_change_and_keys_are_disabled() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 1_000);
    let mut held = reserve(&ledger, START, &key, 100).unwrap();
    let same = ledger.account(at(1), &spec(150, 2)).unwrap();
    assert_eq!(same.id(), key.id());
    assert_eq!(ledger.view(at(1), &key).remaining, 50);
    assert!(reserve(&ledger, at(2), &key, 51).is_none());
    // An older revision changes nothing.
    ledger.account(at(400), &spec(9_000, 1)).unwrap();
    assert_eq!(ledger.view(at(400), &key).limit, 150);
    ledger.disable(at(401), &key);
    assert!(matches!(held.extend(at(402), 1), Extension::Refused(refusal) if refusal.why == Why::Disabled));
    held.settle(at(403), 100);
    assert_eq!(ledger.view(at(404), &key).spent, 100, "a call in flight finishes what it has reserved");
    ledger.account(at(405), &spec(150, 3)).unwrap();
    assert!(reserve(&ledger, at(406), &key, 50).is_some());
}

#[test]
fn spend_survives_a_clean_restart_and_an_unclean_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), START);
    let key = account(&first, 100);
    reserve(&first, START, &key, 30).unwrap().settle(at(1), 25);
    assert!(first.close(at(2)));
    assert!(matches!(first.reserve(at(3), &[(Arc::clone(&key), 1)]), Outcome::Away), "closed");
    drop((first, key));
    let second = open(dir.path(), at(10));
    let key = account(&second, 100);
    let view = second.view(at(10), &key);
    assert_eq!((view.spent, view.remaining, view.unattributed), (25, 75, 0));
    let in_flight = reserve(&second, at(11), &key, 20).unwrap();
    reserve(&second, at(12), &key, 10).unwrap().settle(at(13), 10);
    // What kill -9 leaves behind is the files as they are at this moment.
    let killed = copy(dir.path());
    in_flight.settle(at(14), 20);
    let third = open(killed.path(), at(20));
    let key = account(&third, 100);
    let view = third.view(at(20), &key);
    assert_eq!(
        (view.spent, view.unattributed, view.remaining),
        (35, 20, 45),
        "in flight: forfeited, not lost"
    );
}

#[test]
fn absurd_amounts_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    assert!(reserve(&ledger, START, &key, i64::MAX).is_none());
    let twice = [(Arc::clone(&key), i64::MAX), (Arc::clone(&key), i64::MAX)];
    assert!(matches!(ledger.reserve(at(2_000), &twice), Outcome::Wait(_)));
    for n in 0..20 {
        reserve(&ledger, at(4_000 + n), &key, 0).unwrap().settle(at(4_000 + n), i64::MAX);
    }
    reserve(&ledger, at(5_000), &key, 0).unwrap().settle(at(5_000), -5);
    ledger.tick(at(6_000));
    let view = ledger.view(at(6_000), &key);
    assert_eq!((view.spent, view.remaining), (20 * 10_000_000 * NANOS_PER_USD, 0));
}

#[test]
fn a_vendor_that_reports_absurd_usage_for_ever_never_opens_the_budget_again() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    // 2,000 × 10^16 is more than an `i64` holds: a sum that wrapped would read as money to spend.
    for n in 0..2_000 {
        reserve(&ledger, at(n), &key, 0).unwrap().settle(at(n), i64::MAX);
    }
    ledger.tick(at(3_000));
    let view = ledger.view(at(3_000), &key);
    assert_eq!((view.spent, view.remaining), (i64::MAX, 0));
    assert!(reserve(&ledger, at(4_000), &key, 1).is_none());
    assert!(ledger.close(at(5_000)));
    drop((ledger, key));
    let ledger = open(dir.path(), at(6_000));
    let key = account(&ledger, 100);
    let more = reserve(&ledger, at(6_000), &key, 0).unwrap();
    more.settle(at(6_000), i64::MAX);
    ledger.tick(at(7_000));
    assert_eq!(ledger.view(at(7_000), &key).remaining, 0, "over several processes as well");
    assert!(reserve(&ledger, at(8_000), &key, 1).is_none());
}

#[test]
fn an_account_leaves_memory_when_its_window_has_ended_and_nobody_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), START);
    let key = account(&ledger, 100);
    reserve(&ledger, START, &key, 30).unwrap().settle(START, 30);
    drop(key);
    let ticks = |from: u64| (0..400).for_each(|n| ledger.tick(at(from + n * 200)));
    ticks(0);
    assert_eq!(ledger.known_accounts(), 1, "its spend is not forgotten within the window");
    let key = account(&ledger, 100);
    assert_eq!(ledger.view(at(80_000), &key).remaining, 70);
    ticks(13 * 3_600_000);
    assert_eq!(ledger.known_accounts(), 1, "somebody holds it");
    drop(key);
    ticks(14 * 3_600_000);
    assert_eq!(ledger.known_accounts(), 0);
}
