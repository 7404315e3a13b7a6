//! Gateways that are older than the operator: what they could not read takes nothing away.

use crate::desk::{CHAIN, Desk, KEY, POLICY, PROVIDER, SOON};
use crate::gateway::Gateway;
use smartflow_compile::LEVEL;
use smartflow_rig::cluster::{Cluster, until};

const NEWER_POLICY: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: {name: newer}
spec: {targets: {providers: [models]}, limits: {requestsPerMinute: 60}}
---
";

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_gateway_cannot_read_is_kept_from_it_or_closed_and_said_of_that_object_alone() {
    let desk = Desk::new(Cluster::shared().await).await;
    let _operator = desk.operator();
    desk.apply(&[PROVIDER, KEY, POLICY].concat()).await;
    let ring = desk.ring().await;
    let new = Gateway::start(&desk.redis.url(), "pod-new", &ring).await;
    let old = Gateway::reading(&desk.redis.url(), "pod-old", &ring, LEVEL - 1).await;
    desk.wait("Ready", &["llmprovider/models", "virtualkey/alice", "policy/slowly"]).await;
    // A provider that changes to what the old one cannot read; a chain that is new; a policy.
    desk.apply(&PROVIDER.replace("simulated", "simulated, maxConcurrency: 3")).await;
    desk.apply(&[CHAIN, NEWER_POLICY].concat()).await;
    for object in ["llmprovider/models", "fallbackchain/best", "policy/newer"] {
        desk.wait_for_reason(object, "Accepted", "GatewayTooOld").await;
    }
    desk.wait_for_event("GatewayTooOld", &["level 2", "reads 1"]).await;
    desk.wait_for_reason("policy/newer", "Programmed", "Closed").await;
    let closes = async || old.unusable().iter().any(|(name, _)| name.ends_with("/newer"));
    until("the old one closes what the policy concerns", SOON, closes).await;
    assert!(old.has_provider("models"), "what it runs stays");
    assert_eq!(old.unusable().len(), 1, "{:?}", old.unusable());
    assert!(desk.condition("virtualkey/alice", "Ready").await["status"] == "True");
    // A new leader takes nothing of it back either.
    let second = desk.operator();
    drop(_operator);
    until("the second leads", SOON, async || second.leads().await).await;
    desk.apply(&POLICY.replace("slowly", "later")).await;
    until("it published", SOON, async || old.has_policy("later") && new.has_policy("later")).await;
    assert!(old.has_provider("models") && new.has_provider("models"));
    // Once it is gone, everything is as declared.
    drop(old);
    desk.wait("Ready", &["llmprovider/models", "fallbackchain/best", "policy/newer"]).await;
    assert_eq!(new.runs().chains.len(), 1);
}
