//! Users of Redis with the rights that docs/fleet-configuration.md gives them.

use crate::operator::{Operator, now};
use crate::pod::{PATIENCE, Pod};
use crate::traffic::Traffic;
use crate::{CENT, KEY, WORLD, a_budget};
use smartflow_ledger::lender::redis::{Creation, RedisLender, RedisOptions};
use smartflow_rig::redis::RedisServer;
use smartflow_store::redis::{Address, Options, Password, Redis};
use smartflow_transport::Ring;
use std::time::{Duration, Instant};

const PASSWORD: &str = "hunter2";

/// L15, T1: they are enough for configuration, heartbeats, budgets and rates.
#[tokio::test(flavor = "multi_thread")]
async fn users_with_the_documented_rights_publish_serve_and_lend() {
    let (server, home) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let document = include_str!("../../../../docs/fleet-configuration.md");
    for line in document.lines().filter_map(|line| line.strip_prefix("ACL SETUSER ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let said = server.cli(&[&["ACL", "SETUSER"], &words[..], &[&format!(">{PASSWORD}")]].concat());
        assert_eq!(said, "OK", "{line}");
    }
    assert_eq!(server.cli(&["ACL", "SETUSER", "default", "off"]), "OK");
    let (password, key_file) = (home.path().join("password"), home.path().join("sealing.key"));
    std::fs::write(&password, PASSWORD).unwrap();
    std::fs::write(&key_file, KEY).unwrap();
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", server.port);

    let options = Options::new(Address::parse(&url("operator")).unwrap());
    let redis = Redis::start(Options { password: Password::File(password.clone()), ..options }).unwrap();
    redis.ready(PATIENCE).await.unwrap();
    let lender =
        RedisLender::new(redis.clone(), RedisOptions { lease_millis: 3_000, allow_unreplicated: false });
    let creation = Creation { generation: now(), lost: false, pods: Vec::new() };
    assert!(lender.create(&creation).await.unwrap().is_some());
    let mut operator = Operator::new(redis, Ring::parse(KEY).unwrap());
    operator.know(Operator::read(WORLD));
    let poor = a_budget("poor", 2).replace("spec: {", "spec: { limits: { requestsPerMinute: 6000 },");
    operator.know(Operator::read(&poor));
    operator.lead().await.unwrap();

    let file = password.display().to_string();
    let more = ["--redis-password-file", &file, "--redis-timeout", "2s"];
    let mut pods = [(); 2].map(|()| Pod::start(&url("gateway"), &key_file, &more));
    pods.iter_mut().for_each(Pod::ready);
    let calls = Traffic::start([pods[0].traffic, pods[1].traffic], "team/poor");
    calls.more(20, 429, "budget_exceeded");
    let spent = calls.end(&[(200, ""), (429, "budget_exceeded")]);
    assert_eq!(spent * CENT, 200);
    // Clean ends give back what is held, and the operator reads what is left: that takes rights of its own.
    for pod in &mut pods {
        pod.process.terminate();
        let begun = Instant::now();
        while pod.process.ended().is_none() {
            assert!(begun.elapsed() < PATIENCE, "{}", pod.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert!(!pod.log().contains("NOPERM"), "{}", pod.log());
    }
    let moved = lender.moved(0).await.unwrap().accounts;
    let stands = lender.read(&moved).await.unwrap();
    let billed: i64 = stands.iter().flat_map(|one| &one.windows).map(|window| window.spent).sum();
    assert_eq!(billed, 2_000_000_000, "{stands:?}");
}
