//! An install: a namespace of a cluster, Redis, an operator, three gateways.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::{Gateway, built};
use smartflow_e2e::sdk;
use smartflow_rig::cluster::{Cluster, Kubectl, until};
use smartflow_rig::process::Process;
use smartflow_rig::redis::RedisServer;
use smartflow_rig::{port, watchdog};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take beside whatever else the machine does.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Everything that runs.
pub(crate) struct Install {
    pub(crate) kubectl: Kubectl,
    pub(crate) gateways: Vec<Gateway>,
    operator: Process,
    _redis: RedisServer,
    _home: TempDir,
    _cluster: Cluster,
}

impl Drop for Install {
    fn drop(&mut self) {
        self.operator.kill();
        watchdog::release(self.operator.id());
    }
}

impl Install {
    /// Starts all of it.
    pub(crate) async fn new() -> Self {
        let (cluster, redis) = (Cluster::start().await, RedisServer::start());
        let namespace = cluster.namespace("story", &[]).await;
        let kubectl = cluster.kubectl().in_namespace(&namespace);
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(built("smartflow-operator"));
        command.env("KUBECONFIG", cluster.kubeconfig()).args([
            format!("--namespaces={namespace}"),
            format!("--namespace={namespace}"),
            format!("--redis={}", redis.url()),
            "--redis-timeout=2s".to_owned(),
            format!("--admin-listen=127.0.0.1:{}", port::free()),
        ]);
        let operator = Process::spawn("smartflow-operator", &mut command, &home.path().join("operator.log"));
        watchdog::guard(operator.id());
        // As a mounted Secret: the file holds what its field `key` does.
        let key = field(&kubectl, "smartflow-sealing-key", "key").await;
        let key_file = home.path().join("sealing.key");
        std::fs::write(&key_file, key).unwrap();
        let mut gateways = Vec::new();
        for _ in 0..3 {
            let arguments = ["--threads", "1", "--redis-timeout", "2s"];
            gateways.push(Gateway::follow(&redis.url(), &key_file, &arguments).await);
        }
        Self { kubectl, gateways, operator, _redis: redis, _home: home, _cluster: cluster }
    }

    /// `kubectl apply`, and when it was accepted.
    pub(crate) async fn apply(&self, yaml: &str) -> Instant {
        let _ = self.kubectl.apply(yaml).await.done();
        Instant::now()
    }

    /// `kubectl delete`, and when it was accepted.
    pub(crate) async fn delete(&self, object: &str) -> Instant {
        let _ = self.kubectl.run(&["delete", "--wait=false", object]).await.done();
        Instant::now()
    }

    /// `kubectl wait` until all of these are ready.
    pub(crate) async fn ready(&self, objects: &[&str]) {
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s"];
        let _ = self.kubectl.run(&[&wait[..], objects].concat()).await.done();
    }

    /// The token that was made for a key.
    pub(crate) async fn token(&self, key: &str) -> String {
        field(&self.kubectl, &format!("{key}-token"), "token").await
    }

    /// One call with the official SDK at each gateway: status, and who answered or why not.
    pub(crate) async fn sdk_once(&self, token: &str, model: &str, tokens: u32) -> Vec<(u64, String)> {
        let said = self.sdk("once", token, model, tokens).await;
        let call = |one: &Value| (one[0].as_u64().unwrap(), one[1].as_str().unwrap_or_default().to_owned());
        said.as_array().unwrap().iter().map(call).collect()
    }

    /// Callers with the official SDK at all gateways, until they are refused for good: how many calls ended so.
    pub(crate) async fn sdk_race(&self, token: &str, tokens: u32) -> impl Fn(&str) -> u64 {
        let said = self.sdk("race", token, "mock-small", tokens).await;
        println!("raced: {said}");
        move |how| said[how].as_u64().unwrap_or_default()
    }

    async fn sdk(&self, what: &'static str, token: &str, model: &str, tokens: u32) -> Value {
        let urls: Vec<String> = self.gateways.iter().map(|g| format!("http://{}/v1", g.traffic)).collect();
        let (token, model) = (token.to_owned(), model.to_owned());
        let printed = tokio::task::spawn_blocking(move || {
            let (urls, tokens) = (urls.join(","), tokens.to_string());
            let told = [("URLS", &urls), ("KEY", &token), ("MODEL", &model), ("TOKENS", &tokens)];
            let told = told.map(|(name, value)| (format!("FLEET_{name}"), value.clone()));
            let told: Vec<_> = told.iter().map(|(name, value)| (&**name, &**value)).collect();
            sdk::python("fleet.py", &[what], &told)
        });
        serde_json::from_str(&printed.await.unwrap()).unwrap()
    }

    /// Waits until a call with this key ends so at every gateway; how long that took.
    pub(crate) async fn all_answer(&self, since: Instant, token: &str, status: u16) -> Duration {
        self.all_answer_to(since, token, 1, status).await
    }

    /// The same of a call for so many tokens.
    pub(crate) async fn all_answer_to(
        &self,
        since: Instant,
        token: &str,
        tokens: u32,
        status: u16,
    ) -> Duration {
        let mut body = ask("mock-small", &format!("hi [[tokens={tokens}]]"));
        body["max_tokens"] = tokens.into();
        for gateway in &self.gateways {
            let client: Client = gateway.client(token);
            let what = format!("{status} for a call of {tokens} tokens");
            until(&what, SOON, async || client.chat(&body).await.status == status).await;
        }
        since.elapsed()
    }
}

/// A field of a Secret, once it is there.
async fn field(kubectl: &Kubectl, secret: &str, field: &str) -> String {
    let get = ["get", "secret", secret, &format!("--output=jsonpath={{.data.{field}}}")];
    until("the Secret is made", SOON, async || !kubectl.run(&get).await.out.is_empty()).await;
    let encoded = kubectl.run(&get).await.done();
    String::from_utf8(STANDARD.decode(encoded.trim()).unwrap()).unwrap()
}
