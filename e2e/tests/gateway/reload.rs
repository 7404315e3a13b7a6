//! A thousand hot reloads under load: nobody notices.

use serde_json::json;
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, provider, token};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const RELOADS: u64 = 1_000;
const WARM_UP: u64 = 100;

async fn load(client: Client, stop: Arc<AtomicBool>, served: Arc<AtomicU64>) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        if n % 4 == 0 {
            let told = client.stream(&ask("mock-small", "[[tokens=5]]")).await.expect("a stream").all().await;
            assert!(told.done && told.error.is_none() && told.deltas == 5, "{told:?}");
        } else {
            let answer = client.chat(&ask("mock-small", "[[tokens=5]]")).await;
            assert_eq!(answer.status, 200, "{:?}", answer.body);
        }
        served.fetch_add(1, Ordering::Relaxed);
        // Load, not saturation: the machine is shared with the other tests.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn generation(gateway: &Gateway) -> u64 {
    gateway.admin_page("/snapshot").await.json()["generation"].as_u64().expect("a generation")
}

/// Changes a key of its own kind each time, sometimes the provider, sometimes a file that comes and goes.
fn change(world: &World, vendor: &Vendor, n: u64) {
    match n % 10 {
        3 => {
            let mut objects = provider(vendor);
            objects[1]["spec"]["timeouts"]["total"] = json!(format!("{}s", 60 + n % 7));
            world.put("vendor", &objects);
        }
        5 => world.put("guest", &key("guest", &json!({}))),
        6 => world.remove("guest"),
        8 => world.put("other", &key("other", &json!({"broken": n}))),
        _ => world.put("other", &key("other", &budget(&format!("{}", 1 + n)))),
    }
}

#[tokio::test]
async fn a_thousand_reloads_fail_no_call_and_leak_nothing() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("steady", &key("steady", &budget("1000")));
    world.put("other", &key("other", &json!({})));
    let gateway = Gateway::start_with(&world, &["--log", "warn"]).await;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(load(gateway.client(&token("steady")), stop.clone(), served.clone())))
        .collect();
    let first = generation(&gateway).await;
    let mut before = (0, 0);
    for n in 0..RELOADS {
        let at = generation(&gateway).await;
        change(&world, &vendor, n);
        let moved = || async { generation(&gateway).await > at };
        gateway.until("the change to serve", Duration::from_secs(5), moved).await;
        if n == WARM_UP {
            before = (gateway.descriptors(), gateway.resident_kib());
        }
        assert!(clients.iter().all(|c| !c.is_finished()), "a client failed after {n} reloads");
    }
    let after = (gateway.descriptors(), gateway.resident_kib());
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no call failed");
    }
    assert!(generation(&gateway).await >= first + RELOADS);
    assert!(served.load(Ordering::Relaxed) > 500, "too little load to prove anything");
    assert!(after.0 <= before.0 + 8, "descriptors grew from {} to {}", before.0, after.0);
    assert!(after.1 <= before.1 + 4 * 1024, "resident memory grew from {} to {} KiB", before.1, after.1);
    // What was declared last is what holds.
    world.put("other", &key("other", &json!({"models": ["mock-large"]})));
    let holds = || async {
        let client = gateway.client(&token("other"));
        client.chat(&ask("mock-small", "hi")).await.code() == "model_not_found"
    };
    gateway.until("the last change to hold", Duration::from_secs(5), holds).await;
}
