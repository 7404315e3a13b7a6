//! What calls through a chain teach about its targets, which targets are passed over, and what is told when none is left.

use crate::failover::{Bench, by, served_by, start, status};
use serde_json::{Value, json};
use smartflow_e2e::client::{Answer, Client, ask, message};
use smartflow_e2e::vendor::Fault;
use smartflow_e2e::world::{key, token};
use std::time::{Duration, Instant};

async fn left_alone(bench: &Bench, provider: &str) -> u64 {
    let metrics = String::from_utf8_lossy(&bench.gateway.admin_page("/metrics").await.body).into_owned();
    let name =
        format!(r#"smartflow_targets_left_alone_total{{provider="default/{provider}",model="mock-small"}} "#);
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().unwrap())
}

fn messages(bench: &Bench, name: &str) -> Client {
    Client::anthropic(bench.gateway.traffic, &token(name))
}

#[tokio::test]
async fn streams_that_break_off_count_against_their_target() {
    let bench = start(&json!({"failureThreshold": 2, "cooldown": "60s"}), &[]).await;
    let client = bench.client("caller");
    for fault in [Fault::Cut(4), Fault::ErrorEvent(4)] {
        bench.first.set_fault(Some(fault));
        let told = client.stream(&by("cut", "[[tokens=9]]")).await.unwrap().all().await;
        assert!(told.deltas >= 1 && told.error.is_some());
    }
    bench.first.set_fault(None);
    let told = client.stream(&by("after", "[[tokens=9]]")).await.unwrap().all().await;
    assert!(told.done);
    assert_eq!((bench.calls(), left_alone(&bench, "first").await), ((2, 1), 1));
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_says_nothing_of_its_target() {
    let bench = start(&json!({"failureThreshold": 1, "cooldown": "60s"}), &[]).await;
    let client = bench.client("caller");
    drop(client.stream(&by("left", "[[tokens=2000 delay_ms=20]]")).await.unwrap());
    let left = |line: &Value| line["user"] == "left" && line["outcome"] == "client_gone";
    let gone = || async { bench.gateway.usage().iter().any(left) };
    bench.gateway.until("the caller to be gone", Duration::from_secs(5), gone).await;
    let answer = client.chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/first"));
}

#[tokio::test]
async fn the_time_that_one_target_took_is_not_the_fault_of_the_next() {
    let bench = start(&json!({"timeout": "1500ms", "failureThreshold": 1, "cooldown": "60s"}), &[]).await;
    let client = bench.client("caller");
    bench.first.set_fault(Some(Fault::Hang));
    bench.second.set_fault(Some(Fault::Hang));
    let answer = client.chat(&ask("best", "hi")).await;
    answer.expect_error(504, "upstream_error", "upstream_timeout");
    assert_eq!(bench.calls(), (1, 1), "the second had half a second, and may take one");
    bench.second.set_fault(None);
    let answer = client.chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(served_by(&answer), Some("default/second"));
    assert_eq!((left_alone(&bench, "first").await, left_alone(&bench, "second").await), (1, 0));
}

#[tokio::test]
async fn a_count_that_is_made_here_says_nothing_of_a_target() {
    let bench = start(&json!({"failureThreshold": 1, "cooldown": "1s"}), &[]).await;
    let client = bench.client("caller");
    bench.first.set_fault(status(500));
    let before = Instant::now();
    client.chat(&ask("best", "hi")).await.expect_status(200);
    let mut count = message("best", "how long is this?");
    count.as_object_mut().unwrap().remove("max_tokens");
    let first = |answer: &Answer| served_by(answer) == Some("default/first");
    let counted = || async {
        let answer = messages(&bench, "caller").post("/v1/messages/count_tokens", &count).await;
        first(&answer.expect_status(200))
    };
    bench.gateway.until("the first target's turn", Duration::from_secs(5), counted).await;
    assert!(before.elapsed() >= Duration::from_secs(1), "not before its time");
    client.chat(&ask("best", "hi")).await.expect_status(200);
    assert_eq!(bench.calls(), (2, 2));
    assert_eq!(left_alone(&bench, "first").await, 1, "that was a probe: it was open all the time");
}

#[tokio::test]
async fn where_all_targets_have_too_much_to_do_callers_are_told_so() {
    let bench = start(&json!({}), &[]).await;
    let overloaded = |bench: &Bench| {
        bench.first.set_fault(status(529));
        bench.second.set_fault(status(503));
    };
    overloaded(&bench);
    let (chat, claude) = (bench.client("caller"), messages(&bench, "caller"));
    let at = "/v1/messages";
    let answer = chat.chat(&by("full", "hi")).await;
    answer.expect_error(503, "upstream_error", "upstream_overloaded");
    let answer = claude.post(at, &message("best", "hi")).await;
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, &error["type"], &error["code"]),
        (529, &json!("overloaded_error"), &json!("upstream_overloaded"))
    );
    let statuses = || -> Vec<Value> {
        bench
            .gateway
            .usage()
            .iter()
            .filter(|l| l["code"] == "upstream_overloaded")
            .map(|l| l["status"].clone())
            .collect()
    };
    bench.gateway.until("both lines", Duration::from_secs(5), || async { statuses().len() == 2 }).await;
    let told = statuses();
    assert!(told.contains(&json!(503)) && told.contains(&json!(529)), "as they were told: {told:?}");
    // One that failed otherwise may do so again.
    bench.first.set_fault(status(500));
    chat.chat(&ask("best", "hi")).await.expect_error(502, "upstream_error", "upstream_failed");
    overloaded(&bench);
    let single = bench.client("payer").chat(&ask("second/mock-small", "hi")).await;
    single.expect_error(503, "upstream_error", "upstream_overloaded");
}

#[tokio::test]
async fn a_call_says_what_it_is_for_where_its_key_lets_it() {
    let free = key("free", &json!({"overrides": ["Tags", "Metadata"]}));
    let bench = start(&json!({}), &[("free", free)]).await;
    let headers = [("x-smartflow-tags", "nightly, eval"), ("x-smartflow-metadata", r#"{"run":"7"}"#)];
    for (name, value) in headers {
        let refused = bench.client("caller").with(name, value).chat(&ask("best", "hi")).await;
        refused.expect_error(400, "invalid_request_error", "override_not_allowed");
        let garbled = bench.client("free").with(name, ",").chat(&ask("best", "hi")).await;
        garbled.expect_error(400, "invalid_request_error", "invalid_value");
    }
    assert_eq!(bench.calls(), (0, 0));
    let client = headers.iter().fold(bench.client("free"), |client, (name, value)| client.with(name, value));
    let mut body = by("tagged", "hi");
    body["metadata"] = json!({"of": "the body"});
    client.chat(&body).await.expect_status(200);
    let line = bench.line("tagged").await;
    assert_eq!(
        (&line["tags"], &line["metadata"]),
        (&json!(["nightly", "eval"]), &json!({"run": "7"})),
        "{line}"
    );
    body["user"] = json!("untagged");
    bench.client("free").chat(&body).await.expect_status(200);
    let line = bench.line("untagged").await;
    assert_eq!((line.get("tags"), &line["metadata"]), (None, &json!({"of": "the body"})), "{line}");
    let sent = bench.first.calls();
    assert!(sent.iter().all(|call| call.header("x-smartflow-tags").is_none()), "they are for us");
}
