//! The operator against a real API server: what people apply, what they are told, what is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod replica;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use replica::{Gateways, Replica};
use serde_json::Value;
use smartflow_rig::cluster::{Cluster, Kubectl, until};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

const PROVIDER: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {name: models}
spec: {provider: simulated}
---
";
const KEY: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: alice}
spec: {models: ['*'], secretName: alice-token, budget: {limitUSD: '10', period: Daily}}
---
";
const POLICY: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: {name: slowly}
spec: {limits: {requestsPerMinute: 60}}
---
";
const CHAIN: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: FallbackChain
metadata: {name: best}
spec: {models: [best], strategy: Priority, targets: [{name: one, providerRef: {name: models}, model: simulated-chat}]}
---
";

/// What a test has: a namespace and a lease of its own.
struct Desk {
    kubectl: Kubectl,
    namespace: String,
}

impl Desk {
    async fn new(cluster: &Cluster) -> Self {
        let namespace = cluster.namespace("operator", &[]).await;
        Self { kubectl: cluster.kubectl().in_namespace(&namespace), namespace }
    }

    /// Serves this namespace only, with a Lease of its own.
    fn flags(&self) -> Vec<String> {
        let own = [format!("--namespaces={}", self.namespace), format!("--namespace={}", self.namespace)];
        own.into_iter().chain(["--leader-lease-duration=5s".to_owned()]).collect()
    }

    async fn replica(&self, cluster: &Cluster, gateways: &Gateways) -> Replica {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Replica::start(cluster, gateways, &flags).await
    }

    async fn wait(&self, condition: &str, object: &str) {
        let condition = format!("--for=condition={condition}");
        let _ = self.kubectl.run(&["wait", &condition, "--timeout=30s", object]).await.done();
    }

    /// Writes in this namespace, its Lease and events left out.
    fn writes(&self, cluster: &Cluster) -> Vec<String> {
        let all = cluster.own().map(|own| own.writes()).unwrap_or_default();
        let operator = all.into_iter().filter(|w| {
            w.namespace == self.namespace && (w.subresource == "status" || w.resource == "secrets")
        });
        operator.map(|w| format!("{} {}/{} {}", w.verb, w.resource, w.name, w.code)).collect()
    }

    /// `status.conditions` by type.
    async fn condition(&self, object: &str, kind: &str) -> Value {
        let got = self.kubectl.get(&[object]).await;
        let conditions = got["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|c| c["type"] == kind).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_is_ready_and_has_its_token_and_nothing_is_written_twice() {
    let cluster = Cluster::shared().await;
    let (desk, gateways) = (Desk::new(cluster).await, Gateways::three());
    let operator = desk.replica(cluster, &gateways).await;
    let _ = desk.kubectl.apply(&[PROVIDER, CHAIN, KEY, POLICY].concat()).await.done();
    for object in ["llmprovider/models", "fallbackchain/best", "virtualkey/alice", "policy/slowly"] {
        desk.wait("Ready", object).await;
    }
    let key = desk.kubectl.get(&["virtualkey/alice"]).await;
    let secret = desk.kubectl.get(&["secret/alice-token"]).await;
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], key["metadata"]["uid"]);
    let token = STANDARD.decode(secret["data"]["token"].as_str().unwrap()).unwrap();
    assert_eq!(token.len(), "sk-sf-".len() + 48);
    assert_eq!(key["status"]["secretName"], "alice-token");
    let token = String::from_utf8(token).unwrap();
    assert!(token.starts_with(key["status"]["tokenPrefix"].as_str().unwrap()));
    assert!(gateways.run(&format!("VirtualKey {}/alice", desk.namespace)));

