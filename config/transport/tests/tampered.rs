//! Whoever can write to Redis can hold configuration up, and not change it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod kit;

use kit::{Operator, Pod, WORLD, a_key, a_policy, connect, options, ring};
use smartflow_compile::Kind;
use smartflow_rig::redis::RedisServer;
use smartflow_store::redis::{Redis, Value, cmd};
use smartflow_transport::Revision;
use smartflow_transport::follower::{Options, Refusal};
use smartflow_transport::publisher::{PublishError, Publisher, Standing};
use std::time::Duration;

const ENTRIES: &str = "smartflow:config:entries";
const HEAD: &str = "smartflow:config:head";
const STREAM: &str = "smartflow:config:stream";

/// A published world, a pod that runs it, and somebody with access to Redis.
struct Scene {
    server: RedisServer,
    operator: Operator,
    pod: Pod,
    redis: Redis,
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

impl Scene {
    async fn new() -> Self {
        let server = RedisServer::start();
        let mut operator = Operator::new(connect(&server.url()).await, ring());
        operator.know(Operator::read(WORLD));
        let (_, at) = operator.lead().await.unwrap();
        let mut pod = Pod::new(&server).await;
        pod.reaches(at).await;
        pod.settles().await;
        let redis = connect(&server.url()).await;
        Self { server, operator, pod, redis }
    }

    async fn entries(&self) -> Entries {
        self.redis.run(cmd("HGETALL").arg(ENTRIES)).await.unwrap()
    }

    async fn set(&self, field: &[u8], entry: &[u8]) {
        let _: Value = self.redis.run(cmd("HSET").arg(ENTRIES).arg(field).arg(entry)).await.unwrap();
    }

    async fn head(&self) -> Vec<u8> {
        self.redis.run(cmd("GET").arg(HEAD)).await.unwrap()
    }

    async fn set_head(&self, head: &[u8]) {
        let _: Value = self.redis.run(cmd("SET").arg(HEAD).arg(head)).await.unwrap();
    }

    /// A pod that boots is not taken in; one that serves goes on with what it has.
    async fn is_refused(&mut self, what: &str, is: impl Fn(&Refusal) -> bool + Copy) {
        let mut booting = Pod::new(&self.server).await;
        booting.until(what, |pod| pod.refusals.iter().any(is)).await;
        assert!(booting.runs.is_none(), "{what}");
    }

    async fn serves_on(&mut self, what: &str, is: impl Fn(&Refusal) -> bool + Copy) {
        let (at, hash) = (self.pod.at(), self.pod.hash());
        self.pod.until(what, |pod| pod.refusals.iter().any(is)).await;
        assert_eq!((self.pod.at(), self.pod.hash()), (at, hash), "{what}");
    }

    /// The operator finds it out and publishes anew; everybody runs it.
    async fn heals(mut self) {
        self.pod.refusals.clear();
        let (_, at) = self.operator.lead().await.unwrap();
        let mut booting = Pod::new(&self.server).await;
        for pod in [&mut self.pod, &mut booting] {
            pod.reaches(at).await;
            assert_eq!(pod.hash(), self.operator.compiler.snapshot().hash);
        }
    }
}

fn differs(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Differs { .. })
}

fn entry(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Entry { .. })
}

fn head(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Head(_))
}

fn older(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Older { .. })
}

/// T2
#[tokio::test]
async fn an_entry_that_is_taken_out_is_missed() {
    let mut scene = Scene::new().await;
    for (field, _) in scene.entries().await {
        let entry = scene.redis.run::<Vec<u8>>(cmd("HGET").arg(ENTRIES).arg(&field)).await.unwrap();
        let _: Value = scene.redis.run(cmd("HDEL").arg(ENTRIES).arg(&field)).await.unwrap();
        scene.is_refused("dropped", differs).await;
        scene.set(&field, &entry).await;
    }
    scene.pod.settles().await;
    assert!(scene.pod.refusals.is_empty(), "what serves does not look at it");
}

/// T2
#[tokio::test]
async fn an_entry_that_is_brought_back_is_not_taken() {
    let mut scene = Scene::new().await;
    let old = scene.entries().await;
    let at = scene.operator.apply(&a_policy(1)).await.unwrap();
    scene.pod.reaches(at).await;
    let now = scene.entries().await;
    let (field, replayed) = old.iter().find(|entry| !now.contains(entry)).unwrap();
    scene.set(field, replayed).await;
    scene.is_refused("replayed", differs).await;
    scene.heals().await;
}

