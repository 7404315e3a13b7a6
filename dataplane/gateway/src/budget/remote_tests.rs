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
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway's ledger, with what drives it.
struct Pod {
    ledger: Ledger,
    clock: Clock,
    opened: Opened,
    ticking: (Arc<AtomicBool>, JoinHandle<()>),
}

impl Pod {
    /// Without an operator, with the usual timeouts.
    fn start(dir: &Path, server: &RedisServer, pod: u128, lease: Duration) -> Self {
        let clock = Clock::default();
        let settings = Settings {
            redis: Options::new(Address::parse(&server.url()).unwrap()),
            lease,
            allow_unreplicated: false,
            pod: Some(PodId(pod)),
            makes_ledger: true,
        };
        let opened = open(dir, clock, settings).unwrap();
        let (ledger, ends) = (opened.ledger.clone(), Arc::new(AtomicBool::new(false)));
        let (ticked, told) = (ledger.clone(), ends.clone());
        let tick = move || {
            while !told.load(Ordering::Relaxed) {
                ticked.tick(clock.now());
                std::thread::park_timeout(Duration::from_millis(100));
            }
        };
        Self { ledger, clock, opened, ticking: (ends, std::thread::spawn(tick)) }
    }

    /// Ends as a process does that is told to.
    fn end(self) {
        self.ticking.0.store(true, Ordering::Relaxed);
        self.ticking.1.join().unwrap();
        self.opened.remote.end();
    }

    fn account(&self, name: &str, limit: i64) -> Arc<Account> {
        account(&self.ledger, self.clock, name, limit)
    }

    fn pays(&self, account: &Arc<Account>, amount: i64) -> bool {
        paid(&self.ledger, self.clock, account, amount)
    }
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

/// Looks until it is so.
fn until(what: &str, limit: Duration, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
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
    let pod = Pod::start(dir.path(), &server, 1, Duration::from_secs(600));
    let (ledger, clock) = (&pod.ledger, pod.clock);
    let all: Vec<_> = (0..ACCOUNTS).map(|n| pod.account(&format!("key/{n}"), NANOS_PER_USD)).collect();
    let first = &all[0];
    until("a ledger", PATIENCE, || pod.pays(first, 1));
    all.iter().for_each(|account| drop(ledger.reserve(clock.now(), &[(account.clone(), 10)])));
    until("all accounts to be known", PATIENCE, || ledger.has_said_all());
    // Fifty processes that have ended, in every window.
    let rows = "local n = 0 for _, key in ipairs(redis.call('KEYS', 'smartflow:ledger:1:w:*')) do \
                if redis.call('TYPE', key).ok == 'hash' then n = n + 1 for i = 1, 50 do redis.call('HSET', key, \
                string.format('%032x', i), string.rep('0', 32) .. ' 9 1795262400000 0 900 400 500 0 -') end \
                redis.call('HDEL', key, 'T') end end return n";
    assert_eq!(server.cli(&["EVAL", rows, "0"]), ACCOUNTS.to_string());
    // Who has counted is not looked at again: a look at what is a second old asks anew.
    let mut waiting: Vec<_> = all.iter().collect();
    until("all rows to count", PATIENCE * 2, || {
        waiting.retain(|account| ledger.view(clock.now(), account).spent < 20_000);
        waiting.is_empty()
    });
    let before = ledger.generation();
    server.restart();
    let start = Instant::now();
    // Five seconds, and as many for a machine that builds beside.
    until("it lends again", Duration::from_secs(10), || {
        ledger.generation() > before && pod.pays(first, NANOS_PER_USD / 10)
    });
    assert_eq!(meta(&server, "until_mono"), "", "all was said, not waited for: {:?}", start.elapsed());
    pod.end();
}

#[test]
fn l14_without_an_operator_the_ledger_is_made_by_who_knew_the_lost_one() {
    let server = RedisServer::start();
    let one = tempfile::tempdir().unwrap();
    let others = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let lease = Duration::from_secs(3);
    let old = Pod::start(one.path(), &server, 1, lease);
    let key = old.account("key/k", 1_000);
    until("a ledger", PATIENCE, || old.pays(&key, 100));
    assert_eq!(meta(&server, "lost"), "0", "the first of all");
    until("its answers", PATIENCE, || old.ledger.generation() > 0);
    // Several times: who is first is a matter of milliseconds.
    let mut all = others.iter().zip(2..).map(|(other, number)| {
        server.cli(&["FLUSHALL"]);
        let fresh = Pod::start(other.path(), &server, number, lease);
        until("a ledger", PATIENCE, || !meta(&server, "generation").is_empty());
        assert_eq!(meta(&server, "lost"), "1", "by the one who knew");
        fresh
    });
    let mut fresh = all.next().unwrap();
    for next in all {
        std::mem::replace(&mut fresh, next).end();
    }
    let its_key = fresh.account("key/k", 1_000);
    until("it lends", PATIENCE, || fresh.pays(&its_key, 800));
    assert!(!fresh.pays(&its_key, 200), "100 were spent before");
    fresh.end();
    old.end();
}

#[test]
fn l14_a_pod_that_ends_has_told_of_its_predecessors() {
    let server = RedisServer::start();
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lease = Duration::from_secs(3);
    let killed = Pod::start(one.path(), &server, 1, lease);
    let key = killed.account("key/k", 1_000);
    until("a ledger", PATIENCE, || killed.pays(&key, 100));
    // Its files as a kill would leave them.
    std::fs::create_dir(other.path().join("ledger")).unwrap();
    for file in std::fs::read_dir(one.path().join("ledger")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), other.path().join("ledger").join(file.file_name())).unwrap();
    }
    killed.end();
    server.cli(&["FLUSHALL"]);
    let brief = Pod::start(other.path(), &server, 1, lease);
    let ledger = brief.ledger.clone();
    brief.end();
    assert_eq!(ledger.open_rows(), 0, "it left before it had told all");
    let rows = "local w = redis.call('KEYS', 'smartflow:ledger:1:w:*:9223372036854775807') \
                return redis.call('HVALS', w[1])";
    let rows = server.cli(&["EVAL", rows, "0"]);
    // pod number closed written_off G S R O seen: how much more than it spent was granted ahead is a matter of luck.
    let row = rows.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words.len() == 9);
    let amount = |at: usize| row.as_ref().and_then(|words| words[at].parse::<i64>().ok());
    let (granted, spent, returned, overrun) = (amount(4), amount(5), amount(6), amount(7));
    assert_eq!((spent, overrun), (Some(100), Some(0)), "what the killed one spent: {rows}");
    assert_eq!(granted, spent.zip(returned).map(|(s, r)| s + r), "and all else came back: {rows}");
    assert_eq!(server.cli(&["ZCARD", "smartflow:ledger:1:fleet"]), "0", "and has left");
}

#[test]
fn l25_a_start_hears_the_lender_before_the_first_call_and_waits_no_longer_than_it_must() {
    let (server, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let pod = Pod::start(dir.path(), &server, 1, Duration::from_secs(3));
    assert!(pod.opened.remote.greets(), "there was no ledger, and soon there is one");
    assert_ne!(pod.ledger.generation(), 0);
    pod.end();
    server.process().pause();
    let (other, start) = (tempfile::tempdir().unwrap(), Instant::now());
    let alone = Pod::start(other.path(), &server, 2, Duration::from_secs(3));
    assert!(!alone.opened.remote.greets(), "nobody answers");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    server.process().resume();
    until("it is heard later", PATIENCE, || alone.ledger.generation() != 0);
    alone.end();
}
