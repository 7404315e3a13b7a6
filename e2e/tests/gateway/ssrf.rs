//! Where a provider's URL must not lead.

use serde_json::{Value, json};
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, Fault, Vendor};
use smartflow_e2e::world::{World, key, object, secret, token};
use std::time::{Duration, Instant};

fn provider(name: &str, url: &str, allow: bool) -> Vec<Value> {
    let spec = json!({
        "provider": "openai-compatible", "baseURL": url,
        "auth": {"apiKey": {"secretRef": {"name": name, "key": "token"}}},
        "network": {"allowPrivate": allow},
        "timeouts": {"connect": "3s", "firstByte": "3s", "idle": "3s", "total": "5s"},
        "models": [{"name": name, "upstreamName": "mock-small", "price": {"input": "1", "output": "4"}}],
    });
    vec![secret(name, "token", "sk-vendor-canary-7f3a91c2"), object("LLMProvider", name, spec)]
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_spelling() {
    let vendor = Vendor::start(Config::default());
    let port = vendor.addr.port();
    let hosts = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::ffff:7f00:1]:{port}"),
        format!("[64:ff9b::7f00:1]:{port}"),
        format!("0.0.0.0:{port}"),
        format!("0:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f.0.0.1:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("localhost.:{port}"),
        "169.254.169.254".to_owned(),
        "[::ffff:169.254.169.254]".to_owned(),
        "[fe80::1]".to_owned(),
        "[fd00:ec2::254]".to_owned(),
        "10.0.0.1".to_owned(),
        "172.16.0.1".to_owned(),
        "192.168.0.1".to_owned(),
        "100.64.0.1".to_owned(),
    ];
    let world = World::new();
    world.put("caller", &key("caller", &json!({})));
    for (n, host) in hosts.iter().enumerate() {
        world.put(&format!("p{n}"), &provider(&format!("p{n}"), &format!("http://{host}/v1"), false));
    }
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("caller"));
    for (n, host) in hosts.iter().enumerate() {
        let start = Instant::now();
        let answer = client.chat(&ask(&format!("p{n}"), "hi")).await;
        // Such a provider is not even offered.
        assert_eq!(answer.status, 404, "{host}: {:?}", answer.body);
        assert!(start.elapsed() < Duration::from_secs(1), "{host} was tried: {:?}", start.elapsed());
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            !text.contains("127.0.0.1") && !text.contains("169.254"),
            "{host}: the address is told: {text}"
        );
    }
    assert_eq!(vendor.calls().len(), 0, "the vendor was reached");
}

/// Names of this machine that lead to it but do not look like it. Most machines have one: their own name.
fn names_of_this_machine() -> Vec<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let loopback = hosts.lines().filter(|l| l.starts_with("127."));
    let names = loopback.flat_map(|l| l.split_whitespace().skip(1)).filter(|n| !n.contains("localhost"));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn names_that_lead_inside_are_refused_when_they_are_called() {
    // Nothing in the name says so: only the address that it resolves to does.
    let vendor = Vendor::start(Config::default());
    let world = World::new();
    world.put("caller", &key("caller", &json!({})));
    let names = names_of_this_machine();
    for (n, name) in names.iter().enumerate() {
        let url = format!("http://{name}:{}/v1", vendor.addr.port());
        world.put(&format!("n{n}"), &provider(&format!("n{n}"), &url, false));
        world.put(&format!("a{n}"), &provider(&format!("a{n}"), &url, true));
    }
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("caller"));
    for (n, name) in names.iter().enumerate() {
        let refused = client.chat(&ask(&format!("n{n}"), "hi")).await;
        refused.expect_error(502, "upstream_error", "upstream_failed");
        assert_eq!(vendor.calls().len(), n, "the vendor was reached by {name}");
        client.chat(&ask(&format!("a{n}"), "hi")).await.expect_status(200);
    }
}

#[tokio::test]
async fn allowed_private_addresses_work_and_redirects_are_not_followed() {
    let (vendor, lure) = (Vendor::start(Config::default()), Vendor::start(Config::default()));
    let world = World::new();
    world.put("caller", &key("caller", &json!({})));
    world.put("near", &provider("near", &format!("http://localhost:{}/v1", vendor.addr.port()), true));
    let gateway = Gateway::start(&world).await;
    let client = gateway.client(&token("caller"));
    client.chat(&ask("near", "hi")).await.expect_status(200);
    vendor.set_fault(Some(Fault::Redirect(format!("{}/chat/completions", lure.base_url()))));
    let answer = client.chat(&ask("near", "hi")).await;
    answer.expect_error(502, "upstream_error", "upstream_failed");
    let streamed = client.stream(&ask("near", "hi")).await.expect_err("no stream comes of a redirect");
    streamed.expect_error(502, "upstream_error", "upstream_failed");
    assert_eq!(lure.calls().len(), 0, "the redirect was followed");
}

#[tokio::test]
async fn callers_cannot_choose_where_a_call_goes() {
    let (vendor, lure) = (Vendor::start(Config::default()), Vendor::start(Config::default()));
    let world = World::new();
    world.put("caller", &key("caller", &json!({})));
    world.put("near", &provider("near", &vendor.base_url(), true));
    let gateway = Gateway::start(&world).await;
    let lured = lure.base_url();
    let client = gateway
        .client(&token("caller"))
        .with("x-smartflow-base-url", &lured)
        .with("x-forwarded-host", &lure.addr.to_string())
        .with("forwarded", &format!("host={}", lure.addr))
        .with("x-original-url", &lured);
    let mut body = ask("near", "hi");
    body["api_base"] = json!(lured);
    body["base_url"] = json!(lured);
    // The strict vendor refuses the fields, which proves that it was the one to be asked.
    client.chat(&body).await.expect_status(400);
    client.chat(&ask("near", "hi")).await.expect_status(200);
    assert_eq!((vendor.calls().len(), lure.calls().len()), (2, 0));
}
