//! Gateways that run what an operator publishes in Redis. The operator is a stand-in: it compiles and publishes, and
//! makes the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod away;
mod canary;
mod lost;
mod many;
#[path = "../../../../config/transport/tests/kit/operator.rs"]
#[allow(dead_code)]
mod operator;
mod pod;
mod published;
mod skew;
mod tampered;
mod traffic;
mod users;

use operator::{Operator, connect, now};
use pod::Pod;
use smartflow_ledger::lender::redis::{Creation, RedisLender, RedisOptions};
use smartflow_rig::redis::{RedisServer, Setup};
use smartflow_store::redis::Redis;
use smartflow_transport::{Fleet, Revision, Ring};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const KEY: &str = "abababababababababababababababababababababababababababababababab";

/// Made-up models at a cent for a token that is answered; a provider with a credential; a key without a budget.
const WORLD: &str = r#"
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: { name: made-up, namespace: team }
spec:
  provider: simulated
  models: [{ name: simulated-chat, price: { input: "0", output: "10000" } }]
---
apiVersion: v1
kind: Secret
metadata: { name: vendor, namespace: team, labels: { smartflow.dev/credential: "true" } }
stringData: { api-key: canary-credential }
---
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: { name: other, namespace: team }
spec:
  provider: openai-compatible
  baseURL: https://127.0.0.1:1/v1
  network: { allowPrivate: true }
  auth: { apiKey: { secretRef: { name: vendor, key: api-key } } }
  models: [{ name: other, price: { input: "1", output: "1" } }]
---
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: { name: alice, namespace: team }
spec: { models: ["*"] }
"#;

/// Cents that a token of an answer costs.
const CENT: u64 = 1;
/// The token that [`Operator::read`] gives to `alice`.
const ALICE: &str = "team/alice";
/// Loans of pods that are gone come back after this.
const LEASE: Duration = Duration::from_secs(3);

struct Scene {
    server: RedisServer,
    redis: Redis,
    operator: Operator,
    key_file: PathBuf,
    _home: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::with(RedisServer::start()).await
    }

    /// With a Redis that keeps its data when it is killed.
    async fn durable() -> Self {
        Self::with(RedisServer::start_with(Setup { durable: true, ..Setup::default() })).await
    }

    async fn with(server: RedisServer) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key_file = home.path().join("sealing.key");
        std::fs::write(&key_file, KEY).unwrap();
        let redis = connect(&server.url()).await;
        let mut operator = Operator::new(redis.clone(), Ring::parse(KEY).unwrap());
        operator.know(Operator::read(WORLD));
        operator.lead().await.unwrap();
        let scene = Self { server, redis, operator, key_file, _home: home };
        scene.make_ledger(false).await;
        scene
    }

    /// Makes an empty ledger; `lost`: there was one.
    async fn make_ledger(&self, lost: bool) {
        let lease_millis = u64::try_from(LEASE.as_millis()).unwrap();
        let lender =
            RedisLender::new(self.redis.clone(), RedisOptions { lease_millis, allow_unreplicated: false });
        let creation = Creation { generation: now(), lost, pods: Vec::new() };
        assert!(lender.create(&creation).await.unwrap().is_some(), "there was a ledger");
    }

    /// A gateway, which may never become ready.
    fn pod(&self, more: &[&str]) -> Pod {
        // Tests run beside whatever else the machine does.
        let mut flags = vec!["--redis-timeout", "2s"];
        if !more.contains(&"--lease-duration") {
            flags.extend(["--lease-duration", "30s"]);
        }
        Pod::start(&self.server.url(), &self.key_file, &[&flags, more].concat())
    }

    /// Gateways that serve.
    fn pods<const N: usize>(&self, more: &[&str]) -> [Pod; N] {
        let mut pods = [(); N].map(|()| self.pod(more));
        pods.iter_mut().for_each(Pod::ready);
        pods
    }

    /// Waits until as many gateways say that they run `at`.
    async fn acknowledged(&self, count: usize, at: Revision) -> Fleet {
        let begun = Instant::now();
        loop {
            let mut fleet = Fleet::default();
            let look = self.operator.publisher.look().await.unwrap();
            fleet.hear(look.beats);
            if fleet.ready().count() == count && fleet.reached() == Some(at) {
                return fleet;
            }
            assert!(begun.elapsed() < pod::PATIENCE, "{fleet:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn a_key(name: &str) -> String {
    let head = "---\napiVersion: smartflow.dev/v1alpha1\nkind: VirtualKey\nmetadata";
    format!("{head}: {{ name: {name}, namespace: team }}\nspec: {{ models: [\"*\"] }}\n")
}

/// A key that may spend so many dollars, ever.
fn a_budget(name: &str, dollars: u32) -> String {
    let plain = a_key(name);
    let budget = format!("budget: {{ limitUSD: \"{dollars}\", period: Lifetime, whenShort: Reject }}");
    plain.replace("spec: {", &format!("spec: {{ {budget},"))
}
