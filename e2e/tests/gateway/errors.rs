//! The error table of the surface, row by row, and the headers of answers. Rows about bodies are in `bad_input`,
//! timeouts in `billing`, rates in `rates`.

use serde_json::{Value, json};
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, object, token};
use std::time::Duration;

const INVALID: &str = "invalid_request_error";

async fn start(objects: &[(&str, Vec<Value>)]) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &json!({})));
    for (name, list) in objects {
        world.put(name, list);
    }
    let gateway = Gateway::start(&world).await;
    (vendor, world, gateway)
}

fn hi() -> Value {
    ask("mock-small", "hi")
}

#[tokio::test]
async fn keys_that_do_not_open() {
    let disabled = key("disabled", &json!({"disabled": true}));
    let expired = key("expired", &json!({"expiresAt": "2020-01-01T00:00:00Z"}));
    let (vendor, _world, gateway) = start(&[("disabled", disabled), ("expired", expired)]).await;
    gateway.client("").chat(&hi()).await.expect_error(401, INVALID, "invalid_api_key");
    gateway.client(&token("nobody")).chat(&hi()).await.expect_error(401, INVALID, "invalid_api_key");
    gateway.client(&token("disabled")).chat(&hi()).await.expect_error(401, INVALID, "key_disabled");
    gateway.client(&token("expired")).chat(&hi()).await.expect_error(401, INVALID, "key_expired");
    gateway.client(&token("nobody")).get("/v1/models").await.expect_error(401, INVALID, "invalid_api_key");
    assert_eq!(vendor.calls().len(), 0);
}

#[tokio::test]
async fn what_is_not_granted_looks_like_what_is_not_there() {
    let narrow = key("narrow", &json!({"models": ["mock-large"]}));
    let nothing = key("nothing", &json!({"models": []}));
    let (vendor, _world, gateway) = start(&[("narrow", narrow), ("nothing", nothing)]).await;
    let client = gateway.client(&token("narrow"));
    let (hidden, absent) = (client.chat(&hi()).await, client.chat(&ask("mock-tiny!", "hi")).await);
    hidden.expect_error(404, INVALID, "model_not_found");
    absent.expect_error(404, INVALID, "model_not_found");
    let text = |a: &smartflow_e2e::client::Answer| String::from_utf8_lossy(&a.body).into_owned();
    assert_eq!(text(&hidden).replace("mock-small", "*"), text(&absent).replace("mock-tiny!", "*"));
    client.chat(&ask("mock-large", "hi")).await.expect_status(200);
    client.chat(&ask("vendor/mock-small", "hi")).await.expect_error(404, INVALID, "model_not_found");
    let listed: Vec<Value> = client.get("/v1/models").await.json()["data"].as_array().unwrap().clone();
    assert!(listed.iter().all(|m| m["id"].as_str().unwrap().ends_with("mock-large")), "{listed:?}");
    gateway.client(&token("nothing")).chat(&hi()).await.expect_error(404, INVALID, "model_not_found");
    gateway.client(&token("caller")).chat(&ask("vendor/mock-small", "hi")).await.expect_status(200);
    assert_eq!(vendor.calls().len(), 2);
}

#[tokio::test]
async fn a_spent_budget_says_so_and_is_told_before_anything_is_spent() {
    let none = key("none", &json!({"budget": {"limitUSD": "0", "period": "Daily"}}));
    let (vendor, _world, gateway) = start(&[("none", none)]).await;
    let client = gateway.client(&token("none"));
    for body in [hi(), ask("mock-reason", "hi")] {
        let answer = client.chat(&body).await;
        answer.expect_error(429, "insufficient_quota", "budget_exceeded");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(
            answer.header("x-smartflow-budget-remaining-usd").map(smartflow_e2e::money::nano),
            Some(0)
        );
        let reset = answer.header("x-smartflow-budget-reset").expect("x-smartflow-budget-reset");
        assert!(reset.ends_with("T00:00:00Z"), "RFC 3339, midnight UTC: {reset}");
    }
    let streamed = client.stream(&hi()).await.expect_err("no stream without money");
    streamed.expect_error(429, "insufficient_quota", "budget_exceeded");
    assert_eq!(vendor.calls().len(), 0);
}

#[tokio::test]
async fn what_has_no_price_is_refused_on_a_budget_and_only_there() {
    let spec = |vendor: &Vendor| {
        let mut spec = smartflow_e2e::world::provider(vendor)[1]["spec"].clone();
        spec["models"] = json!([{"name": "unpriced", "upstreamName": "mock-small"}]);
        spec
    };
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("unpriced", &[object("LLMProvider", "unpriced", spec(&vendor))]);
    world.put("caller", &key("caller", &json!({})));
    world.put("paying", &key("paying", &budget("1")));
    let gateway = Gateway::start(&world).await;
    let answer = gateway.client(&token("paying")).chat(&ask("unpriced", "hi")).await;
    answer.expect_error(400, INVALID, "price_unknown");
    assert!(
        answer.json()["error"]["message"].as_str().unwrap().contains("price"),
        "the field to set is named"
    );
    assert_eq!(vendor.calls().len(), 0);
    gateway.client(&token("caller")).chat(&ask("unpriced", "hi")).await.expect_status(200);
}

