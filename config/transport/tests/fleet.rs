//! An operator and pods on a real Redis: what is published is what runs, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod kit;

use kit::{Operator, Pod, WORLD, a_key, a_policy, connect, options, ring};
use smartflow_compile::{Kind, LEVEL};
use smartflow_rig::redis::RedisServer;
use smartflow_snapshot::{Effect, ObjectName};
use smartflow_store::redis::{Redis, Value, cmd};
use smartflow_transport::follower::Beacon;
use smartflow_transport::publisher::{PublishError, Publisher, Standing};
use smartflow_transport::{Beat, Fleet, Revision, Ring};

async fn operator(server: &RedisServer) -> Operator {
    let mut operator = Operator::new(connect(&server.url()).await, ring());
    operator.know(Operator::read(WORLD));
    operator.lead().await.unwrap();
    operator
}

fn beat(pod: &str) -> Beat {
    Beat {
        pod: pod.to_owned(),
        incarnation: 1,
        number: 0,
        ready: true,
        at: Revision { epoch: 5, number: 6 },
        keys: ring().ids(),
        reads: LEVEL,
        unusable: Vec::new(),
        unusable_count: 0,
        refused: 0,
        content: Default::default(),
        version: "test".to_owned(),
    }
}

async fn ask(redis: &Redis, words: &[&str]) -> Value {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(word);
    }
    redis.run(&command).await.unwrap()
}

/// T1, T2, T4, T5
#[tokio::test]
async fn three_pods_run_what_the_operator_compiled_and_follow_its_changes() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    let mut pods = [Pod::new(&server).await, Pod::new(&server).await, Pod::new(&server).await];
    let mut at = operator.publish_all().await.unwrap();
    for round in 0..4 {
        for pod in &mut pods {
            pod.reaches(at).await;
            assert_eq!(pod.hash(), operator.compiler.snapshot().hash, "round {round}");
            assert_eq!(pod.head.as_ref().unwrap().content, pod.hash());
        }
        at = match round {
            0 => operator.apply(&a_key("second")).await.unwrap(),
            1 => operator.apply(&a_policy(7)).await.unwrap(),
            2 => operator.delete(Kind::VirtualKey, "team", "second").await.unwrap(),
            _ => break,
        };
    }
    assert_eq!((pods[0].keys(), pods[0].policies()), (1, 1));
    assert!(pods.iter().all(|pod| pod.refusals.is_empty() && pod.activations == 4));
}

/// T1: what did not change is not sealed again, and saying nothing new publishes nothing.
#[tokio::test]
async fn what_is_published_already_is_not_published_again() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    let redis = connect(&server.url()).await;
    let before = ask(&redis, &["HVALS", "smartflow:config:entries"]).await;
    let at = operator.publish_all().await.unwrap();
    assert_eq!(operator.publish_all().await.unwrap(), at);
    // A new leader finds it, proves it, and only says that it is there.
    let mut successor = Operator::new(connect(&server.url()).await, ring());
    successor.know(Operator::read(WORLD));
    let (taken, later) = successor.lead().await.unwrap();
    assert_eq!((taken.damage, taken.published), (None, 4));
    assert!(later.epoch > at.epoch);
    assert_eq!(ask(&redis, &["HVALS", "smartflow:config:entries"]).await, before);
}

/// T6: on start the operator compares with what is published.
#[tokio::test]
async fn what_was_deleted_while_no_operator_ran_is_gone_once_one_leads() {
    let server = RedisServer::start();
    let mut first = operator(&server).await;
    first.apply(&a_key("second")).await.unwrap();
    let mut pod = Pod::new(&server).await;
    pod.until("two keys", |pod| pod.keys() == 2).await;
    let mut successor = operator(&server).await;
    let at = successor.publish_all().await.unwrap();
    pod.reaches(at).await;
    assert_eq!(pod.keys(), 1);
}

