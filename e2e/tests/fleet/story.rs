//! The main job of the product, from `kubectl apply` to a key that is refused.

use crate::install::{Install, SOON};
use crate::objects::{chain, denied, key, provider, rate};
use smartflow_e2e::money::{DOLLAR, nano, served};
use smartflow_e2e::vendor::{Call, Config, Vendor};
use smartflow_rig::cluster::until;
use std::time::Duration;

/// A change is in force everywhere: half of them within 50 ms, nearly all within 250 ms. Tests assert ten times as much.
const HALF: Duration = Duration::from_millis(500);
const ALL: Duration = Duration::from_millis(2_500);

/// Tokens of a call that costs a hundredth of alice's budget.
const LONG: u32 = 500;

fn cost(calls: &[Call]) -> i64 {
    calls.iter().map(|call| served("mock-small", call)).sum()
}

#[tokio::test]
async fn kubectl_apply_governs_every_pod() {
    let vendor = Vendor::start(Config::default());
    let install = Install::new().await;

    // An administrator declares models, a chain over them, keys for people and a policy for a team.
    let keys = [key("alice", "research", "0.2"), key("ivan", "interns", "100")].concat();
    install.apply(&[provider(&vendor), chain(), keys, rate("interns", 20)].concat()).await;
    let declared = [
        "llmprovider/vendor",
        "fallbackchain/best",
        "virtualkey/alice",
        "virtualkey/ivan",
        "policy/interns-rate",
    ];
    install.ready(&declared).await;

    // The operator made their tokens. They work at every pod, by the official SDK, for models and for the chain.
    let (alice, ivan) = (install.token("alice").await, install.token("ivan").await);
    assert!(alice.starts_with("sk-sf-") && alice != ivan);
    for model in ["mock-small", "best"] {
        let calls = install.sdk_once(&alice, model, 20).await;
        assert_eq!(calls, vec![(200, "mock-small".to_owned()); 3]);
    }
    let strangers =
        install.sdk_once("sk-sf-000000000000000000000000000000000000000000000000", "mock-small", 20).await;
    assert_eq!(strangers, vec![(401, "invalid_api_key".to_owned()); 3]);

    // Twelve callers over all three pods race for alice's twenty cents. Not a nano-dollar more is served.
    let raced = install.sdk_race(&alice, LONG).await;
    let spent = cost(&vendor.calls());
    assert!(raced("200 mock-small") > 0 && raced("429 budget_exceeded") > 0);
    assert!(spent <= DOLLAR / 5, "{spent} nano-USD were served of 20 cents");
    assert!(spent * 100 >= DOLLAR / 5 * 95, "only {spent} nano-USD of 20 cents could be used");
    let refused = install.sdk_once(&alice, "best", LONG).await;
    assert_eq!(refused, vec![(429, "budget_exceeded".to_owned()); 3], "the chain is no way around");

    // Her spend is in the status, and in what `kubectl get` shows.
    let told = async || {
        let said = install.kubectl.get(&["virtualkey/alice"]).await["status"]["spentUSD"].clone();
        said.as_str().map(str::to_owned)
    };
    // It is written when it moved by one percent.
    let near = |said: &str| (nano(said) - spent).abs() <= DOLLAR / 5 / 100;
    until("her spend is in the status", SOON, async || told().await.is_some_and(|said| near(&said))).await;
    let table = install.kubectl.run(&["get", "virtualkeys"]).await.done();
    println!("{table}");
    let said = told().await.unwrap();
    let row = table.lines().find(|line| line.starts_with("alice ")).unwrap();
    assert!(row.split_whitespace().any(|word| word == said), "{table}");

    // Interns share twenty calls a minute, whichever pods they ask.
    vendor.forget();
    let raced = install.sdk_race(&ivan, 5).await;
    let served = vendor.calls().len();
    assert_eq!(raced("200 mock-small"), u64::try_from(served).unwrap());
    assert!((18..=20).contains(&served), "{served} calls were served in a minute of 20");
    assert!(raced("429 rate_limit_exceeded") > 0);

    // Changes are in force on all pods in well under a second.
    let _ = install.delete("policy/interns-rate").await;
    install.all_answer(std::time::Instant::now(), &ivan, 200).await;
    let mut took = Vec::new();
    for _ in 0..5 {
        let applied = install.apply(&denied("interns", "mock-small")).await;
        took.push(install.all_answer(applied, &ivan, 403).await);
        let deleted = install.delete("policy/interns-denied").await;
        took.push(install.all_answer(deleted, &ivan, 200).await);
    }
    took.sort();
    println!("changes were in force on three pods after {took:?}");
    assert!(took[4] < HALF && took[9] < ALL, "{took:?}");

    // A budget that is raised lets alice go on; a key that is deleted is refused everywhere.
    let raised = install.apply(&key("alice", "research", "0.4")).await;
    install.all_answer_to(raised, &alice, LONG, 200).await;
    let deleted = install.delete("virtualkey/alice").await;
    let took = install.all_answer(deleted, &alice, 401).await;
    assert!(took < ALL, "a deleted key was refused after {took:?}");
    let gone = install.sdk_once(&alice, "mock-small", 20).await;
    assert_eq!(gone, vec![(401, "invalid_api_key".to_owned()); 3]);
    assert_eq!(install.sdk_once(&ivan, "best", 20).await, vec![(200, "mock-small".to_owned()); 3]);
}
