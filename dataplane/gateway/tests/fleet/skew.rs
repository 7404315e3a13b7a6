//! Gateways and operators of different versions. An older level of the schema stands for the older version.

use crate::operator::{Operator, connect};
use crate::traffic::Traffic;
use crate::{ALICE, KEY, Scene, a_key};
use smartflow_compile::LEVEL;
use smartflow_transport::Ring;

/// A chain, and a policy on bob's calls, in words that the level before does not have.
const NEWER: &str = r#"
---
apiVersion: smartflow.dev/v1alpha1
kind: FallbackChain
metadata: { name: best, namespace: team }
spec:
  models: [best]
  targets: [{ name: one, providerRef: { name: made-up }, model: simulated-chat }]
---
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: { name: newer, namespace: team }
spec:
  targets: { teams: [red] }
  access: { models: { allow: [simulated-chat] } }
"#;

/// A key of the team that the policy concerns.
fn bob() -> String {
    a_key("bob").replace("spec: {", "spec: { owner: { team: red },")
}

/// T8: operator N, gateways N and N-1.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_gateway_closes_what_it_cannot_read_and_loses_nothing_else() {
    let mut scene = Scene::new().await;
    let older = (LEVEL - 1).to_string();
    let [old] = scene.pods(&["--config-level", &older]);
    let [new] = scene.pods(&[]);
    let at = scene.operator.apply(&[&bob(), NEWER].concat()).await.unwrap();
    let fleet = scene.acknowledged(2, at).await;
    assert_eq!(fleet.reads(), Some(LEVEL - 1));
    let status = |pod: &crate::pod::Pod| {
        [(ALICE, "simulated-chat"), (ALICE, "best"), ("team/bob", "simulated-chat")]
            .map(|(key, model)| pod.ask(key, model).0)
    };
    assert_eq!(status(&new), [200, 200, 200]);
    assert_eq!(status(&old), [200, 404, 403]);
    let mut named: Vec<_> = fleet.ready().flat_map(|beat| &beat.unusable).map(|(name, _)| &**name).collect();
    named.sort_unstable();
    assert_eq!(named, ["FallbackChain team/best", "Policy team/newer"]);
    assert_eq!(old.metric("smartflow_config_unusable"), 2);
    assert!(old.admin_page("/snapshot").1.contains("Policy team/newer"));
    // What it cannot read is gone again.
    let plain = NEWER
        .split("---")
        .last()
        .unwrap()
        .replace("access: { models: { allow: [simulated-chat] } }", "limits: { requestsPerMinute: 100 }");
    let at = scene.operator.apply(&plain).await.unwrap();
    scene.acknowledged(2, at).await;
    assert_eq!(status(&old), [200, 404, 200]);
}

/// T8: gateway N, operator N-1 and then N: the gateway goes first, and the operator's update costs no call.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_gateway_runs_what_an_older_operator_publishes_and_its_successor() {
    let mut scene = Scene::new().await;
    // All that an older operator can say.
    scene.operator.apply(&bob()).await.unwrap();
    let carried = scene.operator.carried();
    assert!(carried.iter().all(|(_, carried)| carried.level() < LEVEL), "{carried:?}");
    let [old] = scene.pods(&["--config-level", &(LEVEL - 1).to_string()]);
    let [new] = scene.pods(&[]);
    let calls = Traffic::start([old.traffic, new.traffic], ALICE);
    calls.more(20, 200, "");
    let objects = scene.operator.objects();
    scene.operator = Operator::new(connect(&scene.server.url()).await, Ring::parse(KEY).unwrap());
    scene.operator.know(objects);
    let (taken, at) = scene.operator.lead().await.unwrap();
    assert!(taken.damage.is_none());
    scene.acknowledged(2, at).await;
    let at = scene.operator.apply(NEWER).await.unwrap();
    scene.acknowledged(2, at).await;
    calls.more(20, 200, "");
    calls.end(&[(200, "")]);
    assert_eq!((new.ask(ALICE, "best").0, old.ask(ALICE, "best").0), (200, 404));
}
