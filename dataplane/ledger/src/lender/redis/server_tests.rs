//! Servers that must not keep a ledger, that were demoted, or that are slow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::tests::*;
use super::*;
use crate::message::Totals;
use smartflow_rig::redis::{RedisServer, Setup};
use smartflow_store::redis::{Address, Options};
use std::time::Instant;

#[tokio::test]
async fn l14a_a_server_that_evicts_is_lent_from_not_even_once() {
    let lines = vec!["maxmemory-policy allkeys-lru".to_owned()];
    let server = RedisServer::start_with(Setup { lines, ..Setup::default() });
    let lender = lender(&server, "late", LEASE).await;
    // As a pod that waits for the ledger to be made: it has looked at the server before.
    assert!(Lender::exchange(&lender, NOW, &heartbeat(1)).await.is_err());
    lender.create(&Creation::default()).await.unwrap().unwrap();
    assert_eq!(say(&lender, ask(1, Totals::default(), 10)).await.granted, 0);
    assert!(matches!(lender.health().stopped, Some(Unsafe::Policy(_))));
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let other = RedisLender::new(lender.redis.clone(), LEASE);
    assert_eq!(say(&other, ask(2, Totals::default(), 10)).await.granted, 10);
}

#[tokio::test]
async fn l14a_what_is_left_of_an_evicted_ledger_does_not_stop_another_from_being_made() {
    let server = RedisServer::start();
    let lender = fresh(&server, LEASE).await;
    let meta = format!("{}:ledger:1:meta", lender.redis.prefix());
    server.cli(&["DEL", &meta]);
    server.cli(&["HSET", &meta, "stopped", "evicting"]);
    assert!(Lender::exchange(&lender, NOW, &heartbeat(1)).await.is_err());
    assert!(lender.is_missing());
    assert!(lender.create(&Creation { lost: true, ..Creation::default() }).await.unwrap().is_some());
    assert!(Lender::exchange(&lender, NOW, &heartbeat(1)).await.unwrap().recovering);
}

#[tokio::test]
async fn row_3_a_master_that_is_demoted_in_place_is_left_and_its_successor_found() {
    let old = RedisServer::start();
    let successor = RedisServer::start();
    let proxy = smartflow_rig::proxy::Proxy::before(old.port).await;
    let options = Options {
        command_timeout: LIMIT,
        connect_timeout: LIMIT,
        ..Options::new(Address::parse(&format!("redis://{}", proxy.address)).unwrap())
    };
    let redis = Redis::start(options).unwrap();
    redis.ready(LIMIT).await.unwrap();
    let lender = RedisLender::new(redis, LEASE);
    lender.create(&Creation::default()).await.unwrap().unwrap();
    assert_eq!(say(&lender, ask(1, Totals::default(), 10)).await.granted, 10);
    let blocked = |server: &RedisServer| server.figure("clients", "blocked_clients");
    let reader = async {
        loop {
            if lender.recalls(Incarnation(1), 0).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let story = async {
        let start = Instant::now();
        while blocked(&old) == 0 {
            assert!(start.elapsed() < LIMIT, "nobody reads");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The address leads to the successor from now on; connections that are there stay.
        proxy.lead_to(successor.port);
        old.cli(&["REPLICAOF", "127.0.0.1", &successor.port.to_string()]);
        let start = Instant::now();
        let creation = Creation { lost: true, ..Creation::default() };
        // A replica of an empty server has no ledger either, and takes none.
        while !matches!(lender.create(&creation).await, Ok(Some(_))) {
            let _ = Lender::exchange(&lender, NOW, &heartbeat(1)).await;
            assert!(start.elapsed() < LIMIT, "stays with the replica");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while !Lender::exchange(&lender, NOW, &heartbeat(1)).await.is_ok_and(|answers| answers.recovering) {
            assert!(start.elapsed() < LIMIT, "stays with the replica");
        }
        while blocked(&successor) == 0 {
            assert!(start.elapsed() < LIMIT, "recalls are read from the replica");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = reader => {}
        () = story => {}
    }
}