    // A second look at the same: nothing to say, nothing to write. What comes after it shows that it was looked at.
    let before = desk.writes(cluster);
    let _ = desk.kubectl.apply(&[PROVIDER, CHAIN, KEY, POLICY].concat()).await.done();
    let _ = desk.kubectl.apply(&POLICY.replace("slowly", "later")).await.done();
    desk.wait("Ready", "policy/later").await;
    let writes = desk.writes(cluster);
    let more = writes.iter().skip(before.len());
    let of_later = |w: &&String| w.contains("/later");
    assert_eq!(more.clone().filter(|w| !of_later(w)).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(
        cluster.own().is_none() || more.filter(of_later).count() == 1,
        "Accepted and Programmed in one: {writes:?}"
    );
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_names_field_and_fix_and_takes_nobody_else_down() {
    let cluster = Cluster::shared().await;
    let (desk, gateways) = (Desk::new(cluster).await, Gateways::three());
    let operator = desk.replica(cluster, &gateways).await;
    let _ = desk.kubectl.apply(&[PROVIDER, KEY, POLICY].concat()).await.done();
    desk.wait("Ready", "llmprovider/models").await;
    let _ = desk.kubectl.apply(&PROVIDER.replace("simulated", "simulatd")).await.done();
    desk.wait("Stalled", "llmprovider/models").await;
    let accepted = desk.condition("llmprovider/models", "Accepted").await;
    assert_eq!(
        (accepted["status"].as_str(), accepted["reason"].as_str()),
        (Some("False"), Some("UnknownProvider"))
    );
    let message = accepted["message"].as_str().unwrap();
    assert!(message.contains("spec.provider") && message.contains("Fix:"), "{message}");
    assert!(message.contains("The last valid spec serves."), "{message}");
    let events = async || desk.kubectl.run(&["get", "events.events.k8s.io", "--output=wide"]).await.done();
    until("the event is told", SOON, async || events().await.contains("Rejected")).await;
    desk.wait("Ready", "virtualkey/alice").await;
    let _ = desk.kubectl.apply(PROVIDER).await.done();
    desk.wait("Ready", "llmprovider/models").await;
    assert_eq!(desk.condition("llmprovider/models", "Stalled").await, Value::Null);
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programmed_tells_the_truth_about_the_gateways() {
    let cluster = Cluster::shared().await;
    let (desk, gateways) = (Desk::new(cluster).await, Gateways::three());
    gateways.ready(0);
    let operator = desk.replica(cluster, &gateways).await;
    let _ = desk.kubectl.apply(PROVIDER).await.done();
    let is =
        async |object: &str, reason: &str| desk.condition(object, "Programmed").await["reason"] == reason;
    until("nobody is there", SOON, async || is("llmprovider/models", "NoGateways").await).await;
    gateways.ready(2);
    desk.wait("Ready", "llmprovider/models").await;
    gateways.store_is_away(true);
    let _ = desk.kubectl.apply(&POLICY.replace("slowly", "other")).await.done();
    until("the store is away", SOON, async || is("policy/other", "StoreUnavailable").await).await;
    assert!(is("llmprovider/models", "Programmed").await, "what ran is not unset");
    gateways.store_is_away(false);
    desk.wait("Ready", "policy/other").await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_never_written_to() {
    let cluster = Cluster::shared().await;
    let (desk, gateways) = (Desk::new(cluster).await, Gateways::three());
    let make = ["create", "secret", "generic", "alice-token", "--from-literal=token=mine"];
    let _ = desk.kubectl.run(&make).await.done();
    let operator = desk.replica(cluster, &gateways).await;
    let _ = desk.kubectl.apply(&[PROVIDER, KEY].concat()).await.done();
    desk.wait("Stalled", "virtualkey/alice").await;
    assert_eq!(desk.condition("virtualkey/alice", "Accepted").await["reason"], "SecretNotOwned");
    let secret = desk.kubectl.get(&["secret/alice-token"]).await;
    assert_eq!(secret["data"]["token"], STANDARD.encode("mine"));
    let _ = desk.kubectl.apply(&KEY.replace("alice-token", "alice-other")).await.done();
    desk.wait("Ready", "virtualkey/alice").await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_writes_and_the_next_takes_over() {
    let cluster = Cluster::shared().await;
    let (desk, gateways) = (Desk::new(cluster).await, Gateways::three());
    let first = desk.replica(cluster, &gateways).await;
    let _ = desk.kubectl.apply(&[PROVIDER, KEY].concat()).await.done();
    desk.wait("Ready", "virtualkey/alice").await;
    let token = desk.kubectl.get(&["secret/alice-token"]).await["data"].clone();
    let second = desk.replica(cluster, &gateways).await;
    first.kill();
    let _ = desk.kubectl.run(&["delete", "llmprovider/models"]).await.done();
    let _ = desk.kubectl.apply(&PROVIDER.replace("models}", "later}")).await.done();
    let killed = Instant::now();
    desk.wait("Ready", "llmprovider/later").await;
    assert!(killed.elapsed() < Duration::from_secs(5 + 5), "{:?}", killed.elapsed());
    let gone = format!("LLMProvider {}/models", desk.namespace);
    assert!(!gateways.run(&gone), "what was deleted while nobody wrote is taken back");
    let third = desk.replica(cluster, &gateways).await;
    second.end().await;
    let ended = Instant::now();
    let _ = desk.kubectl.apply(&POLICY.replace("slowly", "last")).await.done();
    desk.wait("Ready", "policy/last").await;
    assert!(ended.elapsed() < Duration::from_secs(5), "it was given back: {:?}", ended.elapsed());
    assert_eq!(desk.kubectl.get(&["secret/alice-token"]).await["data"], token, "no second token");
    third.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_keeps_everything_as_it_is() {
    let cluster = Cluster::shared().await;
    let (desk, gateways) = (Desk::new(cluster).await, Gateways::three());
    let operator = desk.replica(cluster, &gateways).await;
    let _ = desk.kubectl.apply(&[PROVIDER, POLICY].concat()).await.done();
    desk.wait("Ready", "policy/slowly").await;
    operator.end().await;
    let runs = gateways.count();
    // It may read everything but policies.
    let allow = [
        "create",
        "role",
        "some",
        "--verb=*",
        "--resource=llmproviders.smartflow.dev,llmproviders.smartflow.dev/status,fallbackchains.smartflow.dev,virtualkeys.smartflow.dev,secrets,leases.coordination.k8s.io",
    ];
    let _ = desk.kubectl.run(&allow).await.done();
    let _ = desk.kubectl.run(&["create", "serviceaccount", "some"]).await.done();
    let account = format!("--serviceaccount={}:some", desk.namespace);
    let _ = desk.kubectl.run(&["create", "rolebinding", "some", "--role=some", &account]).await.done();
    let kubeconfig = cluster.kubeconfig_of(&desk.namespace, "some").await;
    let _ = desk.kubectl.run(&["delete", "llmprovider/models"]).await.done();
    let _ = desk.kubectl.apply(&PROVIDER.replace("models}", "later}")).await.done();
    let flags = desk.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let blind = Replica::start_as(&kubeconfig, &gateways, &flags).await;
    until("it says which kind it cannot read", SOON, async || {
        let (ready, body) = blind.readiness().await;
        !ready && body.contains("Policy") && body.contains("forbidden")
    })
    .await;
    until("it has the Lease", SOON, async || blind.metric("smartflow_operator_leader").await == Some(1.0))
        .await;
    assert_eq!(gateways.count(), runs);
    assert!(gateways.run(&format!("LLMProvider {}/models", desk.namespace)), "nothing is taken back");
    let add = [
        "create",
        "role",
        "more",
        "--verb=*",
        "--resource=policies.smartflow.dev,policies.smartflow.dev/status",
    ];
    let _ = desk.kubectl.run(&add).await.done();
    let _ = desk.kubectl.run(&["create", "rolebinding", "more", "--role=more", &account]).await.done();
    desk.wait("Ready", "llmprovider/later").await;
    assert!(!gateways.run(&format!("LLMProvider {}/models", desk.namespace)));
    blind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_was_away_is_caught_up_with() {
    let cluster = Cluster::start().await;
    let Some(own) = cluster.own() else { return };
    let (desk, gateways) = (Desk::new(&cluster).await, Gateways::three());
    let operator = desk.replica(&cluster, &gateways).await;
    let _ = desk.kubectl.apply(&[PROVIDER, KEY].concat()).await.done();
    desk.wait("Ready", "virtualkey/alice").await;
    let runs = gateways.count();
    own.stop_api();
    // Longer than the Lease: it is not renewed, and nothing is taken for gone.
    until("it does not write any more", SOON, async || {
        operator.metric("smartflow_operator_leader").await == Some(0.0)
    })
    .await;
    assert_eq!(gateways.count(), runs);
    own.start_api().await;
    let _ = desk.kubectl.apply(POLICY).await.done();
    desk.wait("Ready", "policy/slowly").await;
    assert_eq!(gateways.count(), runs + 1);
    // Kinds in which nothing happened since are not behind for ever.
    let behind = async || operator.metric("smartflow_operator_watches_behind").await;
    until("no watch is behind", SOON * 4, async || behind().await == Some(0.0)).await;
    operator.end().await;
}
