//! Figures, not assertions: `cargo test --release -p smartflow-ledger --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::cast_possible_truncation)]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use smartflow_ledger::{
    Account, AccountSpec, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Revision,
    lender::FileLender, money::NANOS_PER_USD,
};

struct Clock(Instant);

impl Clock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        Now { mono: self.0.elapsed().as_nanos() as u64, wall: wall as i64 }
    }
}

fn spec(name: &str, limit: i64) -> AccountSpec<'_> {
    AccountSpec {
        namespace: "default",
        name,
        budget: "budget",
        period: Period::Monthly,
        timezone: "Europe/Berlin",
        limit,
        revision: Revision { epoch: 1, number: 1 },
    }
}

fn call(ledger: &Ledger, now: Now, accounts: &[(Arc<Account>, i64)], actual: i64) {
    match ledger.reserve(now, accounts) {
        Outcome::Reserved(reservation) => {
            black_box(reservation.settle(now, actual));
        }
        other => panic!("{other:?}"),
    }
}

fn measure(what: &str, calls: u64, mut each: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..calls).for_each(|_| each());
        best = best.min(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    println!("{what}: {best:.0} ns");
}

fn open(dir: &std::path::Path, clock: &Clock) -> Ledger {
    let lender = Arc::new(FileLender::open(&dir.join("lender"), clock.now()).unwrap());
    let options = Options {
        install: "speed".to_owned(),
        data_dir: dir.to_owned(),
        incarnation: Incarnation::random(),
        pod: PodId(1),
        lease_millis: 600_000,
    };
    Ledger::open(options, lender, clock.now()).unwrap()
}

#[test]
#[ignore = "prints figures"]
fn figures() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock(Instant::now());
    let ledger = open(dir.path(), &clock);
    let big = 900_000_000 * NANOS_PER_USD;
    let one = [(ledger.account(clock.now(), &spec("key/one", big)).unwrap(), 20_000_000)];
    let now = clock.now();
    measure("reserve + settle, one account", 200_000, || call(&ledger, now, &one, 1_000_000));
    let three: Vec<_> = ["key/a", "key/b", "key/c"]
        .iter()
        .map(|name| (ledger.account(now, &spec(name, big)).unwrap(), 20_000_000))
        .collect();
    measure("reserve + settle, three accounts", 200_000, || call(&ledger, now, &three, 1_000_000));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (ledger, one) = (ledger.clone(), one.clone());
            std::thread::spawn(move || {
                let start = Instant::now();
                (0..500_000).for_each(|_| call(&ledger, now, &one, 1_000_000));
                start.elapsed().as_nanos() as f64 / 500_000.0
            })
        })
        .collect();
    let worst = threads.into_iter().map(|t| t.join().unwrap()).fold(0.0, f64::max);
    println!("reserve + settle, one account, 2 threads at once: {worst:.0} ns each");
    let small = ledger.account(now, &spec("key/small", 100 * NANOS_PER_USD)).unwrap();
    let start = Instant::now();
    let mut calls = 0_u64;
    while let Outcome::Reserved(reservation) = ledger.reserve(now, &[(Arc::clone(&small), 20_000_000)]) {
        reservation.settle(now, 100_000);
        calls += 1;
        if calls == 990_000 {
            break;
        }
    }
    println!(
        "a budget of $100 spent in {calls} calls: {:.0} ns a call, lending included",
        start.elapsed().as_nanos() as f64 / calls as f64
    );
    let spec_one = spec("key/one", big);
    measure("finding an account by its spec", 100_000, || drop(black_box(ledger.account(now, &spec_one))));
    accounts(&ledger, &clock);
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn accounts(ledger: &Ledger, clock: &Clock) {
    let before = resident();
    let start = Instant::now();
    let all: Vec<_> = (0..100_000)
        .map(|n| ledger.account(clock.now(), &spec(&format!("key/{n}"), NANOS_PER_USD)).unwrap())
        .collect();
    println!(
        "100,000 accounts known, unused: {} bytes each, {:.0} ns each",
        (resident() - before) / all.len(),
        start.elapsed().as_nanos() as f64 / all.len() as f64
    );
    let start = Instant::now();
    for account in &all[..10_000] {
        call(ledger, clock.now(), &[(Arc::clone(account), 1_000)], 500);
    }
    println!("first call of an account: {:.0} ns", start.elapsed().as_nanos() as f64 / 10_000.0);
    let start = Instant::now();
    let now = clock.now().plus_millis(2_000);
    ledger.tick(now);
    println!(
        "a tick over all 100,000, 10,000 of them to report: {:.1} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    let start = Instant::now();
    ledger.tick(now.plus_millis(1_000));
    println!("a tick over all 100,000, nothing to do: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
}
