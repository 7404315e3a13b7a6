//! Rates over HTTP: the promise itself is the ledger's to prove in simulated time; here it is that they are wired, told
//! in OpenAI's spelling, and cost nothing when refused.

use serde_json::json;
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, key, object, token};
use std::time::Duration;

async fn start(limits: serde_json::Value) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("rated", &key("rated", &json!({"limits": limits})));
    let gateway = Gateway::start(&world).await;
    (vendor, world, gateway)
}

#[tokio::test]
async fn requests_per_minute() {
    let (vendor, _world, gateway) = start(json!({"requestsPerMinute": 20})).await;
    let client = gateway.client(&token("rated"));
    let mut refused = None;
    let mut served = 0;
    for _ in 0..40 {
        let answer = client.chat(&ask("mock-small", "hi")).await;
        if answer.status == 200 {
            served += 1;
        } else {
            refused = Some(answer);
        }
    }
    let answer = refused.expect("a refusal");
    answer.expect_error(429, "requests", "rate_limit_exceeded");
    assert!((18..=20).contains(&served), "{served} of 20 were served");
    assert_eq!(vendor.calls().len(), served);
    let retry: u64 = answer.header("retry-after").expect("retry-after").parse().unwrap();
    assert!((1..=61).contains(&retry), "a slot frees after 61 s at most: {retry}");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("20"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    let reset = answer.header("x-ratelimit-reset-requests").expect("x-ratelimit-reset-requests");
    assert!(reset.ends_with('s'), "OpenAI writes 1s, 6m0s, 20ms: {reset}");
}

#[tokio::test]
async fn tokens_per_minute_and_requests_that_never_fit() {
    let (vendor, _world, gateway) = start(json!({"tokensPerMinute": 3_000})).await;
    let client = gateway.client(&token("rated"));
    let mut huge = ask("mock-small", &"word ".repeat(8_000));
    huge["max_tokens"] = json!(10);
    let answer = client.chat(&huge).await;
    answer.expect_error(429, "tokens", "request_too_large");
    assert_eq!(answer.header("retry-after"), None, "waiting does not help");
    assert_eq!(vendor.calls().len(), 0);
    let mut body = ask("mock-small", "[[tokens=300]]");
    body["max_tokens"] = json!(300);
    let mut used = 0;
    for _ in 0..30 {
        let answer = client.chat(&body).await;
        if answer.status == 429 {
            answer.expect_error(429, "tokens", "rate_limit_exceeded");
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("3000"));
            assert!(answer.header("retry-after").is_some());
            assert!((1_800..=3_000).contains(&used), "{used} of 3,000 tokens were served");
            return;
        }
        used += answer.expect_status(200).json()["usage"]["total_tokens"].as_u64().unwrap();
    }
    panic!("{used} tokens were served on 3,000 a minute");
}

#[tokio::test]
async fn calls_in_parallel() {
    let (vendor, _world, gateway) = start(json!({"maxParallel": 3})).await;
    let client = gateway.client(&token("rated"));
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.chat(&ask("mock-small", "[[tokens=2 first_ms=2000]]")).await })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        let answer = call.await.unwrap();
        match answer.status {
            200 => served += 1,
            _ => answer.expect_error(429, "requests", "rate_limit_exceeded"),
        }
    }
    assert_eq!((served, vendor.calls().len()), (3, 3));
    // A permit comes back with its call, also when the caller has left.
    let leaver = client.clone();
    let left = tokio::spawn(async move { leaver.chat(&ask("mock-small", "[[first_ms=20000]]")).await });
    vendor.until("the fourth call", Duration::from_secs(5), |calls| calls.len() == 4).await;
    left.abort();
    vendor.until("it to be left", Duration::from_secs(1), |calls| calls[3].ended.is_some()).await;
    for _ in 0..5 {
        client.chat(&ask("mock-small", "hi")).await.expect_status(200);
    }
}

#[tokio::test]
async fn shared_limits_of_a_policy_and_of_a_parent_count_all_who_share() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("team", &key("team", &json!({"models": [], "limits": {"requestsPerMinute": 10}})));
    for name in ["a", "b"] {
        world.put(name, &key(name, &json!({"parentRef": {"name": "team"}})));
    }
    for name in ["c", "d"] {
        world.put(name, &key(name, &json!({"owner": {"team": "reds"}})));
    }
    let spec = json!({"targets": {"teams": ["reds"]}, "limits": {"requestsPerMinute": 10, "per": "Team"}});
    world.put("policy", &[object("Policy", "reds", spec)]);
    let gateway = Gateway::start(&world).await;
    for pair in [["a", "b"], ["c", "d"]] {
        let mut served = 0;
        for n in 0..30 {
            let answer = gateway.client(&token(pair[n % 2])).chat(&ask("mock-small", "hi")).await;
            match answer.status {
                200 => served += 1,
                _ => answer.expect_error(429, "requests", "rate_limit_exceeded"),
            }
        }
        assert!((9..=10).contains(&served), "{pair:?}: {served} of 10 were served");
    }
}
