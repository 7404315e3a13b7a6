//! Every field of a resource does something: what is accepted is enforced. Budgets, rates and lists of models are in
//! the other modules.

use serde_json::{Value, json};
use smartflow_e2e::client::{Answer, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::nano;
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, object, provider, token};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

/// A world with the vendor's provider changed by `change`, and a key `caller`.
async fn with_provider(change: impl Fn(&mut Value)) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let mut objects = provider(&vendor);
    change(&mut objects[1]["spec"]);
    world.put("vendor", &objects);
    world.put("caller", &key("caller", &json!({})));
    let gateway = Gateway::start(&world).await;
    (vendor, world, gateway)
}

async fn call(gateway: &Gateway, key: &str, body: &Value) -> Answer {
    gateway.client(&token(key)).chat(body).await
}

#[tokio::test]
async fn credentials_go_where_and_how_the_provider_says() {
    let (vendor, _world, gateway) = with_provider(|spec| {
        spec["auth"]["apiKey"]["header"] = json!("x-vendor-key");
        spec["auth"]["apiKey"]["prefix"] = json!("Key ");
        spec["headers"] = json!([{"name": "X-Tenant", "value": "blue"}]);
    })
    .await;
    // The mock wants a bearer token, so it refuses; what it was sent is what counts.
    call(&gateway, "caller", &ask("mock-small", "hi")).await.expect_status(502);
    let sent = &vendor.calls()[0];
    assert_eq!(sent.header("x-vendor-key"), Some(&*format!("Key {}", vendor.key())));
    assert_eq!((sent.header("authorization"), sent.header("x-tenant")), (None, Some("blue")));
}

#[tokio::test]
async fn passthrough_uses_the_callers_own_credential_and_none_uses_none() {
    let (vendor, world, gateway) = with_provider(|spec| spec["auth"] = json!({"passthrough": {}})).await;
    let body = ask("mock-small", "hi");
    let own = format!("Bearer {}", vendor.key());
    let client = gateway.client(&token("caller"));
    let bringing = client.clone().with("x-smartflow-upstream-authorization", &own);
    bringing.chat(&body).await.expect_status(200);
    client.chat(&body).await.expect_status(502);
    let mut objects = provider(&vendor);
    objects[1]["spec"]["auth"] = json!({"none": {}});
    world.put("vendor", &objects);
    let without = || async {
        bringing.chat(&body).await;
        vendor.calls().last().is_some_and(|c| c.header("authorization").is_none() && c.headers.len() > 2)
    };
    gateway.until("no credential to be sent", SOON, without).await;
}

#[tokio::test]
async fn models_answer_to_their_aliases_and_reach_the_vendor_by_their_upstream_name() {
    let (vendor, _world, gateway) = with_provider(|spec| {
        spec["models"] = json!([
            {"name": "ours", "upstreamName": "mock-small", "aliases": ["theirs"], "maxOutput": 100,
             "price": {"input": "1", "output": "4"}},
        ]);
    })
    .await;
    for name in ["ours", "theirs", "vendor/ours"] {
        call(&gateway, "caller", &ask(name, "hi")).await.expect_status(200);
    }
    call(&gateway, "caller", &ask("mock-small", "hi")).await.expect_status(404);
    assert!(vendor.calls().iter().all(|c| c.model.as_deref() == Some("mock-small")));
}

#[tokio::test]
async fn the_output_cap_is_called_as_the_vendor_calls_it() {
    let (vendor, world, gateway) =
        with_provider(|spec| spec["models"][0]["outputCap"] = json!("MaxTokens")).await;
    world.put("paying", &key("paying", &budget("1")));
    let known = || async { call(&gateway, "paying", &ask("mock-large", "hi")).await.status == 200 };
    gateway.until("the key to serve", SOON, known).await;
    call(&gateway, "paying", &ask("mock-small", "hi")).await.expect_status(200);
    let sent: Vec<Value> = vendor.calls().iter().rev().take(2).map(|c| c.json()).collect();
    assert!(sent[0]["max_tokens"].is_u64() && sent[0].get("max_completion_tokens").is_none(), "{}", sent[0]);
    assert!(sent[1]["max_completion_tokens"].is_u64() && sent[1].get("max_tokens").is_none(), "{}", sent[1]);
}

