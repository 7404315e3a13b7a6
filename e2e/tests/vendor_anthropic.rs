//! The mock that speaks Anthropic's format: it refuses what Anthropic refuses, streams as Anthropic streams, and counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, message};
use smartflow_e2e::vendor::{Call, Config, End, Usage, Vendor};
use std::time::Duration;

const PATH: &str = "/v1/messages";

fn start() -> (Vendor, Client) {
    let vendor = Vendor::start(Config::anthropic());
    let client = Client::anthropic(vendor.addr, vendor.key());
    (vendor, client)
}

fn with(fields: &Value) -> Value {
    let mut body = message("mock-claude", "hi");
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        }
    }
    body
}

fn tool() -> Value {
    json!([{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}])
}

fn turns(list: &Value) -> Value {
    with(&json!({"tools": tool(), "messages": list}))
}

async fn refused(client: &Client, cases: &[(Value, u16, &str)]) {
    for (body, status, word) in cases {
        let answer = client.post(PATH, body).await;
        let told = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == *status && told.contains(word), "{body} -> {} {told}", answer.status);
        assert_eq!(answer.json()["type"], "error", "Anthropic's envelope");
    }
}

#[tokio::test]
async fn it_refuses_fields_that_anthropic_refuses() {
    let (_vendor, client) = start();
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    refused(
        &client,
        &[
            (with(&json!({"model": "nobody"})), 404, "model: nobody"),
            (with(&json!({"max_tokens": null})), 400, "max_tokens: Field required"),
            (with(&json!({"max_tokens": 0})), 400, "greater than or equal to 1"),
            (with(&json!({"max_tokens": 70_000})), 400, "maximum allowed number"),
            (with(&json!({"frobnicate": 1})), 400, "frobnicate: Extra inputs are not permitted"),
            (with(&json!({"temperature": 1.5})), 400, "range: 0..1"),
            (with(&json!({"stop_sequences": [" "]})), 400, "non-whitespace"),
            (with(&json!({"metadata": {"user_id": "a@b.c"}})), 400, "email"),
            (with(&json!({"metadata": {"x": 1}})), 400, "Extra inputs"),
            (with(&json!({"system": [{"type": "text", "text": ""}]})), 400, "system: text content blocks"),
            (with(&json!({"tool_choice": {"type": "any"}})), 400, "while providing tools"),
            (with(&json!({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]})), 400, "pattern"),
            (with(&json!({"tools": [{"name": "a", "input_schema": {}}]})), 400, "type: Field required"),
            (with(&json!({"thinking": {"type": "enabled", "budget_tokens": 9}})), 400, "1024"),
            (with(&json!({"thinking": {"type": "enabled", "budget_tokens": 5000}})), 400, "max_tokens"),
            (
                with(&json!({"thinking": {"type": "adaptive"}, "temperature": 0.5})),
                400,
                "may only be set to 1",
            ),
            (
                with(&json!({"thinking": {"type": "adaptive"}, "tools": tool(), "tool_choice": {"type": "any"}})),
                400,
                "Thinking may not be enabled",
            ),
            (
                with(&json!({"output_config": {"format": {"type": "json_schema", "schema": open}}})),
                400,
                "additionalProperties",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn it_refuses_turns_that_anthropic_refuses() {
    let (_vendor, client) = start();
    let call =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
    let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "fine"});
    let hi = json!({"role": "user", "content": "hi"});
    let late = json!({"role": "user", "content": [{"type": "text", "text": "so"}, result]});
    let forged = json!({"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "bm90IG1pbmU="}, {"type": "text", "text": "x"}]});
    let marked = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}});
    let words = json!({"type": "tool_use", "id": "t1", "name": "f", "input": "{}"});
    let mut without_tools = turns(&json!([hi, call, {"role": "user", "content": [result]}]));
    without_tools.as_object_mut().unwrap().remove("tools");
    let mut thoughtless = turns(&json!([hi, call, {"role": "user", "content": [result]}]));
    thoughtless["thinking"] = json!({"type": "adaptive"});
    refused(
        &client,
        &[
            (turns(&json!([])), 400, "at least one message"),
            (turns(&json!([call])), 400, "first message must use the \"user\" role"),
            (turns(&json!([{"role": "system", "content": "x"}])), 400, "Unexpected role \"system\""),
            (turns(&json!([{"role": "robot", "content": "x"}])), 400, "messages.0.role"),
            (turns(&json!([{"role": "user", "content": ""}])), 400, "non-empty content"),
            (turns(&json!([{"role": "user", "content": [{"type": "text", "text": ""}]}])), 400, "non-empty"),
            (
                turns(&json!([{"role": "user", "content": [{"type": "text", "text": "\n"}]}])),
                400,
                "whitespace",
            ),
            (turns(&json!([hi, {"role": "assistant", "content": "so "}])), 400, "trailing whitespace"),
            (turns(&json!([hi, call, hi])), 400, "without `tool_result` blocks immediately after: t1"),
            (turns(&json!([hi, call])), 400, "without `tool_result`"),
            (turns(&json!([hi, call, late])), 400, "immediately after"),
            (turns(&json!([{"role": "user", "content": [result]}])), 400, "unexpected `tool_use_id`"),
            (turns(&json!([hi, {"role": "assistant", "content": [words]}])), 400, "valid dictionary"),
            (turns(&json!([hi, forged, hi])), 400, "Invalid `signature` in `thinking` block"),
            (turns(&json!([{"role": "user", "content": vec![marked; 5]}])), 400, "maximum of 4 blocks"),
            (turns(&json!([{"role": "user", "content": [image]}])), 400, "image/png"),
            (without_tools, 400, "must define tools"),
            (thoughtless, 400, "Expected `thinking`"),
        ],
    )
    .await;
    let fine = turns(&json!([hi, call, {"role": "user", "content": [result]}, hi]));
    client.post(PATH, &fine).await.expect_status(200);
}