/// Nothing of what is published can be read in Redis.
#[tokio::test]
async fn redis_holds_no_name_and_no_secret_in_the_clear() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    operator.apply(&a_key("canary-second")).await.unwrap();
    operator.delete(Kind::VirtualKey, "team", "canary-second").await.unwrap();
    let redis = connect(&server.url()).await;
    let mut dump = String::new();
    for (key, read) in [("entries", "HGETALL"), ("head", "GET")] {
        dump += &format!("{:?}", ask(&redis, &[read, &format!("smartflow:config:{key}")]).await);
    }
    dump += &format!("{:?}", ask(&redis, &["XRANGE", "smartflow:config:stream", "-", "+"]).await);
    // As bytes it would be a list of numbers.
    let bytes = |text: &str| {
        let all: Vec<String> = text.bytes().map(|b| b.to_string()).collect();
        all.join(", ")
    };
    assert!(dump.len() > 1000);
    for canary in ["canary", "VirtualKey", "team"] {
        assert!(!dump.contains(canary) && !dump.contains(&bytes(canary)), "{canary}");
    }
}

/// T4, T10, fault 10: of two leaders the one that was paused changes nothing.
#[tokio::test]
async fn a_leader_that_was_overtaken_is_fenced() {
    let server = RedisServer::start();
    let mut stale = operator(&server).await;
    let mut pod = Pod::new(&server).await;
    let mut successor = operator(&server).await;
    let at = successor.apply(&a_key("second")).await.unwrap();
    pod.reaches(at).await;
    let fault = stale.apply(&a_policy(1)).await.unwrap_err();
    assert!(matches!(fault, PublishError::Fenced(by) if by == at), "{fault}");
    assert_eq!(stale.publisher.look().await.unwrap().standing, Standing::Fenced(at));
    pod.settles().await;
    assert_eq!((pod.at(), pod.hash()), (Some(at), successor.compiler.snapshot().hash));
    // Also by itself the stream refuses what is not later than its end.
    let redis = connect(&server.url()).await;
    let earlier = Revision { epoch: at.epoch - 1, number: 9 }.to_string();
    let mut add = cmd("XADD");
    add.arg("smartflow:config:stream").arg(earlier).arg("h").arg("x");
    let refused = redis.run::<Value>(&add).await.unwrap_err();
    assert!(refused.to_string().contains("equal or smaller"), "{refused}");
}

/// T4: whoever missed more than the stream holds reads everything again.
#[tokio::test]
async fn a_pod_that_missed_too_much_boots_again() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    let mut pod = Pod::new(&server).await;
    pod.settles().await;
    // The pod does not read while this happens.
    for name in ["a", "b", "c"] {
        operator.apply(&a_key(name)).await.unwrap();
    }
    let at = operator.delete(Kind::Policy, "team", "canary-policy").await.unwrap();
    ask(&connect(&server.url()).await, &["XTRIM", "smartflow:config:stream", "MAXLEN", "1"]).await;
    pod.reaches(at).await;
    assert_eq!((pod.keys(), pod.policies(), pod.activations), (4, 0, 2), "one step for all of it");
    assert_eq!(pod.hash(), operator.compiler.snapshot().hash);
    assert!(pod.refusals.is_empty(), "{:?}", pod.refusals);
}

/// T3, fault 4: Redis loses everything while pods serve.
#[tokio::test]
async fn lost_data_is_published_anew_and_pods_serve_on() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    let mut pod = Pod::new(&server).await;
    let before = operator.apply(&a_key("second")).await.unwrap();
    pod.reaches(before).await;
    ask(&connect(&server.url()).await, &["FLUSHALL"]).await;
    pod.until("says that it is gone", |pod| !pod.refusals.is_empty()).await;
    assert_eq!((pod.at(), pod.keys()), (Some(before), 2), "it serves on");
    let standing = operator.publisher.look().await.unwrap().standing;
    assert!(matches!(standing, Standing::Lost(_)), "{standing:?}");
    let fault = operator.apply(&a_key("third")).await.unwrap_err();
    assert!(matches!(fault, PublishError::Lost(_)), "{fault}");
    let (taken, at) = operator.lead().await.unwrap();
    assert!(taken.damage.is_some() && at.epoch > before.epoch);
    pod.reaches(at).await;
    assert_eq!(pod.keys(), 3);
    assert_eq!(operator.publisher.look().await.unwrap().standing, Standing::Current);
}

