//! The contract suites on a real Redis, and what only a lender outside the process can do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use smartflow_rig::redis::{RedisServer, Setup};
use smartflow_store::redis::{Address, Options, Redis};
use tokio::runtime::Runtime;

use super::*;
use crate::{
    account::{PodId, Revision},
    contract::{self, Rig},
    message::{Lend, MoneyAnswer, MoneyAsk, Totals},
    rate::contract as rates,
};

pub(super) const LIMIT: Duration = Duration::from_secs(10);
pub(super) const LEASE: RedisOptions = RedisOptions { lease_millis: 600_000, allow_unreplicated: false };
const HOUR: i64 = 3_600_000;

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(super) fn wall() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A connection with patience, for a busy machine.
pub(super) async fn connect(server: &RedisServer, prefix: &str) -> Redis {
    let options = Options {
        prefix: prefix.to_owned(),
        command_timeout: LIMIT,
        connect_timeout: LIMIT,
        ..Options::new(Address::parse(&server.url()).unwrap())
    };
    let redis = Redis::start(options).unwrap();
    redis.ready(LIMIT).await.unwrap();
    redis
}

pub(super) async fn lender(server: &RedisServer, prefix: &str, options: RedisOptions) -> RedisLender {
    RedisLender::new(connect(server, prefix).await, options)
}

/// A lender with an empty ledger, under a prefix of its own.
pub(super) async fn fresh(server: &RedisServer, options: RedisOptions) -> RedisLender {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("p{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let lender = lender(server, &prefix, options).await;
    lender.create(&Creation { generation: 1, ..Creation::default() }).await.unwrap().unwrap();
    lender
}

pub(super) fn heartbeat(pod: u128) -> Batch {
    Batch {
        incarnation: Incarnation(pod),
        pod: PodId(pod),
        recalls_after: u64::MAX,
        money: Vec::new(),
        rates: Vec::new(),
    }
}

pub(super) const NOW: Now = Now { mono: 0, wall: 0 };

/// What the pods of the suite would do after a restart of Redis: say that they have said all.
async fn all_have_reported(lender: &RedisLender) {
    for pod in [0xA, 0xB] {
        let generation = Lender::exchange(lender, NOW, &heartbeat(pod)).await.unwrap().generation;
        lender.has_told_all(generation);
        Lender::exchange(lender, NOW, &heartbeat(pod)).await.unwrap();
    }
    assert!(!lender.health().recovering);
}

#[test]
fn l12_the_contract_suite_on_redis_which_is_killed_and_keeps_its_append_only_file() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let server = RedisServer::start_with(Setup { durable: true, ..Setup::default() });
    let server = Rc::new(RefCell::new(server));
    let rig = || {
        let first = runtime.block_on(fresh(&server.borrow(), LEASE));
        let prefix = first.redis.prefix().to_owned();
        let (server, handle) = (server.clone(), runtime.handle().clone());
        let restart = move |old: Box<dyn Lender>| {
            drop(old);
            server.borrow_mut().restart();
            let server = server.borrow();
            let next = handle.block_on(lender(&server, &prefix, LEASE));
            handle.block_on(all_have_reported(&next));
            Box::new(next) as Box<dyn Lender>
        };
        Rig { lender: Box::new(first), wall: wall(), restart: Some(Box::new(restart)) }
    };
    if let Err(broken) = contract::check(rig) {
        panic!("{}", broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

/// Time in a key of the server.
struct Stage<'a> {
    server: &'a RedisServer,
    runtime: &'a Runtime,
    key: String,
    nanos: u64,
}

impl rates::Stage for Stage<'_> {
    fn now(&mut self) -> Now {
        Now { mono: self.nanos, wall: i64::try_from(self.nanos / 1_000_000).unwrap() }
    }

    fn pass(&mut self, nanos: u64) {
        self.nanos += nanos;
        self.server.cli(&["SET", &self.key, &(self.nanos / 1000).to_string()]);
    }

    fn answers(&mut self, pending: Pending<'_, Answers>) -> Result<Answers, LenderError> {
        self.runtime.block_on(pending)
    }
}

#[test]
fn l12_the_suite_of_rates_on_redis() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let server = RedisServer::start();
    let redis = runtime.block_on(connect(&server, "rates"));
    let lender = RedisLender::with_scripts(redis, LEASE, Scripts::with_simulated_clock());
    let key = "rates:ledger:1:clock".to_owned();
    let mut stage = Stage { server: &server, runtime: &runtime, key, nanos: 1_795_262_400_250_000_000 };
    rates::Stage::pass(&mut stage, 0);
    runtime.block_on(lender.create(&Creation { generation: 1, ..Creation::default() })).unwrap().unwrap();
    let broken = rates::check(&lender, &mut stage);
    assert!(broken.is_empty(), "{broken:#?}");
}

