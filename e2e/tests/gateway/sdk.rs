//! The official SDKs, unmodified, through the gateway: to the mock vendor, and to the simulated provider.

use serde_json::json;
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::sdk::{Sdk, Target, run};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, object, token};

/// Spends the budget of a key until it is refused.
pub(crate) async fn exhaust(client: &Client, model: &str) {
    for _ in 0..200 {
        let answer = client.chat(&ask(model, "spend it [[tokens=200]]")).await;
        if answer.code() == "budget_exceeded" {
            return;
        }
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
    panic!("the budget was never spent");
}

async fn through_the_gateway(sdk: Sdk) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("sdk", &key("sdk", &budget("100")));
    world.put("spent", &key("spent", &budget("0.001")));
    let gateway = Gateway::start(&world).await;
    exhaust(&gateway.client(&token("spent")), "mock-small").await;
    let target = Target {
        path: "gateway",
        base_url: format!("http://{}/v1", gateway.traffic),
        api_key: token("sdk"),
        vendor: format!("http://{}", vendor.addr),
        spent_key: token("spent"),
        chat: "mock-small".into(),
        embed: "mock-embed".into(),
        ..Target::default()
    };
    let ran = tokio::task::spawn_blocking(move || run(sdk, &target)).await;
    ran.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
}

async fn simulated(sdk: Sdk) {
    let world = World::new();
    let price = json!({"input": "1", "output": "4"});
    let models = json!([
        {"name": "simulated-chat", "price": price, "maxOutput": 4096, "imageTokens": 1000},
        {"name": "simulated-embed", "kind": "Embedding", "price": {"input": "0.1"}},
    ]);
    world.put(
        "simulated",
        &[object("LLMProvider", "simulated", json!({"provider": "simulated", "models": models}))],
    );
    world.put("sdk", &key("sdk", &budget("100")));
    world.put("spent", &key("spent", &budget("0.001")));
    let gateway = Gateway::start(&world).await;
    exhaust(&gateway.client(&token("spent")), "simulated-chat").await;
    let target = Target {
        path: "simulated",
        base_url: format!("http://{}/v1", gateway.traffic),
        api_key: token("sdk"),
        spent_key: token("spent"),
        chat: "simulated-chat".into(),
        embed: "simulated-embed".into(),
        ..Target::default()
    };
    let ran = tokio::task::spawn_blocking(move || run(sdk, &target)).await;
    ran.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
}

#[tokio::test]
async fn python_through_the_gateway() {
    through_the_gateway(Sdk::Python).await;
}

#[tokio::test]
async fn node_through_the_gateway() {
    through_the_gateway(Sdk::Node).await;
}

#[tokio::test]
async fn python_simulated() {
    simulated(Sdk::Python).await;
}

#[tokio::test]
async fn node_simulated() {
    simulated(Sdk::Node).await;
}
