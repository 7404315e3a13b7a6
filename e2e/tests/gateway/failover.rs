//! Chains: which target answers, what callers see of it, what each attempt costs, and that nothing is tried that the key
//! or a policy does not allow.

use serde_json::{Value, json};
use smartflow_e2e::client::{Answer, Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, nano};
use smartflow_e2e::vendor::{Call, Config, Fault, Vendor};
use smartflow_e2e::world::{World, budget, key, object, provider, secret, token};
use std::time::{Duration, Instant};

/// Two vendors, a chain `best` over both, and who may use it.
pub(crate) struct Bench {
    pub(crate) first: Vendor,
    pub(crate) second: Vendor,
    pub(crate) world: World,
    pub(crate) gateway: Gateway,
}

/// LLMProvider `name` at `vendor`; `extra` is merged into its spec.
pub(crate) fn place(name: &str, vendor: &Vendor, extra: &Value) -> Value {
    let mut spec = provider(vendor)[1]["spec"].clone();
    spec["timeouts"] = json!({"connect": "1s", "firstByte": "1s", "idle": "1s", "total": "20s"});
    merge(&mut spec, extra);
    object("LLMProvider", name, spec)
}

fn merge(spec: &mut Value, extra: &Value) {
    for (field, value) in extra.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
}

pub(crate) fn target(name: &str, model: &str) -> Value {
    json!({"name": name, "providerRef": {"name": name}, "model": model})
}

/// A chain that does not retry unless it says so.
pub(crate) fn chain(extra: &Value) -> Vec<Value> {
    let mut spec = json!({
        "models": ["best"],
        "targets": [target("first", "mock-small"), target("second", "mock-small")],
        "retry": {"attempts": 0, "backoff": "10ms", "maxBackoff": "1s"},
        "failureThreshold": 1000,
    });
    merge(&mut spec, extra);
    vec![object("FallbackChain", "best", spec)]
}

pub(crate) async fn start(extra: &Value, more: &[(&str, Vec<Value>)]) -> Bench {
    let (first, second) = (Vendor::start(Config::default()), Vendor::start(Config::default()));
    let world = World::new();
    world.put("vendor", &[secret("vendor", "token", first.key())]);
    world.put("first", &[place("first", &first, &json!({}))]);
    world.put("second", &[place("second", &second, &json!({}))]);
    world.put("chain", &chain(extra));
    world.put("caller", &key("caller", &json!({"models": ["best"]})));
    world.put("payer", &key("payer", &budget("10")));
    for (name, objects) in more {
        world.put(name, objects);
    }
    let gateway = Gateway::start(&world).await;
    Bench { first, second, world, gateway }
}

pub(crate) fn status(status: u16) -> Option<Fault> {
    Some(Fault::Status { status, retry_after: None })
}

impl Bench {
    pub(crate) fn client(&self, key: &str) -> Client {
        self.gateway.client(&token(key))
    }

    /// Calls that each vendor got.
    pub(crate) fn calls(&self) -> (usize, usize) {
        (self.first.calls().len(), self.second.calls().len())
    }

    /// The usage line of the call whose `user` this is, once it is written.
    pub(crate) async fn line(&self, user: &str) -> Value {
        let find = || self.gateway.usage().into_iter().find(|l| l["user"] == user);
        let there = || async { find().is_some() };
        self.gateway.until(&format!("a usage line of {user}"), Duration::from_secs(5), there).await;
        find().unwrap()
    }
}

pub(crate) fn by(user: &str, words: &str) -> Value {
    let mut body = ask("best", words);
    body["user"] = json!(user);
    body
}

fn billed(line: &Value) -> i64 {
    nano(line["cost_usd"].as_str().unwrap())
}

pub(crate) fn served_by(answer: &Answer) -> Option<&str> {
    answer.header("x-smartflow-provider")
}

