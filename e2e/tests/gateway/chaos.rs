//! Two vendors that fail three calls in ten, in all ways, under 64 clients: every call ends in an answer or a typed error
//! before its deadline, and what was billed is what the vendors served.

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, nano, served};
use smartflow_e2e::vendor::{Call, Config, End, Fault, Plan, Vendor};
use smartflow_e2e::world::{World, budget, key, object, provider, secret, token};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
const CALLS: usize = 12;
/// Of the chain.
const DEADLINE: Duration = Duration::from_secs(8);

fn world(first: &Vendor, second: &Vendor) -> World {
    let world = World::new();
    let place = |name: &str, vendor: &Vendor| {
        let mut spec = provider(vendor)[1]["spec"].clone();
        spec["timeouts"] = json!({"connect": "1s", "firstByte": "1s", "idle": "1s", "total": "20s"});
        object("LLMProvider", name, spec)
    };
    let target = |name: &str| json!({"name": name, "providerRef": {"name": name}, "model": "mock-small"});
    let chain = json!({
        "models": ["best"], "strategy": "RoundRobin", "targets": [target("first"), target("second")],
        "retry": {"attempts": 1, "backoff": "20ms", "maxBackoff": "200ms"},
        "failureThreshold": 8, "cooldown": "500ms", "timeout": "8s",
    });
    world.put("vendor", &[secret("vendor", "token", first.key())]);
    world.put("providers", &[place("first", first), place("second", second)]);
    world.put("chain", &[object("FallbackChain", "best", chain)]);
    let mut limits = budget("100");
    limits["models"] = json!(["best"]);
    world.put("payer", &key("payer", &limits));
    world
}

/// Three calls in ten fail; which ones is the same in every run, but for the order of arrival.
fn faults(salt: usize) -> Plan {
    Box::new(move |call| {
        let dice = (call.id * 7 + salt) % 40;
        match dice {
            0..3 => Some(Fault::Status { status: 429, retry_after: None }),
            3 => Some(Fault::Status { status: 429, retry_after: Some(1) }),
            4..7 => Some(Fault::Status { status: 500, retry_after: None }),
            7 | 8 => Some(Fault::Reset(0)),
            9 => Some(Fault::Hang),
            10 => Some(Fault::Cut(3)),
            11 => Some(Fault::Reset(5)),
            _ => None,
        }
    })
}

/// How one call ended.
struct Ended {
    user: String,
    took: Duration,
    whole: bool,
    /// Code of the error that its caller got.
    code: Option<String>,
}

async fn one(client: &Client, user: String, stream: bool) -> Ended {
    let mut body = ask("best", "[[tokens=20]]");
    body["user"] = json!(user);
    body["max_tokens"] = json!(100);
    let began = Instant::now();
    let code = |error: &Value| error["code"].as_str().map(str::to_owned);
    let (whole, code) = if stream {
        match client.stream(&body).await {
            Ok(stream) => {
                let told = stream.all().await;
                assert!(!told.broken && !told.garbled, "{user}: a stream that ends without a word: {told:?}");
                assert!(told.done != told.error.is_some(), "{user}: {told:?}");
                assert!(!told.done || told.deltas == 20, "{user}: a part is sold as the whole: {told:?}");
                (told.done, told.error.as_ref().and_then(code))
            }
            Err(answer) => (false, code(&answer.json()["error"])),
        }
    } else {
        let answer = client.chat(&body).await;
        let whole = answer.status == 200;
        assert!(!whole || answer.json()["usage"]["completion_tokens"] == 20, "{user}: {answer:?}");
        (whole, code(&answer.json()["error"]))
    };
    Ended { user, took: began.elapsed(), whole, code }
}

/// Calls by their `user`.
fn by_user(first: &Vendor, second: &Vendor) -> HashMap<String, Vec<Call>> {
    let mut calls: HashMap<String, Vec<Call>> = HashMap::new();
    for call in first.calls().into_iter().chain(second.calls()) {
        calls.entry(call.json()["user"].as_str().unwrap_or_default().to_owned()).or_default().push(call);
    }
    calls
}

/// A call's bill against what its vendors wrote down.
fn check(line: &Value, calls: &[Call]) -> i64 {
    let billed = nano(line["cost_usd"].as_str().unwrap());
    assert_eq!(line["attempts"], json!(calls.len()), "an attempt is a call at a vendor: {line}");
    let refused = |c: &&Call| !matches!(c.end, End::Refused(_));
    let known: i64 = calls.iter().filter(refused).map(|c| served("mock-small", c)).sum();
    if line["estimated"] == json!(true) {
        assert!(billed >= known, "billed {billed} where {known} was served: {line}");
    } else {
        let reported = calls.iter().filter_map(|c| c.reported).map(|u| cost("mock-small", &u));
        assert_eq!(billed, reported.sum::<i64>(), "{line}");
    }
    billed
}

#[tokio::test]
async fn every_call_ends_well_or_with_a_word_and_is_billed_for_what_was_served() {
    let (first, second) = (Vendor::start(Config::default()), Vendor::start(Config::default()));
    first.set_plan(Some(faults(0)));
    second.set_plan(Some(faults(3)));
    let world = world(&first, &second);
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("payer"));
    let clients = (0..CLIENTS).map(|c| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut ended = Vec::new();
            for n in 0..CALLS {
                ended.push(one(&client, format!("c{c}n{n}"), (c + n) % 2 == 0).await);
            }
            ended
        })
    });
    let mut ended = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        ended.extend(client.await.unwrap());
    }
    let lines = || gateway.usage().into_iter().filter(|l| !l["user"].is_null()).collect::<Vec<_>>();
    let all = || async { lines().len() == CLIENTS * CALLS };
    gateway.until("a usage line for every call", Duration::from_secs(5), all).await;
    for end in &ended {
        assert!(end.took < DEADLINE + Duration::from_millis(500), "{} took {:?}", end.user, end.took);
        let typed = ["upstream_failed", "upstream_timeout", "no_healthy_target"];
        let said = end.code.as_deref().is_some_and(|c| typed.contains(&c));
        assert!(end.whole != said, "{}: {:?}", end.user, end.code);
    }
    let well = ended.iter().filter(|e| e.whole).count();
    assert!(well * 100 >= ended.len() * 90, "{well} of {} answered", ended.len());
    let calls = by_user(&first, &second);
    let lines = lines();
    let billed: i64 =
        lines.iter().map(|l| check(l, calls.get(l["user"].as_str().unwrap()).map_or(&[], |c| c))).sum();
    let statement = client.get("/v1/usage").await.expect_status(200).json();
    let spent = nano(statement["budgets"][0]["spent_usd"].as_str().unwrap());
    assert_eq!(spent, billed, "the budget is what the lines say, to the last nano");
    assert!(lines.iter().any(|l| l["legs"].is_array()), "something was tried twice");
}