#[tokio::test]
async fn policies_block_by_name_and_dry_runs_do_not() {
    let policy = |name: &str, enforcement: &str, model: &str| {
        let spec = json!({"enforcement": enforcement, "access": {"models": {"deny": [model]}}});
        (name.to_owned(), vec![object("Policy", name, spec)])
    };
    let policies = [policy("no-large", "Enforce", "mock-large"), policy("no-small", "DryRun", "mock-small")];
    let list: Vec<(&str, Vec<Value>)> = policies.iter().map(|(n, l)| (n.as_str(), l.clone())).collect();
    let (vendor, _world, gateway) = start(&list).await;
    let client = gateway.client(&token("caller"));
    let blocked = client.chat(&ask("mock-large", "hi")).await;
    assert_eq!(blocked.status, 403);
    assert_eq!(blocked.json()["error"]["type"], "policy_violation");
    assert!(blocked.code().ends_with("no-large"), "{}", blocked.code());
    assert_eq!(vendor.calls().len(), 0);
    client.chat(&hi()).await.expect_status(200);
    let told = || async { gateway.usage().iter().any(|l| l["would_block"].to_string().contains("no-small")) };
    gateway.until("the dry run to be in the usage line", Duration::from_secs(5), told).await;
}

#[tokio::test]
async fn vendors_that_fail_are_502_with_their_reason_and_without_their_secrets() {
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("caller"));
    for (fault, word) in
        [("status:500", "500"), ("status:503", "503"), ("status:429", "429"), ("status:401", "401")]
    {
        let text = format!("[[fault={fault} retry_after=7]]");
        let answer = client.chat(&ask("mock-small", &text)).await;
        let busy = fault == "status:503";
        let (status, code) = if busy { (503, "upstream_overloaded") } else { (502, "upstream_failed") };
        answer.expect_error(status, "upstream_error", code);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word) && !message.contains(vendor.key()), "{fault}: {message}");
        if busy || fault == "status:429" {
            assert_eq!(answer.header("retry-after"), Some("7"), "the vendor's wish is passed on");
        }
        let streamed =
            client.stream(&ask("mock-small", &text)).await.expect_err("no stream comes of an error");
        streamed.expect_error(status, "upstream_error", code);
    }
    for fault in ["malformed", "reset:0", "cut:3"] {
        let answer = client.chat(&ask("mock-small", &format!("[[fault={fault}]]"))).await;
        answer.expect_error(502, "upstream_error", "upstream_failed");
    }
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_502() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &budget("1")));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("caller"));
    client.chat(&hi()).await.expect_status(200);
    drop(vendor);
    for _ in 0..3 {
        client.chat(&hi()).await.expect_error(502, "upstream_error", "upstream_failed");
    }
}

#[tokio::test]
async fn what_the_vendor_says_is_the_callers_fault_stays_the_callers() {
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("caller"));
    let mut body = hi();
    body["temperature"] = json!("warm");
    let answer = client.chat(&body).await;
    answer.expect_error(400, INVALID, "invalid_type");
    assert_eq!(answer.json()["error"]["param"], "temperature");
    assert_eq!(vendor.calls().len(), 1, "a wrong request is not tried again");
}

