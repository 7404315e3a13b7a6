//! The gateway as a process, before the mock vendor. One module per promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod anthropic;
mod bad_input;
mod billing;
mod budget_race;
mod budget_room;
mod canary;
mod chaos;
mod drain;
mod errors;
mod failover;
mod faulty_world;
mod fields;
mod fleet;
mod flow;
mod http2;
mod insight;
mod rates;
mod reload;
mod sdk;
mod sdk_formats;
mod ssrf;
mod start;
mod targets;
mod tls;

/// A count on the metrics page, named with its labels; 0 when it is not there.
async fn admin_number(gateway: &smartflow_e2e::gateway::Gateway, name: &str) -> u64 {
    let page = gateway.admin_page("/metrics").await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |v| v.parse().unwrap())
}
