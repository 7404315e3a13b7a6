//! The shared connection against real Redis servers and a network that fails (faults.md rows 1 to 3, and the known traps
//! of Redis clients).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use smartflow_rig::proxy::{Mode, Proxy};
use smartflow_rig::redis::{RedisServer, Setup};
use smartflow_rig::sentinel::{self, Sentinel};
use smartflow_store::redis::{Address, AddressError, Error, Options, Password, Redis, Script, State, cmd};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn options(url: &str) -> Options {
    Options::new(Address::parse(url).unwrap())
}

/// Behind a proxy.
fn through(proxy: &Proxy) -> Options {
    options(&format!("redis://{}", proxy.address))
}

async fn up(options: Options) -> Redis {
    let redis = Redis::start(options).unwrap();
    redis.ready(PATIENCE).await.unwrap();
    redis
}

async fn ping(redis: &Redis) -> Result<String, Error> {
    redis.run(&cmd("PING")).await
}

/// Waits until commands are answered again; how long that took.
async fn answers_again(redis: &Redis) -> Duration {
    let start = Instant::now();
    while ping(redis).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "not answered again: {:?}", redis.state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Waits until the handle says so.
async fn until(redis: &Redis, wanted: impl Fn(&State) -> bool) {
    let wait = async {
        let mut state = redis.state();
        while !wanted(&state) {
            state = redis.changed(&state).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("another state");
}

fn is_down(state: &State) -> bool {
    matches!(state, State::Down { .. })
}

#[tokio::test]
async fn commands_pipelines_and_scripts_are_answered_and_the_server_is_named() {
    let server = RedisServer::start();
    let redis = up(options(&server.url())).await;
    let key = redis.key("a");
    assert_eq!(key, "smartflow:a");
    let set: String = redis.run(cmd("SET").arg(&key).arg(7)).await.unwrap();
    assert_eq!(set, "OK");
    let mut two = smartflow_store::redis::pipe();
    two.cmd("GET").arg(&key).cmd("LPUSH").arg(&key).arg(1);
    let mut answers = redis.pipeline(&two).await.unwrap().into_iter();
    assert_eq!(Redis::answer::<i64>(answers.next().unwrap()).unwrap(), 7);
    let refused = Redis::answer::<i64>(answers.next().unwrap()).unwrap_err();
    assert_eq!(refused.code(), Some("WRONGTYPE"), "{refused}");
    assert!(ping(&redis).await.is_ok(), "a refusal is no reason to drop the connection");
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    assert_eq!(
        redis.script::<i64, _, _>(&script, &[&key], &[3]).await.unwrap(),
        10,
        "by EVAL: not known yet"
    );
    assert_eq!(redis.script::<i64, _, _>(&script, &[&key], &[3]).await.unwrap(), 13, "by EVALSHA");
    let calls = server.cli(&["INFO", "commandstats"]);
    let count = |name: &str| {
        let line = calls.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        line.and_then(|line| line.split(['=', ',']).nth(1)?.parse::<u32>().ok()).unwrap_or(0)
    };
    assert_eq!((count("eval"), count("evalsha")), (1, 2), "the whole script goes over the wire once");
    let state = redis.state();
    let info = server.cli(&["INFO", "server"]);
    assert!(info.contains(&state.server().unwrap().run_id) && state.server().unwrap().run_id.len() == 40);
}

#[tokio::test]
async fn row_1_redis_down_fails_at_once_and_a_new_server_is_found_without_end() {
    let mut server = RedisServer::start();
    let redis = up(options(&server.url())).await;
    let before = redis.state().server().unwrap().run_id.clone();
    server.kill();
    until(&redis, is_down).await;
    let start = Instant::now();
    for _ in 0..100 {
        let fault = ping(&redis).await.unwrap_err();
        assert!(matches!(fault, Error::Away(_)), "{fault}");
        assert!(fault.never_ran());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "100 commands without a server: {:?}", start.elapsed());
    // Long enough for any client that gives up after some attempts.
    tokio::time::sleep(Duration::from_secs(4)).await;
    server.restart();
    let took = answers_again(&redis).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_ne!(redis.state().server().unwrap().run_id, before, "another start of the server is told");
}

#[tokio::test]
async fn row_2_a_slow_server_costs_one_timeout_and_comes_back_when_it_is_fast() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port).await;
    let redis = up(through(&proxy)).await;
    proxy.set(Mode::Delay(Duration::from_secs(2)));
    let slow = Instant::now();
    let fault = ping(&redis).await.unwrap_err();
    assert!(matches!(fault, Error::Timeout(_)) && !fault.never_ran(), "{fault}");
    until(&redis, is_down).await;
    assert!(slow.elapsed() < Duration::from_secs(1), "open after {:?}", slow.elapsed());
    let open = Instant::now();
    while open.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        assert!(matches!(ping(&redis).await, Err(Error::Away(_))), "a slow server was taken back into use");
        assert!(start.elapsed() < Duration::from_millis(80), "waited {:?} while open", start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.set(Mode::Pass);
    let took = answers_again(&redis).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn row_3_a_half_open_connection_is_replaced_after_one_timeout() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port).await;
    let redis = up(through(&proxy)).await;
    // The host at the other end is gone, and another one has its address.
    proxy.set(Mode::HalfOpen);
    assert!(matches!(ping(&redis).await, Err(Error::Timeout(_))));
    proxy.set(Mode::Pass);
    let took = answers_again(&redis).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(proxy.accepted() >= 2, "on another connection");
}

#[tokio::test]
async fn row_3_tarpits_refusals_and_cuts_do_not_stop_the_attempts() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port).await;
    let redis = up(through(&proxy)).await;
    for mode in [Mode::Tarpit, Mode::Refuse, Mode::Pass] {
        proxy.set(mode);
        let before = proxy.accepted();
        proxy.cut();
        let start = Instant::now();
        while proxy.accepted() < before + 2 - usize::from(mode == Mode::Pass) {
            assert!(start.elapsed() < PATIENCE, "{mode:?}: no further attempt");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    answers_again(&redis).await;
}

#[tokio::test]
async fn tls_and_acl_users_with_rotated_passwords() {
    let lines = vec!["user gateway on >first ~* +@all".to_owned(), "user default off".to_owned()];
    let server = RedisServer::start_with(Setup { tls: true, lines, ..Setup::default() });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "canary-wrong\n").unwrap();
    let url = format!("rediss://gateway@localhost:{}", server.port);
    let trusting = Options {
        password: Password::File(file.path().to_owned()),
        ca_file: server.ca_file().map(std::path::Path::to_owned),
        ..options(&url)
    };
    let redis = Redis::start(trusting.clone()).unwrap();
    until(&redis, |s| matches!(s, State::Down { why } if why.contains("user or its password"))).await;
    let said = format!("{:?} {:?}", redis, ping(&redis).await);
    assert!(!said.contains("canary"), "{said}");
    // The right one is read without a restart.
    std::fs::write(file.path(), "first\n").unwrap();
    answers_again(&redis).await;
    // Without the authority there is no connection, also not one without a check.
    let blind = Redis::start(Options { ca_file: None, ..trusting }).unwrap();
    until(&blind, |s| matches!(s, State::Down { why } if why.contains("certificate"))).await;
}

