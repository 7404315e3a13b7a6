//! Bad input over raw TCP: the right status and shape, nothing spent, the vendor never asked, others unaffected.

use serde_json::{Value, json};
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::nano;
use smartflow_e2e::raw::{RawAnswer, exchange, receive};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(20);

async fn start(arguments: &[&str]) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &budget("1")));
    world.put("other", &key("other", &json!({})));
    let gateway = Gateway::start_with(&world, arguments).await;
    (vendor, world, gateway)
}

fn head(extra: &str) -> String {
    let token = token("caller");
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n{extra}"
    )
}

fn with_body(body: &[u8]) -> Vec<u8> {
    let mut bytes = head(&format!("Content-Length: {}\r\n\r\n", body.len())).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn shaped(name: &str, answer: &RawAnswer, status: u16, code: &str) {
    let error = answer.json()["error"].clone();
    assert_eq!(answer.status, status, "{name}: {}", answer.text);
    assert_eq!(answer.answers(), 1, "{name}: {}", answer.text);
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str()),
        (Some("invalid_request_error"), Some(code)),
        "{name}"
    );
    assert!(error["message"].as_str().is_some_and(|m| m.len() > 8), "{name}: {error}");
}

/// Nothing was spent, the vendor saw nothing, and another key is served.
async fn unharmed(vendor: &Vendor, gateway: &Gateway) {
    assert_eq!(vendor.calls().len(), 0, "the vendor was asked: {:?}", vendor.calls()[0].body);
    let told = gateway.client(&token("caller")).get("/v1/usage").await.expect_status(200).json();
    assert_eq!(nano(told["budgets"][0]["spent_usd"].as_str().unwrap()), 0, "{told}");
    gateway.client(&token("other")).chat(&ask("mock-small", "hi")).await.expect_status(200);
}

#[tokio::test]
async fn bodies_that_are_no_request() {
    let (vendor, _world, gateway) = start(&[]).await;
    let deep =
        format!("{{\"model\":\"mock-small\",\"messages\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let whole = ask("mock-small", "x").to_string();
    let nested = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let deep_unknown = format!("{{\"x\":{nested},{}", &whole[1..]);
    let mut not_utf8 = ask("mock-small", "caf").to_string().into_bytes();
    let at = not_utf8.windows(3).position(|w| w == b"caf").unwrap() + 3;
    not_utf8.insert(at, 0xe9);
    let cases: [(&str, Vec<u8>, u16, &str); 10] = [
        ("not JSON", b"hello".to_vec(), 400, "invalid_json"),
        ("empty", b"".to_vec(), 400, "invalid_json"),
        ("cut JSON", b"{\"model\":\"mock-small\",\"messages\":[".to_vec(), 400, "invalid_json"),
        ("two documents", format!("{}{{}}", ask("mock-small", "x")).into_bytes(), 400, "invalid_json"),
        ("an array", b"[1,2]".to_vec(), 400, "invalid_value"),
        ("not UTF-8", not_utf8, 400, "invalid_json"),
        ("10,000 deep", deep.into_bytes(), 400, "invalid_value"),
        ("10,000 deep in an unknown field", deep_unknown.into_bytes(), 400, "too_deep"),
        ("no model", b"{\"messages\":[]}".to_vec(), 400, "invalid_value"),
        ("no messages", b"{\"model\":\"mock-small\"}".to_vec(), 400, "invalid_value"),
    ];
    for (name, body, status, code) in cases {
        let answer = exchange(gateway.traffic, &with_body(&body), LIMIT).await;
        shaped(name, &answer, status, code);
    }
    unharmed(&vendor, &gateway).await;
}

#[tokio::test]
async fn wrong_types_are_named() {
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("caller"));
    let wrong: [(&str, Value); 8] = [
        ("model", json!(7)),
        ("model", json!({"a": 1})),
        ("messages", json!("hi")),
        ("stream", json!("yes")),
        ("max_tokens", json!("many")),
        ("max_tokens", json!(-5)),
        ("max_completion_tokens", json!(1.5)),
        ("n", json!("two")),
    ];
    for (field, value) in wrong {
        let mut body = ask("mock-small", "hi");
        body[field] = value.clone();
        let answer = client.chat(&body).await;
        answer.expect_error(400, "invalid_request_error", "invalid_value");
        let error = answer.json()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(field), "{field} {value}: {error}");
        assert_eq!(error["param"], field, "{error}");
    }
    unharmed(&vendor, &gateway).await;
}

#[tokio::test]
async fn a_field_given_twice_cannot_buy_another_model() {
    // What the gateway grants and bills must be what the vendor reads.
    let (vendor, _world, gateway) = start(&[]).await;
    for body in [
        r#"{"model":"mock-small","messages":[{"role":"user","content":"x"}],"model":"mock-large"}"#,
        r#"{"model":"mock-small","messages":[{"role":"user","content":"x"}],"mod\u0065l":"mock-large"}"#,
        r#"{"model":"mock-small","max_tokens":5,"messages":[{"role":"user","content":"x"}],"max_tokens":9000}"#,
        r#"{"model":"mock-small","n":1,"messages":[{"role":"user","content":"x"}],"n":100}"#,
    ] {
        let answer = exchange(gateway.traffic, &with_body(body.as_bytes()), LIMIT).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
    }
    unharmed(&vendor, &gateway).await;
}

