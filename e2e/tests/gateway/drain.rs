//! SIGTERM: readiness goes first, calls in flight finish, then the process ends with 0.

use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::door::{Door, Protocol};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, End, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use smartflow_rig::certificate;
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

#[tokio::test]
async fn who_is_connected_is_told_before_the_connection_ends() {
    let (vendor, _world, mut gateway) = start(&[]).await;
    let busy = gateway.client(&token("caller"));
    let mut stream = busy.stream(&ask("mock-small", "[[tokens=100 delay_ms=20]]")).await.unwrap();
    assert_eq!(stream.read(1).await.deltas, 1);
    // Two connections that are open and idle when the end begins: a request may be under way on each.
    let (probe, caller) = (gateway.client(""), gateway.client(&token("caller")));
    probe.get("/readyz").await.expect_status(200);
    caller.chat(&ask("mock-small", "before")).await.expect_status(200);
    gateway.terminate();
    let begun = || async { gateway.log().contains("draining") };
    gateway.until("the drain to begin", Duration::from_secs(1), begun).await;
    let told = probe.get("/readyz").await.expect_status(503);
    assert_eq!(told.json()["status"], "draining");
    assert_eq!(told.header("connection"), Some("close"));
    let served = caller.chat(&ask("mock-small", "after")).await.expect_status(200);
    assert_eq!(served.header("connection"), Some("close"));
    assert_eq!(stream.read(u64::MAX).await.deltas, 99);
    assert_eq!(gateway.ended(Duration::from_secs(5)).await.code(), Some(0));
    assert!(vendor.calls().iter().all(|c| c.end == End::Complete));
}

/// What became of the calls of one caller.
#[derive(Default)]
struct Fate {
    served: u64,
    refused: u64,
    cut: Vec<String>,
}

/// Calls without a pause until nobody takes one any more.
async fn press(client: Client) -> Fate {
    let mut fate = Fate::default();
    for n in 0.. {
        let went = if n % 2 == 0 {
            let body = ask("mock-small", "[[tokens=10 first_ms=20]]");
            let answer = client.try_send("POST", "/v1/chat/completions", body.to_string().into()).await;
            answer.map(|a| a.status == 200 && a.json()["usage"]["completion_tokens"] == 10)
        } else {
            match client.try_stream(&ask("mock-small", "[[tokens=20 delay_ms=5]]")).await {
                Ok(Ok(stream)) => {
                    let told = stream.all().await;
                    Ok(told.deltas == 20 && told.done && !told.broken)
                }
                Ok(Err(answer)) => Err(format!("{answer:?}")),
                Err(why) => Err(why),
            }
        };
        match went {
            Ok(true) => {
                fate.served += 1;
            }
            // It was told to go while this call was on its way to it: any client sends such a call anew.
            Err(why) if why.starts_with("unsent:") => {}
            // Nobody listens, or nobody will: the kernel closes what was never accepted.
            Err(why) if ["connect:", "handshake:", "on a fresh"].iter().any(|w| why.starts_with(w)) => {
                fate.refused += 1;
                break;
            }
            other => {
                fate.cut.push(format!("{other:?}"));
                break;
            }
        }
    }
    fate
}

async fn nothing_is_cut(protocol: Protocol, secure: bool) {
    let folder = tempfile::tempdir().unwrap();
    let files = certificate::write(folder.path());
    let pair = ["--tls-cert", files.certificate.to_str().unwrap(), "--tls-key", files.key.to_str().unwrap()];
    let (vendor, _world, mut gateway) = start(if secure { &pair } else { &[] }).await;
    let door = if secure {
        Door::secure(gateway.traffic, protocol, &files.ca)
    } else {
        Door::new(gateway.traffic, protocol)
    };
    let mut pressing = Vec::new();
    for _ in 0..8 {
        let client = Client::by(door.clone(), &token("caller"));
        // Over HTTP/2 the three share a connection.
        for _ in 0..3 {
            pressing.push(tokio::spawn(press(client.clone())));
        }
    }
    vendor.until("load", Duration::from_secs(20), |calls| calls.len() > 200).await;
    gateway.terminate();
    let mut all = Fate::default();
    for pressing in pressing {
        let fate = pressing.await.unwrap();
        all.served += fate.served;
        all.refused += fate.refused;
        all.cut.extend(fate.cut);
    }
    assert_eq!(all.cut, Vec::<String>::new());
    assert_eq!(all.refused, 24, "in the end nobody is taken any more");
    assert_eq!(gateway.ended(Duration::from_secs(10)).await.code(), Some(0), "{}", gateway.log());
    let calls = vendor.calls();
    assert_eq!(calls.iter().filter(|c| c.end != End::Complete).count(), 0);
    assert_eq!((calls.len() as u64, gateway.usage().len() as u64), (all.served, all.served));
    assert!(!gateway.log().contains("these calls are cut"));
}

#[tokio::test]
async fn under_load_nothing_is_cut_over_http1() {
    nothing_is_cut(Protocol::Http1, false).await;
}

#[tokio::test]
async fn under_load_nothing_is_cut_over_http2() {
    nothing_is_cut(Protocol::Http2, false).await;
}

#[tokio::test]
async fn under_load_nothing_is_cut_over_tls_http1() {
    nothing_is_cut(Protocol::Http1, true).await;
}

#[tokio::test]
async fn under_load_nothing_is_cut_over_tls_http2() {
    nothing_is_cut(Protocol::Http2, true).await;
}