#[tokio::test]
async fn a_replica_is_refused_and_settings_that_cannot_work_are_told() {
    let master = RedisServer::start();
    let copy = RedisServer::start_with(Setup { replica_of: Some(master.port), ..Setup::default() });
    let redis = Redis::start(options(&copy.url())).unwrap();
    until(&redis, |s| matches!(s, State::Down { why } if why.contains("is a replica"))).await;
    assert_eq!(Address::parse("redis://:secret@x").unwrap_err(), AddressError::Password);
    let fault = Redis::start(options("redis://gateway@localhost")).unwrap_err().to_string();
    assert!(fault.contains("`gateway`") && fault.contains("--redis-password-file"), "{fault}");
    let bad = Options { prefix: "a{b".to_owned(), ..options("redis://localhost") };
    assert!(Redis::start(bad).unwrap_err().to_string().contains("--redis-prefix `a{b`"));
    let bad = Options { ca_file: Some("/nowhere.pem".into()), ..options("rediss://localhost") };
    assert!(Redis::start(bad).unwrap_err().to_string().contains("/nowhere.pem"));
}

#[tokio::test]
async fn row_3_failover_by_sentinel_is_followed_within_seconds_of_it() {
    let mut master = RedisServer::start();
    let copy = RedisServer::start_with(Setup { replica_of: Some(master.port), ..Setup::default() });
    let mut sentinels = Sentinel::three(master.port);
    sentinels[0].knows_replicas(1);
    let redis = up(options(&sentinel::url(&sentinels))).await;
    assert!(redis.state().server().unwrap().host.ends_with(&master.port.to_string()));
    master.kill();
    until(&redis, |state| state.server().is_some_and(|s| s.host.ends_with(&copy.port.to_string()))).await;
    let set: String = redis.run(cmd("SET").arg("a").arg(1)).await.unwrap();
    assert_eq!(set, "OK", "the new master takes writes");
}

