//! What is applied reaches gateways over Redis, and `kubectl` tells the truth about what they run.

use crate::desk::{CHAIN, Desk, KEY, POLICY, PROVIDER, SOON};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smartflow_rig::cluster::{Cluster, until};
use smartflow_transport::Ring;

const ALL: [&str; 4] = ["llmprovider/models", "fallbackchain/best", "virtualkey/alice", "policy/slowly"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_runs_on_every_gateway_and_is_ready_when_it_does() {
    let desk = Desk::new(Cluster::shared().await).await;
    let operator = desk.operator();
    desk.apply(&[PROVIDER, CHAIN, KEY, POLICY].concat()).await;
    desk.wait_for_reason("policy/slowly", "Programmed", "NoGateways").await;
    let ring = desk.ring().await;
    let gateways = desk.gateways(&ring).await;
    desk.wait("Ready", &ALL).await;
    let token = desk.token("alice-token").await;
    for gateway in &gateways {
        assert!(gateway.knows_token(&token) && gateway.has_policy("slowly"));
        assert_eq!(gateway.runs().hash, gateways[0].runs().hash);
        assert_eq!(gateway.refusals(), [""; 0]);
    }
    assert_eq!(operator.metric("smartflow_operator_ready_gateways").await, Some(3.0));

    // One that does not follow is not waited for in silence.
    gateways[1].sleeps(true);
    desk.apply(&POLICY.replace("slowly", "later")).await;
    desk.wait_for_reason("policy/later", "Programmed", "Pending").await;
    until("the others run it", SOON, async || gateways[0].has_policy("later")).await;
    assert!(!gateways[1].has_policy("later"));
    desk.wait_for_event("GatewayLagging", &["1 of 3", "pod-b"]).await;
    gateways[1].sleeps(false);
    desk.wait("Ready", &["policy/later"]).await;

    // What is gone is refused everywhere.
    let _ = desk.run(&["delete", "virtualkey/alice", "policy/slowly"]).await.done();
    let gone = async || gateways.iter().all(|g| !g.knows_token(&token) && !g.has_policy("slowly"));
    until("key and policy are gone on all", SOON, gone).await;
    assert!(gateways.iter().all(|g| g.has_policy("later") && g.has_provider("models")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_lost_is_published_anew_and_nobody_stops_serving() {
    let desk = Desk::new(Cluster::shared().await).await;
    let _operator = desk.operator();
    desk.apply(&[PROVIDER, KEY, POLICY].concat()).await;
    let gateways = desk.gateways(&desk.ring().await).await;
    desk.wait("Ready", &["policy/slowly", "virtualkey/alice"]).await;
    let token = desk.token("alice-token").await;
    let before = gateways[0].at();
    assert_eq!(desk.redis.cli(&["FLUSHALL"]), "OK");
    let serves = || gateways.iter().all(|g| g.knows_token(&token) && g.has_policy("slowly"));
    let anew = async || {
        assert!(serves(), "it serves on meanwhile");
        gateways.iter().all(|g| g.at().epoch > before.epoch)
    };
    until("all run a later epoch", SOON, anew).await;
    assert!(serves());
    desk.wait_for_event("Republished", &["stream"]).await;

    // An entry that is left out is noticed, too.
    let before = gateways[0].at();
    desk.lose_an_entry().await;
    until("all run a later epoch", SOON, async || gateways.iter().all(|g| g.at().epoch > before.epoch)).await;
    assert!(serves());
    desk.apply(&POLICY.replace("slowly", "after")).await;
    desk.wait("Ready", &["policy/after"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealing_key_is_replaced_while_everything_serves() {
    let desk = Desk::new(Cluster::shared().await).await;
    let operator = desk.operator();
    desk.apply(&[PROVIDER, KEY, POLICY].concat()).await;
    let old = desk.ring().await;
    let gateways = desk.gateways(&old).await;
    desk.wait("Ready", &["policy/slowly", "virtualkey/alice"]).await;
    let entries = desk.entries().await;
    let lines = |key: &str| {
        let patch = serde_json::json!({ "stringData": { "key": key } });
        patch.to_string()
    };
    let get = ["get", "secret/smartflow-sealing-key", "--output=jsonpath={.data.key}"];
    let first = String::from_utf8(STANDARD.decode(desk.run(&get).await.done().trim()).unwrap()).unwrap();
    let second = STANDARD.encode([7_u8; 32]);
    let both = format!("{first}\n{second}\n");
    let patch = async |text: &str| {
        let _ = desk.run(&["patch", "secret/smartflow-sealing-key", "--patch", &lines(text)]).await.done();
    };
    patch(&both).await;
    // Two of three know it: it is not used.
    let ring = Ring::parse(&both).unwrap();
    gateways[..2].iter().for_each(|g| g.learns(&ring));
    until("the operator knows it", SOON, async || {
        operator.metric("smartflow_operator_sealing_keys").await == Some(2.0)
    })
    .await;
    desk.apply(&POLICY.replace("slowly", "between")).await;
    desk.wait("Ready", &["policy/between"]).await;
    assert_eq!(gateways[2].refusals(), [""; 0], "what it does not know is not used");
    let before = gateways[0].at();
    gateways[2].learns(&ring);
    until("all is sealed anew", SOON, async || gateways.iter().all(|g| g.at() > before)).await;
    let sealed = desk.entries().await;
    assert!(sealed.len() == entries.len() + 1 && sealed.keys().all(|name| !entries.contains_key(name)));
    patch(&second).await;
    let new = Ring::parse(&second).unwrap();
    gateways.iter().for_each(|g| g.learns(&new));
    until("the old key is gone", SOON, async || {
        operator.metric("smartflow_operator_sealing_keys").await == Some(1.0)
    })
    .await;
    desk.apply(&POLICY.replace("slowly", "after")).await;
    desk.wait("Ready", &["policy/after"]).await;
    assert!(gateways.iter().all(|g| g.refusals().is_empty()));
}
