//! What is billed when a call does not end the ordinary way, and that the vendor is left at once.

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, nano, served};
use smartflow_e2e::vendor::{Call, Config, End, Usage, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use std::time::Duration;

struct Bench {
    vendor: Vendor,
    _world: World,
    gateway: Gateway,
    client: Client,
}

async fn start() -> Bench {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("payer", &key("payer", &budget("10")));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("payer"));
    Bench { vendor, _world: world, gateway, client }
}

impl Bench {
    /// The usage line of the call whose `user` this is, once it is written.
    async fn line(&self, user: &str) -> Value {
        let find = || self.gateway.usage().into_iter().find(|l| l["user"] == user);
        self.gateway
            .until(&format!("a usage line of {user}"), Duration::from_secs(5), || async { find().is_some() })
            .await;
        find().unwrap()
    }

    fn call(&self, user: &str) -> Call {
        self.vendor.calls().into_iter().find(|c| c.json()["user"] == user).expect("a call at the vendor")
    }
}

fn by(user: &str, script: &str) -> Value {
    let mut body = ask("mock-small", script);
    body["user"] = json!(user);
    body
}

fn billed(line: &Value) -> i64 {
    nano(line["cost_usd"].as_str().unwrap())
}

#[tokio::test]
async fn whole_and_streamed_calls_cost_what_the_vendor_reported() {
    let bench = start().await;
    let script = format!("{}[[tokens=77 cached=128]]", "x".repeat(2_000));
    let whole = bench.client.chat(&by("whole", &script)).await.expect_status(200);
    let told = bench.client.stream(&by("streamed", &script)).await.unwrap().all().await;
    assert_eq!((told.deltas, told.usage), (77, None), "usage was not asked for");
    for user in ["whole", "streamed"] {
        let (line, call) = (bench.line(user).await, bench.call(user));
        let usage = call.reported.expect("the vendor reported");
        assert_eq!((usage.completion, usage.cached), (77, 128));
        assert_eq!(billed(&line), cost("mock-small", &usage), "{line}");
        assert_eq!((&line["estimated"], &line["outcome"]), (&json!(false), &json!("ok")), "{line}");
    }
    let shown = nano(whole.header("x-smartflow-cost-usd").expect("x-smartflow-cost-usd"));
    assert_eq!(shown, billed(&bench.line("whole").await));
    let asked = bench.call("streamed").json();
    assert_eq!(asked["stream_options"]["include_usage"], true, "usage must be asked of the vendor: {asked}");
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_pays_for_what_was_produced() {
    let bench = start().await;
    let mut stream = bench.client.stream(&by("leaver", "[[tokens=3000 delay_ms=4]]")).await.unwrap();
    let told = stream.read(60).await;
    assert_eq!(told.deltas, 60);
    drop(stream);
    let left = std::time::Instant::now();
    let gone = |calls: &[Call]| calls.iter().any(|c| c.end == End::Left);
    bench.vendor.until("the gateway to leave", Duration::from_secs(1), gone).await;
    assert!(left.elapsed() < Duration::from_secs(1));
    let (line, call) = (bench.line("leaver").await, bench.call("leaver"));
    assert_eq!((&line["estimated"], &line["outcome"]), (&json!(true), &json!("client_gone")), "{line}");
    let received =
        cost("mock-small", &Usage { prompt: call.prompt, completion: told.deltas, ..Usage::default() });
    // Four bytes count as a token at most; input by its bytes, and what was in flight, come on top.
    let generous = 4 * served("mock-small", &call) + 1_000_000;
    assert!(billed(&line) >= received, "billed {} for {received} received: {line}", billed(&line));
    assert!(billed(&line) <= generous, "billed {} where {generous} is generous: {line}", billed(&line));
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_lets_the_vendor_go() {
    let bench = start().await;
    let (client, body) = (bench.client.clone(), by("early", "[[tokens=5 first_ms=20000]]"));
    let call = tokio::spawn(async move { client.chat(&body).await });
    bench.vendor.until("the call", Duration::from_secs(5), |calls| calls.len() == 1).await;
    call.abort();
    let gone = |calls: &[Call]| calls[0].end == End::Left;
    bench.vendor.until("the gateway to leave", Duration::from_secs(1), gone).await;
    let line = bench.line("early").await;
    assert_eq!((&line["estimated"], &line["outcome"]), (&json!(true), &json!("client_gone")), "{line}");
    assert!(billed(&line) > 0, "sent in full and unanswered is not free: {line}");
}

#[tokio::test]
async fn what_the_vendor_refuses_is_free() {
    let bench = start().await;
    for (user, script) in
        [("r500", "[[fault=status:500]]"), ("r429", "[[fault=status:429]]"), ("r400", "[[oops=1]]")]
    {
        let answer = bench.client.chat(&by(user, script)).await;
        assert!(answer.status >= 400, "{answer:?}");
        let line = bench.line(user).await;
        assert_eq!((billed(&line), &line["estimated"]), (0, &json!(false)), "{line}");
    }
    let spent = bench.client.get("/v1/usage").await.expect_status(200).json();
    assert_eq!(nano(spent["budgets"][0]["spent_usd"].as_str().unwrap()), 0, "{spent}");
}

#[tokio::test]
async fn broken_streams_are_billed_for_what_came_and_the_caller_is_told() {
    let bench = start().await;
    for (user, fault) in [("cut", "cut:50"), ("reset", "reset:50"), ("event", "error:50")] {
        let script = format!("[[tokens=500 fault={fault}]]");
        let told = bench.client.stream(&by(user, &script)).await.expect("the head came").all().await;
        let error = told.error.clone().unwrap_or_else(|| panic!("{user}: no error event: {told:?}"));
        assert!(error["type"] == "upstream_error" || error["type"] == "server_error", "{user}: {error}");
        assert!(error["message"].is_string() && !told.broken, "{user}: {told:?}");
        let (line, call) = (bench.line(user).await, bench.call(user));
        let received =
            cost("mock-small", &Usage { prompt: call.prompt, completion: told.deltas, ..Usage::default() });
        assert_eq!(
            (&line["estimated"], &line["outcome"]),
            (&json!(true), &json!("upstream_failed")),
            "{line}"
        );
        assert!(billed(&line) >= received, "{user}: billed {} of {received} received: {line}", billed(&line));
    }
}

#[tokio::test]
async fn an_event_that_is_no_json_ends_the_stream_and_is_not_free() {
    let bench = start().await;
    let told =
        bench.client.stream(&by("garbled", "[[tokens=50 fault=malformed]]")).await.unwrap().all().await;
    let error = told.error.as_ref().expect("an error event");
    assert_eq!(error["code"], json!("upstream_failed"), "{told:?}");
    assert!(!told.garbled && !told.done, "{told:?}");
    let (line, call) = (bench.line("garbled").await, bench.call("garbled"));
    assert_eq!((&line["estimated"], &line["outcome"]), (&json!(true), &json!("upstream_failed")), "{line}");
    let received =
        cost("mock-small", &Usage { prompt: call.prompt, completion: told.deltas, ..Usage::default() });
    assert!(billed(&line) >= received, "{line}");
}

#[tokio::test]
async fn a_vendor_without_usage_is_estimated_not_free() {
    let bench = start().await;
    let whole = bench.client.chat(&by("whole", "[[tokens=40 fault=nousage]]")).await.expect_status(200);
    assert!(whole.json()["choices"][0]["message"]["content"].is_string());
    let told = bench.client.stream(&by("streamed", "[[tokens=40 fault=nousage]]")).await.unwrap().all().await;
    assert_eq!((told.deltas, told.done), (40, true));
    for user in ["whole", "streamed"] {
        let (line, call) = (bench.line(user).await, bench.call(user));
        assert_eq!(line["estimated"], json!(true), "{line}");
        assert!(billed(&line) >= served("mock-small", &call), "{user}: {line}");
    }
}

#[tokio::test]
async fn a_vendor_that_stalls_or_hangs_is_given_up() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let mut provider = smartflow_e2e::world::provider(&vendor);
    provider[1]["spec"]["timeouts"] =
        json!({"connect": "1s", "firstByte": "300ms", "idle": "300ms", "total": "10s"});
    world.put("vendor", &provider);
    world.put("payer", &key("payer", &budget("10")));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("payer"));
    let hung = client.chat(&ask("mock-small", "[[fault=hang]]")).await;
    hung.expect_error(504, "upstream_error", "upstream_timeout");
    let told = client.stream(&ask("mock-small", "[[tokens=50 fault=stall:10]]")).await.unwrap().all().await;
    assert_eq!(told.deltas, 10);
    assert_eq!(told.error.expect("an error event")["code"], "upstream_timeout");
    let slow = client.chat(&ask("mock-small", "[[fault=slowhead:50]]")).await;
    slow.expect_error(504, "upstream_error", "upstream_timeout");
    let gone = |calls: &[Call]| calls.iter().all(|c| c.end == End::Left);
    vendor.until("the gateway to leave all three", Duration::from_secs(2), gone).await;
}
