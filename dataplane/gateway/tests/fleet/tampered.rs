//! Somebody who may write to Redis changes what is there.

use crate::pod::{PATIENCE, Pod};
use crate::{ALICE, Scene, a_key};
use smartflow_store::redis::{Redis, Value, cmd};
use smartflow_transport::Revision;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const ENTRIES: &str = "smartflow:config:entries";
const HEAD: &str = "smartflow:config:head";
const STREAM: &str = "smartflow:config:stream";
const BOB: &str = "team/bob";

/// All of the configuration, as somebody copies it.
#[derive(Clone, PartialEq)]
struct Copy {
    entries: HashMap<Vec<u8>, Vec<u8>>,
    head: Vec<u8>,
}

impl Copy {
    async fn of(redis: &Redis) -> Self {
        let entries: Vec<(Vec<u8>, Vec<u8>)> = redis.run(cmd("HGETALL").arg(ENTRIES)).await.unwrap();
        Self { entries: entries.into_iter().collect(), head: redis.run(cmd("GET").arg(HEAD)).await.unwrap() }
    }

    async fn put_back(&self, redis: &Redis) {
        let _: Value = redis.run(cmd("DEL").arg(ENTRIES)).await.unwrap();
        for (name, entry) in &self.entries {
            let _: Value = redis.run(cmd("HSET").arg(ENTRIES).arg(name).arg(entry)).await.unwrap();
        }
        let _: Value = redis.run(cmd("SET").arg(HEAD).arg(&self.head)).await.unwrap();
    }
}

/// `bob` was a key once, and is disabled now: what was published before, and since.
async fn disabled_bob(scene: &mut Scene) -> (Copy, Copy, Revision) {
    scene.operator.apply(&a_key("bob")).await.unwrap();
    let before = Copy::of(&scene.redis).await;
    let disabled = a_key("bob").replace("spec: {", "spec: { disabled: true,");
    let at = scene.operator.apply(&disabled).await.unwrap();
    (before, Copy::of(&scene.redis).await, at)
}

fn flip(bytes: &mut [u8]) {
    *bytes.last_mut().unwrap() ^= 1;
}

fn refused(pod: &Pod, what: &str) -> u64 {
    pod.metric(&format!("smartflow_config_refused_total{{what=\"{what}\"}}"))
}

/// T2: dropped, brought back or changed: not taken by a gateway that boots, which counts it, logs it and says it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_boots_takes_nothing_that_was_tampered_with() {
    let mut scene = Scene::new().await;
    let (before, now, _) = disabled_bob(&mut scene).await;
    let [serving] = scene.pods(&[]);
    let changed = now.entries.iter().find(|(name, entry)| before.entries.get(*name) != Some(entry));
    let name = changed.expect("the entry of bob").0.clone();
    let tamper = |change: &dyn Fn(&mut Copy)| {
        let mut copy = now.clone();
        change(&mut copy);
        copy
    };
    let cases = [
        ("dropped", "entry", tamper(&|copy| drop(copy.entries.remove(&name)))),
        (
            "brought back",
            "entry",
            tamper(&|copy| drop(copy.entries.insert(name.clone(), before.entries[&name].clone()))),
        ),
        ("changed", "entry", tamper(&|copy| flip(copy.entries.get_mut(&name).unwrap()))),
        ("a changed head", "head", tamper(&|copy| flip(&mut copy.head))),
    ];
    for (case, what, copy) in cases {
        assert!(copy != now, "{case}");
        copy.put_back(&scene.redis).await;
        let mut booting = scene.pod(&[]);
        booting.until(case, |pod| refused(pod, what) > 0);
        let (status, said) = booting.admin_page("/readyz");
        assert!(status == 503 && said.contains("\"why\""), "{case}: {said}");
        assert!(booting.log().contains("configuration was refused"), "{case}: {}", booting.log());
        assert_ne!(booting.chat(ALICE).0, 200, "{case}");
        assert_eq!((serving.chat(ALICE).0, serving.chat(BOB).0), (200, 401), "{case}");
        now.put_back(&scene.redis).await;
        booting.ready();
        assert_eq!((booting.chat(ALICE).0, booting.chat(BOB).0), (200, 401), "{case}");
    }
}