#[tokio::test]
async fn paths_and_methods() {
    let (_vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("caller"));
    client.get("/v1/nowhere").await.expect_error(404, INVALID, "unknown_url");
    let answer = client.get("/v1/chat/completions").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(gateway.client("").get(path).await.status, 200, "{path}");
        assert_eq!(gateway.admin_page(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn answers_tell_who_served_and_what_it_cost() {
    let (_vendor, _world, gateway) = start(&[("paying", key("paying", &budget("1")))]).await;
    let client = gateway.client(&token("paying"));
    let answer = client.chat(&ask("mock-dear", "[[tokens=10]]")).await.expect_status(200);
    let header = |name: &str| {
        answer.header(name).unwrap_or_else(|| panic!("{name} in {:?}", answer.headers)).to_owned()
    };
    assert!(header("x-smartflow-request-id").len() >= 32);
    assert!(header("x-smartflow-provider").ends_with("vendor"));
    assert_eq!(header("x-smartflow-model"), "mock-large", "as the provider knows it");
    assert_eq!(header("x-smartflow-attempts"), "1");
    let cost = smartflow_e2e::money::nano(&header("x-smartflow-cost-usd"));
    let left = smartflow_e2e::money::nano(&header("x-smartflow-budget-remaining-usd"));
    assert!(cost > 150_000 && left == smartflow_e2e::money::DOLLAR - cost, "{cost} {left}");
    assert!(header("x-smartflow-overhead-us").parse::<u64>().unwrap() < 1_000_000);
    assert_eq!(answer.header("set-cookie"), None, "the vendor's cookies are not the caller's");
    let again = client.chat(&hi()).await.expect_status(200);
    assert_ne!(again.header("x-smartflow-request-id"), Some(&*header("x-smartflow-request-id")));
    let error = client.chat(&ask("nope", "hi")).await;
    assert!(error.header("x-smartflow-request-id").is_some(), "errors carry an id too");
}

#[tokio::test]
async fn errors_say_who_was_called_and_refusals_call_nobody() {
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("caller"));
    let told = |answer: &smartflow_e2e::client::Answer| {
        ["provider", "model", "attempts"]
            .map(|n| answer.header(&format!("x-smartflow-{n}")).map(str::to_owned))
    };
    let called = ["default/vendor", "mock-small", "1"].map(|text| Some(text.to_owned()));
    for fault in ["status:500", "status:400", "malformed"] {
        let answer = client.chat(&ask("mock-small", &format!("[[fault={fault}]]"))).await;
        assert!(answer.status >= 400, "{fault}");
        assert_eq!(told(&answer), called, "{fault}");
    }
    let streamed = json!({"model": "mock-small", "stream": true,
        "messages": [{"role": "user", "content": "[[fault=status:500]]"}]});
    assert_eq!(told(&client.chat(&streamed).await), called);
    assert_eq!(told(&client.chat(&ask("nobody", "hi")).await), [None, None, None]);
    assert_eq!(vendor.calls().len(), 4);
}

#[tokio::test]
async fn a_cap_that_nobody_named_is_told() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let mut spec = smartflow_e2e::world::provider(&vendor)[1]["spec"].clone();
    let price = json!({"input": "1", "output": "4"});
    spec["models"] = json!([{"name": "boundless", "upstreamName": "mock-small", "price": price}]);
    world.put("boundless", &[object("LLMProvider", "boundless", spec)]);
    world.put("paying", &key("paying", &budget("1")));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("paying"));
    let cap =
        |answer: &smartflow_e2e::client::Answer| answer.header("x-smartflow-max-tokens").map(str::to_owned);
    let answer = client.chat(&ask("boundless", "hi")).await.expect_status(200);
    assert_eq!(cap(&answer).as_deref(), Some("16384; reason=default"));
    let sent: Value = serde_json::from_slice(&vendor.calls()[0].body).unwrap();
    let named = ["max_tokens", "max_completion_tokens"].map(|f| sent[f].as_u64());
    assert!(named.contains(&Some(16_384)), "{sent}");
    let mut own = ask("boundless", "hi");
    own["max_tokens"] = json!(100);
    assert_eq!(cap(&client.chat(&own).await.expect_status(200)), None);
    assert_eq!(cap(&client.chat(&ask("mock-small", "hi")).await.expect_status(200)), None, "the model's own");
}

#[tokio::test]
async fn one_model_is_found_by_its_name_however_a_client_writes_it() {
    let narrow = key("narrow", &json!({"models": ["mock-small", "vendor/*"]}));
    let (_vendor, _world, gateway) = start(&[("narrow", narrow)]).await;
    let client = gateway.client(&token("narrow"));
    for (written, id) in [
        ("mock-small", "mock-small"),
        ("vendor/mock-large", "vendor/mock-large"),
        ("vendor%2Fmock-large", "vendor/mock-large"),
        ("mock%2Dsmall", "mock-small"),
    ] {
        let model = client.get(&format!("/v1/models/{written}")).await.expect_status(200).json();
        assert_eq!((&model["id"], &model["object"]), (&json!(id), &json!("model")), "{written}");
        assert_eq!(model["owned_by"], "vendor");
    }
    for hidden in ["mock-large", "nobody", "mock-small%", "%ff"] {
        let answer = client.get(&format!("/v1/models/{hidden}")).await;
        answer.expect_error(404, INVALID, "model_not_found");
    }
    let caller = smartflow_e2e::client::Client::anthropic(gateway.traffic, &token("narrow"));
    let model = caller.get("/v1/models/vendor%2Fmock-large").await.expect_status(200).json();
    assert_eq!((&model["type"], &model["id"]), (&json!("model"), &json!("vendor/mock-large")));
}

#[tokio::test]
async fn the_hint_for_an_unknown_path_names_both_formats() {
    let (_vendor, _world, gateway) = start(&[]).await;
    let answer = gateway.client(&token("caller")).get("/v1/nothing").await;
    answer.expect_error(404, INVALID, "unknown_url");
    let message = answer.json()["error"]["message"].to_string();
    for path in ["/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/models", "/v1/usage"] {
        assert!(message.contains(path), "{message}");
    }
}