pub(super) fn ask(number: u64, totals: Totals, at_least: i64) -> MoneyAsk {
    MoneyAsk {
        account: AccountId(7),
        window: Window { start: wall() / HOUR * HOUR, end: wall() / HOUR * HOUR + 24 * HOUR },
        incarnation: Incarnation(0xA),
        pod: PodId(0xA),
        number,
        totals,
        reservation: 1,
        lend: (at_least > 0).then_some(Lend { at_least, background: false }),
        limit: Some((1_000, Revision { epoch: 1, number: 1 })),
        close: false,
        closed_total: 0,
        counted: false,
    }
}

pub(super) async fn say(lender: &RedisLender, ask: MoneyAsk) -> MoneyAnswer {
    let batch = Batch { incarnation: ask.incarnation, pod: ask.pod, money: vec![ask], ..heartbeat(0) };
    Lender::exchange(lender, NOW, &batch).await.unwrap().money[0]
}

pub(super) fn totals(granted: i64, spent: i64, returned: i64) -> Totals {
    Totals { granted, spent, returned, overrun: 0 }
}

#[tokio::test]
async fn l1_amounts_beyond_a_double_are_exact() {
    let server = RedisServer::start();
    let lender = fresh(&server, LEASE).await;
    // $999,999,999.999999999, and sums and quarters of such.
    let limit = 999_999_999_999_999_999;
    let big = |number, totals, at_least| MoneyAsk {
        limit: Some((limit, Revision { epoch: u64::MAX, number: u64::MAX - 1 })),
        ..ask(number, totals, at_least)
    };
    let first = say(&lender, big(1, Totals::default(), 500_000_000_000_000_001)).await;
    assert_eq!((first.granted, first.lendable), (500_000_000_000_000_001, 499_999_999_999_999_998));
    let spent = totals(500_000_000_000_000_001, 499_999_999_999_999_999, 1);
    let second = say(&lender, big(2, spent, 0)).await;
    assert_eq!((second.spent, second.lendable), (499_999_999_999_999_999, 499_999_999_999_999_999));
    assert_eq!(second.size, 9_999_999_999_999_999, "limit / 100");
    let over = Totals { overrun: i64::MAX, ..spent };
    let third = say(&lender, big(3, over, 0)).await;
    assert_eq!(
        (third.spent, third.lendable),
        (i64::MAX, 0),
        "what is billed beyond all bounds does not wrap"
    );
    // Ages of limits are compared as they are, too.
    let older =
        MoneyAsk { limit: Some((1, Revision { epoch: u64::MAX, number: u64::MAX - 2 })), ..big(4, over, 0) };
    assert_eq!(say(&lender, older).await.limit, limit);
    let newer =
        MoneyAsk { limit: Some((1, Revision { epoch: u64::MAX, number: u64::MAX })), ..big(5, over, 0) };
    assert_eq!(say(&lender, newer).await.limit, 1);
}