#[tokio::test]
async fn other_namespaces_use_a_provider_only_where_access_says_so() {
    let vendor = Vendor::start(Config::default());
    let world = World::new();
    for (name, access) in
        [("closed", json!({})), ("open", json!({"access": {"namespaces": {"from": "All"}}}))]
    {
        let mut objects = provider(&vendor);
        for object in &mut objects {
            object["metadata"]["namespace"] = json!("smartflow-system");
            object["metadata"]["name"] = json!(name);
        }
        let spec = &mut objects[1]["spec"];
        spec["auth"]["apiKey"]["secretRef"]["name"] = json!(name);
        spec["models"] = json!([{"name": format!("{name}-model"), "upstreamName": "mock-small"}]);
        if let Some(access) = access.get("access") {
            spec["access"] = access.clone();
        }
        world.put(name, &objects);
    }
    world.put("caller", &key("caller", &json!({})));
    let gateway = Gateway::start(&world).await;
    call(&gateway, "caller", &ask("open-model", "hi")).await.expect_status(200);
    call(&gateway, "caller", &ask("closed-model", "hi")).await.expect_status(404);
}

#[tokio::test]
async fn when_short_reject_refuses_what_shorten_would_shorten() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let mut strict = budget("0.05");
    strict["budget"]["whenShort"] = json!("Reject");
    world.put("strict", &key("strict", &strict));
    world.put("lenient", &key("lenient", &budget("0.05")));
    let gateway = Gateway::start(&world).await;
    // 16,384 output tokens at $4 a million are $0.066.
    let body = ask("mock-small", "hi");
    call(&gateway, "strict", &body).await.expect_error(429, "insufficient_quota", "budget_exceeded");
    call(&gateway, "lenient", &body).await.expect_status(200);
    let mut modest = body;
    modest["max_tokens"] = json!(1_000);
    call(&gateway, "strict", &modest).await.expect_status(200);
}

#[tokio::test]
async fn a_soft_limit_warns_once_it_is_reached() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let mut soft = budget("0.01");
    soft["budget"]["softLimitPercent"] = json!(50);
    world.put("soft", &key("soft", &soft));
    let gateway = Gateway::start(&world).await;
    for _ in 0..8 {
        let mut body = ask("mock-small", "[[tokens=200]]");
        body["max_tokens"] = json!(200);
        call(&gateway, "soft", &body).await.expect_status(200);
    }
    gateway.until("eight usage lines", SOON, || async { gateway.usage().len() == 8 }).await;
    let above = gateway.usage().iter().filter(|l| l["above_soft_limit"] == json!(true)).count();
    // Some $0.0008 each: the seventh passes the half of a cent.
    assert!((1..=3).contains(&above), "{:?}", gateway.usage());
    assert!(gateway.log().contains("soft limit"));
}

#[tokio::test]
async fn parents_and_policies_pay_too_and_stop_all_who_share() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("team", &key("team", &json!({"models": [], "budget": budget("0.01")["budget"]})));
    for name in ["a", "b"] {
        let spec = json!({"parentRef": {"name": "team"}, "budget": budget("1")["budget"]});
        world.put(name, &key(name, &spec));
    }
    for name in ["c", "d", "e"] {
        let user = if name == "e" { "eve" } else { "carl" };
        world.put(name, &key(name, &json!({"owner": {"user": user}, "models": ["*"]})));
    }
    let spec = json!({"targets": {"users": ["carl", "eve"]},
        "budget": {"limitUSD": "0.01", "period": "Monthly", "per": "User"}});
    world.put("policy", &[object("Policy", "per-user", spec)]);
    let gateway = Gateway::start(&world).await;
    let mut body = ask("mock-small", "[[tokens=250]]");
    body["max_tokens"] = json!(250);
    for pair in [["a", "b"], ["c", "d"]] {
        let mut served = 0;
        for n in 0..30 {
            let answer = call(&gateway, pair[n % 2], &body).await;
            match answer.status {
                200 => served += 1,
                _ => answer.expect_error(429, "insufficient_quota", "budget_exceeded"),
            }
        }
        // About $0.00102 each.
        assert!((8..=9).contains(&served), "{pair:?}: {served} calls on one cent");
    }
    call(&gateway, "e", &body).await.expect_status(200);
    let own = gateway.client(&token("a")).get("/v1/usage").await.json();
    assert!(
        nano(own["budgets"][0]["remaining_usd"].as_str().unwrap()) > 900_000_000,
        "its own is hardly touched: {own}"
    );
}

#[tokio::test]
async fn keys_expire_on_time() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let at = rfc3339(now + 2);
    world.put("brief", &key("brief", &json!({"expiresAt": at})));
    let gateway = Gateway::start(&world).await;
    let body = ask("mock-small", "hi");
    let first = call(&gateway, "brief", &body).await;
    assert!(first.status == 200 || reached(now + 2), "{:?}", first.body);
    let expired = || async { call(&gateway, "brief", &body).await.code() == "key_expired" };
    gateway.until("the key to expire", SOON, expired).await;
    assert!(reached(now + 2), "it expired early");
}

/// Whether the clock shows this second.
fn reached(seconds: u64) -> bool {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() >= seconds
}

/// UTC date and time of Unix seconds, by the civil calendar.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era_day = shifted % 146_097;
    let year_of_era = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let day_of_year = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = shifted / 146_097 * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}
