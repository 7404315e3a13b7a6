//! Callers and vendors that speak Anthropic's format, or one of them: bytes pass where both speak alike, else all is
//! translated; errors come in the caller's format, and every call is billed for what the vendor counted.

use serde_json::{Value, json};
use smartflow_e2e::client::{Answer, Client, ask, message};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, nano};
use smartflow_e2e::stream::Told;
use smartflow_e2e::vendor::{Call, Config, Fault, Vendor};
use smartflow_e2e::world::{World, budget, key, object, provider, secret, token};
use std::time::Duration;

/// A vendor of each format, and keys with and without a budget.
struct Bench {
    claude: Vendor,
    openai: Vendor,
    world: World,
    gateway: Gateway,
}

fn claude(vendor: &Vendor) -> Vec<Value> {
    let price = json!({"input": "3", "cachedInput": "0.3", "cacheWrite": "3.75", "output": "15"});
    let embedding = json!({"name": "mock-vectors", "kind": "Embedding", "price": {"input": "1"}});
    let spec = json!({
        "provider": "anthropic-compatible",
        // Anthropic's own SDKs are given no version; the tests of failover give one.
        "baseURL": format!("http://{}", vendor.addr),
        "auth": {"apiKey": {"secretRef": {"name": "claude", "key": "token"}}},
        "headers": [{"name": "anthropic-beta", "value": "of-the-resource"}],
        "network": {"allowPrivate": true},
        "timeouts": {"connect": "2s", "firstByte": "5s", "idle": "5s", "total": "60s"},
        "models": [
            {"name": "mock-claude", "price": price, "contextWindow": 200_000, "maxOutput": 64_000, "thinking": "Budget"},
            {"name": "boundless", "upstreamName": "mock-claude", "price": price, "maxOutput": 64_000},
            embedding,
        ],
    });
    vec![secret("claude", "token", vendor.key()), object("LLMProvider", "claude", spec)]
}

async fn start() -> Bench {
    let (claude_vendor, openai) = (Vendor::start(Config::anthropic()), Vendor::start(Config::default()));
    let world = World::new();
    world.put("claude", &claude(&claude_vendor));
    world.put("vendor", &provider(&openai));
    world.put("payer", &key("payer", &budget("10")));
    world.put("poor", &key("poor", &budget("0.05")));
    world.put("poorer", &key("poorer", &budget("0.03")));
    world.put("free", &key("free", &json!({})));
    world.put("strict", &key("strict", &json!({"unsupported": "Reject"})));
    world.put("nothing", &key("nothing", &json!({"models": []})));
    let gateway = Gateway::start(&world).await;
    Bench { claude: claude_vendor, openai, world, gateway }
}

impl Bench {
    /// A caller with an Anthropic SDK.
    fn messages(&self, name: &str) -> Client {
        Client::anthropic(self.gateway.traffic, &token(name))
    }

    /// A caller with an OpenAI SDK.
    fn chat(&self, name: &str) -> Client {
        self.gateway.client(&token(name))
    }

    async fn line(&self, user: &str) -> Value {
        let find = || self.gateway.usage().into_iter().find(|l| l["user"] == user);
        self.gateway
            .until(&format!("a usage line of {user}"), Duration::from_secs(5), || async { find().is_some() })
            .await;
        find().unwrap()
    }

    /// That the call is billed for exactly what its vendor reported.
    async fn expect_billed(&self, user: &str, model: &str, call: &Call, endpoint: &str) {
        let line = self.line(user).await;
        let reported = call.reported.expect("a report");
        assert_eq!(
            (&line["endpoint"], &line["estimated"], nano(line["cost_usd"].as_str().unwrap())),
            (&json!(endpoint), &json!(false), cost(model, &reported)),
            "{reported:?} {line}"
        );
    }
}

fn by(user: &str, model: &str, text: &str) -> Value {
    let mut body = message(model, text);
    body["metadata"] = json!({"user_id": user});
    body
}

fn chat_by(user: &str, model: &str, text: &str) -> Value {
    let mut body = ask(model, text);
    body["user"] = json!(user);
    body
}

fn last(vendor: &Vendor) -> Call {
    vendor.calls().pop().expect("a call at the vendor")
}

