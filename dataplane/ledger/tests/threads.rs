//! Many threads on one purse and one file lender.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use smartflow_ledger::{
    Account, AccountSpec, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Revision,
    lender::FileLender,
};

const WALL: i64 = 1_795_262_400_000;

fn now(start: Instant) -> Now {
    Now { mono: start.elapsed().as_nanos() as u64 + 1, wall: WALL }
}

fn account(ledger: &Ledger, name: &str, limit: i64) -> Arc<Account> {
    let revision = Revision { epoch: 1, number: 1 };
    let spec = AccountSpec {
        namespace: "default",
        name,
        budget: "budget",
        period: Period::Daily,
        timezone: "UTC",
        limit,
        revision,
    };
    ledger.account(Now { mono: 1, wall: WALL }, &spec).unwrap()
}

#[test]
fn four_threads_spend_three_accounts_to_the_end_and_not_beyond() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let lender = Arc::new(FileLender::open(&dir.path().join("lender"), now(start)).unwrap());
    let options = Options {
        install: "threads".to_owned(),
        data_dir: dir.path().to_owned(),
        incarnation: Incarnation::random(),
        pod: PodId(1),
        lease_millis: 600_000,
    };
    let ledger = Ledger::open(options, lender, now(start)).unwrap();
    let limits = [400_000, 600_000, 300_000];
    let accounts: Vec<_> =
        limits.iter().enumerate().map(|(n, limit)| account(&ledger, &format!("key/{n}"), *limit)).collect();
    let spent: Arc<[AtomicI64; 3]> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4_u64)
        .map(|seed| {
            let (ledger, accounts, spent) = (ledger.clone(), accounts.clone(), Arc::clone(&spent));
            std::thread::spawn(move || work(&ledger, &accounts, &spent, start, seed))
        })
        .collect();
    let ticker = std::thread::spawn({
        let (ledger, done) = (ledger.clone(), Arc::clone(&done));
        move || {
            while !done.load(Ordering::Relaxed) {
                ledger.tick(now(start));
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    });
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    done.store(true, Ordering::Relaxed);
    ticker.join().unwrap();
    for (n, limit) in limits.iter().enumerate() {
        let view = ledger.view(now(start), &accounts[n]);
        assert_eq!((view.spent, view.reserved), (spent[n].load(Ordering::Relaxed), 0), "account {n}");
        assert!(view.spent <= *limit);
    }
    assert!(spent[2].load(Ordering::Relaxed) >= 300_000 * 97 / 100, "{spent:?}");
    assert!(ledger.close(now(start)));
}

#[test]
fn of_two_threads_that_need_an_account_first_the_newer_limit_holds() {
    let dir = tempfile::tempdir().unwrap();
    let at = Now { mono: 1, wall: WALL };
    let lender = Arc::new(FileLender::open(&dir.path().join("lender"), at).unwrap());
    let options = Options {
        install: "threads".to_owned(),
        data_dir: dir.path().to_owned(),
        incarnation: Incarnation::random(),
        pod: PodId(1),
        lease_millis: 600_000,
    };
    let ledger = Ledger::open(options, lender, at).unwrap();
    let rounds = 3_000;
    let together = Arc::new(std::sync::Barrier::new(2));
    // A reload happens between two threads' first looks at the key: one has the limits before it, one those after.
    let thread = |number: u64, limit: i64| {
        let (ledger, together) = (ledger.clone(), Arc::clone(&together));
        std::thread::spawn(move || {
            for round in 0..rounds {
                let spec = AccountSpec {
                    namespace: "default",
                    name: &format!("key/{round}"),
                    budget: "budget",
                    period: Period::Daily,
                    timezone: "UTC",
                    limit,
                    revision: Revision { epoch: 1, number },
                };
                together.wait();
                ledger.account(at, &spec).unwrap();
            }
        })
    };
    let threads = [thread(1, 1_000), thread(2, 10)];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for round in 0..rounds {
        let key = account(&ledger, &format!("key/{round}"), 1_000);
        assert_eq!(ledger.view(at, &key).limit, 10, "round {round}");
    }
}

/// Calls on two accounts each, in changing order, until one is refused for good.
fn work(ledger: &Ledger, accounts: &[Arc<Account>], spent: &[AtomicI64; 3], start: Instant, seed: u64) {
    let mut dice = seed;
    let mut below = move |end: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % end
    };
    loop {
        let (first, other) = (below(2) as usize, 2);
        let amount = 100 + below(400) as i64;
        let mut wishes = vec![(Arc::clone(&accounts[first]), amount), (Arc::clone(&accounts[other]), amount)];
        if below(2) == 0 {
            wishes.reverse();
        }
        let mut outcome = ledger.reserve(now(start), &wishes);
        let held = loop {
            match outcome {
                Outcome::Reserved(held) => break held,
                Outcome::Refused(refusal) => {
                    assert_eq!(refusal.account, accounts[other].id(), "the smallest is spent first");
                    return;
                }
                Outcome::Wait(waiting) => {
                    std::thread::park_timeout(Duration::from_millis(2));
                    outcome = waiting.poll(now(start), None);
                }
                Outcome::Away => panic!("a local lender is never away"),
            }
        };
        let cost = amount * (25 + below(76) as i64) / 100;
        assert_eq!(held.settle(now(start), cost).overrun, 0);
        spent[first].fetch_add(cost, Ordering::Relaxed);
        spent[other].fetch_add(cost, Ordering::Relaxed);
    }
}