#[tokio::test]
async fn l4_a_limit_from_a_clock_that_is_ahead_does_not_stand_in_the_way_of_later_ones() {
    let server = RedisServer::start();
    let lender = fresh(&server, LEASE).await;
    let loaded = |limit, ahead: i64| {
        let epoch = u64::try_from(wall() + ahead).unwrap();
        MoneyAsk { limit: Some((limit, Revision { epoch, number: 1 })), ..ask(1, Totals::default(), 0) }
    };
    assert_eq!(say(&lender, loaded(1_000_000, HOUR)).await.limit, 1_000_000);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(say(&lender, loaded(10, 0)).await.limit, 10, "lowered later, by a clock that is right");
    assert_eq!(say(&lender, loaded(1_000_000, -HOUR)).await.limit, 10);
}

#[tokio::test]
async fn l14a_without_a_ledger_nothing_is_lent_and_nobody_but_the_operator_makes_one() {
    let server = RedisServer::start();
    let lender = lender(&server, "empty", LEASE).await;
    let fault = Lender::exchange(&lender, NOW, &heartbeat(1)).await.unwrap_err();
    assert!(fault.to_string().contains("no ledger"), "{fault}");
    assert_eq!(server.cli(&["DBSIZE"]), "0", "an exchange made something");
    let start = u64::try_from(wall()).unwrap();
    let made = lender.create(&Creation { generation: 5, ..Creation::default() }).await.unwrap();
    assert_eq!(made, lender.generation().await.unwrap());
    assert!(made.unwrap() >= start, "above all that anybody may know, whatever clocks pods have: {made:?}");
    assert_eq!(
        lender.create(&Creation { generation: u64::MAX >> 12, ..Creation::default() }).await.unwrap(),
        None,
        "once"
    );
    assert_eq!(say(&lender, ask(1, Totals::default(), 10)).await.granted, 10);
}

#[tokio::test]
async fn l14a_lending_stops_while_the_server_may_forget() {
    let server = RedisServer::start_with(Setup {
        lines: vec!["maxmemory-policy allkeys-lru".to_owned()],
        ..Setup::default()
    });
    let lender = fresh(&server, LEASE).await;
    let answer = say(&lender, ask(1, Totals::default(), 10)).await;
    assert_eq!((answer.granted, answer.short), (0, false), "neither lent nor refused");
    assert!(matches!(lender.health().stopped, Some(Unsafe::Policy(_))));
    // Another pod, which trusts what the first one found.
    let other = RedisLender::new(lender.redis.clone(), LEASE);
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let cleared = say(&other, ask(2, Totals::default(), 10)).await;
    assert_eq!(cleared.granted, 10, "and goes on when it is well");
}

#[tokio::test]
async fn l14_a_flush_makes_a_new_generation_that_lends_when_all_known_pods_have_reported() {
    let server = RedisServer::start();
    let lender = fresh(&server, LEASE).await;
    let held = say(&lender, ask(1, Totals::default(), 400)).await.granted;
    assert_eq!(held, 400);
    server.cli(&["FLUSHALL"]);
    assert!(Lender::exchange(&lender, NOW, &heartbeat(0xA)).await.is_err());
    let pods = vec![PodId(0xA), PodId(0xB)];
    let made = lender.create(&Creation { generation: 2, lost: true, pods }).await.unwrap().unwrap();
    // A third pod knows nothing: it must not be lent what the first one still holds.
    let stranger = |number, at_least| MoneyAsk {
        incarnation: Incarnation(0xC),
        pod: PodId(0xC),
        ..ask(number, Totals::default(), at_least)
    };
    let refused = say(&lender, stranger(1, 700)).await;
    assert_eq!((refused.granted, refused.short), (0, false), "neither lent nor refused");
    assert!(lender.health().recovering);
    let told = say(&lender, ask(2, totals(400, 100, 0), 0)).await;
    assert_eq!((told.granted, told.spent), (400, 100), "the pod's own word is taken");
    lender.has_told_all(made - 1);
    Lender::exchange(&lender, NOW, &heartbeat(0xA)).await.unwrap();
    Lender::exchange(&lender, NOW, &heartbeat(0xB)).await.unwrap();
    assert!(lender.health().recovering, "that was the generation before");
    lender.has_told_all(made);
    Lender::exchange(&lender, NOW, &heartbeat(0xA)).await.unwrap();
    assert!(lender.health().recovering, "one of two");
    Lender::exchange(&lender, NOW, &heartbeat(0xB)).await.unwrap();
    assert!(!lender.health().recovering);
    assert_eq!(say(&lender, stranger(2, 601)).await.granted, 0, "400 are held or spent");
    assert_eq!(say(&lender, stranger(3, 600)).await.granted, 600);
}

