//! Secrets and prompts that must be nowhere but where they belong.

use serde_json::json;
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::raw::exchange;
use smartflow_e2e::vendor::{Config, Fault, Vendor};
use smartflow_e2e::world::{World, budget, key, object, secret, token};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const PROMPT: &str = "prompt-canary-1b9e77d2";
const PROVIDER_KEY: &str = "sk-vendor-canary-7f3a91c2";
const UNKNOWN_KEY: &str = "sk-sf-unknowncanary5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// Every text that the gateway shows to anyone.
struct Shown(Vec<(String, String)>);

impl Shown {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.0.push((place.to_owned(), text.into()));
    }

    fn must_not_contain(&self, canary: &str) {
        for (place, text) in &self.0 {
            let at = text.find(canary);
            assert!(at.is_none(), "{canary} is in {place}: ...{}...", excerpt(text, at.unwrap_or(0)));
        }
    }
}

fn excerpt(text: &str, at: usize) -> String {
    let start = text.floor_char_boundary(at.saturating_sub(200));
    text[start..].chars().take(400).collect()
}

/// Calls of every sort; what they answered.
async fn exercise(gateway: &Gateway, client: &Client, shown: &mut Shown) {
    let asks = [
        format!("{PROMPT} [[tokens=5]]"),
        format!("{PROMPT} [[fault=status:401]]"),
        format!("{PROMPT} [[fault=status:500]]"),
        format!("{PROMPT} [[fault=malformed]]"),
        format!("{PROMPT} [[fault=cut:2]]"),
        format!("{PROMPT} [[fault=reset:0]]"),
    ];
    for text in &asks {
        let whole = client.chat(&ask("mock-small", text)).await;
        shown.add(
            &format!("answer to {text}"),
            format!("{:?}{}", whole.headers, String::from_utf8_lossy(&whole.body)),
        );
        match client.stream(&ask("mock-small", text)).await {
            Ok(stream) => shown.add(&format!("stream of {text}"), format!("{:?}", stream.all().await)),
            Err(answer) => shown.add(&format!("refusal of {text}"), String::from_utf8_lossy(&answer.body)),
        }
    }
    let mut wrong = ask("mock-small", PROMPT);
    wrong["temperature"] = json!("warm");
    let mut odd = ask("mock-small", PROMPT);
    odd["max_tokens"] = json!("many");
    for body in [wrong, odd, ask("no-such-model", PROMPT)] {
        shown.add("error", String::from_utf8_lossy(&client.chat(&body).await.body));
    }
    let unknown = gateway.client(UNKNOWN_KEY).chat(&ask("mock-small", PROMPT)).await.expect_status(401);
    shown.add("401", String::from_utf8_lossy(&unknown.body));
    let bearer = token("canary");
    let cut = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\nContent-Type: \
         application/json\r\nContent-Length: 40\r\n\r\n{{\"model\": {PROMPT}}}         "
    );
    shown.add("raw", exchange(gateway.traffic, cut.as_bytes(), Duration::from_secs(10)).await.text);
    for path in ["/v1/models", "/v1/usage", "/nowhere"] {
        shown.add(path, String::from_utf8_lossy(&client.get(path).await.body));
    }
}

async fn admin_pages(gateway: &Gateway, shown: &mut Shown) {
    for path in ["/", "/metrics", "/healthz", "/readyz", "/resources", "/snapshot", "/nowhere"] {
        let page = gateway.admin_page(path).await;
        shown.add(&format!("admin {path}"), String::from_utf8_lossy(&page.body));
    }
}

#[tokio::test]
async fn no_secret_and_no_prompt_is_shown_anywhere() {
    let vendor = Vendor::start(Config::default());
    assert_eq!(vendor.key(), PROVIDER_KEY);
    let world = World::of(&vendor);
    world.put("canary", &key("canary", &budget("1")));
    world.put("generated", &[object("VirtualKey", "generated", json!({"models": ["*"]}))]);
    // Findings about Secrets must not quote them.
    let mut unlabelled = secret("unlabelled", "token", "sk-unlabelled-canary-0c0c0c0c0c0c0c0c0c0c");
    unlabelled["metadata"]["labels"] = json!({});
    let refers = json!({"models": ["*"], "existingSecretRef": {"name": "unlabelled", "key": "token"}});
    world.put("unlabelled", &[unlabelled, object("VirtualKey", "unlabelled", refers)]);
    world.put(
        "short",
        &[
            secret("short", "token", "short-canary-99"),
            object(
                "VirtualKey",
                "short",
                json!({"models": ["*"], "existingSecretRef": {"name": "short", "key": "token"}}),
            ),
        ],
    );
    let gateway = Gateway::start_with(&world, &["--log", "trace"]).await;
    let client = gateway.client(&token("canary"));
    let mut shown = Shown(Vec::new());
    exercise(&gateway, &client, &mut shown).await;
    vendor.set_fault(Some(Fault::Redirect(format!("http://127.0.0.1:1/{PROVIDER_KEY}"))));
    shown.add("redirect", String::from_utf8_lossy(&client.chat(&ask("mock-small", PROMPT)).await.body));
    vendor.set_fault(None);
    // A file that no longer parses, with a secret in it.
    world.put_text("broken", "stringData: {token: sk-broken-canary-4d4d4d4d}\n  kind: [");
    let found = || async {
        let page = gateway.admin_page("/resources").await;
        String::from_utf8_lossy(&page.body).contains("broken")
    };
    gateway.until("the broken file to be found", Duration::from_secs(5), found).await;
    admin_pages(&gateway, &mut shown).await;
    shown.add("command line", gateway.command_line());
    let generated = generated_token(&gateway.data());
    gateway.client(&generated).chat(&ask("mock-small", PROMPT)).await.expect_status(200);
    let lines = || async { gateway.usage().len() >= 15 };
    gateway.until("the usage lines", Duration::from_secs(5), lines).await;
    shown.add("usage log", gateway.usage().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    shown.add("log", gateway.log());
    assert!(gateway.log().len() > 1_000, "a log that says nothing proves nothing");
    for canary in [
        PROMPT,
        PROVIDER_KEY,
        UNKNOWN_KEY,
        &token("canary"),
        &generated,
        "sk-unlabelled-canary",
        "short-canary",
        "sk-broken-canary",
    ] {
        shown.must_not_contain(canary);
    }
}

/// The generated key's token; its file and folder are for the owner only.
fn generated_token(data: &Path) -> String {
    let mut folders = vec![data.to_owned()];
    let mut found = None;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                // What Secrets in files last said is kept, for the owner only.
                let secret = text.contains(PROVIDER_KEY) || text.contains("sk-sf-");
                assert!(!secret || mode == 0o600, "{mode:o} {}", entry.path().display());
                if text.trim().starts_with("sk-sf-") {
                    assert_eq!(mode, 0o600, "{}", entry.path().display());
                    assert_eq!(text.trim().len(), "sk-sf-".len() + 48, "{}", entry.path().display());
                    found = Some(text.trim().to_owned());
                }
            }
        }
    }
    found.expect("a generated token in the data folder")
}
