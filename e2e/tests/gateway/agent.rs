//! A coding agent that speaks Anthropic's format, unmodified and headless, through the gateway.
#![allow(clippy::print_stderr)]

use smartflow_e2e::agent::{install, take_a_note};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, nano};
use smartflow_e2e::vendor::{Call, Config, End, Speech, Vendor};
use smartflow_e2e::world::{World, anthropic_provider, budget, key, provider, token};
use std::time::Duration;

/// A task of two calls: the agent uses a tool as it was told, and says what it was told then. Every call is billed for
/// what the vendor served.
async fn task(speaks: Speech) {
    let program = match tokio::task::spawn_blocking(install).await.unwrap() {
        Ok(program) => program,
        Err(why) => return eprintln!("SKIPPED: the agent cannot be had here: {why}"),
    };
    let (config, model) = match speaks {
        Speech::OpenAi => (Config::default(), "mock-large"),
        Speech::Anthropic => (Config::anthropic(), "mock-claude"),
    };
    let vendor = Vendor::start(config);
    let world = World::new();
    match speaks {
        Speech::OpenAi => world.put("vendor", &provider(&vendor)),
        Speech::Anthropic => world.put("vendor", &anthropic_provider(&vendor)),
    }
    world.put("agent", &key("agent", &budget("100")));
    let gateway = Gateway::start(&world).await;
    let url = format!("http://{}", gateway.traffic);
    let told = tokio::task::spawn_blocking(move || take_a_note(&program, &url, &token("agent"), model)).await;
    let told = told.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    assert_eq!(told["result"], "the mock vendor says what it was told. the ", "{told}");
    let ended = |calls: &[Call]| calls.iter().all(|c| c.end != End::Open);
    let calls = vendor.until("the last call to end", Duration::from_secs(5), ended).await;
    let ends: Vec<_> = calls.iter().map(|c| (c.path.clone(), c.end)).collect();
    assert!(ends.len() >= 2 && ends.iter().all(|(_, end)| *end == End::Complete), "{ends:?}");
    let served: i64 = calls.iter().filter_map(|c| c.reported).map(|u| cost(model, &u)).sum();
    let billed = || {
        let usd = |l: &serde_json::Value| l["cost_usd"].as_str().map_or(0, nano);
        gateway.usage().iter().map(usd).sum::<i64>()
    };
    let settled = || async { billed() == served };
    gateway.until(&format!("{served} to be billed, not {}", billed()), Duration::from_secs(5), settled).await;
}

#[tokio::test]
async fn to_a_vendor_that_speaks_anthropic() {
    task(Speech::Anthropic).await;
}

#[tokio::test]
async fn to_a_vendor_that_speaks_openai() {
    task(Speech::OpenAi).await;
}
