//! The configuration that served last, in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod kit;

use kit::{Operator, Pod, WORLD, a_key, a_policy, connect, options, ring};
use smartflow_rig::redis::RedisServer;
use smartflow_store::redis::{Value, cmd};
use smartflow_transport::follower::{Follower, LastGood, Refusal, Saver};
use smartflow_transport::{Ring, SealError};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A world that was published in several steps, and what a pod kept of it.
struct Scene {
    server: RedisServer,
    operator: Operator,
    pod: Pod,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let server = RedisServer::start();
        let mut operator = Operator::new(connect(&server.url()).await, ring());
        operator.know(Operator::read(WORLD));
        let (_, at) = operator.lead().await.unwrap();
        let mut pod = Pod::new(&server).await;
        pod.reaches(at).await;
        for change in [a_key("second"), a_policy(7), a_key("third")] {
            let at = operator.apply(&change).await.unwrap();
            pod.reaches(at).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut scene = Self { server, operator, pod, folder };
        scene.keep();
        scene
    }

    /// Writes what was activated since the last time.
    fn keep(&mut self) {
        let file = LastGood::in_folder(self.folder.path());
        let saver = Saver::start(file, ring(), "smartflow".to_owned(), |why| panic!("{why}")).unwrap();
        self.pod.saves.drain(..).for_each(|save| saver.save(save));
        drop(saver);
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("config.sealed")
    }

    /// A pod that starts from the file alone.
    async fn start(&self, ring: Ring) -> Result<Option<usize>, Refusal> {
        let Some(kept) = LastGood::in_folder(self.folder.path()).read(&ring, "smartflow").unwrap() else {
            return Ok(None);
        };
        let mut follower = Follower::new(connect(&self.server.url()).await, options(ring));
        let activation = follower.start_from(&kept.whole)?.unwrap();
        assert_eq!(Some(activation.head.at), kept.at);
        Ok(Some(activation.snapshot.keys_by_name.len()))
    }
}