/// T2, T4: heads and records that nobody published, seen by gateways that serve.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_serves_refuses_counts_and_goes_on() {
    let mut scene = Scene::new().await;
    let (before, now, at) = disabled_bob(&mut scene).await;
    let [mut pod] = scene.pods(&[]);
    let runs = |pod: &Pod| {
        let said: serde_json::Value = serde_json::from_str(&pod.admin_page("/snapshot").1).unwrap();
        (said["revision"].clone(), said["hash"].clone())
    };
    pod.until("it says what it runs", |pod| !runs(pod).0.is_null());
    let ran = runs(&pod);
    let mut forged = now.clone();
    flip(&mut forged.head);
    forged.put_back(&scene.redis).await;
    pod.until("a changed head is refused", |pod| refused(pod, "head") == 1);
    before.put_back(&scene.redis).await;
    pod.until("an old one is refused", |pod| refused(pod, "head") == 2);
    now.put_back(&scene.redis).await;
    pod.until("it found its own again", |pod| !pod.admin_page("/readyz").1.contains("\"why\""));
    let next = Revision { number: at.number + 1, ..at };
    let mut add = cmd("XADD");
    add.arg(STREAM).arg(next.to_string()).arg("p").arg(at.to_string()).arg("h").arg(&before.head);
    let _: Value = scene.redis.run(&add).await.unwrap();
    pod.until("a record that was made up is refused", |pod| refused(pod, "head") == 3);
    assert_eq!(pod.log().matches("configuration was refused").count(), 3);
    assert_eq!((pod.admin_page("/readyz").0, pod.chat(ALICE).0, pod.chat(BOB).0), (200, 200, 401));
    assert_eq!(runs(&pod), ran);
}

/// T2, T5: one that ran something newer is shown all of an older set at its next start, and serves what it kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_again_refuses_what_is_older_than_what_it_kept() {
    let mut scene = Scene::new().await;
    let (before, ..) = disabled_bob(&mut scene).await;
    let [mut pod] = scene.pods(&[]);
    pod.until("it is kept", |pod| pod.kept() > 0);
    before.put_back(&scene.redis).await;
    let _: Value = scene.redis.run(cmd("DEL").arg(STREAM)).await.unwrap();
    pod.again();
    pod.ready();
    assert_eq!((pod.chat(ALICE).0, pod.chat(BOB).0), (200, 401));
    assert!(pod.admin_page("/snapshot").1.contains("\"fromLastGood\":true"));
    let said = pod.admin_page("/readyz").1;
    assert!(said.contains("older than"), "{said}");
    assert_eq!(refused(&pod, "head"), 1);
    // The operator finds it out, and publishes anew.
    let (_, at) = scene.operator.lead().await.unwrap();
    scene.acknowledged(1, at).await;
    assert!(!pod.admin_page("/readyz").1.contains("\"why\""));
    assert_eq!((pod.chat(ALICE).0, pod.chat(BOB).0), (200, 401));
}

/// T2: one that starts for the first time can be shown an old set, which this bounds.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_takes_nothing_that_was_published_too_long_ago() {
    let mut scene = Scene::new().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut pod = scene.pod(&["--max-config-age", "2s"]);
    pod.until("it says why", |pod| pod.admin_page("/readyz").1.contains("--max-config-age"));
    assert_eq!((pod.admin_page("/readyz").0, refused(&pod, "head")), (503, 1));
    assert_ne!(pod.chat(ALICE).0, 200);
    let begun = Instant::now();
    while pod.admin_page("/readyz").0 != 200 {
        assert!(begun.elapsed() < PATIENCE, "{}", pod.log());
        let world = scene.operator.world();
        scene.operator.publisher.refresh(&world).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(pod.chat(ALICE).0, 200);
}