/// A change that needs several records is in force as a whole or not at all.
#[tokio::test]
async fn a_large_change_is_not_taken_in_parts() {
    let server = RedisServer::start();
    let mut operator = Operator::new(connect(&server.url()).await, ring());
    operator.know(Operator::read(WORLD));
    let many: String = (0..1500).map(|i| a_key(&format!("k{i}"))).collect();
    operator.know(Operator::read(&many));
    let mut pod = Pod::new(&server).await;
    pod.until("nothing is there yet", |pod| !pod.waits.is_empty()).await;
    let publish = async {
        let (_, at) = operator.lead().await.unwrap();
        assert!(at.number > 2, "{at}");
        at
    };
    let (at, ()) = tokio::join!(publish, pod.until("activates", |pod| pod.activations == 1));
    assert_eq!((pod.at(), pod.keys()), (Some(at), 1501));
}

/// T8: what a pod cannot read is absent where it grants, and closed where it restricts; the rest is as it was.
#[tokio::test]
async fn an_older_pod_loses_what_it_cannot_read_only() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    let newer = "apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: { name: newer, namespace: team }
spec: { models: [\"*\"], overrides: [Model] }
---
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: { name: newer, namespace: team }
spec: { targets: { teams: [red] }, access: { groups: { deny: [x] } } }
";
    let at = operator.apply(newer).await.unwrap();
    let mut old =
        Pod::with(&server, smartflow_transport::follower::Options { reads: LEVEL - 1, ..options(ring()) })
            .await;
    let mut new = Pod::new(&server).await;
    old.reaches(at).await;
    new.reaches(at).await;
    assert_eq!(new.hash(), operator.compiler.snapshot().hash);
    let snapshot = old.runs.as_ref().unwrap();
    assert!(snapshot.keys_by_name.get(&ObjectName::new("team", "newer")).is_none());
    assert!(snapshot.keys_by_name.get(&ObjectName::new("team", "canary-key")).is_some());
    let [known, closed] = &snapshot.policies[..] else { panic!("{:?}", snapshot.policies) };
    assert!(matches!(known.effect, Effect::Restrict { .. }));
    assert!(matches!(closed.effect, Effect::Closed { .. }) && *closed.targets.teams == [Box::from("red")]);
    let named: Vec<&str> = old.unusable.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named.contains(&"VirtualKey team/newer") && named.contains(&"Policy team/newer"));
    // Once it says only what the old one reads, all is well.
    let plain = newer
        .replace(", overrides: [Model]", "")
        .replace("access: { groups: { deny: [x] } }", "limits: { requestsPerMinute: 1 }");
    let at = operator.apply(&plain).await.unwrap();
    old.reaches(at).await;
    assert!(old.unusable.is_empty() && old.hash() == operator.compiler.snapshot().hash);
}

