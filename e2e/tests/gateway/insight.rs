//! What is told of calls: usage lines, metrics, traces; and what providers are told of callers.

use serde_json::{Value, json};
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, nano};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, object, token};
use std::time::Duration;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn start() -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let owner = json!({"owner": {"user": "ada", "team": "engines", "labels": {"cost-centre": "42"}}});
    let mut spec = budget("5");
    spec["owner"] = owner["owner"].clone();
    world.put("told", &key("told", &spec));
    let gateway = Gateway::start(&world).await;
    (vendor, world, gateway)
}

#[tokio::test]
async fn one_usage_line_per_call_says_who_what_and_how_much() {
    let (vendor, _world, gateway) = start().await;
    let client = gateway.client(&token("told")).with("traceparent", TRACE);
    let mut body = ask("mock-dear", "[[tokens=21]]");
    body["user"] = json!("end-user-7");
    body["metadata"] = json!({"project": "apollo"});
    client.chat(&body).await.expect_status(200);
    client.stream(&body).await.unwrap().all().await;
    client.chat(&ask("nope", "x")).await.expect_status(404);
    let embedded = client.post("/v1/embeddings", &json!({"model": "mock-embed", "input": "abcdefgh"})).await;
    assert_eq!(embedded.expect_status(200).json()["usage"]["prompt_tokens"], 2);
    gateway.until("four usage lines", Duration::from_secs(5), || async { gateway.usage().len() == 4 }).await;
    let mut lines = gateway.usage();
    // Each runtime has its own queue.
    lines.sort_by_key(|l| l["time"].to_string());
    for (line, call) in lines.iter().zip(vendor.calls()).take(2) {
        assert_eq!(line["key"].to_string().matches("told").count(), 1, "{line}");
        assert_eq!(
            (line["owner"]["user"].as_str(), line["owner"]["team"].as_str()),
            (Some("ada"), Some("engines"))
        );
        assert_eq!((&line["user"], &line["metadata"]["project"]), (&json!("end-user-7"), &json!("apollo")));
        assert_eq!((&line["requested_model"], &line["model"]), (&json!("mock-dear"), &json!("mock-dear")));
        assert_eq!(
            (&line["endpoint"], &line["status"], &line["outcome"]),
            (&json!("chat"), &json!(200), &json!("ok"))
        );
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        let usage = call.reported.unwrap();
        assert_eq!((&line["usage"]["input"], &line["usage"]["output"]), (&json!(usage.prompt), &json!(21)));
        assert_eq!(nano(line["cost_usd"].as_str().unwrap()), cost("mock-dear", &usage));
        assert!(line["latency_us"].as_u64().unwrap() >= line["overhead_us"].as_u64().unwrap());
        assert!(!line["request_id"].as_str().unwrap().is_empty());
    }
    assert_eq!((&lines[0]["stream"], &lines[1]["stream"]), (&json!(false), &json!(true)));
    assert_eq!((&lines[2]["outcome"], &lines[2]["code"]), (&json!("refused"), &json!("model_not_found")));
    assert_eq!(
        (&lines[3]["endpoint"], lines[3]["cost_usd"].as_str()),
        (&json!("embeddings"), Some("0.0000002"))
    );
}

#[tokio::test]
async fn metrics_count_calls_tokens_and_money_without_naming_keys() {
    let (_vendor, _world, gateway) = start().await;
    let client = gateway.client(&token("told"));
    for _ in 0..3 {
        client.chat(&ask("mock-small", "[[tokens=10]]")).await.expect_status(200);
    }
    client.chat(&ask("nope", "x")).await.expect_status(404);
    let page = gateway.admin_page("/metrics").await.expect_status(200);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let value = |words: &[&str]| {
        let line = text.lines().find(|l| !l.starts_with('#') && words.iter().all(|w| l.contains(w)));
        let line = line.unwrap_or_else(|| panic!("no metric with {words:?} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    near(value(&["smartflow_requests_total", "mock-small", "outcome=\"ok\""]), 3.0);
    near(value(&["smartflow_tokens_total", "mock-small", "class=\"output\""]), 30.0);
    near(value(&["smartflow_refused_total", "model_not_found"]), 1.0);
    assert!(value(&["smartflow_cost_usd", "mock-small"]) > 30.0 * 4e-6);
    assert!(value(&["smartflow_overhead_seconds_count"]) > 3.5);
    near(value(&["smartflow_findings", "error"]), 0.0);
    assert!(!text.contains("told") && !text.contains("ada"), "keys and users are no labels");
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so");
}