#[tokio::test]
async fn it_asks_for_a_key_a_version_and_json() {
    let (vendor, client) = start();
    let body = message("mock-claude", "hi");
    let kind = |a: &smartflow_e2e::client::Answer| a.json()["error"]["type"].as_str().unwrap().to_owned();
    let bearer = Client::new(vendor.addr, vendor.key()).with("anthropic-version", "2026-10-21");
    bearer.post(PATH, &body).await.expect_status(200);
    let mut warm = body.clone();
    warm["temperature"] = json!(1);
    client.post(PATH, &warm).await.expect_status(200);
    let told = bearer.post(PATH, &warm).await.expect_status(400).json();
    assert_eq!(told["error"]["message"], "temperature: Extra inputs are not permitted", "the newer version");
    let both = bearer.with("x-api-key", vendor.key()).post(PATH, &body).await.expect_status(401);
    assert_eq!(kind(&both), "authentication_error");
    let wrong = Client::anthropic(vendor.addr, "sk-ant-wrong").post(PATH, &body).await.expect_status(401);
    assert_eq!(kind(&wrong), "authentication_error");
    let old = Client::new(vendor.addr, "").with("x-api-key", vendor.key());
    let told = old.post(PATH, &body).await.expect_status(400).json();
    assert_eq!(told["error"]["message"], "anthropic-version: header is required");
    let answer = client.try_send("POST", PATH, bytes::Bytes::from_static(b"{")).await.unwrap();
    assert_eq!((answer.status, &*kind(&answer)), (400, "invalid_request_error"));
    for (fault, status, expected) in [
        ("status:429 retry_after=3", 429, "rate_limit_error"),
        ("status:500", 500, "api_error"),
        ("status:529", 529, "overloaded_error"),
    ] {
        let body = message("mock-claude", &format!("[[fault={fault}]]"));
        let answer = client.post(PATH, &body).await.expect_status(status);
        assert_eq!(kind(&answer), expected);
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("3"));
    }
}

#[tokio::test]
async fn it_lists_models_and_counts_what_a_message_would() {
    let (vendor, client) = start();
    let listed = client.get("/v1/models").await.expect_status(200).json();
    assert_eq!((&listed["data"][0]["id"], &listed["has_more"]), (&json!("mock-claude"), &json!(false)));
    assert_eq!(client.get("/v1/models/mock-haiku").await.json()["type"], "model");
    assert_eq!(client.get("/v1/models/nobody").await.status, 404);
    let mut body = message("mock-claude", "how long is this?");
    let whole = client.post(PATH, &body).await.expect_status(200).json();
    body.as_object_mut().unwrap().remove("max_tokens");
    let counted = client.post("/v1/messages/count_tokens", &body).await.expect_status(200).json();
    assert_eq!(counted["input_tokens"], whole["usage"]["input_tokens"]);
    assert_eq!(vendor.calls().last().unwrap().served, 0);
}

