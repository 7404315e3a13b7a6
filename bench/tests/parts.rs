//! Mock, floor and load as the processes that they are in a benchmark: they understand each other. No timing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use smartflow_bench::TOKEN;
use smartflow_bench::call::call;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_smartflow-bench");

/// A part that serves; killed when dropped.
struct Part {
    child: Child,
    address: SocketAddr,
}

impl Part {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("an address").parse().unwrap();
        Self { child, address }
    }

    fn count(&self, of: &str) -> u64 {
        let counts: Value =
            serde_json::from_str(&call(self.address, "/counts", &[], None).unwrap().text).unwrap();
        counts.get(of).and_then(Value::as_u64).expect("a count")
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mock_and_floor() -> (Part, Part) {
    let mock = Part::start(&["mock", "--gap-us", "1000", "--events", "10"]);
    let floor = Part::start(&["floor", "--upstream", &mock.address.to_string()]);
    (mock, floor)
}

fn load(target: &Part, token: &str, args: &[&str]) -> Value {
    let mut command = Command::new(PROGRAM);
    command.args(["load", "--target", &target.address.to_string()]);
    command.args(["--header", &format!("authorization: Bearer {token}")]);
    command.args(["--watch", &format!("floor={}", target.child.id())]);
    let output = command.args(["--warmup", "0.1", "--seconds", "0.7"]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(outcome: &Value, at: &str) -> f64 {
    outcome.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {at} in {outcome}"))
}

#[test]
fn every_kind_is_answered_through_the_floor_and_measured() {
    let (mock, floor) = mock_and_floor();
    for (kind, counted) in [("chat", "chat"), ("embeddings", "embeddings"), ("chat-stream", "chat_stream")] {
        let outcome = load(&floor, TOKEN, &["--kind", kind, "--connections", "4", "--prompt-bytes", "70000"]);
        assert_eq!(outcome.pointer("/errors"), Some(&serde_json::json!({})), "{outcome}");
        assert!(number(&outcome, "/completed") > 0.0, "{outcome}");
        assert!(number(&outcome, "/watched/floor/cpu_us_per_request") > 0.0, "{outcome}");
        assert!(number(&outcome, "/watched/floor/resident") > 0.0, "{outcome}");
        assert!(mock.count(counted) as f64 >= number(&outcome, "/completed"));
        let streamed = kind == "chat-stream";
        assert_eq!(number(&outcome, "/events") > 0.0, streamed, "{outcome}");
    }
    assert_eq!(mock.count("unknown"), 0);
}

#[test]
fn messages_are_asked_for_as_anthropics_clients_do() {
    let mock = Part::start(&["mock", "--gap-us", "1000", "--events", "10"]);
    for (kind, counted, events) in
        [("messages", "messages", false), ("messages-stream", "messages_stream", true)]
    {
        let outcome = load(&mock, TOKEN, &["--kind", kind, "--connections", "4"]);
        assert_eq!(outcome.pointer("/errors"), Some(&serde_json::json!({})), "{outcome}");
        assert!(number(&outcome, "/completed") > 0.0, "{outcome}");
        assert!(mock.count(counted) as f64 >= number(&outcome, "/completed"));
        assert_eq!(number(&outcome, "/events") > 0.0, events, "{outcome}");
    }
}

#[test]
fn an_open_loop_asks_as_often_as_it_is_told() {
    let (mock, floor) = mock_and_floor();
    let outcome = load(&floor, TOKEN, &["--rate", "50"]);
    // 0.8 s at 50 per second; the load's own clock decides what is asked, not how fast anything is.
    assert_eq!(mock.count("chat"), 40, "{outcome}");
    assert_eq!(number(&outcome, "/completed").to_bits(), 35.0f64.to_bits(), "{outcome}");
}

#[test]
fn a_stall_is_charged_to_every_request_that_it_delays() {
    let (mock, floor) = mock_and_floor();
    assert_eq!(
        call(mock.address, "/settings", &[], Some(r#"{"first_byte_us": 100000}"#)).unwrap().status,
        200
    );
    // One connection can answer 10 a second; 40 are due each second, so the later ones wait ever longer.
    let outcome = load(&floor, TOKEN, &["--rate", "40", "--connections", "1"]);
    assert!(number(&outcome, "/latency_us/max") > 500_000.0, "{outcome}");
}

#[test]
fn the_floor_looks_keys_up_and_a_load_reports_refusals() {
    let (mock, floor) = mock_and_floor();
    let outcome = load(&floor, "sk-wrong", &["--rate", "50"]);
    assert_eq!(number(&outcome, "/completed").to_bits(), 0.0f64.to_bits(), "{outcome}");
    assert!(number(&outcome, "/errors/status 401") > 0.0, "{outcome}");
    assert_eq!(mock.count("chat"), 0, "refused before the vendor is asked");
}

#[test]
fn the_mock_takes_settings_while_it_runs_and_refuses_unknown_ones() {
    let mock = Part::start(&["mock"]);
    let ask = |body| call(mock.address, "/v1/chat/completions", &[], Some(body)).unwrap().text;
    let settings = |body| call(mock.address, "/settings", &[], Some(body)).unwrap().status;
    assert_eq!(settings(r#"{"events": 3, "gap_us": 0, "answer_bytes": 7}"#), 200);
    assert_eq!(ask(r#"{"stream": true}"#).matches("data: ").count(), 3 + 4);
    assert!(ask("{}").contains(r#""content":"A calle""#));
    assert_eq!(settings(r#"{"chunks": 3}"#), 400);
    let embeddings = call(mock.address, "/v1/embeddings", &[], Some("{}")).unwrap().text;
    let parsed: Value = serde_json::from_str(&embeddings).unwrap();
    assert_eq!(parsed.pointer("/data/0/embedding").and_then(Value::as_array).map(Vec::len), Some(256));
    let message = |body| call(mock.address, "/v1/messages", &[], Some(body)).unwrap().text;
    assert!(message("{}").contains(r#""text":"A calle""#));
    assert_eq!(message(r#"{"stream": true}"#).matches("event: ").count(), 3 + 6);
    assert!(call(mock.address, "/v1/models", &[], None).unwrap().text.contains("text-embedding-3-small"));
}