/// T2
#[tokio::test]
async fn an_entry_that_is_changed_or_moved_is_not_taken() {
    let mut scene = Scene::new().await;
    let entries = scene.entries().await;
    let (field, sealed) = &entries[0];
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    scene.set(field, &changed).await;
    scene.is_refused("changed", entry).await;
    scene.set(field, &entries[1].1).await;
    scene.is_refused("moved", entry).await;
    scene.set(field, b"short").await;
    scene.is_refused("no entry", entry).await;
    scene.set(field, sealed).await;
    scene.set(&[9; 16], sealed).await;
    scene.is_refused("added", entry).await;
    scene.heals().await;
}

/// T2
#[tokio::test]
async fn a_head_that_is_changed_is_not_taken() {
    let mut scene = Scene::new().await;
    let mut changed = scene.head().await;
    *changed.last_mut().unwrap() ^= 1;
    scene.set_head(&changed).await;
    scene.is_refused("changed", head).await;
    scene.serves_on("changed", head).await;
    scene.heals().await;
}

/// T2, T3: an older head, with the entries that belong to it.
#[tokio::test]
async fn whoever_saw_a_later_head_refuses_an_older_one() {
    let mut scene = Scene::new().await;
    let (old_head, old) = (scene.head().await, scene.entries().await);
    let before = scene.pod.at();
    let at = scene.operator.apply(&a_policy(1)).await.unwrap();
    scene.pod.reaches(at).await;
    for (field, sealed) in &old {
        scene.set(field, sealed).await;
    }
    scene.set_head(&old_head).await;
    let _: Value = scene.redis.run(cmd("XDEL").arg(STREAM).arg(at.to_string())).await.unwrap();
    scene.serves_on("older", older).await;
    // A pod that knows of the later one by what it kept.
    let floor = Options { floor: Some(at), ..options(ring()) };
    let mut restarted = Pod::with(&scene.server, floor).await;
    restarted.until("older", |pod| pod.refusals.iter().any(older)).await;
    assert!(restarted.runs.is_none());
    // The stated limit: one that never saw it cannot know better.
    let mut fresh = Pod::new(&scene.server).await;
    fresh.until("is shown the older one", |pod| pod.at() == before).await;
    scene.heals().await;
}

/// T2: the limit to that limit.
#[tokio::test]
async fn an_old_configuration_is_refused_where_an_age_is_set() {
    let mut scene = Scene::new().await;
    let strict = Options { max_age: Some(Duration::from_millis(1)), ..options(ring()) };
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut pod = Pod::with(&scene.server, strict).await;
    pod.until("refuses", |pod| pod.refusals.iter().any(|r| matches!(r, Refusal::TooOld { .. }))).await;
    assert!(pod.runs.is_none());
    let patient = Options { max_age: Some(Duration::from_secs(60)), ..options(ring()) };
    let mut pod = Pod::with(&scene.server, patient).await;
    pod.until("serves", |pod| pod.runs.is_some()).await;
    let world = scene.operator.world();
    let at = scene.operator.publisher.refresh(&world).await.unwrap();
    pod.reaches(at).await;
}

/// T2: what is only looked at again and again is neither told nor asked for without end.
#[tokio::test]
async fn a_refusal_is_told_once_and_looked_at_less_and_less() {
    let scene = Scene::new().await;
    let strict = Options { max_age: Some(Duration::from_millis(1)), ..options(ring()) };
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut pod = Pod::with(&scene.server, strict).await;
    let mut steps = 0;
    let go_on = async {
        loop {
            pod.step().await;
            steps += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), go_on).await.unwrap_err();
    assert_eq!(pod.refusals.len(), 1, "{:?}", pod.refusals);
    assert!(steps <= 6, "{steps} steps in a second");
}

/// T4: a record that is taken out of the stream.
#[tokio::test]
async fn a_record_that_is_taken_out_is_found_by_the_head() {
    let mut scene = Scene::new().await;
    let at = scene.operator.apply(&a_key("second")).await.unwrap();
    let _: Value = scene.redis.run(cmd("XDEL").arg(STREAM).arg(at.to_string())).await.unwrap();
    scene.pod.reaches(at).await;
    assert_eq!(scene.pod.keys(), 2);
    // The next one builds upon what a pod that missed it does not have.
    let mut pod = Pod::new(&scene.server).await;
    pod.settles().await;
    scene.operator.apply(&a_key("third")).await.unwrap_err();
    scene.heals().await;
}