#[tokio::test]
async fn l14_a_server_that_lost_all_waits_one_lease_for_pods_that_never_report() {
    let mut server = RedisServer::start();
    let short = RedisOptions { lease_millis: 1_500, ..LEASE };
    let first = fresh(&server, short).await;
    say(&first, ask(1, Totals::default(), 100)).await;
    let before = first.generation().await.unwrap().unwrap();
    let prefix = first.redis.prefix().to_owned();
    server.restart();
    assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing is left");
    let lender = lender(&server, &prefix, short).await;
    assert!(Lender::exchange(&lender, NOW, &heartbeat(0xA)).await.is_err());
    let creation = Creation { generation: before + 1, lost: true, pods: vec![PodId(0xA), PodId(0xB)] };
    let made = lender.create(&creation).await.unwrap().unwrap();
    assert!(made > before, "another ledger, another generation");
    waits_a_lease(&lender).await;
}

#[tokio::test]
async fn l14_a_server_that_was_started_again_waits_too_though_it_kept_its_file() {
    let mut server = RedisServer::start_with(Setup { durable: true, ..Setup::default() });
    let short = RedisOptions { lease_millis: 1_500, ..LEASE };
    let first = fresh(&server, short).await;
    say(&first, ask(1, Totals::default(), 100)).await;
    let before = first.generation().await.unwrap().unwrap();
    let prefix = first.redis.prefix().to_owned();
    server.restart();
    let lender = lender(&server, &prefix, short).await;
    waits_a_lease(&lender).await;
    assert!(lender.generation().await.unwrap().unwrap() > before, "another server, another generation");
}

