//! Eight clients, one key, one dollar: random costs, streams and not, cancels, vendor faults, and kill -9 in the middle.

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{DOLLAR, cost, nano, served};
use smartflow_e2e::vendor::{Call, Config, Usage, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENTS: u64 = 8;
/// Reservations stay below limit/200: at $4 a million tokens, 1,000 output tokens and a short prompt. (Streams without
/// a cap of their own hold more while they run: slices go by content bytes.)
const MOST_TOKENS: u64 = 1_000;
/// A client that was refused this often in a row has nothing more to spend.
const PATIENCE: u32 = 25;

/// Output tokens that each call's caller received, by `user`. A word is a token.
type Received = Arc<Mutex<HashMap<String, u64>>>;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The budget's spend, as the key's own statement tells it.
async fn spent(client: &Client) -> Result<i64, String> {
    let answer = client.try_send("GET", "/v1/usage", bytes::Bytes::new()).await?;
    let told = answer.json();
    let text = told["budgets"][0]["spent_usd"].as_str().unwrap_or_else(|| panic!("no spend in {told}"));
    Ok(nano(text))
}

/// One call of a random sort; true when the budget refused it. `Err` when the gateway was not there.
async fn one_call(client: &Client, user: &str, dice: &mut Dice, received: &Received) -> Result<bool, String> {
    const FAULTS: [&str; 8] =
        ["status:500", "status:429", "cut:40", "reset:30", "reset:0", "error:20", "nousage", "malformed"];
    let (kind, tokens) = (dice.below(100), 1 + dice.below(MOST_TOKENS));
    let fault = FAULTS[usize::try_from(dice.below(8)).unwrap()];
    let script = match kind {
        0..40 => format!("[[tokens={tokens} chunk=10]]"),
        40..60 => format!("[[tokens={tokens} chunk=10 delay_ms=2]]"),
        60..85 => format!("[[tokens={tokens}]]"),
        _ => format!("[[tokens={tokens} chunk=10 fault={fault}]]"),
    };
    let mut body = ask("mock-small", &script);
    body["user"] = json!(user);
    if kind % 5 > 0 {
        body["max_tokens"] = json!(MOST_TOKENS);
    }
    let words = |text: &str| u64::try_from(text.split_whitespace().count()).unwrap();
    if kind < 60 || (kind >= 85 && tokens.is_multiple_of(2)) {
        let mut stream = match client.try_stream(&body).await? {
            Err(answer) => return Ok(answer.code() == "budget_exceeded"),
            Ok(stream) => stream,
        };
        let leaves = (40..60).contains(&kind);
        let told = stream.read(if leaves { 1 + dice.below(20) } else { u64::MAX }).await;
        received.lock().unwrap().insert(user.to_owned(), words(&told.text));
        return Ok(false);
    }
    let sent = bytes::Bytes::from(body.to_string());
    let answer = client.try_send("POST", "/v1/chat/completions", sent).await?;
    let text = answer.json()["choices"][0]["message"]["content"].as_str().map_or(0, words);
    received.lock().unwrap().insert(user.to_owned(), text);
    Ok(answer.code() == "budget_exceeded")
}

async fn client_loop(client: Client, who: u64, received: Received) {
    let mut dice = Dice(who + 7);
    let (mut refused, mut n) = (0, 0);
    while refused < PATIENCE {
        n += 1;
        match one_call(&client, &format!("c{who}-{n}"), &mut dice, &received).await {
            Ok(true) => refused += 1,
            Ok(false) => refused = 0,
            // Killed; it comes back.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Looks at the spend all the while: it never falls, and never passes the cap.
async fn watch(client: Client, seen: Arc<AtomicI64>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        if let Ok(now) = spent(&client).await {
            let before = seen.swap(now, Ordering::Relaxed);
            assert!(now <= DOLLAR, "{now} nano-USD were spent of one dollar");
            assert!(now >= before, "spend fell from {before} to {now}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the race, with two kills when asked to. Returns the spend at its end.
async fn race(vendor: &Vendor, gateway: &mut Gateway, kill: bool, received: &Received) -> i64 {
    let client = gateway.client(&token("race"));
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let watcher = tokio::spawn(watch(client.clone(), seen.clone(), stop.clone()));
    let racers: Vec<_> =
        (0..CLIENTS).map(|who| tokio::spawn(client_loop(client.clone(), who, received.clone()))).collect();
    if kill {
        for share in [3, 6] {
            let seen = &seen;
            let reached = || async move { seen.load(Ordering::Relaxed) > DOLLAR * share / 10 };
            gateway.until("a good part to be spent", Duration::from_secs(60), reached).await;
            let before = seen.load(Ordering::Relaxed);
            gateway.kill();
            gateway.again().await;
            let kept = spent(&client).await.unwrap();
            assert!(kept >= before, "kill -9 lost spend: {before} before, {kept} after");
        }
    }
    for racer in racers {
        racer.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    watcher.await.unwrap();
    let idle = |calls: &[Call]| calls.iter().all(|c| c.ended.is_some());
    vendor.until("all calls to end", Duration::from_secs(5), idle).await;
    // The last crumbs: the smallest usual call, until it is refused.
    let crumb = ask("mock-small", "[[tokens=1000]]");
    for _ in 0..50 {
        let mut crumb = crumb.clone();
        crumb["max_tokens"] = json!(MOST_TOKENS);
        if client.chat(&crumb).await.code() == "budget_exceeded" {
            break;
        }
    }
    spent(&client).await.unwrap()
}

fn usd(line: &Value) -> i64 {
    nano(line["cost_usd"].as_str().unwrap_or_else(|| panic!("no cost in {line}")))
}

/// Billed against served, call by call, by the vendor's own count. Returns how many were exact and how many estimated.
fn reconcile(lines: &[Value], calls: &[Call], received: &Received) -> (u32, u32) {
    let received = received.lock().unwrap();
    let (mut exact, mut estimates) = (0, 0);
    for line in lines.iter().filter(|l| l["user"].is_string()) {
        let billed = usd(line);
        let call = calls.iter().find(|c| c.json()["user"] == line["user"]);
        let Some(call) = call else {
            assert_eq!(billed, 0, "billed, but the vendor never saw it: {line}");
            continue;
        };
        if line["estimated"] == json!(false) {
            let expected = call.reported.map_or(0, |u| cost("mock-small", &u));
            assert_eq!(billed, expected, "billed is not what the vendor reported: {line} {call:?}");
            exact += 1;
        } else {
            let completion = line["user"].as_str().and_then(|u| received.get(u)).copied().unwrap_or(0);
            let least = cost("mock-small", &Usage { prompt: call.prompt, completion, ..Usage::default() });
            assert!(billed >= least, "billed less than was received ({least}): {line} {call:?}");
            assert!(billed <= reserve(call), "an estimate above what was reserved: {line} {call:?}");
            estimates += 1;
        }
    }
    (exact, estimates)
}

/// No less than what a call of these tests reserves: its bytes as input, and its cap, else the model's.
fn reserve(call: &Call) -> i64 {
    let cap = call.json()["max_tokens"].as_i64().unwrap_or(16_384);
    i64::try_from(call.body.len()).unwrap() * 1_000 + 1_000_000 + cap * 4_000
}

async fn start() -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("race", &key("race", &budget("1")));
    let gateway = Gateway::start(&world).await;
    (vendor, world, gateway)
}

/// What was held by processes that were killed, and is nobody's any more.
async fn forfeited(gateway: &Gateway) -> i64 {
    let told = gateway.client(&token("race")).get("/v1/usage").await.expect_status(200).json();
    nano(told["budgets"][0]["unattributed_usd"].as_str().unwrap())
}

fn served_in_all(vendor: &Vendor) -> i64 {
    vendor.calls().iter().map(|c| served("mock-small", c)).sum()
}

#[tokio::test]
async fn a_dollar_is_never_exceeded_and_can_be_used() {
    let (vendor, _world, mut gateway) = start().await;
    let received = Received::default();
    let spent = race(&vendor, &mut gateway, false, &received).await;
    assert!(spent <= DOLLAR, "{spent}");
    assert!(spent * 100 >= DOLLAR * 97, "only {spent} nano-USD of a dollar could be used");
    let served = served_in_all(&vendor);
    assert!(served <= spent, "the vendor served {served} nano-USD, {spent} were billed");
    gateway.terminate();
    gateway.ended(Duration::from_secs(10)).await;
    let lines = gateway.usage();
    let billed: i64 = lines.iter().map(usd).sum();
    assert_eq!(billed, spent, "the usage lines do not add up to the spend");
    let (exact, estimates) = reconcile(&lines, &vendor.calls(), &received);
    assert!(exact > 200 && estimates > 20, "too few calls to prove anything: {exact} {estimates}");
}

#[tokio::test]
async fn kill_9_in_the_middle_keeps_the_spend_and_the_cap() {
    let (vendor, _world, mut gateway) = start().await;
    let spent = race(&vendor, &mut gateway, true, &Received::default()).await;
    assert!(spent <= DOLLAR, "{spent}");
    let (served, forfeited) = (served_in_all(&vendor), forfeited(&gateway).await);
    assert!(spent + forfeited <= DOLLAR, "{spent} spent and {forfeited} forfeited of one dollar");
    assert!(
        served <= spent + forfeited,
        "{served} nano-USD were served, {spent} billed, {forfeited} forfeited"
    );
    // What two kills cost was forfeited: all that was in flight, more of it the slower the machine.
    // Sixteen calls at half a cent each, and what streams without a cap hold beside.
    assert!(forfeited * 100 <= DOLLAR * 25, "two kills cost {forfeited} nano-USD of a dollar");
    let used = spent + forfeited;
    assert!(
        used * 100 >= DOLLAR * 95,
        "only {used} nano-USD of a dollar could be used, {forfeited} of it forfeited"
    );
}
