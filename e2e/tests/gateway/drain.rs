//! SIGTERM: readiness goes first, calls in flight finish, then the process ends with 0.

use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, End, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use std::time::{Duration, Instant};

async fn start(arguments: &[&str]) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &budget("1")));
    let gateway = Gateway::start_with(&world, arguments).await;
    (vendor, world, gateway)
}

#[tokio::test]
async fn calls_in_flight_finish_and_new_ones_are_not_taken() {
    let (vendor, _world, mut gateway) = start(&[]).await;
    let client = gateway.client(&token("caller"));
    let mut stream = client.stream(&ask("mock-small", "[[tokens=100 delay_ms=15]]")).await.unwrap();
    assert_eq!(stream.read(3).await.deltas, 3);
    let (caller, body) = (client.clone(), ask("mock-small", "[[tokens=10 first_ms=1000]]"));
    let whole = tokio::spawn(async move { caller.chat(&body).await });
    vendor.until("both calls", Duration::from_secs(5), |calls| calls.len() == 2).await;

    gateway.terminate();
    let told = || async { gateway.log().contains("\"calls\":2") };
    gateway.until("the calls that are waited for to be told", Duration::from_secs(1), told).await;
    let unready = || async {
        let page = smartflow_e2e::client::Client::new(gateway.admin, "");
        page.try_send("GET", "/readyz", bytes::Bytes::new()).await.is_ok_and(|a| a.status == 503)
    };
    gateway.until("readiness to go", Duration::from_secs(1), unready).await;
    let fresh = gateway.client(&token("caller"));
    let refused = || async {
        fresh.try_send("GET", "/readyz", bytes::Bytes::new()).await.map_or(true, |a| a.status == 503)
    };
    gateway.until("new connections to be refused", Duration::from_secs(1), refused).await;

    let told = stream.read(u64::MAX).await;
    assert_eq!((told.deltas, told.done, told.broken), (97, true, false), "{told:?}");
    assert_eq!(whole.await.unwrap().status, 200);
    drop(client);
    let status = gateway.ended(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    assert!(vendor.calls().iter().all(|c| c.end == End::Complete));
    assert_eq!(gateway.usage().len(), 2, "usage lines of the last calls are written before the end");
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_cut_and_billed() {
    let (vendor, _world, mut gateway) = start(&["--drain", "500ms"]).await;
    let client = gateway.client(&token("caller"));
    let mut stream = client.stream(&ask("mock-small", "[[tokens=5000 delay_ms=20]]")).await.unwrap();
    assert_eq!(stream.read(3).await.deltas, 3);
    let start = Instant::now();
    gateway.terminate();
    let status = gateway.ended(Duration::from_secs(5)).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    vendor.until("the vendor to be left", Duration::from_secs(1), |calls| calls[0].end == End::Left).await;
    let lines = gateway.usage();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_ne!(lines[0]["cost_usd"], "0", "{lines:?}");
    assert!(gateway.log().contains("these calls are cut"), "{}", gateway.log());
}
