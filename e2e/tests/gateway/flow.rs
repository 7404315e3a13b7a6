//! How bytes flow: slow readers, long answers, trailers, and answers that are put together from a stream.

use serde_json::json;
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::nano;
use smartflow_e2e::raw::exchange;
use smartflow_e2e::vendor::{Call, Config, End, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use std::time::Duration;

async fn start(arguments: &[&str]) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("free", &key("free", &json!({})));
    world.put("paying", &key("paying", &budget("1")));
    let gateway = Gateway::start_with(&world, arguments).await;
    (vendor, world, gateway)
}

#[tokio::test]
async fn a_caller_that_does_not_read_slows_the_vendor_down_and_fills_no_memory() {
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("free"));
    let before = gateway.resident_kib();
    let mut streams = Vec::new();
    for _ in 0..8 {
        // 128,000 events of some 200 bytes: 25 MB each.
        streams.push(client.stream(&ask("mock-large", "[[tokens=128000]]")).await.unwrap());
    }
    // Until nothing moves any more: what fits into sockets and buffers is on its way.
    let mut last = 0;
    let still = || async {
        let served: u64 = vendor.calls().iter().map(|c| c.served).sum();
        tokio::time::sleep(Duration::from_millis(300)).await;
        served > 0 && served == vendor.calls().iter().map(|c| c.served).sum::<u64>()
    };
    gateway.until("the vendor to be held back", Duration::from_secs(20), still).await;
    for call in vendor.calls() {
        assert!(
            call.end == End::Open && call.served < 100_000,
            "not held back: {} {:?}",
            call.served,
            call.end
        );
        last += call.served;
    }
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB more for 8 callers that do not read ({last} tokens)");
    // They read on, and get all of it, or leave.
    let reader = streams.pop().unwrap();
    drop(streams);
    let told = tokio::time::timeout(Duration::from_secs(60), reader.all()).await.expect("the rest");
    assert_eq!((told.deltas, told.done), (128_000, true));
    let left = |calls: &[Call]| calls.iter().filter(|c| c.end == End::Left).count() == 7;
    vendor.until("the others to be left", Duration::from_secs(2), left).await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error_and_not_memory() {
    let (_vendor, _world, gateway) = start(&["--max-reply", "65536"]).await;
    let client = gateway.client(&token("free"));
    client.chat(&ask("mock-small", "[[tokens=100]]")).await.expect_status(200);
    let long = client.chat(&ask("mock-small", "[[tokens=16384]]")).await;
    long.expect_error(502, "upstream_error", "upstream_failed");
    let told = client.stream(&ask("mock-small", "[[tokens=16384 chunk=16]]")).await.unwrap().all().await;
    assert_eq!((told.deltas, told.done), (1_024, true), "streams are not bounded by it");
}

#[tokio::test]
async fn costs_come_as_trailers_to_those_who_take_them() {
    let (_vendor, _world, gateway) = start(&[]).await;
    let body = {
        let mut body = ask("mock-small", "[[tokens=10]]");
        body["stream"] = json!(true);
        body.to_string()
    };
    for (te, expected) in [("TE: trailers\r\n", true), ("", false)] {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{te}Content-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            token("paying"),
            body.len()
        );
        let answer = exchange(gateway.traffic, request.as_bytes(), Duration::from_secs(10)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let (_, end) = answer.text.rsplit_once("[DONE]").expect("a whole stream");
        let cost = end.lines().find_map(|l| l.strip_prefix("x-smartflow-cost-usd: "));
        assert_eq!(cost.is_some(), expected, "{end:?}");
        assert!(cost.is_none_or(|c| nano(c) > 40_000), "{end:?}");
    }
}

#[tokio::test]
async fn answers_put_together_fail_whole_and_are_billed_for_what_came() {
    // $1.92 at worst on a dollar: goes upstream as a stream.
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("paying"));
    for fault in ["cut:20", "reset:20", "error:20"] {
        let mut body = ask("mock-dear", &format!("[[tokens=100 fault={fault}]]"));
        body["user"] = json!(fault);
        client.chat(&body).await.expect_error(502, "upstream_error", "upstream_failed");
        assert!(vendor.calls().last().unwrap().stream, "{fault}");
        let line = || gateway.usage().into_iter().find(|l| l["user"] == json!(fault));
        gateway.until("the usage line", Duration::from_secs(5), || async { line().is_some() }).await;
        let (line, least) = (line().unwrap(), 20 * 15_000);
        assert!(
            nano(line["cost_usd"].as_str().unwrap()) >= least && line["estimated"] == json!(true),
            "{line}"
        );
        assert_eq!(line["stream"], json!(false), "the caller asked for none: {line}");
    }
}

#[tokio::test]
async fn a_vendor_that_falls_between_calls_is_not_a_failed_call() {
    // Connections that the vendor closed while they were idle are replaced without the caller noticing.
    let (vendor, _world, gateway) = start(&[]).await;
    let client = gateway.client(&token("free"));
    for n in 0..40 {
        // Each of these makes the vendor close its connection after the answer.
        let broken = client.stream(&ask("mock-small", "[[tokens=3 fault=cut:2]]")).await.unwrap().all().await;
        assert!(broken.error.is_some());
        let answer = client.chat(&ask("mock-small", "hi")).await;
        assert_eq!(answer.status, 200, "after {n}: {:?}", answer.body);
    }
    assert_eq!(vendor.calls().len(), 80, "nothing was sent twice");
}
