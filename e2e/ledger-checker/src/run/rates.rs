//! A run about requests per minute: three pods, one key, and callers that want far more than it may.

use super::fleet_plan::PODS;
use crate::evidence::Pace;
use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, key, token};
use smartflow_rig::redis::RedisServer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::spawn_blocking;

/// Requests per minute.
const LIMIT: usize = 60;
const KEY: &str = "rated";
/// Callers at each pod.
const CALLERS: usize = 2;
/// Between two refused calls of one.
const PAUSE: Duration = Duration::from_millis(50);

/// Callers want more than the limit for so long; then what they got.
///
/// # Panics
/// When the programs do not start, or answer with anything but 200 and 429.
pub async fn play(time: Duration) -> Pace {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put(KEY, &key(KEY, &json!({"limits": {"requestsPerMinute": LIMIT}})));
    let redis = spawn_blocking(RedisServer::start).await.expect("a server that starts");
    let mut pods = Vec::new();
    for _ in 0..PODS {
        let arguments = ["--redis", &redis.url(), "--threads", "1", "--redis-timeout", "2s"];
        pods.push(Gateway::start_with(&world, &arguments).await);
    }
    let clock = (Instant::now(), micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()));
    let at = move |instant: Instant| clock.1 + micros(instant.saturating_duration_since(clock.0));
    let (sent, refused) = (Arc::new(Mutex::new(HashMap::new())), Arc::new(AtomicUsize::new(0)));
    let clients = pods.iter().flat_map(|pod| (0..CALLERS).map(|_| pod.client(&token(KEY))));
    let callers = clients.enumerate().map(|(name, client)| {
        let (sent, refused) = (sent.clone(), refused.clone());
        tokio::spawn(call(client, name, time, sent, refused))
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("a caller that ends");
    }
    let saturated = (clock.1, at(Instant::now()));
    let sent = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
    let served = vendor.calls().into_iter().map(|call| {
        let tag = call.tag.clone().unwrap_or_default();
        let sent: &Instant = sent.get(&tag).expect("a call that somebody made");
        (at(*sent), at(call.at))
    });
    Pace { limit: LIMIT, saturated, served: served.collect(), refused: refused.load(Ordering::Relaxed) }
}

async fn call(
    client: Client,
    name: usize,
    time: Duration,
    sent: Arc<Mutex<HashMap<String, Instant>>>,
    refused: Arc<AtomicUsize>,
) {
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < time {
        count += 1;
        let tag = format!("r{name}n{count}");
        sent.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.clone(), Instant::now());
        let answer = client.chat(&body(&tag)).await;
        match answer.status {
            200 => {}
            429 => {
                refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            _ => panic!("{answer:?}"),
        }
    }
}

fn body(tag: &str) -> Value {
    let mut body = ask("mock-small", &format!("[[tokens=5 tag={tag}]]"));
    body["max_tokens"] = json!(5);
    body
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