async fn told(client: &Client, body: &Value) -> Told {
    client.try_stream_at("/v1/messages", body).await.unwrap().unwrap().all().await
}

fn expect_error(answer: &Answer, status: u16, kind: &str, code: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["type"], &body["error"]["type"], &body["error"]["code"]),
        (status, &json!("error"), &json!(kind), &json!(code)),
        "{body}"
    );
    assert!(body["error"]["message"].as_str().is_some_and(|m| m.len() > 4), "{body}");
}

#[tokio::test]
async fn where_both_speak_alike_bytes_pass() {
    let bench = start().await;
    let client = bench.messages("payer").with("anthropic-beta", "of-the-caller");
    let odd = r#"{ "model":"mock-claude","max_tokens" : 50,
        "metadata":{"user_id":"whole"}, "messages":[{"role":"user","content":"h\u00e9 [[tokens=9]]"}]}"#;
    let answer = client.try_send("POST", "/v1/messages", odd.into()).await.unwrap().expect_status(200);
    let call = last(&bench.claude);
    assert_eq!((&call.body[..], &*call.path), (odd.as_bytes(), "/v1/messages"));
    let betas: Vec<&str> =
        call.headers.iter().filter(|(n, _)| n == "anthropic-beta").map(|(_, v)| v.as_str()).collect();
    assert_eq!(betas, ["of-the-caller", "of-the-resource"]);
    assert_eq!((call.header("x-api-key"), call.header("authorization")), (Some(bench.claude.key()), None));
    let reply = answer.json();
    assert_eq!((&reply["type"], &reply["usage"]["output_tokens"]), (&json!("message"), &json!(9)));
    let newer = Client::new(bench.gateway.traffic, &token("free")).with("anthropic-version", "2026-10-21");
    newer.post("/v1/messages", &message("mock-claude", "[[tokens=1]]")).await.expect_status(200);
    let theirs = last(&bench.claude);
    assert_eq!(theirs.header("anthropic-version"), Some("2026-10-21"), "the caller wrote the request");
    assert_eq!(theirs.header("authorization"), None, "his key is for us");
    assert_eq!(answer.header("request-id"), answer.header("x-smartflow-request-id"));
    assert!(answer.header("request-id").is_some() && answer.header("x-smartflow-cost-usd").is_some());
    bench.expect_billed("whole", "mock-claude", &call, "messages").await;
    let told = told(&client, &by("streamed", "mock-claude", "[[tokens=30 bytes=7]]")).await;
    assert_eq!((told.deltas, told.done, told.finish.as_deref()), (30, true, Some("end_turn")), "{told:?}");
    bench.expect_billed("streamed", "mock-claude", &last(&bench.claude), "messages").await;
}

#[tokio::test]
async fn an_openai_caller_is_served_by_an_anthropic_vendor() {
    let bench = start().await;
    let client = bench.chat("payer");
    let answer = client.chat(&chat_by("whole", "mock-claude", "[[tokens=9]]")).await.expect_status(200);
    let (call, reply) = (last(&bench.claude), answer.json());
    assert_eq!((&*call.path, call.header("anthropic-version")), ("/v1/messages", Some("2023-06-01")));
    let newer = client.clone().with("anthropic-version", "2026-10-21");
    newer.chat(&chat_by("newer", "mock-claude", "[[tokens=1]]")).await.expect_status(200);
    assert_eq!(last(&bench.claude).header("anthropic-version"), Some("2023-06-01"), "we wrote the request");
    assert_eq!(call.json()["metadata"], json!({"user_id": "whole"}));
    let choice = &reply["choices"][0];
    assert_eq!((&reply["object"], &choice["finish_reason"]), (&json!("chat.completion"), &json!("stop")));
    assert!(choice["message"]["content"].as_str().is_some_and(|t| !t.is_empty()), "{reply}");
    assert_eq!(reply["usage"]["completion_tokens"], json!(9));
    bench.expect_billed("whole", "mock-claude", &call, "chat").await;
    for (user, wants) in [("silent", false), ("told", true)] {
        let mut body = chat_by(user, "mock-claude", "[[tokens=30 bytes=5]]");
        body["stream_options"] = json!({"include_usage": wants});
        let told = client.stream(&body).await.unwrap().all().await;
        assert_eq!((told.deltas, told.done, told.finish.as_deref()), (30, true, Some("stop")), "{told:?}");
        assert_eq!(told.usage.is_some(), wants);
        bench.expect_billed(user, "mock-claude", &last(&bench.claude), "chat").await;
    }
}