/// T9
#[tokio::test]
async fn the_sealing_key_is_rotated_while_pods_serve() {
    let server = RedisServer::start();
    let mut operator = operator(&server).await;
    operator.apply(&a_key("second")).await.unwrap();
    let (old, both, new) =
        (kit::key("ab"), format!("{}\n{}", kit::key("ab"), kit::key("cd")), kit::key("cd"));
    let ring = |text: &str| Ring::parse(text).unwrap();
    let mut pod = Pod::new(&server).await;
    pod.settles().await;
    let hash = pod.hash();
    // Everybody gets both; the operator seals on with the old one until they do.
    operator.publisher.set_ring(ring(&both));
    assert_eq!(operator.publisher.sealing_key(), ring(&old).newest());
    pod.follower.set_ring(ring(&both));
    let mut late = Pod::new(&server).await;
    late.settles().await;
    operator.publisher.seal_with(ring(&new).newest()).unwrap();
    assert!(operator.publisher.must_reseal());
    let at = operator.publish_all().await.unwrap();
    assert!(!operator.publisher.must_reseal());
    pod.reaches(at).await;
    assert_eq!((pod.hash(), pod.keys()), (hash, 2));
    // One that was not told serves on, and says which key it lacks.
    late.until("refuses", |pod| !pod.refusals.is_empty()).await;
    let missing = late.refusals[0].missing_key();
    assert_eq!((missing, late.keys()), (Some(ring(&new).newest()), 2));
    late.follower.set_ring(ring(&both));
    late.reaches(at).await;
    // A new leader goes on with it, whoever is heard by then.
    let mut successor = Publisher::new(connect(&server.url()).await, ring(&both));
    assert_eq!(successor.sealing_key(), ring(&old).newest());
    successor.take_over(0, 0).await.unwrap();
    assert_eq!(successor.sealing_key(), ring(&new).newest());
    // The old one is taken away: from the operator first. It hears those that have it still.
    operator.publisher.set_ring(ring(&new));
    let mut beacon = Beacon::new(connect(&server.url()).await);
    beacon.seal_with(pod.head.as_ref().map(|head| head.key));
    beacon.send(&ring(&both), beat("pod-0")).await.unwrap();
    let look = operator.publisher.look().await.unwrap();
    assert_eq!((look.beats.len(), look.forged), (1, 0));
    pod.follower.set_ring(ring(&new));
    let mut fresh = Pod::with(&server, options(ring(&new))).await;
    let at = operator.apply(&a_policy(9)).await.unwrap();
    for pod in [&mut pod, &mut fresh] {
        pod.reaches(at).await;
        assert_eq!(pod.hash(), operator.compiler.snapshot().hash);
    }
}

/// T9: a pod with another key never serves, and names the key.
#[tokio::test]
async fn a_pod_with_a_wrong_key_says_which_one_it_lacks() {
    let server = RedisServer::start();
    operator(&server).await;
    let mut pod = Pod::with(&server, options(Ring::parse(&kit::key("ee")).unwrap())).await;
    pod.until("refuses", |pod| !pod.refusals.is_empty()).await;
    assert!(pod.refusals[0].to_string().contains(&ring().newest().to_string()), "{}", pod.refusals[0]);
    assert!(pod.runs.is_none());
}

/// T7
#[tokio::test]
async fn what_pods_say_reaches_the_operator_and_goes_when_they_do() {
    let server = RedisServer::start();
    let operator = operator(&server).await;
    let redis = connect(&server.url()).await;
    let mut beacons = [Beacon::new(redis.clone()), Beacon::new(redis.clone())];
    beacons[0].send(&ring(), beat("pod-0")).await.unwrap();
    beacons[1].send(&Ring::parse(&kit::key("ee")).unwrap(), beat("stranger")).await.unwrap();
    let look = operator.publisher.look().await.unwrap();
    let mut fleet = Fleet::default();
    assert_eq!((look.beats.len(), look.forged), (1, 1));
    fleet.hear(look.beats);
    assert_eq!(fleet.reached(), Some(Revision { epoch: 5, number: 6 }));
    // One that was silent for a minute is forgotten, also in Redis.
    let past = [b"1 ".to_vec(), beat("pod-0").seal(&ring(), None, "smartflow").unwrap()].concat();
    let _: Value =
        redis.run(cmd("HSET").arg("smartflow:config:gateways").arg("pod-0").arg(past)).await.unwrap();
    fleet.hear(operator.publisher.look().await.unwrap().beats);
    assert_eq!((fleet.reached(), fleet.all().count()), (None, 0));
    assert_eq!(ask(&redis, &["HLEN", "smartflow:config:gateways"]).await, Value::Int(1));
}