/// Nobody says that all was said: nothing is lent for a lease of 1.5 s, and then it is.
async fn waits_a_lease(lender: &RedisLender) {
    let start = std::time::Instant::now();
    let refused = say(lender, ask(2, totals(100, 0, 0), 200)).await;
    assert_eq!((refused.granted, refused.short), (100, false));
    let mut number = 3;
    while say(lender, ask(number, totals(100, 0, 0), 200)).await.granted < 200 {
        number += 1;
        assert!(start.elapsed() < LIMIT, "never lends again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(1_200), "{:?}", start.elapsed());
}

#[tokio::test]
async fn l14_rows_and_base_that_the_operator_kept_are_put_back_under_what_pods_report() {
    let server = RedisServer::start();
    let lender = fresh(&server, LEASE).await;
    let (now, account) = (wall(), AccountId(7));
    say(&lender, ask(1, Totals::default(), 300)).await;
    let gone = |number, totals, close| MoneyAsk {
        incarnation: Incarnation(0xD),
        pod: PodId(0xD),
        close,
        ..ask(number, totals, if close { 0 } else { 200 })
    };
    say(&lender, gone(1, Totals::default(), false)).await;
    say(&lender, gone(2, totals(200, 150, 30), true)).await;
    let moved = lender.moved(now - 1_000).await.unwrap();
    assert_eq!(moved.accounts, [account]);
    assert_eq!(lender.moved(moved.upto + 1).await.unwrap().accounts, []);
    let kept = lender.standing(account).await.unwrap().remove(0);
    assert_eq!((kept.spent, kept.leased, kept.forfeited, kept.closed_total), (150, 300, 20, 170));
    server.cli(&["FLUSHALL"]);
    lender.create(&Creation { generation: 2, lost: true, pods: vec![PodId(0xA)] }).await.unwrap();
    // The pod that lives has spent since the last reading, and reports before the operator.
    say(&lender, ask(3, totals(300, 90, 0), 0)).await;
    let live: Vec<_> = kept.rows.iter().filter(|row| row.closed.is_none()).copied().collect();
    let limit = Some((1_000, Revision { epoch: 1, number: 1 }));
    let back = PutBack { account, window: kept.window, closed_total: kept.closed_total, limit, rows: live };
    assert_eq!(lender.put_back(&back).await.unwrap(), 0, "the pod's own word stands");
    let stands = lender.standing(account).await.unwrap().remove(0);
    assert_eq!((stands.spent, stands.leased, stands.closed_total), (90, 210, 170), "C is not lost");
    let back = PutBack { rows: kept.rows.clone(), ..back };
    assert_eq!(lender.put_back(&back).await.unwrap(), 1, "a row that nobody else reports");
    let stands = lender.standing(account).await.unwrap().remove(0);
    assert_eq!((stands.spent, stands.forfeited, stands.closed_total), (240, 20, 170), "counted once");
}

/// Says it until a replica has confirmed it: one that is just coming up takes its time.
async fn confirmed(lender: &RedisLender, ask: MoneyAsk) -> MoneyAnswer {
    let start = std::time::Instant::now();
    loop {
        let batch = Batch { money: vec![ask], ..heartbeat(0xA) };
        match Lender::exchange(lender, NOW, &batch).await {
            Ok(answers) => return answers.money[0],
            Err(fault) => assert!(start.elapsed() < LIMIT * 2, "never confirmed: {fault}"),
        }
    }
}

#[tokio::test]
async fn l14a_with_a_replica_a_grant_counts_only_when_it_has_it() {
    let master = RedisServer::start();
    let copy = RedisServer::start_with(Setup { replica_of: Some(master.port), ..Setup::default() });
    let lender = fresh(&master, LEASE).await;
    let start = std::time::Instant::now();
    while master.figure("replication", "connected_slaves") == 0 || copy.cli(&["DBSIZE"]) == "0" {
        assert!(start.elapsed() < LIMIT, "the replica does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(confirmed(&lender, ask(1, Totals::default(), 100)).await.granted, 100);
    // It still is connected, and takes nothing in.
    copy.process().pause();
    let batch = Batch { money: vec![ask(2, totals(100, 0, 0), 200)], ..heartbeat(0xA) };
    let fault = Lender::exchange(&lender, NOW, &batch).await.unwrap_err();
    assert!(fault.to_string().contains("no replica"), "{fault}");
    copy.process().resume();
    // The retry asks for the same G: lent once.
    let retried = confirmed(&lender, batch.money[0]).await;
    assert_eq!((retried.granted, retried.lendable), (200, 800));
    drop(copy);
    while master.figure("replication", "connected_slaves") > 0 {
        assert!(start.elapsed() < LIMIT * 3, "the replica does not go");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stopped = say(&lender, ask(4, totals(200, 0, 0), 300)).await;
    assert_eq!((stopped.granted, stopped.short), (200, false), "no replica is left");
    assert!(lender.health().unprotected);
    let bold = RedisLender::new(lender.redis.clone(), RedisOptions { allow_unreplicated: true, ..LEASE });
    assert_eq!(say(&bold, ask(5, totals(200, 0, 0), 300)).await.granted, 300);
    assert!(bold.health().unprotected, "and it is told");
}

#[tokio::test]
async fn l5a_the_operator_closes_what_a_pod_that_is_gone_held_and_an_administrator_writes_it_off() {
    let mut server = RedisServer::start_with(Setup { durable: true, ..Setup::default() });
    let first = fresh(&server, LEASE).await;
    say(&first, ask(1, Totals::default(), 400)).await;
    let window = ask(1, Totals::default(), 0).window;
    let row = first.standing(AccountId(7)).await.unwrap()[0].rows[0];
    assert!(first.write_off(AccountId(7), window, row.incarnation).await.is_err(), "it may still spend");
    first.close(AccountId(7), window, &row).await.unwrap();
    let late = say(&first, ask(2, totals(400, 0, 0), 500)).await;
    assert_eq!((late.granted, late.closed), (400, true), "a pod that was thought gone gets no more");
    assert_eq!((late.forfeited, late.lendable), (400, 600));
    assert_eq!(first.write_off(AccountId(7), window, row.incarnation).await.unwrap(), 400);
    assert_eq!(first.standing(AccountId(7)).await.unwrap()[0].forfeited, 0);
    // It is not waited for when the server comes back as another one.
    first.leave(PodId(0xA)).await.unwrap();
    let prefix = first.redis.prefix().to_owned();
    server.restart();
    let lender = lender(&server, &prefix, LEASE).await;
    Lender::exchange(&lender, NOW, &heartbeat(0)).await.unwrap();
    assert!(!lender.health().recovering, "nobody is left to wait for");
}

#[tokio::test]
async fn l15_a_user_limited_to_the_prefix_is_enough() {
    let user = "user smartflow on >secret ~mine:* +@all -@dangerous +info";
    let server = RedisServer::start_with(Setup { lines: vec![user.to_owned()], ..Setup::default() });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret").unwrap();
    let url = format!("redis://smartflow@127.0.0.1:{}", server.port);
    let options = |prefix: &str| Options {
        prefix: prefix.to_owned(),
        password: smartflow_store::redis::Password::File(file.path().to_owned()),
        command_timeout: LIMIT,
        ..Options::new(Address::parse(&url).unwrap())
    };
    let redis = Redis::start(options("mine")).unwrap();
    redis.ready(LIMIT).await.unwrap();
    let lender = RedisLender::new(redis, LEASE);
    lender.create(&Creation { generation: 1, ..Creation::default() }).await.unwrap().unwrap();
    assert_eq!(say(&lender, ask(1, Totals::default(), 10)).await.granted, 10);
    assert_eq!(lender.standing(AccountId(7)).await.unwrap().len(), 1);
    assert!(lender.recalls(Incarnation(1), 0).await.unwrap().accounts.is_empty());
    assert!(lender.purge(AccountId(7)).await.unwrap());
    let other = Redis::start(options("others")).unwrap();
    other.ready(LIMIT).await.unwrap();
    let other = RedisLender::new(other, LEASE);
    assert!(other.create(&Creation { generation: 1, ..Creation::default() }).await.is_err());
}

#[tokio::test]
async fn l8_a_recall_reaches_a_blocked_reader_at_once() {
    let server = RedisServer::start();
    let lender = Arc::new(fresh(&server, LEASE).await);
    say(&lender, ask(1, Totals::default(), 1_000)).await;
    let reader = lender.clone();
    let reading = tokio::spawn(async move { reader.recalls(Incarnation(0xA), 0).await.unwrap() });
    let start = std::time::Instant::now();
    while server.figure("clients", "blocked_clients") == 0 {
        assert!(start.elapsed() < LIMIT, "nobody blocks");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let short = MoneyAsk { incarnation: Incarnation(0xB), pod: PodId(0xB), ..ask(1, Totals::default(), 10) };
    say(&lender, short).await;
    let recalls = reading.await.unwrap();
    assert_eq!(recalls.accounts, [(AccountId(7), Incarnation(0xB))]);
    let quiet = lender.recalls(Incarnation(0xA), recalls.upto).await.unwrap();
    assert_eq!((quiet.accounts, quiet.upto), (Vec::new(), recalls.upto), "each once");
}