/// T2, T4: records that nobody published.
#[tokio::test]
async fn records_that_are_forged_or_brought_back_are_not_taken() {
    let mut scene = Scene::new().await;
    let old_head = scene.head().await;
    let at = scene.operator.apply(&a_policy(1)).await.unwrap();
    scene.pod.reaches(at).await;
    let (field, sealed) = scene.entries().await.remove(0);
    let part = [field, sealed].concat();
    let later = |number: u64| Revision { epoch: at.epoch, number: at.number + number };
    let add = async |at: Revision, previous: Revision, head: &[u8], tag: &str, body: &[u8]| {
        let mut add = cmd("XADD");
        add.arg(STREAM).arg(at.to_string()).arg("p").arg(previous.to_string()).arg("h").arg(head);
        let _: Value = scene.redis.run(add.arg(tag).arg(body)).await.unwrap();
    };
    // A head of before, as if it were new.
    add(later(1), at, &old_head, "e", &part).await;
    // Something else than a record.
    add(later(2), later(1), b"x", "e", b"short").await;
    let (hash, runs) = (scene.pod.hash(), scene.pod.at());
    scene.pod.until("refuses", |pod| pod.refusals.iter().any(head)).await;
    assert_eq!((scene.pod.hash(), scene.pod.at()), (hash, runs));
    scene.heals().await;
}

/// T2, T3: records that lead, entry by entry, back to an older whole set, under an id that is later than all.
#[tokio::test]
async fn a_stream_that_leads_back_to_an_older_set_is_not_followed() {
    let mut scene = Scene::new().await;
    let (old_head, old) = (scene.head().await, scene.entries().await);
    let at = scene.operator.apply(&format!("{}{}", a_policy(1), a_key("second"))).await.unwrap();
    scene.pod.reaches(at).await;
    let back = Revision { epoch: at.epoch, number: at.number + 1 };
    let mut add = cmd("XADD");
    add.arg(STREAM).arg(back.to_string()).arg("p").arg(at.to_string()).arg("h").arg(&old_head);
    for (field, _) in scene.entries().await.iter().filter(|(f, _)| !old.iter().any(|(o, _)| o == f)) {
        add.arg("m").arg(field);
    }
    for (field, sealed) in &old {
        add.arg("e").arg([&field[..], sealed].concat());
    }
    let _: Value = scene.redis.run(&add).await.unwrap();
    let _: Value = scene.redis.run(cmd("XDEL").arg(STREAM).arg(at.to_string())).await.unwrap();
    let (hash, runs) = (scene.pod.hash(), scene.pod.at());
    scene.pod.until("refuses", |pod| pod.refusals.iter().any(head)).await;
    // It reads the whole set again, more than once.
    for _ in 0..4 {
        scene.pod.step().await;
        assert_eq!((scene.pod.hash(), scene.pod.at()), (hash, runs));
    }
    scene.is_refused("leads back", head).await;
    scene.heals().await;
}

/// T2, T6: an old spec that is brought back is no last valid one; nor is anything else that was not published.
#[tokio::test]
async fn what_is_recalled_was_published() {
    let mut scene = Scene::new().await;
    let old = scene.entries().await;
    scene.operator.apply(&a_policy(1)).await.unwrap();
    let policy = scene.operator.compiler.objects().find(|id| id.kind == Kind::Policy).unwrap();
    let now = scene.entries().await;
    let (field, replayed) = old.iter().find(|entry| !now.contains(entry)).unwrap();
    let (_, genuine) = now.iter().find(|(f, _)| f == field).unwrap();
    let mut next = Publisher::new(scene.redis.clone(), ring());
    for forged in [&replayed[..], b"garbage"] {
        scene.set(field, genuine).await;
        assert_eq!(next.take_over(0, 0).await.unwrap().damage, None);
        scene.set(field, forged).await;
        let fault = next.last_good(&policy).await.unwrap_err();
        assert!(matches!(&fault, PublishError::Unproven(id) if *id == policy), "{fault}");
        assert!(next.take_over(0, 0).await.unwrap().damage.is_some());
        assert_eq!(next.last_good(&policy).await.unwrap(), None);
    }
    // What lies beside it takes nothing away from what is proven.
    scene.set(field, genuine).await;
    scene.set(b"x", b"y").await;
    assert!(next.take_over(0, 0).await.unwrap().damage.is_some());
    let spec = next.last_good(&policy).await.unwrap().unwrap().spec;
    assert!(spec.contains("\"requestsPerMinute\":1"), "{spec}");
    scene.heals().await;
}

/// What is no entry is cleared away by the next leader, and does not count against it for ever.
#[tokio::test]
async fn what_is_no_entry_is_found_and_cleared_away() {
    let mut scene = Scene::new().await;
    scene.set(b"x", b"y").await;
    let standing = scene.operator.publisher.look().await.unwrap().standing;
    assert!(matches!(standing, Standing::Lost(_)), "{standing:?}");
    let (taken, _) = scene.operator.lead().await.unwrap();
    assert!(taken.damage.is_some_and(|damage| damage.contains("no entry")));
    assert_eq!(scene.operator.publisher.look().await.unwrap().standing, Standing::Current);
    scene.heals().await;
}