/// T3: an epoch is later than what any pod runs, also when the clock went back and Redis lost everything.
#[tokio::test]
async fn a_new_epoch_is_later_than_all_that_was_seen() {
    let server = RedisServer::start();
    let first = operator(&server).await;
    drop(first);
    let mut publisher = Publisher::new(connect(&server.url()).await, ring());
    let published = publisher.take_over(5, 0).await.unwrap().epoch;
    assert!(published > 1_000_000);
    assert_eq!(publisher.take_over(5, published + 100).await.unwrap().epoch, published + 101);
}

/// What is kept in the entry serves as the last valid spec.
#[tokio::test]
async fn the_last_valid_spec_is_found_in_what_is_published() {
    let server = RedisServer::start();
    let operator = operator(&server).await;
    let mut other = Publisher::new(connect(&server.url()).await, ring());
    let id = operator.compiler.objects().find(|id| id.kind == Kind::Policy).unwrap();
    let unread = other.last_good(&id).await.unwrap_err();
    assert!(matches!(unread, PublishError::NotLeading), "{unread}");
    other.take_over(0, 0).await.unwrap();
    let spec = other.last_good(&id).await.unwrap().unwrap().spec;
    assert!(spec.contains("\"requestsPerMinute\":5"), "{spec}");
    let absent = smartflow_compile::ObjectRef { name: ObjectName::new("team", "other"), ..id };
    assert_eq!(other.last_good(&absent).await.unwrap(), None);
}

/// What docs/fleet-configuration.md says of Redis' users is enough, and not more than that.
#[tokio::test]
async fn users_of_redis_with_the_rights_that_are_documented() {
    let server = RedisServer::start();
    let told = include_str!("../../../docs/fleet-configuration.md");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter2").unwrap();
    let mut users = Vec::new();
    for line in told.lines().filter_map(|line| line.strip_prefix("ACL SETUSER ")) {
        let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
        let said = server.cli(&[&["ACL", "SETUSER"], &words[..], &[">hunter2"]].concat());
        assert_eq!(said, "OK", "{line}");
        let address = server.url().replace("redis://", &format!("redis://{}@", words[0]));
        let mut options =
            smartflow_store::redis::Options::new(smartflow_store::redis::Address::parse(&address).unwrap());
        options.password = smartflow_store::redis::Password::File(password.clone());
        let redis = Redis::start(options).unwrap();
        redis.ready(kit::PATIENCE).await.unwrap();
        users.push(redis);
    }
    let [operator, gateway] = &users[..] else { panic!("two users in the document, not {}", users.len()) };
    let mut operator = Operator::new(operator.clone(), ring());
    operator.know(Operator::read(WORLD));
    let (_, at) = operator.lead().await.unwrap();
    let mut pod = Pod::of(smartflow_transport::follower::Follower::new(gateway.clone(), options(ring())));
    pod.reaches(at).await;
    let at = operator.apply(&a_key("second")).await.unwrap();
    pod.reaches(at).await;
    pod.settles().await;
    Beacon::new(gateway.clone()).send(&ring(), beat("pod")).await.unwrap();
    assert_eq!(operator.publisher.look().await.unwrap().beats.len(), 1);
    let mine = ["config:entries", "config:head", "config:stream"].map(|key| gateway.key(key));
    for (key, kind) in mine.iter().zip(["HSET", "SET", "XADD"]) {
        let mut change = cmd(kind);
        change.arg(key).arg(match kind {
            "XADD" => "*",
            _ => "x",
        });
        if kind != "SET" {
            change.arg("x");
        }
        let refused = gateway.run::<Value>(change.arg("x")).await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{kind}: {refused}");
        assert_eq!(gateway.run::<Value>(cmd("DEL").arg(key)).await.unwrap_err().code(), Some("NOPERM"));
    }
    assert!(gateway.run::<Value>(cmd("SET").arg("other").arg("x")).await.is_err());
}
