//! Redis loses everything.

use crate::traffic::Traffic;
use crate::{ALICE, CENT, Scene, a_budget};
use smartflow_store::redis::{Value, cmd};

/// T3, fault 4: everything in Redis is gone while gateways serve.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_while_serving_costs_no_call() {
    let mut scene = Scene::new().await;
    let [mut pod] = scene.pods(&[]);
    let _: Value = scene.redis.run(&cmd("FLUSHALL")).await.unwrap();
    pod.until("it says so", |pod| pod.admin_page("/readyz").1.contains("gone from Redis"));
    assert_eq!((pod.chat(ALICE).0, pod.admin_page("/readyz").0), (200, 200));
    assert!(pod.admin_page("/metrics").1.contains("smartflow_config_refused_total{what=\"head\"} 1"));
    let (_, at) = scene.operator.lead().await.unwrap();
    scene.acknowledged(1, at).await;
    assert_eq!(pod.chat(ALICE).0, 200);
    assert!(!pod.admin_page("/readyz").1.contains("why"));
}

/// T3, L14: and while all of them are called, by keys with and without a budget.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_under_load_fails_no_call_for_want_of_configuration_and_passes_no_cap() {
    let mut scene = Scene::new().await;
    scene.operator.apply(&a_budget("poor", 40)).await.unwrap();
    let pods = scene.pods::<3>(&["--lease-duration", "3s"]);
    let ports = [pods[0].traffic, pods[1].traffic, pods[2].traffic];
    let free = Traffic::start(ports, ALICE);
    let poor = Traffic::start(ports, "team/poor");
    for cents in [1000, 2000] {
        let begun = std::time::Instant::now();
        while poor.tokens() * CENT < cents {
            assert!(begun.elapsed() < crate::pod::PATIENCE, "{:?}", poor.kinds());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let _: Value = scene.redis.run(&cmd("FLUSHALL")).await.unwrap();
        free.more(30, 200, "");
        // What the operator does about it.
        let (_, at) = scene.operator.lead().await.unwrap();
        scene.make_ledger(true).await;
        scene.acknowledged(3, at).await;
    }
    poor.more(60, 429, "budget_exceeded");
    free.end(&[(200, "")]);
    let spent = poor.end(&[(200, ""), (429, "budget_exceeded"), (503, "budget_unavailable")]);
    assert!(spent * CENT <= 4000, "{spent} cents were spent of 40 dollars");
    assert!(spent * CENT > 2000, "nothing was lent after the last flush: {spent} cents of 4000");
}
