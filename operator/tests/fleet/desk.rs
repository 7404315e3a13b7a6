//! What a test has: a namespace, a Redis, and who works there.

use crate::gateway::{Gateway, connect};
use crate::operator::Operator;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use serde_json::Value;
use smartflow_rig::cluster::{Cluster, Kubectl, Said, Write, until};
use smartflow_rig::redis::RedisServer;
use smartflow_store::redis::cmd;
use smartflow_transport::Ring;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// Of every Lease here.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

pub(crate) const PROVIDER: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {name: models}
spec: {provider: simulated}
---
";
pub(crate) const KEY: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: alice}
spec: {models: ['*'], secretName: alice-token, budget: {limitUSD: '10', period: Daily, softLimitPercent: 60}}
---
";
pub(crate) const POLICY: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: {name: slowly}
spec: {limits: {requestsPerMinute: 60}}
---
";
pub(crate) const CHAIN: &str = "
apiVersion: smartflow.dev/v1alpha1
kind: FallbackChain
metadata: {name: best}
spec: {models: [best], strategy: Priority, targets: [{name: one, providerRef: {name: models}, model: simulated-chat}]}
---
";

/// One namespace of a cluster, served by replicas of its own over a Redis of its own.
pub(crate) struct Desk<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) kubectl: Kubectl,
    pub(crate) namespace: String,
    /// Where the operator has its Lease and the sealing key.
    own: String,
    pub(crate) redis: RedisServer,
    pub(crate) home: TempDir,
}

impl<'a> Desk<'a> {
    pub(crate) async fn new(cluster: &'a Cluster) -> Self {
        let namespace = cluster.namespace("fleet", &[]).await;
        let kubectl = cluster.kubectl().in_namespace(&namespace);
        let redis = RedisServer::start();
        let home = tempfile::tempdir().unwrap();
        let own = namespace.clone();
        Self { cluster, kubectl, namespace, own, redis, home }
    }

    /// The operator lives in a namespace of its own from now on.
    pub(crate) async fn apart(&mut self) {
        self.own = self.cluster.namespace("operator", &[]).await;
    }

    /// A client as the administrator, for many requests at a time.
    pub(crate) async fn client(&self) -> Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = Kubeconfig::read_from(self.cluster.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// Starts a replica that serves this namespace only.
    pub(crate) fn operator(&self) -> Operator {
        self.operator_with(&self.redis.url(), &[])
    }

    /// Starts one with another address of Redis, and further flags.
    pub(crate) fn operator_with(&self, redis: &str, more: &[&str]) -> Operator {
        let Self { namespace, own, .. } = self;
        let flags = [
            format!("--namespaces={namespace}"),
            format!("--namespace={own}"),
            format!("--leader-lease-duration={}s", LEASE.as_secs()),
            format!("--redis={redis}"),
            // On a busy machine an answer may take longer than the 100 ms of the default.
            "--redis-timeout=2s".to_owned(),
        ];
        let flags: Vec<String> = flags.into_iter().chain(more.iter().map(|&flag| flag.to_owned())).collect();
        Operator::start(self.home.path(), self.cluster.kubeconfig(), &flags)
    }

    /// What `smartflow-operator budget` prints.
    pub(crate) fn budget(&self, arguments: &[&str]) -> String {
        let ran = self.try_budget(arguments);
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{arguments:?}: {err}");
        out.into_owned()
    }

    /// Runs `smartflow-operator budget`.
    pub(crate) fn try_budget(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smartflow-operator"));
        command.env("KUBECONFIG", self.cluster.kubeconfig()).arg("--redis-timeout=2s");
        command.arg(format!("--redis={}", self.redis.url())).arg("budget").args(arguments).output().unwrap()
    }

    /// The sealing keys, once the operator made them.
    pub(crate) async fn ring(&self) -> Ring {
        let get = ["get", "secret/smartflow-sealing-key", "--output=jsonpath={.data.key}"];
        let kubectl = self.cluster.kubectl().in_namespace(&self.own);
        until("the sealing key is made", SOON, async || kubectl.run(&get).await.ok).await;
        let encoded = kubectl.run(&get).await.done();
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).unwrap()).unwrap();
        Ring::parse(&text).unwrap()
    }

    /// Three gateways.
    pub(crate) async fn gateways(&self, ring: &Ring) -> Vec<Gateway> {
        let mut all = Vec::new();
        for pod in ["pod-a", "pod-b", "pod-c"] {
            all.push(Gateway::start(&self.redis.url(), pod, ring).await);
        }
        all
    }

    pub(crate) async fn apply(&self, yaml: &str) {
        let _ = self.kubectl.apply(yaml).await.done();
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        self.kubectl.run(arguments).await
    }

    /// Waits until each object says so.
    pub(crate) async fn wait(&self, condition: &str, objects: &[&str]) {
        let condition = format!("--for=condition={condition}");
        let wait = ["wait", &condition, "--timeout=40s"];
        let _ = self.kubectl.run(&[&wait[..], objects].concat()).await.done();
    }

    /// A condition of an object; null when it is not there.
    pub(crate) async fn condition(&self, object: &str, kind: &str) -> Value {
        let got = self.kubectl.get(&[object]).await;
        let conditions = got["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|c| c["type"] == kind).unwrap_or_default()
    }

    /// Waits until a condition of an object has this reason.
    pub(crate) async fn wait_for_reason(&self, object: &str, kind: &str, reason: &str) {
        let what = format!("{kind} of {object} is {reason}");
        until(&what, SOON, async || self.condition(object, kind).await["reason"] == reason).await;
    }

    /// The generated token that a Secret holds.
    pub(crate) async fn token(&self, secret: &str) -> String {
        let get = ["get", "secret", secret, "--output=jsonpath={.data.token}"];
        until("the token is made", SOON, async || !self.kubectl.run(&get).await.out.is_empty()).await;
        let encoded = self.kubectl.run(&get).await.done();
        String::from_utf8(STANDARD.decode(encoded.trim()).unwrap()).unwrap()
    }

    /// Events of a reason: what they say.
    pub(crate) async fn events(&self, reason: &str) -> Vec<String> {
        let all = self.kubectl.get(&["events.events.k8s.io"]).await;
        let items = all["items"].as_array().cloned().unwrap_or_default();
        let those = items.iter().filter(|event| event["reason"] == reason);
        those.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits for an event whose text contains all of this.
    pub(crate) async fn wait_for_event(&self, reason: &str, words: &[&str]) {
        let what = format!("an event {reason} that says {words:?}");
        let told = |notes: Vec<String>| notes.iter().any(|note| words.iter().all(|word| note.contains(word)));
        until(&what, SOON, async || told(self.events(reason).await)).await;
    }

    /// Writes of replicas in this namespace, but for the Lease and events.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let all = self.cluster.own().expect("a cluster of our own").writes();
        let ours = |w: &Write| {
            w.namespace == self.namespace
                && (w.subresource == "status" || w.resource == "secrets" && w.verb == "patch")
        };
        all.into_iter().filter(ours).collect()
    }

    /// The sealed entries of Redis by their names, as they lie there.
    pub(crate) async fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let redis = connect(&self.redis.url()).await;
        redis.run(cmd("HGETALL").arg("smartflow:config:entries")).await.unwrap()
    }

    /// Takes one of them away.
    pub(crate) async fn lose_an_entry(&self) {
        let some = self.entries().await.into_keys().next().unwrap();
        let redis = connect(&self.redis.url()).await;
        let gone: i64 = redis.run(cmd("HDEL").arg("smartflow:config:entries").arg(some)).await.unwrap();
        assert_eq!(gone, 1);
    }
}