#[tokio::test]
async fn row_3_a_master_that_sentinels_demote_where_it_is_is_left() {
    let master = RedisServer::start();
    let copy = RedisServer::start_with(Setup { replica_of: Some(master.port), ..Setup::default() });
    let mut sentinels = Sentinel::three(master.port);
    sentinels[0].knows_replicas(1);
    let redis = up(options(&sentinel::url(&sentinels))).await;
    sentinels[0].demote_master();
    let start = Instant::now();
    let follows = || redis.state().server().is_some_and(|s| s.host.ends_with(&copy.port.to_string()));
    let mut writes = false;
    while !(writes && follows()) {
        // Only what writes is refused by a replica.
        writes = redis.run::<String>(cmd("SET").arg("a").arg(1)).await.is_ok();
        assert!(start.elapsed() < PATIENCE, "stays where it was: {:?}", redis.state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        master.cli(&["INFO", "replication"]).contains("role:slave"),
        "it lives, and is another one's copy"
    );
}

#[tokio::test]
async fn a_dedicated_connection_blocks_alone_and_waits_for_replicas() {
    let master = RedisServer::start();
    let redis = up(options(&master.url())).await;
    let mut own = redis.dedicated().await.unwrap();
    let writes: String = own.run(cmd("SET").arg("a").arg(1), PATIENCE).await.unwrap();
    assert_eq!(writes, "OK");
    assert_eq!(own.wait(1, Duration::from_millis(20)).await.unwrap(), 0, "nobody has it");
    let copy = RedisServer::start_with(Setup { replica_of: Some(master.port), ..Setup::default() });
    let start = Instant::now();
    while own.wait(1, Duration::from_millis(100)).await.unwrap() < 1 {
        assert!(start.elapsed() < PATIENCE, "the replica does not come");
    }
    assert_eq!(copy.cli(&["GET", "a"]), "1");
    let mut blocking = cmd("XREAD");
    blocking.arg("BLOCK").arg(0).arg("STREAMS").arg("s").arg("$");
    let reader =
        tokio::spawn(async move { own.run::<smartflow_store::redis::Value>(&blocking, PATIENCE).await });
    let start = Instant::now();
    while master.figure("clients", "blocked_clients") < 1 {
        assert!(start.elapsed() < PATIENCE, "nobody blocks");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ping(&redis).await.is_ok(), "the shared connection is not held up");
    redis.run::<String>(cmd("XADD").arg("s").arg("*").arg("k").arg("v")).await.unwrap();
    assert!(reader.await.unwrap().is_ok());
}
