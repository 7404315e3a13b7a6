//! What the tests have alike: Redis, an operator, pods.

pub(crate) mod operator;

use smartflow_compile::LEVEL;
use smartflow_rig::redis::RedisServer;
use smartflow_snapshot::{ContentHash, Snapshot};
use smartflow_transport::follower::{Follower, News, Options, Refusal, Save};
use smartflow_transport::{Head, Revision, Ring};
use std::time::Duration;

pub(crate) use operator::{Operator, connect};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A key that is the same byte 32 times.
pub(crate) fn key(byte: &str) -> String {
    byte.repeat(32)
}

pub(crate) fn ring() -> Ring {
    Ring::parse(&key("ab")).unwrap()
}

pub(crate) fn options(ring: Ring) -> Options {
    Options { ring, reads: LEVEL, max_age: None, floor: None }
}

/// A pod, and what it runs.
pub(crate) struct Pod {
    pub(crate) follower: Follower,
    pub(crate) runs: Option<Snapshot>,
    pub(crate) head: Option<Head>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) waits: Vec<String>,
    pub(crate) activations: usize,
    pub(crate) saves: Vec<Save>,
    pub(crate) unusable: Vec<(String, String)>,
    /// Seen to be what is published, since the last activation.
    pub(crate) current: bool,
}

impl Pod {
    pub(crate) async fn new(server: &RedisServer) -> Self {
        Self::with(server, options(ring())).await
    }

    pub(crate) async fn with(server: &RedisServer, options: Options) -> Self {
        Self::of(Follower::new(connect(&server.url()).await, options))
    }

    pub(crate) fn of(follower: Follower) -> Self {
        let (runs, head, refusals, waits, activations, saves, unusable) = Default::default();
        Self { follower, runs, head, refusals, waits, activations, saves, unusable, current: false }
    }

    /// One piece of news.
    pub(crate) async fn step(&mut self) {
        let news = tokio::time::timeout(PATIENCE, self.follower.next()).await.expect("news");
        match news {
            News::Activated(activation, save) => {
                self.activations += 1;
                self.saves.push(save);
                (self.runs, self.head) = (Some(activation.snapshot), Some(activation.head));
                (self.unusable, self.current) = (activation.unusable, false);
            }
            News::Refused(refusal) => self.refusals.push(refusal),
            News::Waiting(why) => self.waits.push(why),
            News::Current => self.current = true,
            News::Quiet => {}
        }
    }

    /// Goes on until `done`.
    pub(crate) async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                tokio::time::Instant::now() < until,
                "{what}: at {:?}, refused {:?}, waits {:?}",
                self.at(),
                self.refusals,
                self.waits
            );
            self.step().await;
        }
    }

    pub(crate) async fn reaches(&mut self, at: Revision) {
        self.until(&format!("reaches {at}"), |pod| pod.at() >= Some(at)).await;
    }

    /// Goes on until it looked whether there is more, and there was not.
    pub(crate) async fn settles(&mut self) {
        self.current = false;
        self.until("settles", |pod| pod.current).await;
    }

    pub(crate) fn at(&self) -> Option<Revision> {
        self.head.as_ref().map(|head| head.at)
    }

    pub(crate) fn hash(&self) -> ContentHash {
        self.runs.as_ref().map(|s| s.hash).unwrap_or_default()
    }

    pub(crate) fn policies(&self) -> usize {
        self.runs.as_ref().map_or(0, |s| s.policies.len())
    }

    pub(crate) fn keys(&self) -> usize {
        self.runs.as_ref().map_or(0, |s| s.keys_by_name.len())
    }
}

/// A provider, a Secret, a key, a policy.
pub(crate) const WORLD: &str = r#"
apiVersion: v1
kind: Secret
metadata: { name: vendor, namespace: team, labels: { smartflow.dev/credential: "true" } }
stringData: { api-key: canary-credential }
---
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: { name: canary-provider, namespace: team }
spec:
  provider: openai-compatible
  baseURL: https://llm.example.com/v1
  auth: { apiKey: { secretRef: { name: vendor, key: api-key } } }
  models: [{ name: m, price: { input: "1", output: "1" } }]
---
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: { name: canary-key, namespace: team }
spec: { models: ["*"] }
---
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: { name: canary-policy, namespace: team }
spec: { limits: { requestsPerMinute: 5 } }
"#;

/// Another key.
pub(crate) fn a_key(name: &str) -> String {
    let head = "apiVersion: smartflow.dev/v1alpha1\nkind: VirtualKey\nmetadata";
    format!("---\n{head}: {{ name: {name}, namespace: team }}\nspec: {{ models: [\"*\"] }}\n")
}

/// The policy with another rate.
pub(crate) fn a_policy(rate: u32) -> String {
    let head = "apiVersion: smartflow.dev/v1alpha1\nkind: Policy\nmetadata";
    format!(
        "{head}: {{ name: canary-policy, namespace: team }}\nspec: {{ limits: {{ requestsPerMinute: {rate} }} }}\n"
    )
}
