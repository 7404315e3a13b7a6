//! Three gateways, one Redis: budgets and rates hold over all of them (ledger.md on Redis, faults.md rows 1, 2 and 4).

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{DOLLAR, nano, served};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use smartflow_rig::proxy::{Mode, Proxy};
use smartflow_rig::redis::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Patience with a machine that builds beside.
const PATIENCE: Duration = Duration::from_secs(60);
/// A client that was refused this often in a row has nothing more to spend.
const REFUSALS: u32 = 12;

/// Gateways of one folder that share a ledger.
async fn pods(world: &World, redis: &str, count: usize, more: &[&str]) -> Vec<Gateway> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut arguments = vec!["--redis", redis, "--threads", "1"];
        arguments.extend(more);
        all.push(Gateway::start_with(world, &arguments).await);
    }
    all
}

/// A vendor, and a world with key `race` of a dollar and key `rich` of a thousand.
fn world() -> (Vendor, World) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    // Each call holds all that it may cost: what a budget cuts short, a vendor faster than the cut has served already.
    let whole = json!({"budget": {"limitUSD": "1", "period": "Lifetime", "whenShort": "Reject"}});
    world.put("race", &key("race", &whole));
    world.put("rich", &key("rich", &budget("1000")));
    (vendor, world)
}

fn small(tokens: u64) -> Value {
    let mut body = ask("mock-small", &format!("[[tokens={tokens}]]"));
    body["max_tokens"] = json!(tokens);
    body
}

/// What the key's statement says at this pod: spent, forfeited.
async fn statement(gateway: &Gateway, key: &str) -> (i64, i64) {
    let told = gateway.client(&token(key)).get("/v1/usage").await.expect_status(200).json();
    let amount = |field: &str| nano(told["budgets"][0][field].as_str().unwrap());
    (amount("spent_usd"), amount("unattributed_usd"))
}

/// Calls until the budget has refused for good. Calls for want of the lender are tried again.
async fn spend_all(client: Client, tokens: u64) {
    let (mut refused, start) = (0, Instant::now());
    while refused < REFUSALS {
        assert!(start.elapsed() < PATIENCE * 2, "the budget never ends");
        let answer = client.chat(&small(tokens)).await;
        match (answer.status, answer.code().as_str()) {
            (200, _) => refused = 0,
            (429, "budget_exceeded") => refused += 1,
            (503, "budget_unavailable") => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => panic!("{answer:?}"),
        }
    }
}

/// Four clients at each pod, all with one key, until it has nothing left.
async fn race(pods: &[Gateway], tokens: u64) {
    let clients = pods.iter().flat_map(|pod| (0..4).map(|_| pod.client(&token("race"))));
    let racing: Vec<_> = clients.map(|client| tokio::spawn(spend_all(client, tokens))).collect();
    for one in racing {
        one.await.unwrap();
    }
}

fn served_in_all(vendor: &Vendor) -> i64 {
    vendor.calls().iter().map(|call| served("mock-small", call)).sum()
}