#[tokio::test]
async fn ten_megabytes_are_refused_before_they_are_read() {
    let (vendor, _world, gateway) = start(&[]).await;
    let text = "z".repeat(10_000_000);
    let answer =
        exchange(gateway.traffic, &with_body(ask("mock-small", &text).to_string().as_bytes()), LIMIT).await;
    shaped("10 MB", &answer, 413, "body_too_large");
    let only_head = head("Content-Length: 10000000000\r\n\r\n");
    let answer = exchange(gateway.traffic, only_head.as_bytes(), LIMIT).await;
    shaped("10 GB announced", &answer, 413, "body_too_large");
    let mut chunked = head("Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..160 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b'x'; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = exchange(gateway.traffic, &chunked, LIMIT).await;
    shaped("10 MB chunked", &answer, 413, "body_too_large");
    unharmed(&vendor, &gateway).await;
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_never_becomes_a_second_request() {
    let (vendor, _world, gateway) = start(&[]).await;
    let hidden = format!("{}Content-Length: 2\r\n\r\n{{}}", head(""));
    let cases = [
        (
            "CL and TE",
            head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") + "0\r\n\r\n" + &hidden,
        ),
        (
            "TE and CL",
            head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n") + "0\r\n\r\n" + &hidden,
        ),
        ("duplicate CL, equal", head("Content-Length: 2\r\nContent-Length: 2\r\n\r\n") + "{}" + &hidden),
        ("duplicate CL", head("Content-Length: 2\r\nContent-Length: 4\r\n\r\n") + "{}" + &hidden),
        ("CL list", head("Content-Length: 2, 2\r\n\r\n") + "{}" + &hidden),
        ("CL not a number", head("Content-Length: +2\r\n\r\n") + "{}"),
        ("obs-fold", head("X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n") + "{}"),
        ("space before the colon", head("X-Odd : a\r\nContent-Length: 2\r\n\r\n") + "{}"),
        ("TE unknown", head("Transfer-Encoding: gzip\r\n\r\n") + &hidden),
        (
            "TE twice",
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n") + "0\r\n\r\n" + &hidden,
        ),
        ("bare LF", head("").replace("\r\n", "\n") + "Content-Length: 2\n\n{}" + "GARBAGE / HTTP/9\n\n"),
        ("NUL in a header", head("X-Nul: a\0b\r\nContent-Length: 2\r\n\r\n") + "{}"),
        ("no request", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned()),
    ];
    for (name, bytes) in cases {
        let answer = exchange(gateway.traffic, bytes.as_bytes(), LIMIT).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
        assert!(
            answer.answers() == 1 || name == "bare LF",
            "{name}: a second request was read: {}",
            answer.text
        );
    }
    unharmed(&vendor, &gateway).await;
}

#[tokio::test]
async fn a_megabyte_of_headers_is_refused() {
    let (vendor, _world, gateway) = start(&[]).await;
    let one = head(&format!("X-Large: {}\r\nContent-Length: 2\r\n\r\n{{}}", "h".repeat(1_000_000)));
    let answer = exchange(gateway.traffic, one.as_bytes(), LIMIT).await;
    assert_eq!(answer.status, 431, "{}", answer.text);
    let many: String = (0..5_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let answer =
        exchange(gateway.traffic, head(&(many + "Content-Length: 2\r\n\r\n{}")).as_bytes(), LIMIT).await;
    assert_eq!(answer.status, 431, "{}", answer.text);
    unharmed(&vendor, &gateway).await;
}

/// Sends `bytes` slowly and returns the answer and how long the other side bore it.
async fn drip(client: &Client, gateway: &Gateway, bytes: &str) -> (RawAnswer, Duration) {
    let start = Instant::now();
    let mut stream = TcpStream::connect(gateway.traffic).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        for byte in bytes.bytes() {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    let others = async {
        loop {
            let start = Instant::now();
            assert_eq!(client.chat(&ask("mock-small", "hi")).await.status, 200);
            assert!(start.elapsed() < Duration::from_secs(1), "others wait for a slow client");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = dripping => unreachable!(),
        () = others => unreachable!(),
        answer = tokio::time::timeout(LIMIT, receive(&mut reader)) => (answer.unwrap(), start.elapsed()),
    }
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_end_and_hold_nobody_up() {
    let (vendor, _world, gateway) = start(&["--client-timeout", "1s"]).await;
    let client = gateway.client(&token("other"));
    let (answer, took) = drip(&client, &gateway, &head("Content-Length: 2\r\n\r\n{}")).await;
    assert!(answer.status == 0 || answer.status == 408, "{}", answer.text);
    assert!((Duration::from_millis(800)..Duration::from_secs(5)).contains(&took), "{took:?}");

    let mut stream = TcpStream::connect(gateway.traffic).await.unwrap();
    stream.write_all(head("Content-Length: 1000\r\n\r\n{\"model\":").as_bytes()).await.unwrap();
    let start = Instant::now();
    let answer = tokio::time::timeout(LIMIT, receive(&mut stream)).await.unwrap();
    shaped("slow body", &answer, 408, "body_timeout");
    assert!(start.elapsed() < Duration::from_secs(5));
    // Spending is looked at alone: the other key was served meanwhile.
    vendor.forget();
    unharmed(&vendor, &gateway).await;
}
