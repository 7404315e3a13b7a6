//! Fault 22: secrets that must be nowhere.

use crate::pod::Pod;
use crate::{ALICE, KEY, Scene, a_budget, a_key};
use smartflow_snapshot::TokenHash;
use smartflow_store::redis::{Redis, Value, cmd};
use std::path::Path;

/// The credential of provider `other`.
const CREDENTIAL: &str = "canary-credential";
/// A key's token, and one that nobody has.
const TOKEN: &str = "sk-sf-canarycanarycanarycanarycanarycanarycanary12";
const STRANGER: &str = "sk-sf-strangerstrangerstrangerstrangerstranger1234";

/// All bytes of a reply, however it is nested.
fn bytes(value: &Value, all: &mut Vec<u8>) {
    match value {
        Value::BulkString(some) => all.extend_from_slice(some),
        Value::SimpleString(some) => all.extend_from_slice(some.as_bytes()),
        Value::Array(some) => some.iter().for_each(|one| bytes(one, all)),
        Value::Map(some) => some.iter().for_each(|(key, one)| {
            bytes(key, all);
            bytes(one, all);
        }),
        other => all.extend_from_slice(format!("{other:?}").as_bytes()),
    }
    all.push(b'\n');
}

/// Everything in Redis: names and values of all keys.
async fn dump(redis: &Redis) -> (usize, Vec<u8>) {
    let keys: Vec<Vec<u8>> = redis.run(cmd("KEYS").arg("*")).await.unwrap();
    let mut all = Vec::new();
    for key in &keys {
        let kind: String = redis.run(cmd("TYPE").arg(key)).await.unwrap();
        let mut get = match kind.as_str() {
            "string" => cmd("GET"),
            "hash" => cmd("HGETALL"),
            "stream" => cmd("XRANGE"),
            "set" => cmd("SMEMBERS"),
            "zset" | "list" => cmd(if kind == "list" { "LRANGE" } else { "ZRANGE" }),
            other => panic!("a key of type {other}"),
        };
        get.arg(key);
        match kind.as_str() {
            "stream" => drop(get.arg("-").arg("+")),
            "zset" | "list" => drop(get.arg(0).arg(-1)),
            _ => {}
        }
        all.extend_from_slice(key);
        bytes(&redis.run(&get).await.unwrap(), &mut all);
    }
    (keys.len(), all)
}

/// Every file below a folder.
fn files(folder: &Path, all: &mut Vec<u8>) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            count += files(&path, all);
        } else {
            all.extend(std::fs::read(&path).unwrap());
            count += 1;
        }
    }
    count
}

fn holds(all: &[u8], some: &[u8]) -> bool {
    all.windows(some.len()).any(|window| window == some)
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_neither_in_redis_nor_in_files_logs_and_pages() {
    let mut scene = Scene::new().await;
    let hash: String = TokenHash::of(TOKEN.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect();
    let guest = a_budget("guest", 3).replace("spec: {", &format!("spec: {{ sha256: {hash},"));
    let broken = a_key("broken").replace("spec: {", &format!("spec: {{ canary: {CREDENTIAL},"));
    let at = scene.operator.apply(&[guest, broken].concat()).await.unwrap();
    let uid = "5eed".repeat(8);
    let [mut pod] = scene.pods(&["--log", "trace", "--pod-uid", &uid]);
    scene.acknowledged(1, at).await;
    // Used in all the ways that end in a log or in the ledger.
    let calls = [(TOKEN, "simulated-chat"), (TOKEN, "none"), (ALICE, "other"), (STRANGER, "other")];
    assert_eq!(calls.map(|(key, model)| pod.ask(key, model).0), [200, 404, 502, 401]);
    pod.until("it is kept", |pod| pod.kept() > 0);
    pod.until("the spend is told", |pod| pod.spent(TOKEN).is_some_and(|cents| cents > 0));
    let written = || scene.server.cli(&["KEYS", "smartflow:ledger:*"]).contains("ledger");
    pod.until("the ledger is in Redis", |_| written());

    let (keys, redis) = dump(&scene.redis).await;
    assert!(keys >= 5 && holds(&redis, uid.as_bytes()), "{keys} keys, with what they hold");
    let mut kept = Vec::new();
    let sealed = std::fs::read(pod.data_dir().join("config.sealed")).unwrap();
    assert!(files(&pod.data_dir(), &mut kept) >= 2 && holds(&kept, &sealed));
    let log = pod.log().into_bytes();
    assert!(holds(&log, b"provider failed") && holds(&log, b"UnknownField"), "{}", pod.log());
    let pages = pages(&pod);
    assert!(holds(&pages, b"VirtualKey") && holds(&pages, b"smartflow_config_revision"));
    let raw = TokenHash::of(TOKEN.as_bytes()).0;
    for (place, all) in [("Redis", &redis), ("files", &kept), ("the log", &log), ("pages", &pages)] {
        for secret in [CREDENTIAL, TOKEN, STRANGER, KEY, &hash] {
            assert!(!holds(all, secret.as_bytes()), "{secret} is in {place}");
        }
        assert!(
            !holds(all, &[0xab; 32]) && !holds(all, &raw),
            "a sealing key or the hash of a token is in {place}"
        );
    }
}

fn pages(pod: &Pod) -> Vec<u8> {
    ["/metrics", "/readyz", "/resources", "/snapshot"]
        .map(|page| pod.admin_page(page).1)
        .concat()
        .into_bytes()
}