#[tokio::test]
async fn a_target_that_fails_is_answered_for_by_the_next_one() {
    let bench = start(&json!({}), &[]).await;
    let client = bench.client("caller");
    let faults = [
        ("ServerError", Fault::Status { status: 500, retry_after: None }),
        ("ServerError", Fault::Status { status: 529, retry_after: None }),
        ("RateLimited", Fault::Status { status: 429, retry_after: Some(30) }),
        ("Auth", Fault::Status { status: 401, retry_after: None }),
        ("NotFound", Fault::Status { status: 404, retry_after: None }),
        ("Timeout", Fault::Hang),
        ("Connect", Fault::Reset(0)),
        ("ServerError", Fault::Malformed),
        ("Connect", Fault::Cut(2)),
    ];
    for (n, (class, fault)) in faults.into_iter().enumerate() {
        bench.first.set_fault(Some(fault.clone()));
        let user = format!("call-{n}");
        let answer = client.chat(&by(&user, "[[tokens=7]]")).await.expect_status(200);
        assert_eq!(served_by(&answer), Some("default/second"), "{fault:?}");
        assert_eq!(answer.header("x-smartflow-attempts"), Some("2"), "{fault:?}");
        let reasons = answer.header("x-smartflow-failed-attempts").unwrap_or_default();
        assert_eq!(reasons, format!("first={class}"), "{fault:?}");
        assert_eq!(answer.json()["usage"]["completion_tokens"], 7);
        let line = bench.line(&user).await;
        assert_eq!((&line["chain"], &line["attempts"]), (&json!("default/best"), &json!(2)), "{line}");
        assert_eq!(
            (&line["legs"][0]["provider"], &line["legs"][0]["class"]),
            (&json!("default/first"), &json!(class))
        );
        assert_eq!((&line["provider"], &line["outcome"]), (&json!("default/second"), &json!("ok")), "{line}");
    }
    assert_eq!(bench.calls(), (9, 9));
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_is_answered_for_by_the_next_target() {
    let bench = start(&json!({}), &[]).await;
    let client = bench.client("caller");
    for fault in [Fault::Cut(0), Fault::Stall(0), Fault::ErrorEvent(0), Fault::Reset(0), Fault::Hang] {
        bench.first.set_fault(Some(fault.clone()));
        let told = client.stream(&by("s", "[[tokens=9]]")).await.unwrap().all().await;
        assert_eq!((told.deltas, told.done, told.error), (9, true, None), "{fault:?}");
    }
    assert_eq!(bench.calls(), (5, 5));
}

#[tokio::test]
async fn after_the_first_byte_nothing_else_is_tried() {
    let bench = start(&json!({}), &[]).await;
    let client = bench.client("payer");
    for fault in [Fault::Cut(4), Fault::Stall(4), Fault::ErrorEvent(4)] {
        bench.first.set_fault(Some(fault.clone()));
        let told = client.stream(&by("late", "[[tokens=9]]")).await.unwrap().all().await;
        assert!(told.deltas >= 1 && !told.done, "{fault:?}: {} deltas", told.deltas);
        assert!(told.error.is_some(), "{fault:?}: the end is told within the stream");
    }
    assert_eq!(bench.calls(), (3, 0));
}

#[tokio::test]
async fn the_callers_own_faults_are_his_unless_the_chain_says_otherwise() {
    let bench = start(&json!({}), &[]).await;
    bench.first.set_fault(status(400));
    let refused = bench.client("caller").chat(&by("own", "hi")).await;
    assert_eq!((refused.status, bench.calls()), (400, (1, 0)), "{refused:?}");
    bench.world.put("chain", &chain(&json!({"fallbackOn": ["BadRequest"]})));
    let client = bench.client("caller");
    let answered = || async { client.chat(&ask("best", "hi")).await.status == 200 };
    bench.gateway.until("the chain to change", Duration::from_secs(5), answered).await;
    bench.first.set_fault(status(500));
    let failed = client.chat(&by("now", "hi")).await;
    failed.expect_error(502, "upstream_error", "upstream_failed");
}

#[tokio::test]
async fn a_target_is_retried_before_the_next_one_and_waits_as_it_was_asked_to() {
    let bench = start(&json!({"retry": {"attempts": 2, "backoff": "10ms", "maxBackoff": "2s"}}), &[]).await;
    let client = bench.client("caller");
    let failing = |times: usize, retry_after| {
        move |call: &Call| (call.id < times).then_some(Fault::Status { status: 429, retry_after })
    };
    bench.first.set_plan(Some(Box::new(failing(2, None))));
    let answer = client.chat(&by("third", "hi")).await.expect_status(200);
    assert_eq!((served_by(&answer), bench.calls()), (Some("default/first"), (3, 0)));
    assert_eq!(answer.header("x-smartflow-attempts"), Some("3"));
    // Alone, a target that asks for a second gets it.
    bench.first.forget();
    let only = json!({"targets": [target("first", "mock-small")], "retry": {"attempts": 1, "backoff": "10ms", "maxBackoff": "2s"}, "models": ["best", "alone"]});
    bench.world.put("chain", &chain(&only));
    bench.world.put("caller", &key("caller", &json!({"models": ["best", "alone"]})));
    let there = || async { client.get("/v1/models/alone").await.status == 200 };
    bench.gateway.until("the chain to change", Duration::from_secs(5), there).await;
    bench.first.set_plan(Some(Box::new(failing(1, Some(1)))));
    let began = Instant::now();
    client.chat(&ask("alone", "hi")).await.expect_status(200);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(bench.first.calls().len(), 2);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_whatever_is_tried() {
    let retry = json!({"attempts": 5, "backoff": "10ms", "maxBackoff": "1s"});
    let bench = start(&json!({"timeout": "2s", "retry": retry}), &[]).await;
    bench.first.set_fault(Some(Fault::Hang));
    bench.second.set_fault(Some(Fault::Hang));
    let began = Instant::now();
    let answer = bench.client("caller").chat(&by("slow", "hi")).await;
    answer.expect_error(504, "upstream_error", "upstream_timeout");
    let took = began.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_millis(2900)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn each_attempt_is_billed_for_what_it_served() {
    let bench = start(&json!({}), &[]).await;
    let client = bench.client("payer");
    // Refused before any token: free.
    bench.first.set_fault(status(500));
    client.chat(&by("free", "[[tokens=50]]")).await.expect_status(200);
    let line = bench.line("free").await;
    let usage = bench.second.calls()[0].reported.unwrap();
    assert_eq!((billed(&line), &line["estimated"]), (cost("mock-small", &usage), &json!(false)), "{line}");
    assert_eq!(line["legs"][0]["cost_usd"].as_str().map(nano), Some(0));
    // Sent and unanswered: nobody knows, so that all that it could have cost is billed.
    bench.first.set_fault(Some(Fault::Hang));
    client.chat(&by("unknown", "[[tokens=50]]")).await.expect_status(200);
    let line = bench.line("unknown").await;
    let leg = line["legs"][0]["cost_usd"].as_str().map(nano).unwrap();
    let usage = bench.second.calls()[1].reported.unwrap();
    assert!(leg > 0 && line["legs"][0]["estimated"] == json!(true), "{line}");
    assert_eq!(billed(&line), leg + cost("mock-small", &usage), "{line}");
    assert_eq!(line["estimated"], json!(true));
    let spent = client.get("/v1/usage").await.expect_status(200).json();
    let total = billed(&line) + billed(&bench.line("free").await);
    assert_eq!(nano(spent["budgets"][0]["spent_usd"].as_str().unwrap()), total, "{spent}");
}

#[tokio::test]
async fn without_room_for_another_attempt_the_last_fault_is_told() {
    let pricey = json!({"models": [{"name": "mock-small", "price": {"input": "900", "output": "900"}}]});
    let poor = key("poor", &budget("0.05"));
    let bench = start(&json!({}), &[("poor", poor)]).await;
    bench.world.put("second", &[place("second", &bench.second, &pricey)]);
    let client = bench.client("poor");
    let changed = || async { bench.gateway.log().contains("\"generation\":2") };
    bench.gateway.until("the price to change", Duration::from_secs(5), changed).await;
    bench.first.set_fault(status(500));
    let mut body = by("poor", "[[tokens=5]]");
    body["max_tokens"] = json!(100);
    client.chat(&body).await.expect_error(502, "upstream_error", "upstream_failed");
    assert_eq!(bench.calls(), (1, 0));
    let spent = client.get("/v1/usage").await.expect_status(200).json();
    assert_eq!(nano(spent["budgets"][0]["spent_usd"].as_str().unwrap()), 0, "{spent}");
}

#[tokio::test]
async fn a_retried_call_counts_once_against_its_rate() {
    let limited = key("limited", &json!({"models": ["best"], "limits": {"requestsPerMinute": 3}}));
    let bench = start(&json!({}), &[("limited", limited)]).await;
    bench.first.set_fault(status(500));
    let client = bench.client("limited");
    for _ in 0..3 {
        client.chat(&ask("best", "hi")).await.expect_status(200);
    }
    client.chat(&ask("best", "hi")).await.expect_error(429, "requests", "rate_limit_exceeded");
    assert_eq!(bench.calls(), (3, 3));
}

#[tokio::test]
async fn a_dead_target_costs_nothing_once_it_is_known_to_be_dead() {
    let bench = start(&json!({"failureThreshold": 3, "cooldown": "2s"}), &[]).await;
    let client = bench.client("caller");
    bench.first.set_fault(Some(Fault::Hang));
    for _ in 0..3 {
        client.chat(&ask("best", "hi")).await.expect_status(200);
    }
    assert_eq!(bench.calls(), (3, 3));
    let began = Instant::now();
    for _ in 0..20 {
        client.chat(&ask("best", "hi")).await.expect_status(200);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "a second each before: {:?}", began.elapsed());
    assert_eq!(bench.calls(), (3, 23), "nobody is sent there");
    // A change of the world does not make it forget.
    bench.world.put("other", &key("other", &json!({"models": ["best"]})));
    let other = bench.client("other");
    let known = || async { other.get("/v1/models").await.status == 200 };
    bench.gateway.until("the new key", Duration::from_secs(5), known).await;
    other.chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(bench.calls().0, 3);
    // It is well again: one call finds out.
    bench.first.set_fault(None);
    let back = || async { served_by(&client.chat(&ask("best", "hi")).await) == Some("default/first") };
    bench.gateway.until("the first target to be back", Duration::from_secs(5), back).await;
    let metrics = String::from_utf8_lossy(&bench.gateway.admin_page("/metrics").await.body).into_owned();
    let left_alone = r#"smartflow_targets_left_alone_total{provider="default/first",model="mock-small"} 1"#;
    assert!(metrics.contains(left_alone), "{metrics}");
}

#[tokio::test]
async fn what_one_caller_brings_upon_himself_leaves_the_target_to_others() {
    let hasty = key("hasty", &json!({"models": ["best"], "overrides": ["Timeout"]}));
    let bench = start(&json!({"failureThreshold": 1, "cooldown": "60s"}), &[("hasty", hasty)]).await;
    let own = json!({"auth": {"passthrough": {}}});
    bench.world.put("first", &[place("first", &bench.first, &own)]);
    let changed = || async { bench.gateway.log().contains("\"generation\":2") };
    bench.gateway.until("the provider to change", Duration::from_secs(5), changed).await;
    let with = |credential: &str| {
        bench.client("caller").with("x-smartflow-upstream-authorization", &format!("Bearer {credential}"))
    };
    // A credential that is wrong, a prompt that is refused, a deadline that nobody can meet.
    let answer = with("wrong").chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/second"));
    bench.first.set_fault(status(400));
    assert_eq!(with(bench.first.key()).chat(&ask("best", "hi")).await.status, 400);
    bench.first.set_fault(None);
    let hasty = bench.client("hasty").with("x-smartflow-timeout-ms", "100");
    let hasty = hasty.with("x-smartflow-upstream-authorization", &format!("Bearer {}", bench.first.key()));
    let slow = ask("best", "[[first_ms=600]]");
    hasty.chat(&slow).await.expect_error(504, "upstream_error", "upstream_timeout");
    let answer = with(bench.first.key()).chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/first"), "it is not left alone");
    // A failure of its own opens it at once.
    bench.first.set_fault(status(500));
    with(bench.first.key()).chat(&ask("best", "hi")).await.expect_status(200);
    bench.first.set_fault(None);
    let answer = with(bench.first.key()).chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/second"));
}

#[tokio::test]
async fn where_all_targets_are_left_alone_callers_are_told_when_to_come_back() {
    let bench = start(&json!({"failureThreshold": 1, "cooldown": "30s"}), &[]).await;
    let client = bench.client("caller");
    bench.first.set_fault(status(500));
    bench.second.set_fault(status(503));
    client.chat(&ask("best", "hi")).await.expect_error(502, "upstream_error", "upstream_failed");
    let answer = client.chat(&ask("best", "hi")).await;
    answer.expect_error(503, "upstream_error", "no_healthy_target");
    let wait: u64 = answer.header("retry-after").expect("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(bench.calls(), (1, 1));
}

#[tokio::test]
async fn a_key_reaches_only_what_it_was_granted_also_through_a_fallback() {
    let direct = key("direct", &json!({"models": ["mock-small", "first/*"]}));
    let deny = object(
        "Policy",
        "no-second",
        json!({
            "targets": {"providers": ["second"], "users": ["intern"]},
            "access": {"models": {"deny": ["*"]}},
        }),
    );
    let intern = key("intern", &json!({"models": ["best"], "owner": {"user": "intern"}}));
    let bench = start(&json!({}), &[("direct", direct), ("deny", vec![deny]), ("intern", intern)]).await;
    let not_found = |answer: Answer| answer.expect_error(404, "invalid_request_error", "model_not_found");
    not_found(bench.client("direct").chat(&ask("best", "hi")).await);
    not_found(bench.client("caller").chat(&ask("first/mock-small", "hi")).await);
    // A policy that denies one target leaves the others: the call never gets to it.
    bench.first.set_fault(status(500));
    let answer = bench.client("intern").chat(&ask("best", "hi")).await;
    answer.expect_error(502, "upstream_error", "upstream_failed");
    bench.client("caller").chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(bench.calls(), (2, 1));
    bench.world.put(
        "deny",
        &[object(
            "Policy",
            "none",
            json!({"targets": {"users": ["intern"]}, "access": {"models": {"deny": ["mock-*"]}}}),
        )],
    );
    let blocked = || async { bench.client("intern").chat(&ask("best", "hi")).await.status == 403 };
    bench.gateway.until("the policy to block all targets", Duration::from_secs(5), blocked).await;
}

#[tokio::test]
async fn strategies_share_the_calls() {
    let weights = |strategy: &str, first: Option<u32>| {
        let mut targets = [target("first", "mock-small"), target("second", "mock-small")];
        if let Some(first) = first {
            targets[0]["weight"] = json!(first);
        }
        json!({"strategy": strategy, "targets": targets})
    };
    for (strategy, weight, expected) in [
        ("Priority", None, 120..=120),
        ("RoundRobin", None, 60..=60),
        ("Weighted", Some(3), 88..=92),
        ("Random", None, 30..=90),
    ] {
        let bench = start(&weights(strategy, weight), &[]).await;
        let client = bench.client("caller");
        for _ in 0..120 {
            client.chat(&ask("best", "[[tokens=1]]")).await.expect_status(200);
        }
        let (first, second) = bench.calls();
        assert!(expected.contains(&first) && first + second == 120, "{strategy}: {first} and {second}");
    }
}

#[tokio::test]
async fn the_least_busy_target_is_chosen() {
    let bench = start(&json!({"strategy": "LeastBusy"}), &[]).await;
    let client = bench.client("caller");
    bench.first.set_fault(None);
    // Whoever gets the first long stream is busy from then on.
    let long = client.stream(&ask("best", "[[tokens=2000 delay_ms=20]]")).await.unwrap();
    let (busy, idle) = if bench.first.calls().is_empty() {
        (&bench.second, &bench.first)
    } else {
        (&bench.first, &bench.second)
    };
    for _ in 0..10 {
        client.chat(&ask("best", "hi")).await.expect_status(200);
    }
    assert_eq!((busy.calls().len(), idle.calls().len()), (1, 10));
    drop(long);
}

#[tokio::test]
async fn a_caller_says_more_of_his_way_where_his_key_lets_him() {
    let all = json!({"models": ["*"], "overrides": ["Model", "Provider", "Timeout", "Retries"]});
    let bench = start(&json!({}), &[("free", key("free", &all))]).await;
    let (free, caller) = (bench.client("free"), bench.client("caller"));
    for (name, value) in [
        ("x-smartflow-model", "best"),
        ("x-smartflow-provider", "second"),
        ("x-smartflow-timeout-ms", "500"),
        ("x-smartflow-max-retries", "0"),
    ] {
        let refused = caller.clone().with(name, value).chat(&ask("best", "hi")).await;
        refused.expect_error(400, "invalid_request_error", "override_not_allowed");
    }
    assert_eq!(bench.calls(), (0, 0));
    let second = free.clone().with("x-smartflow-provider", "second");
    let answer = second.chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/second"));
    let other = free.clone().with("x-smartflow-model", "first/mock-large");
    let answer = other.chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(answer.header("x-smartflow-model"), Some("mock-large"));
    assert_eq!(bench.first.calls()[0].json()["model"], "mock-large");
    bench.first.set_fault(Some(Fault::Hang));
    let began = Instant::now();
    let hasty = free.clone().with("x-smartflow-timeout-ms", "300");
    hasty.chat(&ask("best", "hi")).await.expect_error(504, "upstream_error", "upstream_timeout");
    hasty.chat(&ask("first/mock-small", "hi")).await.expect_error(504, "upstream_error", "upstream_timeout");
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    bench.first.set_fault(status(500));
    let once = free.clone().with("x-smartflow-max-retries", "0");
    once.chat(&ask("best", "hi")).await.expect_error(502, "upstream_error", "upstream_failed");
    free.chat(&ask("best", "hi")).await.expect_status(200);
    let nobody = free.clone().with("x-smartflow-provider", "third");
    nobody.chat(&ask("best", "hi")).await.expect_error(404, "invalid_request_error", "model_not_found");
}

#[tokio::test]
async fn a_target_sets_its_own_parameters_and_deadlines() {
    let mut own = target("second", "mock-small");
    own["params"] = json!({"temperature": "0.2", "maxOutputTokens": 9});
    let mut hasty = target("first", "mock-small");
    hasty["timeouts"] = json!({"firstByte": "200ms"});
    let bench = start(&json!({"targets": [hasty, own]}), &[]).await;
    bench.first.set_fault(Some(Fault::Hang));
    let mut body = ask("best", "[[tokens=50]]");
    (body["temperature"], body["max_tokens"]) = (json!(1.5), json!(40));
    for key in ["caller", "payer"] {
        let began = Instant::now();
        let answer = bench.client(key).chat(&body).await.expect_status(200);
        assert!(began.elapsed() < Duration::from_millis(900), "the provider's own is a second");
        assert_eq!(answer.json()["usage"]["completion_tokens"], 9);
    }
    let (first, second) = (bench.first.calls()[0].json(), bench.second.calls()[0].json());
    assert_eq!((&first["temperature"], &first["max_tokens"]), (&json!(1.5), &json!(40)));
    assert_eq!((&second["temperature"], &second["max_tokens"]), (&json!(0.2), &json!(9)));
    // A caller who asks for less gets less.
    body["max_tokens"] = json!(3);
    let answer = bench.client("caller").chat(&body).await.expect_status(200);
    assert_eq!(answer.json()["usage"]["completion_tokens"], 3);
}

#[tokio::test]
async fn places_and_bounds_of_a_provider() {
    let (first, second) = (Vendor::start(Config::default()), Vendor::start(Config::default()));
    let world = World::new();
    world.put("vendor", &[secret("vendor", "token", first.key())]);
    let mut spread =
        place("spread", &first, &json!({"maxConcurrency": 2, "queue": {"length": 1, "timeout": "5s"}}));
    spread["spec"].as_object_mut().unwrap().remove("baseURL");
    spread["spec"]["endpoints"] =
        json!([{"url": first.base_url()}, {"url": "http://127.0.0.1:9/v1"}, {"url": second.base_url()}]);
    world.put("spread", &[spread]);
    world.put("caller", &key("caller", &json!({})));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("caller"));
    for _ in 0..30 {
        client.chat(&ask("mock-small", "hi")).await.expect_status(200);
    }
    let (a, b) = (first.calls().len(), second.calls().len());
    assert!(a + b == 30 && a.abs_diff(b) <= 10, "{a} and {b}");
    // Two are in, one waits, the fourth is told.
    let long = ask("mock-small", "[[tokens=400 delay_ms=10]]");
    let inside = (client.stream(&long).await.unwrap(), client.stream(&long).await.unwrap());
    let hi = ask("mock-small", "hi");
    let (one, other) = (client.chat(&hi), client.chat(&hi));
    let (mut one, mut other) = (Box::pin(one), Box::pin(other));
    let (told, waiting) = tokio::select! {
        told = &mut one => (told, other),
        told = &mut other => (told, one),
    };
    told.expect_error(503, "upstream_error", "no_healthy_target");
    assert_eq!(told.header("retry-after"), Some("1"));
    drop(inside);
    waiting.await.expect_status(200);
}

#[tokio::test]
async fn a_target_without_a_price_is_passed_over_on_a_budget() {
    let unpriced = json!({"models": [{"name": "mock-small"}]});
    let bench = start(&json!({"fallbackOn": []}), &[]).await;
    bench.world.put("first", &[place("first", &bench.first, &unpriced)]);
    let changed = || async { bench.gateway.log().contains("\"generation\":2") };
    bench.gateway.until("the price to go", Duration::from_secs(5), changed).await;
    let answer = bench.client("payer").chat(&by("paying", "hi")).await.expect_status(200);
    assert_eq!(
        (served_by(&answer), answer.header("x-smartflow-attempts")),
        (Some("default/second"), Some("1"))
    );
    assert_eq!(bench.calls(), (0, 1));
    // Without a budget nobody asks for a price.
    let answer = bench.client("caller").chat(&by("free", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/first"));

    bench.world.put("second", &[place("second", &bench.second, &unpriced)]);
    let changed = || async { bench.gateway.log().contains("\"generation\":3") };
    bench.gateway.until("the other price to go", Duration::from_secs(5), changed).await;
    let refused = bench.client("payer").chat(&by("refused", "hi")).await;
    refused.expect_error(400, "invalid_request_error", "price_unknown");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("LLMProvider default/first"), "which target: {message}");
    assert_eq!(bench.calls(), (1, 1));
}
