//! Who publishes, on a real Redis and a Lease that is scripted.

use super::*;
use crate::lease::Settings as Lease;
use crate::scripted::{Kept, client};
use serde_json::json;
use smartflow_rig::redis::RedisServer;
use smartflow_store::redis::{Address, Options};
use std::sync::{Arc, Mutex};

struct Scene {
    server: RedisServer,
    lease: Arc<Mutex<Kept>>,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "ab".repeat(32)).unwrap();
        Self { server: RedisServer::start(), lease: Arc::default(), folder }
    }

    async fn redis(&self) -> Redis {
        let limit = Duration::from_secs(10);
        let options = Options::new(Address::parse(&self.server.url()).unwrap());
        let redis =
            Redis::start(Options { connect_timeout: limit, command_timeout: limit, ..options }).unwrap();
        redis.ready(limit).await.unwrap();
        redis
    }

    async fn outlet(&self, holder: &str) -> RedisOutlet {
        let lease = self.lease.clone();
        let client = client(move |asked| lease.lock().unwrap().answer(&asked));
        let keys = Keys::File(self.folder.path().join("key"));
        let (namespace, name) = ("n".to_owned(), "l".to_owned());
        let settings =
            Lease { namespace, name, holder: holder.to_owned(), duration: Duration::from_secs(15) };
        RedisOutlet::new(client, self.redis().await, keys, settings)
    }

    /// `holder` has the Lease, for its term of this number.
    fn elect(&self, holder: &str, number: u64) -> Term {
        let mut kept = self.lease.lock().unwrap();
        let lease = kept.object.get_or_insert_with(|| json!({ "metadata": {} }));
        lease["spec"]["holderIdentity"] = json!(holder);
        let epoch = lease.pointer("/metadata/annotations").and_then(|a| a[lease::EPOCH].as_str());
        let epoch = epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        Term { number, epoch, until: Instant::now() + Duration::from_secs(60) }
    }
}

fn batch(content: &str) -> Batch {
    let content = ContentHash::of(content.as_bytes());
    Batch { entries: Vec::new(), keep: Default::default(), content, settings: Settings::default() }
}

/// T3, T10, fault 10.
#[tokio::test]
async fn who_has_the_lease_has_the_last_word() {
    let scene = Scene::new();
    let (mut first, mut second) = (scene.outlet("a").await, scene.outlet("b").await);
    let before = scene.elect("a", 1);
    first.publish(before, true, batch("")).await.unwrap();
    let term = scene.elect("b", 1);
    let at = second.publish(term, true, batch("")).await.unwrap();
    // The first one believes that it leads still: it is fenced, reads what is there, and may not note an epoch.
    for _ in 0..2 {
        first.publish(before, true, batch("old")).await.unwrap_err();
    }
    assert_eq!(second.publish(term, false, batch("")).await.unwrap(), at, "nothing came between");
    assert!(second.fleet(Some(term)).await.is_ok());
    // Had it been faster, and published under a later epoch, whoever has the Lease takes over again.
    let mut stale = Publisher::new(scene.redis().await, Ring::parse(&"ab".repeat(32)).unwrap());
    let late = stale.take_over(0, at.epoch + 1000).await.unwrap().epoch;
    let world = World { content: ContentHash::of(b"old"), settings: Settings::default(), now: 0 };
    stale.publish_all([], &world).await.unwrap();
    let fault = second.fleet(Some(term)).await.unwrap_err();
    assert!(fault.anew, "{fault}");
    let again = second.publish(term, true, batch("")).await.unwrap();
    assert!(again.epoch > late);
    assert!(second.fleet(Some(term)).await.is_ok());
}

#[tokio::test]
async fn only_whoever_has_the_lease_misses_what_was_published() {
    let scene = Scene::new();
    let mut outlet = scene.outlet("a").await;
    let term = scene.elect("a", 1);
    outlet.publish(term, true, batch("")).await.unwrap();
    assert_eq!(scene.server.cli(&["FLUSHALL"]), "OK");
    assert!(outlet.fleet(Some(term)).await.unwrap_err().anew);
    outlet.publish(term, true, batch("")).await.unwrap();
    assert_eq!(scene.server.cli(&["FLUSHALL"]), "OK");
    let over = Term { until: Instant::now(), ..term };
    for gone in [None, Some(over)] {
        assert!(outlet.fleet(gone).await.is_ok(), "{gone:?}");
    }
    let next = scene.elect("a", 2);
    outlet.publish(next, true, batch("")).await.unwrap();
    assert!(outlet.fleet(Some(next)).await.is_ok());
}

/// Gateways are asked after ten times a second; the API server is not asked for keys as often.
#[tokio::test]
async fn keys_that_cannot_be_read_are_not_asked_for_at_each_look() {
    let scene = Scene::new();
    let term = scene.elect("a", 1);
    let asked: Arc<Mutex<u32>> = Arc::default();
    let count = asked.clone();
    let client = client(move |_| {
        *count.lock().unwrap() += 1;
        crate::scripted::refusal(500, "InternalError")
    });
    let keys = Keys::Secret("n".to_owned(), "s".to_owned());
    let lease = scene.outlet("a").await.lease;
    let mut outlet = RedisOutlet::new(client, scene.redis().await, keys, lease);
    for _ in 0..5 {
        outlet.fleet(Some(term)).await.unwrap_err();
    }
    assert_eq!(*asked.lock().unwrap(), 1);
}