#[tokio::test]
async fn an_anthropic_caller_is_served_by_an_openai_vendor() {
    let bench = start().await;
    let client = bench.messages("payer");
    let answer =
        client.post("/v1/messages", &by("whole", "mock-small", "[[tokens=9]]")).await.expect_status(200);
    let (call, reply) = (last(&bench.openai), answer.json());
    assert_eq!((&*call.path, &call.json()["user"]), ("/v1/chat/completions", &json!("whole")));
    assert_eq!(call.header("anthropic-version"), None);
    assert_eq!((&reply["type"], &reply["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!((&reply["content"][0]["type"], &reply["usage"]["output_tokens"]), (&json!("text"), &json!(9)));
    bench.expect_billed("whole", "mock-small", &call, "messages").await;
    let told = told(&client, &by("streamed", "mock-small", "[[tokens=30 bytes=5]]")).await;
    assert_eq!((told.deltas, told.done, told.finish.as_deref()), (30, true, Some("end_turn")), "{told:?}");
    assert_eq!(told.usage.expect("always told")["output_tokens"], json!(30));
    bench.expect_billed("streamed", "mock-small", &last(&bench.openai), "messages").await;
}

#[tokio::test]
async fn what_cannot_be_carried_over_is_told_or_refused() {
    let bench = start().await;
    let mut body = chat_by("loss", "mock-claude", "[[tokens=3]]");
    body["seed"] = json!(7);
    let answer = bench.chat("free").chat(&body).await.expect_status(200);
    assert_eq!(answer.header("x-smartflow-dropped"), Some("seed"));
    let calls = bench.claude.calls().len();
    let strict = bench.chat("free").with("x-smartflow-unsupported", "reject");
    let refused = strict.chat(&body).await;
    refused.expect_error(400, "invalid_request_error", "unsupported_parameter");
    assert_eq!(refused.json()["error"]["param"], json!("seed"));
    let unclear = bench.chat("free").with("x-smartflow-unsupported", "maybe").chat(&body).await;
    unclear.expect_error(400, "invalid_request_error", "invalid_value");
    // A key may demand it of all its calls, and none of them gets around it.
    for client in [bench.chat("strict"), bench.chat("strict").with("x-smartflow-unsupported", "reject")] {
        client.chat(&body).await.expect_error(400, "invalid_request_error", "unsupported_parameter");
    }
    let loose = bench.chat("strict").with("x-smartflow-unsupported", "drop").chat(&body).await;
    loose.expect_error(400, "invalid_request_error", "override_not_allowed");
    let mut several = chat_by("several", "mock-claude", "[[tokens=3]]");
    several["n"] = json!(2);
    bench.chat("free").chat(&several).await.expect_error(
        400,
        "invalid_request_error",
        "unsupported_parameter",
    );
    let vectors = json!({"model": "mock-vectors", "input": "x"});
    let none = bench.chat("free").post("/v1/embeddings", &vectors).await;
    none.expect_error(400, "invalid_request_error", "invalid_value");
    assert!(none.json()["error"]["message"].as_str().is_some_and(|m| m.contains("no embeddings")));
    assert_eq!(bench.claude.calls().len(), calls, "nobody was asked");
}

#[tokio::test]
async fn errors_come_in_the_callers_format() {
    let bench = start().await;
    let client = bench.messages("payer");
    let at = "/v1/messages";
    let unknown = client.post(at, &message("nobody", "hi")).await;
    expect_error(&unknown, 404, "not_found_error", "model_not_found");
    let stranger = Client::anthropic(bench.gateway.traffic, "sk-sf-nobody")
        .post(at, &message("mock-claude", "hi"))
        .await;
    expect_error(&stranger, 401, "authentication_error", "invalid_api_key");
    let nothing = client.post(at, &json!({"model": "mock-claude", "max_tokens": 5})).await;
    expect_error(&nothing, 400, "invalid_request_error", "invalid_value");
    expect_error(&client.get(at).await, 405, "invalid_request_error", "method_not_allowed");
    for model in ["mock-claude", "mock-small"] {
        let failed = client.post(at, &message(model, "[[fault=status:500]]")).await;
        expect_error(&failed, 502, "api_error", "upstream_failed");
        let full = client.post(at, &message(model, "[[fault=status:529]]")).await;
        expect_error(&full, 529, "overloaded_error", "upstream_overloaded");
        // The vendor has said something: what follows is told within the stream, and paid for.
        let user = format!("cut-{model}");
        let cut = told(&client, &by(&user, model, "[[tokens=40 fault=error:10]]")).await;
        let error = cut.error.expect("an error event");
        let kind = if model == "mock-claude" { "overloaded_error" } else { "api_error" };
        assert_eq!((&error["type"], cut.done, cut.deltas), (&json!(kind), false, 10), "{error}");
        let line = bench.line(&user).await;
        assert_eq!((&line["outcome"], &line["estimated"]), (&json!("upstream_failed"), &json!(true)));
        assert!(nano(line["cost_usd"].as_str().unwrap()) > 0, "{line}");
        let garbled =
            told(&client, &by(&format!("bad-{model}"), model, "[[tokens=40 fault=malformed]]")).await;
        assert!(garbled.error.is_some() && !garbled.done && !garbled.garbled, "{garbled:?}");
    }
    let across = bench.chat("payer").chat(&ask("mock-claude", "[[fault=status:500]]")).await;
    across.expect_error(502, "upstream_error", "upstream_failed");
}

#[tokio::test]
async fn models_are_listed_in_the_callers_format() {
    let bench = start().await;
    let (theirs, ours) = (bench.messages("free"), bench.chat("free"));
    // One page has them all, whatever page is asked for.
    let list = theirs.get("/v1/models?limit=1&after_id=mock-claude").await.expect_status(200).json();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().filter_map(|m| m["id"].as_str()).collect();
    assert!(ids.contains(&"mock-claude") && ids.contains(&"mock-small"), "{list}");
    assert_eq!((&list["has_more"], &list["data"][0]["type"]), (&json!(false), &json!("model")));
    assert_eq!(
        (list["first_id"].as_str(), list["last_id"].as_str()),
        (ids.first().copied(), ids.last().copied())
    );
    let none = bench.messages("nothing").get("/v1/models").await.expect_status(200).json();
    assert_eq!(none, json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
    let one = theirs.get("/v1/models/mock-claude").await.expect_status(200).json();
    assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!("mock-claude")));
    expect_error(&theirs.get("/v1/models/nobody").await, 404, "not_found_error", "model_not_found");
    assert_eq!(ours.get("/v1/models").await.json()["object"], json!("list"));
}

#[tokio::test]
async fn tokens_are_counted_for_free_by_who_can() {
    let bench = start().await;
    let client = bench.messages("payer");
    let count = |model: &str| {
        let mut body = message(model, "how long is this?");
        body.as_object_mut().unwrap().remove("max_tokens");
        body
    };
    let at = "/v1/messages/count_tokens";
    let native = client.post(at, &count("mock-claude")).await.expect_status(200);
    let call = last(&bench.claude);
    assert_eq!((&*call.path, native.header("x-smartflow-estimated")), (at, None));
    assert!(native.json()["input_tokens"].as_u64().is_some_and(|n| n > 0));
    let ours = client.post(at, &count("mock-small")).await.expect_status(200);
    assert_eq!(ours.header("x-smartflow-estimated"), Some("true"));
    assert!(ours.json()["input_tokens"].as_u64().is_some_and(|n| n > 0));
    assert!(bench.openai.calls().is_empty(), "an OpenAI vendor cannot be asked");
    let counts = || -> Vec<Value> {
        bench.gateway.usage().into_iter().filter(|l| l["endpoint"] == "count_tokens").collect()
    };
    bench.gateway.until("two usage lines", Duration::from_secs(5), || async { counts().len() == 2 }).await;
    for line in counts() {
        assert_eq!((&line["cost_usd"], &line["outcome"]), (&json!("0"), &json!("ok")), "{line}");
    }
}

#[tokio::test]
async fn a_call_that_is_large_for_its_budget_is_followed_as_a_stream_across_formats() {
    let bench = start().await;
    for (user, answer) in [
        ("across", bench.chat("poor").chat(&chat_by("across", "mock-claude", "[[tokens=20]]")).await),
        (
            "alike",
            bench.messages("poor").post("/v1/messages", &by("alike", "mock-claude", "[[tokens=20]]")).await,
        ),
    ] {
        let answer = answer.expect_status(200);
        let (call, body) = (last(&bench.claude), answer.json());
        assert!(call.stream, "{user}: the vendor was asked for a stream");
        let (text, output) = match user {
            "across" => (&body["choices"][0]["message"]["content"], &body["usage"]["completion_tokens"]),
            _ => (&body["content"][0]["text"], &body["usage"]["output_tokens"]),
        };
        assert!(text.as_str().is_some_and(|t| !t.is_empty()), "{body}");
        assert_eq!(output, &json!(20), "{body}");
        let endpoint = if user == "across" { "chat" } else { "messages" };
        bench.expect_billed(user, "mock-claude", &call, endpoint).await;
    }
}

#[tokio::test]
async fn a_stream_that_money_ends_is_ended_in_the_callers_format() {
    let bench = start().await;
    // $0.05 at $15 a million is 3,333 tokens; $0.03 at $4, 7,500. Each of two calls may take what was left when it began, so
    // that together they want more than there is.
    for (key, model) in [("poor", "mock-claude"), ("poorer", "mock-small")] {
        let (one, other, client) = (key.to_owned(), format!("{key}-too"), bench.messages(key));
        let body = |user: &str| {
            let mut body = by(user, model, "[[tokens=14000 chunk=50 delay_ms=1]]");
            body["max_tokens"] = json!(16_000);
            body
        };
        let (first, second) = (body(&one), body(&other));
        let (first, second) = tokio::join!(told(&client, &first), told(&client, &second));
        let mut outcomes = Vec::new();
        for (user, told) in [(one, first), (other, second)] {
            let ended = (told.done, told.finish.as_deref());
            assert_eq!(ended, (true, Some("max_tokens")), "{model}: {:?}", told.error);
            assert!(told.usage.is_some() && told.deltas > 0, "{model}");
            outcomes.push(bench.line(&user).await["outcome"].clone());
        }
        assert!(outcomes.contains(&json!("shortened")), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_chain_goes_across_formats() {
    let bench = start().await;
    let target = |provider: &str, model: &str| json!({"name": provider, "providerRef": {"name": provider}, "model": model});
    let chain = |name: &str, on: &[&str]| {
        let spec = json!({
            "models": [name],
            "targets": [target("claude", "mock-claude"), target("vendor", "mock-small")],
            "retry": {"attempts": 0}, "failureThreshold": 1000, "fallbackOn": on,
        });
        object("FallbackChain", name, spec)
    };
    bench.world.put("chains", &[chain("usual", &["ServerError"]), chain("lenient", &["BadRequest"])]);
    bench
        .gateway
        .until("the chains", Duration::from_secs(10), || async {
            bench.chat("payer").get("/v1/models/lenient").await.status == 200
        })
        .await;
    // The first target fails, whatever is said to it.
    bench.claude.set_fault(Some(Fault::Status { status: 529, retry_after: None }));
    let answer = bench.messages("payer").post("/v1/messages", &by("fell", "usual", "[[tokens=5]]")).await;
    let answer = answer.expect_status(200);
    assert_eq!(answer.header("x-smartflow-failed-attempts"), Some("claude=ServerError"));
    let reply = answer.json();
    assert_eq!((&reply["type"], &reply["usage"]["output_tokens"]), (&json!("message"), &json!(5)), "{reply}");
    bench.expect_billed("fell", "mock-small", &last(&bench.openai), "messages").await;
    let told = told(&bench.messages("payer"), &by("streamed", "usual", "[[tokens=5]]")).await;
    assert_eq!((told.deltas, told.done, told.finish.as_deref()), (5, true, Some("end_turn")), "{told:?}");
    bench.claude.set_fault(None);
    // What cannot be said in the first target's format is asked of the next one, whatever the chain falls back on.
    let calls = bench.claude.calls().len();
    for chain in ["usual", "lenient"] {
        let mut two = chat_by("two", chain, "[[tokens=5]]");
        two["n"] = json!(2);
        let both = bench.chat("payer").chat(&two).await.expect_status(200);
        assert_eq!(both.json()["choices"].as_array().map(Vec::len), Some(2));
        assert_eq!(both.header("x-smartflow-failed-attempts"), None, "{chain}: no target failed");
    }
    let mut two = chat_by("two", "mock-claude", "[[tokens=5]]");
    two["n"] = json!(2);
    bench.chat("payer").chat(&two).await.expect_error(400, "invalid_request_error", "unsupported_parameter");
    assert_eq!(bench.claude.calls().len(), calls, "nothing was sent to it");
}

#[tokio::test]
async fn case_061_a_vendor_that_answers_whole_is_streamed_by_us() {
    let bench = start().await;
    for model in ["mock-claude", "mock-small"] {
        let text = "[[tokens=9 fault=whole]]";
        let user = format!("claude-{model}");
        let told = told(&bench.messages("payer"), &by(&user, model, text)).await;
        assert_eq!(
            (told.done, told.finish.as_deref(), told.error),
            (true, Some("end_turn"), None),
            "{model}"
        );
        assert!(told.deltas >= 1 && told.usage.is_some());
        let vendor = if model == "mock-claude" { &bench.claude } else { &bench.openai };
        bench.expect_billed(&user, model, &last(vendor), "messages").await;
        let user = format!("openai-{model}");
        let mut body = chat_by(&user, model, text);
        body["stream_options"] = json!({"include_usage": true});
        let told = bench.chat("payer").stream(&body).await.unwrap().all().await;
        assert_eq!((told.done, told.finish.as_deref(), told.error), (true, Some("stop"), None), "{model}");
        assert!(told.deltas >= 1 && told.usage.is_some());
        bench.expect_billed(&user, model, &last(vendor), "chat").await;
    }
}

#[tokio::test]
async fn case_099_a_document_on_a_budget_may_fill_the_models_window_and_is_billed_as_counted() {
    let bench = start().await;
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}});
    let with_pdf = |user: &str| {
        let mut body = by(user, "mock-claude", "[[tokens=5]]");
        body["messages"][0]["content"] = json!([pdf, {"type": "text", "text": "[[tokens=5]]"}]);
        body
    };
    let at = "/v1/messages";
    bench.messages("payer").post(at, &with_pdf("read")).await.expect_status(200);
    bench.expect_billed("read", "mock-claude", &last(&bench.claude), "messages").await;
    // 200,000 tokens at $3.75 a million, the dearest that they can be, are more than is left.
    let calls = bench.claude.calls().len();
    let refused = bench.messages("poor").post(at, &with_pdf("dear")).await;
    expect_error(&refused, 429, "rate_limit_error", "budget_exceeded");
    let mut boundless = with_pdf("boundless");
    boundless["model"] = json!("boundless");
    let unknown = bench.messages("payer").post(at, &boundless).await;
    expect_error(&unknown, 400, "invalid_request_error", "price_unknown");
    assert!(
        unknown.json()["error"]["message"].as_str().is_some_and(|m| m.contains("contextWindow")),
        "{unknown:?}"
    );
    assert_eq!(bench.claude.calls().len(), calls);
    bench.messages("free").post(at, &boundless).await.expect_status(200);
}

#[tokio::test]
async fn arguments_that_no_object_can_hold_are_the_callers_fault() {
    let bench = start().await;
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(126), "]".repeat(126));
    let mut body = ask("mock-claude", "x");
    body["messages"] = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}}]},
        {"role": "tool", "tool_call_id": "c", "content": "so"},
    ]);
    let refused = bench.chat("free").chat(&body).await;
    refused.expect_error(400, "invalid_request_error", "too_deep");
    assert!(bench.claude.calls().is_empty());
}
