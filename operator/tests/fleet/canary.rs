//! Secrets that pass through the operator are nowhere where somebody could read them.

use crate::desk::{Desk, KEY, POLICY};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smartflow_rig::cluster::Cluster;
use smartflow_snapshot::TokenHash;

const CANARY: &str = "canary-credential-of-a-vendor-0123456789";
const VENDOR: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {name: vendor}
spec:
  provider: openai-compatible
  baseURL: https://llm.example.com/v1
  auth: {apiKey: {secretRef: {name: vendor, key: api-key}}}
  models: [{name: m, price: {input: '1', output: '1'}}]
---
";

/// Everything that Redis holds, as it would write it to its disk.
fn dump(desk: &Desk<'_>) -> Vec<u8> {
    assert_eq!(desk.redis.cli(&["CONFIG", "SET", "rdbcompression", "no"]), "OK");
    assert_eq!(desk.redis.cli(&["SAVE"]), "OK");
    let folder = desk.redis.cli(&["CONFIG", "GET", "dir"]);
    let folder = folder.lines().nth(1).unwrap();
    std::fs::read(format!("{folder}/dump.rdb")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_metrics_statuses_events_or_redis() {
    let desk = Desk::new(Cluster::shared().await).await;
    let operator = desk.operator_with(&desk.redis.url(), &["--log=trace"]);
    let ring = desk.ring().await;
    let make = format!("--from-literal=api-key={CANARY}");
    let _ = desk.run(&["create", "secret", "generic", "vendor", &make]).await.done();
    let _ = desk.run(&["label", "secret", "vendor", "smartflow.dev/credential=true"]).await.done();
    desk.apply(&[VENDOR, KEY, POLICY].concat()).await;
    let gateways = desk.gateways(&ring).await;
    desk.wait("Ready", &["llmprovider/vendor", "virtualkey/alice"]).await;
    // One that is refused, so that messages are made of it.
    desk.apply(
        &VENDOR.replace("name: vendor}\nspec", "name: wrong}\nspec").replace("openai-c", "openai-inc"),
    )
    .await;
    desk.wait("Stalled", &["llmprovider/wrong"]).await;
    desk.wait_for_event("Rejected", &["spec.provider"]).await;
    let token = desk.token("alice-token").await;
    assert!(gateways[0].knows_token(&token));
    let sealing = desk.kubectl.get(&["secret/smartflow-sealing-key"]).await;
    let sealing = sealing["data"]["key"].as_str().unwrap().to_owned();
    let sealing = String::from_utf8(STANDARD.decode(sealing).unwrap()).unwrap();
    let hash = TokenHash::of(token.as_bytes());
    let secrets: [(&str, Vec<u8>); 5] = [
        ("the vendor's credential", CANARY.into()),
        ("the token", token.clone().into()),
        ("the token's hash", hash.0.to_vec()),
        (
            "the token's hash in hexadecimal",
            hash.0.iter().map(|b| format!("{b:02x}")).collect::<String>().into(),
        ),
        ("the sealing key", sealing.trim().into()),
    ];
    let kinds = "llmproviders,virtualkeys,policies,events.events.k8s.io,leases";
    let told = desk.run(&["get", kinds, "--output=json"]).await.done();
    let pages = [operator.get("/metrics").await, operator.get("/readyz").await].concat();
    let places: [(&str, Vec<u8>); 4] = [
        ("the log", operator.log().into()),
        ("the admin port", pages.into()),
        ("statuses and events", told.into()),
        ("Redis", dump(&desk)),
    ];
    for (place, text) in &places {
        assert!(text.len() > 100, "{place} says nothing");
        for (what, secret) in &secrets {
            let found = text.windows(secret.len()).any(|part| part == secret.as_slice());
            assert!(!found, "{what} is in {place}");
        }
    }
}
