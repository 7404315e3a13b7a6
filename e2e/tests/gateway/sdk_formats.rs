//! The official SDKs, unmodified, through the gateway, where caller and vendor speak Anthropic's format, or one of them.

use crate::sdk::exhaust;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::sdk::{Script, Sdk, Target, run};
use smartflow_e2e::vendor::{Config, Speech, Vendor};
use smartflow_e2e::world::{World, anthropic_provider, budget, key, provider, token};

async fn through_the_gateway(sdk: Sdk, script: Script, speaks: Speech) {
    let (config, chat) = match speaks {
        Speech::OpenAi => (Config::default(), "mock-small"),
        Speech::Anthropic => (Config::anthropic(), "mock-claude"),
    };
    let vendor = Vendor::start(config);
    let world = World::new();
    match speaks {
        Speech::OpenAi => world.put("vendor", &provider(&vendor)),
        Speech::Anthropic => world.put("vendor", &anthropic_provider(&vendor)),
    }
    world.put("sdk", &key("sdk", &budget("100")));
    world.put("spent", &key("spent", &budget("0.001")));
    world.put("free", &key("free", &serde_json::json!({})));
    let gateway = Gateway::start(&world).await;
    exhaust(&gateway.client(&token("spent")), chat).await;
    let target = Target {
        path: "gateway",
        script,
        speaks,
        base_url: format!("http://{}/v1", gateway.traffic),
        ca: None,
        api_key: token("sdk"),
        vendor: format!("http://{}", vendor.addr),
        spent_key: token("spent"),
        free_key: token("free"),
        chat: chat.into(),
        embed: String::new(),
    };
    let ran = tokio::task::spawn_blocking(move || run(sdk, &target)).await;
    ran.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
}

#[tokio::test]
async fn python_anthropic_to_anthropic() {
    through_the_gateway(Sdk::Python, Script::Claude, Speech::Anthropic).await;
}

#[tokio::test]
async fn node_anthropic_to_anthropic() {
    through_the_gateway(Sdk::Node, Script::Claude, Speech::Anthropic).await;
}

#[tokio::test]
async fn python_anthropic_to_openai() {
    through_the_gateway(Sdk::Python, Script::Claude, Speech::OpenAi).await;
}

#[tokio::test]
async fn node_anthropic_to_openai() {
    through_the_gateway(Sdk::Node, Script::Claude, Speech::OpenAi).await;
}

#[tokio::test]
async fn python_openai_to_anthropic() {
    through_the_gateway(Sdk::Python, Script::Across, Speech::Anthropic).await;
}

#[tokio::test]
async fn node_openai_to_anthropic() {
    through_the_gateway(Sdk::Node, Script::Across, Speech::Anthropic).await;
}
