//! The mock vendor itself: it refuses what OpenAI refuses, in OpenAI's words, and counts what it serves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::vendor::{Config, End, Usage, Vendor};
use std::time::Duration;

fn start() -> (Vendor, Client) {
    let vendor = Vendor::start(Config::default());
    let client = Client::new(vendor.addr, vendor.key());
    (vendor, client)
}

fn with(field: &str, value: Value) -> Value {
    let mut body = ask("mock-small", "hi");
    body[field] = value;
    body
}

#[tokio::test]
async fn it_refuses_what_openai_refuses() {
    let (_vendor, client) = start();
    let tool_without_call = json!([{"role": "tool", "tool_call_id": "x", "content": "y"}]);
    let call_without_result = json!([
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "user", "content": "well?"},
    ]);
    let mut both_caps = with("max_tokens", json!(5));
    both_caps["max_completion_tokens"] = json!(5);
    let mut reason_old_cap = ask("mock-reason", "hi");
    reason_old_cap["max_tokens"] = json!(5);
    let loose = json!({"type": "json_schema", "json_schema": {"name": "r", "strict": true, "schema":
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}});
    let cases = [
        (ask("no-such-model", "hi"), 404, "does not exist"),
        (json!({"messages": []}), 400, "must provide a model"),
        (json!({"model": "mock-small"}), 400, "Missing required parameter: 'messages'"),
        (with("messages", json!([])), 400, "empty array"),
        (with("messages", json!([{"role": "robot", "content": "x"}])), 400, "'robot'"),
        (with("messages", tool_without_call), 400, "must be a response"),
        (with("messages", call_without_result), 400, "did not have response messages"),
        (with("temperature", json!("warm")), 400, "temperature"),
        (with("stream", json!("yes")), 400, "stream"),
        (with("frobnicate", json!(1)), 400, "Unrecognized request argument supplied: frobnicate"),
        (with("n", json!(0)), 400, "below minimum"),
        (with("max_tokens", json!(20_000)), 400, "too large"),
        (with("stream_options", json!({"include_usage": true})), 400, "stream_options"),
        (with("tool_choice", json!("auto")), 400, "tool_choice"),
        (with("response_format", loose), 400, "additionalProperties"),
        (both_caps, 400, "at the same time"),
        (reason_old_cap, 400, "not supported with this model"),
    ];
    for (body, status, word) in cases {
        let answer = client.chat(&body).await;
        let told = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == status && told.contains(word), "{body} -> {} {told}", answer.status);
    }
    let twice = br#"{"model":"mock-small","model":"mock-large","messages":[{"role":"user","content":"x"}]}"#;
    let answer =
        client.try_send("POST", "/v1/chat/completions", bytes::Bytes::from_static(twice)).await.unwrap();
    assert_eq!((answer.status, &*answer.code()), (400, "duplicate_field"));
}

#[tokio::test]
async fn it_asks_for_a_key_and_for_json() {
    let (vendor, _) = start();
    assert_eq!(Client::new(vendor.addr, "").get("/v1/models").await.status, 401);
    Client::new(vendor.addr, "sk-wrong").get("/v1/models").await.expect_error(
        401,
        "invalid_request_error",
        "invalid_api_key",
    );
    assert_eq!(Client::new(vendor.addr, vendor.key()).get("/v1/nowhere").await.status, 404);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n",
        vendor.key()
    );
    for (rest, status) in [
        ("content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}", 400),
        ("content-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}", 400),
        ("content-type: application/json\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}", 400),
    ] {
        let sent = format!("{head}{rest}");
        let answer = smartflow_e2e::raw::exchange(vendor.addr, sent.as_bytes(), Duration::from_secs(5)).await;
        assert_eq!(answer.status, status, "{rest:?} {}", answer.text);
    }
}

#[tokio::test]
async fn it_counts_what_it_served_also_to_those_who_leave() {
    let (vendor, client) = start();
    let whole = client.chat(&ask("mock-small", "[[tokens=9 cached=1]]")).await.expect_status(200);
    assert_eq!(whole.json()["usage"]["completion_tokens"], 9);
    // The answer is there before the vendor has noted that it was sent.
    let noted = |calls: &[smartflow_e2e::vendor::Call]| calls[0].end != End::Open;
    let call = &vendor.until("the end to be noted", Duration::from_secs(1), noted).await[0];
    assert_eq!((call.served, call.end), (9, End::Complete));
    let counted = Usage { prompt: call.prompt, cached: 1, completion: 9, ..Usage::default() };
    assert_eq!(call.reported, Some(counted));

    let mut stream = client.stream(&ask("mock-small", "[[tokens=900 delay_ms=5]]")).await.unwrap();
    let told = stream.read(10).await;
    assert_eq!(told.deltas, 10);
    drop(stream);
    let left = |calls: &[smartflow_e2e::vendor::Call]| calls[1].end == End::Left;
    let calls = vendor.until("the client to leave", Duration::from_secs(1), left).await;
    assert!((10..100).contains(&calls[1].served), "{}", calls[1].served);
    assert_eq!(calls[1].reported, None);
}
