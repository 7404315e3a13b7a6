//! Speed and memory of the compiler: `cargo bench -p smartflow-compile`. Prints medians of the
//! time that its one thread has had on a core.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use serde_json::{Value, json};
use smartflow_compile::{Change, Compiler, Item, Kind, Object, Resources, Settings, compile, load_each};
use smartflow_snapshot::TokenHash;
use std::fmt::Write;
use std::time::Duration;

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    memory();
    speed();
}

fn provider(i: usize) -> Value {
    let models: Vec<Value> = (0..10)
        .map(|m| {
            json!({
                "name": format!("model-{i}-{m}"),
                "aliases": [format!("alias-{i}-{m}")],
                "price": { "input": "0.15", "output": "0.60" },
                "contextWindow": 128_000, "maxOutput": 16_384,
            })
        })
        .collect();
    json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": "LLMProvider",
        "metadata": { "namespace": "platform", "name": format!("provider-{i}") },
        "spec": {
            "provider": "openai-compatible", "baseURL": format!("https://llm-{i}.example.com/v1"),
            "auth": { "apiKey": { "secretRef": { "name": "keys", "key": "api-key" } } },
            "models": models, "access": { "namespaces": { "from": "All" } },
        },
    })
}

fn key(i: usize) -> Value {
    json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": "VirtualKey",
        "metadata": { "namespace": format!("team-{}", i % 50), "name": format!("key-{i:06}") },
        "spec": {
            "owner": { "user": format!("user-{i:06}"), "team": format!("team-{}", i % 50) },
            "models": ["model-1-1", format!("model-{}-*", i % 100)],
            "budget": { "limitUSD": "100", "period": "Monthly", "timezone": "Europe/Berlin" },
            "limits": { "requestsPerMinute": 60 + i % 5, "maxParallel": 8 },
        },
    })
}

fn object(manifest: Value) -> Object {
    let object = Object::read(manifest).unwrap();
    let token = TokenHash::of(object.id().to_string().as_bytes());
    if object.needs_token() { object.with_token(token) } else { object }
}

fn secret(value: &str) -> Object {
    object(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "namespace": "platform", "name": "keys", "labels": { "smartflow.dev/credential": "true" } },
        "stringData": { "api-key": value },
    }))
}

fn world(keys: usize) -> impl Iterator<Item = Object> {
    std::iter::once(secret("sk-upstream")).chain((0..100).map(provider).chain((0..keys).map(key)).map(object))
}

/// Time that this thread has had on a core, so that a busy machine does not show.
fn on_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

fn time<T>(rounds: usize, mut run: impl FnMut(usize) -> T) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|i| {
            let start = on_cpu();
            let result = run(i);
            let took = on_cpu().saturating_sub(start);
            drop(result);
            took
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn speed() {
    let settings = Settings::default();
    let objects: Vec<Object> = world(10_000).collect();
    let resources: Resources = objects.iter().cloned().collect();
    println!("10,000 keys, 100 providers in one platform namespace, 50 namespaces:");
    println!("  objects to snapshot, all          {:?}", time(15, |_| compile(&resources, &settings)));
    let mut compiler = Compiler::new(&settings);
    compiler.apply(objects.into_iter().map(|o| Change::Set(Box::new(o))));
    let mut held = Vec::new();
    let mut one = |what: &str, make: &dyn Fn(usize) -> Object| {
        let mut next = (0..201).map(|i| Change::Set(Box::new(make(i)))).collect::<Vec<_>>().into_iter();
        // The snapshot before is still in use, as it is in the gateway.
        let took = time(201, |_| held = vec![compiler.apply(next.next())]);
        println!("  one change: {what:<22}{took:?}");
    };
    one("a key's budget", &|i| {
        let mut key = key(777);
        key["spec"]["budget"]["limitUSD"] = json!(i.to_string());
        object(key)
    });
    one("a provider's model", &|i| {
        let mut provider = provider(50);
        provider["spec"]["models"][3]["name"] = json!(format!("other-{i}"));
        object(provider)
    });
    one("everyone's Secret", &|i| secret(&format!("sk-{i}")));
    one("a policy", &|i| {
        object(json!({
            "apiVersion": "smartflow.dev/v1alpha1", "kind": "Policy",
            "metadata": { "namespace": "platform", "name": "limit" },
            "spec": { "limits": { "requestsPerMinute": i + 1 } },
        }))
    });
    println!("  read and check one key (CEL too)  {:?}", time(501, |i| object(key(i))));
    let text = (0..10_000).fold(String::new(), |mut text, i| {
        writeln!(text, "---\n{}", key(i)).unwrap();
        text
    });
    let read = |_| {
        load_each(&text, |item| assert!(matches!(item, Item::Object(o) if o.id().kind == Kind::VirtualKey)))
    };
    println!("  YAML text of 10,000 keys to objects, {} KiB: {:?}", text.len() >> 10, time(3, read));
}

/// Resident bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn memory() {
    let mut compiler = Compiler::new(&Settings::default());
    compiler.apply(world(0).map(|o| Change::Set(Box::new(o))));
    compiler.apply((0..10).map(|i| Change::Set(Box::new(object(key(i))))));
    let before = resident();
    const KEYS: usize = 100_000;
    let changes = (0..KEYS).map(|i| Change::Set(Box::new(object(key(i)))));
    let snapshot = compiler.apply(changes).snapshot;
    let all = resident() - before;
    println!("100,000 keys: {} bytes a key in compiler and snapshot together (resident)", all / KEYS);
    assert_eq!(snapshot.keys.len(), KEYS);
    drop(compiler);
}
