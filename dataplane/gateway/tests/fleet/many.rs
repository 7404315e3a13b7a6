//! How long a start with many keys takes.

use crate::operator::Operator;
use crate::pod::Pod;
use crate::{Scene, a_key};
use std::time::{Duration, Instant};

/// The bound, and ten times as much without optimisation.
const SERVES_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 3 });

/// Pod start with 100,000 keys. Run it with
/// `cargo test --release -p smartflow-gateway --test fleet -- --ignored --nocapture serves_within_three_seconds`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_gateway_with_100000_keys_serves_within_three_seconds() {
    let mut scene = Scene::new().await;
    for batch in 0..100 {
        let keys: String = (0..1000).map(|i| a_key(&format!("k{}", batch * 1000 + i))).collect();
        scene.operator.know(Operator::read(&keys));
    }
    let begun = Instant::now();
    scene.operator.publish_all().await.unwrap();
    eprintln!("published in {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut pod = scene.pod(&[]);
    serves("from Redis", &mut pod, begun);
    let begun = Instant::now();
    scene.operator.apply(&a_key("one-more")).await.unwrap();
    pod.until("it takes one more", |pod| pod.chat("team/one-more").0 == 200);
    eprintln!("one more key is enforced after {:?}", begun.elapsed());
    scene.server.kill();
    let begun = Instant::now();
    pod.again();
    serves("from last-good, Redis away", &mut pod, begun);
}

fn serves(from: &str, pod: &mut Pod, begun: Instant) {
    pod.ready();
    let took = begun.elapsed();
    assert_eq!(pod.chat("team/k99999").0, 200);
    eprintln!(
        "{from}: serving after {took:?}, compiled in {} us",
        pod.metric("smartflow_snapshot_compile_us")
    );
    assert!(took < SERVES_WITHIN, "{from}: {took:?}");
}