fn cut(path: &Path, bytes: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

#[tokio::test]
async fn what_was_kept_is_what_served() {
    let mut scene = Scene::new().await;
    let kept = LastGood::in_folder(scene.folder.path()).read(&ring(), "smartflow").unwrap().unwrap();
    assert_eq!(kept.at, scene.pod.at());
    let mut follower = Follower::new(connect(&scene.server.url()).await, options(ring()));
    let activation = follower.start_from(&kept.whole).unwrap().unwrap();
    assert_eq!(activation.snapshot.hash, scene.operator.compiler.snapshot().hash);
    // It goes on from there.
    let mut pod = Pod::of(follower);
    let at = scene.operator.apply(&a_key("fourth")).await.unwrap();
    pod.reaches(at).await;
    assert_eq!(pod.hash(), scene.operator.compiler.snapshot().hash);
}

#[tokio::test]
async fn a_file_that_was_cut_off_gives_what_was_whole_before() {
    let scene = Scene::new().await;
    assert_eq!(scene.start(ring()).await, Ok(Some(3)));
    cut(&scene.path(), 1);
    assert_eq!(scene.start(ring()).await, Ok(Some(2)), "the last change is not there");
    let length = std::fs::metadata(scene.path()).unwrap().len();
    cut(&scene.path(), length - 3);
    assert_eq!(scene.start(ring()).await, Ok(None));
}

/// T2: the file is proven like what is in Redis.
#[tokio::test]
async fn a_file_that_was_changed_is_refused() {
    let scene = Scene::new().await;
    let whole = std::fs::read(scene.path()).unwrap();
    let mut refused = 0;
    for at in (60..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(scene.path(), &changed).unwrap();
        match scene.start(ring()).await {
            // A frame that does not read ends the file: a whole state, never another one.
            Ok(keys) => assert!(keys.is_none_or(|keys| (1..=3).contains(&keys)), "byte {at}"),
            Err(Refusal::Entry { .. } | Refusal::Head(_) | Refusal::Differs { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 5, "{refused}");
    std::fs::write(scene.path(), &whole).unwrap();
    let other = Ring::parse(&kit::key("ee")).unwrap();
    let lacks = SealError::UnknownKey(ring().newest());
    assert_eq!(scene.start(other).await, Err(Refusal::Head(lacks)));
}

#[tokio::test]
async fn the_file_stays_short_however_much_changes() {
    let mut scene = Scene::new().await;
    for round in 0..120 {
        let labels: Vec<String> = (0..100).map(|i| format!("l{i}: \"{}{round}\"", "x".repeat(100))).collect();
        let head = "apiVersion: v1\nkind: Namespace\nmetadata";
        let yaml = format!("{head}: {{ name: team, labels: {{ {} }} }}\n", labels.join(", "));
        let at = scene.operator.apply(&yaml).await.unwrap();
        scene.pod.reaches(at).await;
    }
    scene.keep();
    let length = std::fs::metadata(scene.path()).unwrap().len();
    assert!(length < 600 * 1024, "what was written is more than twice that: {length}");
    assert_eq!(scene.start(ring()).await, Ok(Some(3)));
}

#[tokio::test]
async fn its_age_is_since_it_was_last_known_to_be_current() {
    let scene = Scene::new().await;
    let file = LastGood::in_folder(scene.folder.path());
    let past = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().append(true).open(scene.path()).unwrap().set_modified(past).unwrap();
    let age = || file.read(&ring(), "smartflow").unwrap().unwrap().age;
    assert!(age() > Duration::from_secs(3500));
    file.confirm().unwrap();
    assert!(age() < Duration::from_secs(60));
}

/// T5: a pod that boots in the middle of a change keeps the whole of what it then serves.
#[tokio::test]
async fn what_began_in_the_middle_of_a_change_is_kept_whole() {
    let mut scene = Scene::new().await;
    let many: String = (0..1100).map(|i| a_key(&format!("k{i}"))).collect();
    let first = scene.pod.at().unwrap();
    let at = scene.operator.apply(&many).await.unwrap();
    assert_eq!(at.number, first.number + 3, "three records");
    // Redis as it was after the first of them.
    let redis = connect(&scene.server.url()).await;
    let entries = "smartflow:config:entries";
    type Stored = Vec<(String, Vec<(Vec<u8>, Vec<u8>)>)>;
    let range = |from: &str| cmd("XRANGE").arg("smartflow:config:stream").arg(from).arg("+").clone();
    let records: Stored = redis.run(&range(&format!("({first}"))).await.unwrap();
    let part = |tag: &[u8], n: usize| {
        let parts = records[n].1.iter().filter(move |(t, _)| t == tag);
        parts.map(|(_, body)| body.clone()).collect::<Vec<_>>()
    };
    for n in [1, 2] {
        for body in part(b"e", n) {
            let _: Value = redis.run(cmd("HDEL").arg(entries).arg(&body[..16])).await.unwrap();
        }
    }
    let put = async |n: usize| {
        let mut add = cmd("XADD");
        add.arg("smartflow:config:stream").arg(&records[n].0);
        for (tag, body) in &records[n].1 {
            add.arg(tag).arg(body);
        }
        let _: Value = redis.run(&add).await.unwrap();
        let head = part(b"h", n).remove(0);
        let _: Value = redis.run(cmd("SET").arg("smartflow:config:head").arg(head)).await.unwrap();
    };
    let _: Value = redis.run(cmd("DEL").arg("smartflow:config:stream")).await.unwrap();
    put(0).await;
    let mut pod = Pod::new(&scene.server).await;
    pod.until("says that there is more", |pod| pod.waits.iter().any(|why| why.contains("part of"))).await;
    assert!(pod.runs.is_none() && !pod.current, "what is not whole is not in force");
    put(1).await;
    put(2).await;
    pod.reaches(at).await;
    assert_eq!((pod.hash(), pod.activations), (scene.operator.compiler.snapshot().hash, 1));
    scene.pod = pod;
    std::fs::remove_file(scene.path()).unwrap();
    scene.keep();
    let kept = LastGood::in_folder(scene.folder.path()).read(&ring(), "smartflow").unwrap();
    assert_eq!(kept.map(|kept| kept.at), Some(Some(at)));
    assert_eq!(scene.start(ring()).await, Ok(Some(1103)));
}