/// Waits until all pods tell what the vendor has served, and the same, twice in a row: spent and forfeited.
async fn settled(pods: &[Gateway], vendor: &Vendor) -> (i64, i64) {
    let start = Instant::now();
    let mut last = Vec::new();
    loop {
        let mut told = Vec::new();
        for pod in pods {
            told.push(statement(pod, "race").await);
        }
        let agree = told.iter().all(|one| *one == told[0]);
        if agree && told == last && told[0].0 == served_in_all(vendor) {
            return told[0];
        }
        assert!(start.elapsed() < PATIENCE, "{told:?}, and {} was served", served_in_all(vendor));
        last = told;
        // Statements are as old as the last report: a second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

#[tokio::test]
async fn l6_three_pods_never_spend_more_than_the_dollar_and_can_use_it() {
    let (vendor, world) = world();
    let redis = RedisServer::start();
    let pods = pods(&world, &redis.url(), 3, &["--redis-timeout", "2s"]).await;
    // At $4 a million, 500 tokens and a short prompt cost a fifth of a cent: limit / 500.
    race(&pods, 500).await;
    let (spent, forfeited) = settled(&pods, &vendor).await;
    assert!(spent <= DOLLAR, "{spent} nano-USD were spent of one dollar");
    assert_eq!(forfeited, 0, "nobody died");
    assert!(spent * 100 >= DOLLAR * 95, "only {spent} nano-USD of a dollar could be used");
    for pod in &pods {
        let answer = pod.client(&token("race")).chat(&small(500)).await;
        answer.expect_error(429, "insufficient_quota", "budget_exceeded");
    }
}

#[tokio::test]
async fn l23_three_pods_share_requests_per_minute() {
    let (vendor, world) = world();
    world.put("rated", &key("rated", &json!({"limits": {"requestsPerMinute": 60}})));
    let redis = RedisServer::start();
    let pods = pods(&world, &redis.url(), 3, &["--redis-timeout", "2s"]).await;
    let start = Instant::now();
    let saturate = |client: Client| async move {
        let mut last = Instant::now();
        while last.elapsed() < Duration::from_secs(6) {
            let answer = client.chat(&small(5)).await;
            match answer.status {
                200 => last = Instant::now(),
                429 => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => panic!("{answer:?}"),
            }
        }
    };
    let clients = pods.iter().flat_map(|pod| (0..2).map(|_| pod.client(&token("rated"))));
    let all: Vec<_> = clients.map(|client| tokio::spawn(saturate(client))).collect();
    for one in all {
        one.await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(55), "longer than the minute that this is about");
    let served = vendor.calls().len();
    assert!((57..=60).contains(&served), "{served} of 60 were served over three pods");
}

#[tokio::test]
async fn l7_ordinary_calls_make_no_redis_call() {
    let (_vendor, world) = world();
    let redis = RedisServer::start();
    let pods = pods(&world, &redis.url(), 1, &["--redis-timeout", "2s"]).await;
    let client = pods[0].client(&token("rich"));
    client.chat(&small(5)).await.expect_status(200);
    let scripts = || {
        let stats = redis.cli(&["INFO", "commandstats"]);
        let line =
            stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or_default().to_owned();
        line.split(['=', ',']).nth(1).and_then(|calls| calls.parse::<u64>().ok()).unwrap_or(0)
    };
    let (before, start) = (scripts(), Instant::now());
    for _ in 0..400 {
        client.chat(&small(5)).await.expect_status(200);
    }
    let calls = scripts() - before;
    // What was spent is reported once a second, and a heartbeat goes every five.
    let reports = start.elapsed().as_secs() * 2 + 3;
    assert!(calls <= reports, "{calls} scripts during 400 calls in {:?}", start.elapsed());
    // And none waits for one: Redis stands still, connections stay open.
    redis.process().pause();
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let start = Instant::now();
        client.chat(&small(5)).await.expect_status(200);
        slowest = slowest.max(start.elapsed());
    }
    redis.process().resume();
    assert!(slowest < Duration::from_secs(1), "a call waited {slowest:?}");
}

#[tokio::test]
async fn row_1_redis_down_keys_in_use_go_on_others_wait_and_nothing_is_lost() {
    let (vendor, world) = world();
    let mut redis =
        RedisServer::start_with(smartflow_rig::redis::Setup { durable: true, ..Default::default() });
    let more = ["--redis-timeout", "1s", "--lease-duration", "30s"];
    let pods = pods(&world, &redis.url(), 2, &more).await;
    for pod in &pods {
        pod.client(&token("rich")).chat(&small(5)).await.expect_status(200);
    }
    redis.kill();
    let down = Instant::now();
    while down.elapsed() < Duration::from_secs(4) {
        for pod in &pods {
            pod.client(&token("rich")).chat(&small(5)).await.expect_status(200);
        }
    }
    // A key that this pod never used holds nothing here.
    let unknown = pods[0].client(&token("race")).chat(&small(5)).await;
    unknown.expect_error(503, "server_error", "budget_unavailable");
    assert_eq!(pods[0].admin_page("/readyz").await.status, 200, "a pod without Redis serves");
    let page = String::from_utf8(pods[0].admin_page("/metrics").await.body.to_vec()).unwrap();
    assert!(page.contains("smartflow_lender_up 0"), "{page}");
    redis.restart();
    let client = pods[1].client(&token("race"));
    let lends = || async { client.chat(&small(5)).await.status == 200 };
    pods[1].until("the lender to lend again", PATIENCE, lends).await;
    for pod in &pods {
        // Summed at each look: the vendor notes a call when it has ended, a little after its caller has the answer.
        let told = || async {
            statement(pod, "rich").await.0 + statement(pod, "race").await.0 == served_in_all(&vendor)
        };
        pod.until("all spend of the dark time to be told", PATIENCE, told).await;
    }
}

#[tokio::test]
async fn row_2_slow_redis_costs_calls_nothing() {
    let (_vendor, world) = world();
    let redis = RedisServer::start();
    let proxy = Proxy::before(redis.port).await;
    let pods = pods(&world, &format!("redis://{}", proxy.address), 1, &["--redis-timeout", "500ms"]).await;
    let client = pods[0].client(&token("rich"));
    let measure = || async {
        let mut took = Vec::new();
        for _ in 0..300 {
            let start = Instant::now();
            client.chat(&small(5)).await.expect_status(200);
            took.push(start.elapsed());
        }
        took.sort();
        took[297]
    };
    let well = measure().await;
    proxy.set(Mode::Delay(Duration::from_secs(2)));
    let slow = measure().await;
    // The bound is 10 ms; tests assert ten times as much.
    assert!(
        slow < well + Duration::from_millis(100),
        "99th percentile {slow:?} with slow Redis, {well:?} without"
    );
}

#[tokio::test]
async fn row_4_a_flush_in_the_middle_exceeds_no_cap_and_the_statement_is_true_afterwards() {
    let (vendor, world) = world();
    let redis = RedisServer::start();
    let more = ["--redis-timeout", "1s", "--lease-duration", "3s"];
    let pods = pods(&world, &redis.url(), 3, &more).await;
    let flushes = Arc::new(AtomicU32::new(0));
    let (port, done) = (redis.port, flushes.clone());
    let seen = vendor.calls().len();
    assert_eq!(seen, 0);
    let flushing = async {
        for share in [3, 6] {
            let spent = |calls: &[smartflow_e2e::vendor::Call]| {
                calls.iter().map(|call| served("mock-small", call)).sum::<i64>() * 10 >= DOLLAR * share
            };
            vendor.until("a good part to be spent", PATIENCE, spent).await;
            redis.cli(&["FLUSHALL"]);
            done.fetch_add(1, Ordering::SeqCst);
        }
    };
    tokio::join!(race(&pods, 500), flushing);
    assert_eq!((flushes.load(Ordering::SeqCst), port), (2, redis.port));
    let (spent, forfeited) = settled(&pods, &vendor).await;
    assert!(spent <= DOLLAR, "{spent} nano-USD were spent of one dollar");
    assert!(
        (spent + forfeited) * 100 >= DOLLAR * 95,
        "only {spent} and {forfeited} of a dollar could be used"
    );
}

#[tokio::test]
async fn l5a_a_clean_end_returns_what_was_held_and_a_killed_container_tells_of_its_predecessor() {
    let (vendor, world) = world();
    let redis = RedisServer::start();
    let mut pods = pods(&world, &redis.url(), 2, &["--redis-timeout", "2s"]).await;
    for pod in &pods {
        pod.client(&token("race")).chat(&small(500)).await.expect_status(200);
    }
    // Killed and started again on its data dir, as a container in its pod.
    pods[0].kill();
    pods[0].again().await;
    let first = &pods[0];
    let told = || async { statement(first, "race").await == (served_in_all(&vendor), 0) };
    first.until("the spend of the killed one to be told, and the rest returned", PATIENCE, told).await;
    // Ended as Kubernetes ends a pod.
    let last = pods.pop().unwrap();
    last.terminate();
    let mut last = last;
    assert!(last.ended(PATIENCE).await.success());
    race(&pods, 500).await;
    let (spent, forfeited) = settled(&pods, &vendor).await;
    assert!(spent <= DOLLAR, "{spent}");
    assert_eq!(forfeited, 0, "nothing was in flight");
    assert!(spent * 100 >= DOLLAR * 99, "what the ended pod held came back: {spent}");
}
