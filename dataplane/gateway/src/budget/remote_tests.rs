//! The courier between the ledger and a real Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::clock::Clock;
use super::remote::{Opened, Settings, open};
use smartflow_ledger::money::NANOS_PER_USD;
use smartflow_ledger::{Account, AccountSpec, Ledger, Outcome, Period, PodId, Revision};
use smartflow_rig::redis::{RedisServer, Setup};
use smartflow_store::redis::{Address, Options};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// As a gateway without an operator, with the usual timeouts.
fn pod(dir: &Path, server: &RedisServer, pod: u128, lease: Duration) -> (Opened, Clock) {
    let clock = Clock::default();
    let settings = Settings {
        redis: Options::new(Address::parse(&server.url()).unwrap()),
        lease,
        allow_unreplicated: false,
        pod: Some(PodId(pod)),
        makes_ledger: true,
    };
    (open(dir, clock, settings).unwrap(), clock)
}

fn account(ledger: &Ledger, clock: Clock, name: &str, limit: i64) -> Arc<Account> {
    let spec = AccountSpec {
        namespace: "default",
        name,
        budget: "budget",
        period: Period::Lifetime,
        timezone: "UTC",
        limit,
        revision: Revision { epoch: 1, number: 1 },
    };
    ledger.account(clock.now(), &spec).unwrap()
}

/// Looks until it is so, while the ledger's own work goes on.
fn until(what: &str, limit: Duration, ledger: &Ledger, clock: Clock, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    loop {
        ledger.tick(clock.now());
        if is() {
            return;
        }
        assert!(start.elapsed() < limit, "{what}: not after {limit:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A call that costs `amount`; whether it was paid for.
fn paid(ledger: &Ledger, clock: Clock, account: &Arc<Account>, amount: i64) -> bool {
    let mut outcome = ledger.reserve(clock.now(), &[(account.clone(), amount)]);
    loop {
        match outcome {
            Outcome::Reserved(held) => {
                held.settle(clock.now(), amount);
                return true;
            }
            Outcome::Wait(waiting) => {
                std::thread::park_timeout(Duration::from_millis(5));
                outcome = waiting.poll(clock.now(), None);
            }
            Outcome::Refused(_) | Outcome::Away => return false,
        }
    }
}

/// The `field` of an answer of `redis-cli HGETALL` about the ledger.
fn meta(server: &RedisServer, field: &str) -> String {
    server.cli(&["HGET", "smartflow:ledger:1:meta", field])
}

#[test]
fn l13_thousands_of_accounts_with_many_rows_are_said_again_within_seconds_of_a_restart() {
    const ACCOUNTS: usize = 2_000;
    let mut server = RedisServer::start_with(Setup { durable: true, ..Setup::default() });
    let dir = tempfile::tempdir().unwrap();
    let (opened, clock) = pod(dir.path(), &server, 1, Duration::from_secs(600));
    let ledger = &opened.ledger;
    let all: Vec<_> =
        (0..ACCOUNTS).map(|n| account(ledger, clock, &format!("key/{n}"), NANOS_PER_USD)).collect();
    let first = &all[0];
    until("a ledger", PATIENCE, ledger, clock, || paid(ledger, clock, first, 1));
    all.iter().for_each(|account| drop(ledger.reserve(clock.now(), &[(account.clone(), 10)])));
    let known =
        || all.iter().all(|account| ledger.view(clock.now(), account).limit > 0) && ledger.has_said_all();
    until("all accounts to be known", PATIENCE, ledger, clock, known);
    // Fifty processes that have ended, in every window.
    let rows = "local n = 0 for _, key in ipairs(redis.call('KEYS', 'smartflow:ledger:1:w:*')) do \
                if redis.call('TYPE', key).ok == 'hash' then n = n + 1 for i = 1, 50 do redis.call('HSET', key, \
                string.format('%032x', i), string.rep('0', 32) .. ' 9 1795262400000 0 900 400 500 0 -') end \
                redis.call('HDEL', key, 'T') end end return n";
    assert_eq!(server.cli(&["EVAL", rows, "0"]), ACCOUNTS.to_string());
    for account in &all {
        ledger.view(clock.now(), account);
    }
    let heard = || {
        let spent = |account: &Arc<Account>| ledger.view(clock.now(), account).spent;
        all.iter().all(|account| spent(account) >= 20_000)
    };
    until("all rows to count", PATIENCE, ledger, clock, heard);
    let before = ledger.generation();
    server.restart();
    let start = Instant::now();
    let lent = || ledger.generation() > before && paid(ledger, clock, first, NANOS_PER_USD / 10);
    until("it lends again", Duration::from_secs(5), ledger, clock, lent);
    eprintln!("lends {:?} after the restart", start.elapsed());
    opened.remote.end();
}

#[test]
fn l14_without_an_operator_the_ledger_is_made_by_who_knew_the_lost_one() {
    let server = RedisServer::start();
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lease = Duration::from_secs(3);
    let (old, clock) = pod(one.path(), &server, 1, lease);
    let key = account(&old.ledger, clock, "key/k", 1_000);
    until("a ledger", PATIENCE, &old.ledger, clock, || paid(&old.ledger, clock, &key, 100));
    assert_eq!(meta(&server, "lost"), "0", "the first of all");
    until("its answers", PATIENCE, &old.ledger, clock, || old.ledger.generation() > 0);
    server.cli(&["FLUSHALL"]);
    let (fresh, its_clock) = pod(other.path(), &server, 2, lease);
    let its_key = account(&fresh.ledger, its_clock, "key/k", 1_000);
    until("a ledger", PATIENCE, &old.ledger, clock, || {
        fresh.ledger.tick(its_clock.now());
        meta(&server, "lost") == "1"
    });
    // What is lent from now on is what is left.
    until("it lends", PATIENCE, &fresh.ledger, its_clock, || {
        old.ledger.tick(clock.now());
        paid(&fresh.ledger, its_clock, &its_key, 800)
    });
    assert!(!paid(&fresh.ledger, its_clock, &its_key, 200), "100 were spent before");
    fresh.remote.end();
    old.remote.end();
}

#[test]
fn l14_a_pod_that_ends_has_told_of_its_predecessors() {
    let server = RedisServer::start();
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lease = Duration::from_secs(3);
    let (killed, clock) = pod(one.path(), &server, 1, lease);
    let key = account(&killed.ledger, clock, "key/k", 1_000);
    until("a ledger", PATIENCE, &killed.ledger, clock, || paid(&killed.ledger, clock, &key, 100));
    // Its files as a kill would leave them, before anything was told.
    std::fs::create_dir(other.path().join("ledger")).unwrap();
    for file in std::fs::read_dir(one.path().join("ledger")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), other.path().join("ledger").join(file.file_name())).unwrap();
    }
    killed.remote.end();
    server.cli(&["FLUSHALL"]);
    let (brief, _) = pod(other.path(), &server, 1, lease);
    assert_eq!(brief.ledger.open_rows(), 1);
    let ledger = brief.ledger.clone();
    brief.remote.end();
    assert_eq!(ledger.open_rows(), 0, "it left before it had told all");
    let rows = server.cli(&[
        "EVAL",
        "local w = redis.call('KEYS', 'smartflow:ledger:1:w:*') return redis.call('HVALS', w[1])",
        "0",
    ]);
    assert!(rows.contains(" 100 100 0 0 "), "what the killed one granted and spent: {rows}");
    assert_eq!(server.cli(&["ZCARD", "smartflow:ledger:1:fleet"]), "0", "and has left");
}