#[tokio::test]
async fn trace_context_reaches_the_vendor_and_credentials_do_not() {
    let (vendor, _world, gateway) = start().await;
    let client = gateway
        .client(&token("told"))
        .with("traceparent", TRACE)
        .with("tracestate", "vendor=1,other=2")
        .with("cookie", "session=caller")
        .with("x-forwarded-for", "203.0.113.9")
        .with("openai-organization", "org-of-the-caller")
        .with("api-key", "callers-own")
        .with("x-api-key", "callers-own");
    client.chat(&ask("mock-small", "hi")).await.expect_status(200);
    let call = &vendor.calls()[0];
    assert_eq!(call.header("traceparent"), Some(TRACE));
    assert_eq!(call.header("tracestate"), Some("vendor=1,other=2"));
    assert_eq!(call.header("authorization"), Some(&*format!("Bearer {}", vendor.key())));
    for name in ["cookie", "x-forwarded-for", "openai-organization", "api-key", "x-api-key"] {
        assert_eq!(call.header(name), None, "{name} went to the vendor");
    }
    assert!(!format!("{:?}", call.headers).contains(&token("told")), "the virtual key went to the vendor");
}

#[tokio::test]
async fn the_same_dialect_passes_byte_for_byte_but_for_what_must_change() {
    let vendor = Vendor::start(Config { lenient: true, ..Config::default() });
    let world = World::of(&vendor);
    world.put("free", &key("free", &json!({})));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("free"));
    // Odd spacing, escapes, unknown fields, large numbers: none of the gateway's business.
    let text = "{ \"messages\" :[ {\"role\":\"user\",\"content\":\"caf\\u00e9 \\ud83e\\udd80\",\"x\":1e300}]  ,\n\t\
                \"frob\":{\"a\":[1,2.50,12345678901234567890123]},\"model\":\"MODEL\",\"temperature\":1.0 }";
    for (model, upstream) in [("mock-large", "mock-large"), ("mock-dear", "mock-large")] {
        let sent = text.replace("MODEL", model);
        let path = "/v1/chat/completions";
        client.try_send("POST", path, bytes::Bytes::from(sent)).await.unwrap().expect_status(200);
        let received = vendor.calls().pop().unwrap().body;
        assert_eq!(String::from_utf8_lossy(&received), text.replace("MODEL", upstream));
    }
}

#[tokio::test]
async fn the_keys_own_statement_tells_spend_and_limits() {
    let (_vendor, _world, gateway) = start().await;
    let client = gateway.client(&token("told"));
    let answer = client.chat(&ask("mock-small", "[[tokens=100]]")).await.expect_status(200);
    let told = client.get("/v1/usage").await.expect_status(200).json();
    let budget = &told["budgets"][0];
    assert_eq!(
        budget["spent_usd"].as_str().unwrap(),
        answer.header("x-smartflow-cost-usd").unwrap(),
        "{told}"
    );
    let (spent, left) =
        (nano(budget["spent_usd"].as_str().unwrap()), nano(budget["remaining_usd"].as_str().unwrap()));
    assert_eq!(spent + left, 5 * smartflow_e2e::money::DOLLAR, "{told}");
}

#[tokio::test]
async fn the_keys_own_statement_tells_the_budgets_that_it_shares() {
    let (_vendor, world, gateway) = start().await;
    let policy = |name: &str, spec: Value| world.put(name, &[object("Policy", name, spec)]);
    let cap = |limit: &str| json!({"per": "Policy", "limitUSD": limit, "period": "Lifetime"});
    policy(
        "shared",
        json!({"budget": cap("7"), "limits": {"per": "Key", "requestsPerMinute": 50, "tokensPerDay": 9000}}),
    );
    policy("large-only", json!({"targets": {"models": ["mock-large"]}, "budget": cap("8")}));
    policy("others", json!({"targets": {"users": ["somebody-else"]}, "budget": cap("9")}));
    policy("trial", json!({"enforcement": "DryRun", "budget": cap("10")}));
    let client = gateway.client(&token("told"));
    let names = |told: &Value, list: &str, field: &str| -> Vec<String> {
        told[list].as_array().unwrap().iter().map(|b| b[field].as_str().unwrap().to_owned()).collect()
    };
    let all = [
        "The budget of this key",
        "The budget of policy default/large-only",
        "The budget of policy default/shared",
    ];
    let told = || async {
        let told = client.get("/v1/usage").await.expect_status(200).json();
        names(&told, "budgets", "budget") == all
    };
    gateway.until("the shared budgets to be told", std::time::Duration::from_secs(5), told).await;
    let answer = client.chat(&ask("mock-small", "[[tokens=100]]")).await.expect_status(200);
    let told = client.get("/v1/usage").await.expect_status(200).json();
    let spent: Vec<&str> =
        told["budgets"].as_array().unwrap().iter().map(|b| b["spent_usd"].as_str().unwrap()).collect();
    let cost = answer.header("x-smartflow-cost-usd").unwrap();
    assert_eq!(spent, [cost, "0", cost], "{told}");
    assert_eq!(names(&told, "tokens_per_day", "budget"), ["The daily token limit of policy default/shared"]);
    assert!(names(&told, "limits", "of").contains(&"policy default/shared".to_owned()), "{told}");
}