#[tokio::test]
async fn it_streams_every_sort_of_event_in_order() {
    let (vendor, client) = start();
    let mut body = turns(&json!([{"role": "user", "content": "[[thinking=3 redacted=1 tools=1]]"}]));
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let mut stream = client.try_stream_at(PATH, &body).await.unwrap().unwrap();
    let mut kinds = Vec::new();
    while let Some(data) = stream.next().await.unwrap() {
        let event: Value = serde_json::from_str(&data).unwrap();
        let block = event["content_block"]["type"].as_str().or(event["delta"]["type"].as_str());
        kinds.push(block.or(event["type"].as_str()).unwrap().to_owned());
    }
    kinds.dedup();
    let expected = [
        "message_start",
        "redacted_thinking",
        "ping",
        "content_block_stop",
        "thinking",
        "thinking_delta",
        "signature_delta",
        "content_block_stop",
        "tool_use",
        "input_json_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);
    let whole = |calls: &[Call]| calls[0].end == End::Complete;
    vendor.until("the end to be noted", Duration::from_secs(1), whole).await;
}

#[tokio::test]
async fn thoughts_come_back_with_their_signatures_or_are_refused() {
    let (vendor, client) = start();
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let hi = json!({"role": "user", "content": "[[redacted=1]]"});
    let first = with(&json!({"thinking": thinking, "messages": [hi]}));
    let said = client.post(PATH, &first).await.expect_status(200).json()["content"].clone();
    let again = |said: &Value| {
        let turn = json!({"role": "assistant", "content": said});
        with(&json!({"thinking": thinking, "messages": [hi, turn, {"role": "user", "content": "and?"}]}))
    };
    client.post(PATH, &again(&said)).await.expect_status(200);
    assert_eq!(vendor.calls()[1].thoughts, 2);
    let mut edited = said.clone();
    edited[1]["thinking"] = json!("something else");
    assert_eq!(client.post(PATH, &again(&edited)).await.status, 400);
    let mut unsigned = said;
    unsigned[1].as_object_mut().unwrap().remove("signature");
    assert_eq!(client.post(PATH, &again(&unsigned)).await.status, 400);
}

#[tokio::test]
async fn it_counts_what_it_served_also_to_those_who_leave() {
    let (vendor, client) = start();
    let mut body = message("mock-claude", "[[tokens=9 cached=5 written=4]]");
    let plain = client.post(PATH, &body).await.expect_status(200).json();
    assert_eq!(plain["usage"]["cache_read_input_tokens"], 0, "nothing was marked");
    body["cache_control"] = json!({"type": "ephemeral"});
    let marked = client.post(PATH, &body).await.expect_status(200).json();
    let usage = &marked["usage"];
    // The answer is there before the vendor has noted that it was sent.
    let noted = |calls: &[Call]| calls.iter().all(|c| c.end != End::Open);
    let call = &vendor.until("the end to be noted", Duration::from_secs(1), noted).await[1];
    let counted = Usage { prompt: call.prompt, cached: 5, written: 4, completion: 9, reasoning: 0 };
    assert_eq!((call.served, call.end, call.reported), (9, End::Complete, Some(counted)));
    assert_eq!(usage["input_tokens"], call.prompt - 9);
    assert_eq!(
        (&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]),
        (&json!(5), &json!(4))
    );

    let long = message("mock-claude", "[[tokens=900 delay_ms=5]]");
    let mut stream = client.try_stream_at(PATH, &long).await.unwrap().unwrap();
    assert_eq!(stream.read(10).await.deltas, 10);
    drop(stream);
    let left = |calls: &[Call]| calls[2].end == End::Left;
    let calls = vendor.until("the client to leave", Duration::from_secs(1), left).await;
    assert!((10..100).contains(&calls[2].served), "{}", calls[2].served);
    assert_eq!(calls[2].reported, None);

    for (fault, broken) in [("cut:4", false), ("reset:4", true), ("error:4", false)] {
        let body = message("mock-claude", &format!("[[tokens=20 fault={fault}]]"));
        let told = client.try_stream_at(PATH, &body).await.unwrap().unwrap().all().await;
        assert!(told.deltas <= 4 && !told.done && (told.broken || !broken), "{fault}: {told:?}");
        assert_eq!(told.error.is_some(), fault == "error:4", "{fault}: {told:?}");
        let calls = vendor.until("the end to be noted", Duration::from_secs(1), noted).await;
        assert_eq!(calls.last().map(|c| (c.served, c.end)), Some((4, End::Broken)), "{fault}");
    }
}
