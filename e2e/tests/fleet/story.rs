//! The main job of the product, from `kubectl apply` to a key that is refused.

use crate::install::{Install, SOON};
use crate::objects::{chain, denied, key, provider, rate};
use smartflow_e2e::money::{DOLLAR, nano, served};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_rig::cluster::until;
use std::time::Duration;

/// Alice's budget.
const BUDGET: i64 = DOLLAR / 5;
/// Tokens of a call that costs a hundredth of it.
const LONG: u32 = 500;
/// Calls of all interns in a minute.
const RATE: u32 = 20;
/// A change is in force everywhere: half of them within 50 ms, nearly all within 250 ms. Tests assert ten times as much.
const HALF: Duration = Duration::from_millis(500);
const ALL: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn kubectl_apply_governs_every_pod() {
    let vendor = Vendor::start(Config::default());
    let install = Install::new().await;
    let story = Story::begin(vendor, install).await;
    story.the_tokens_work_at_every_pod().await;
    let spent = story.the_budget_holds_over_all_pods().await;
    story.kubectl_shows_what_was_spent(spent).await;
    story.the_rate_holds_over_all_pods().await;
    story.changes_are_in_force_at_once().await;
    story.a_key_that_is_deleted_is_refused().await;
}

struct Story {
    vendor: Vendor,
    install: Install,
    /// Tokens that the operator made.
    alice: String,
    ivan: String,
}

/// Every pod says the same.
fn everywhere(status: u64, what: &str) -> Vec<(u64, String)> {
    vec![(status, what.to_owned()); 3]
}

impl Story {
    /// An administrator declares models, a chain over them, keys for two people and a policy for a team.
    async fn begin(vendor: Vendor, install: Install) -> Self {
        let (alice, ivan) = (key("alice", "research", "0.2"), key("ivan", "interns", "100"));
        install.apply(&[provider(&vendor), chain(), alice, ivan, rate("interns", RATE)].concat()).await;
        let keys = ["virtualkey/alice", "virtualkey/ivan"];
        install
            .ready(
                &[&["llmprovider/vendor", "fallbackchain/best", "policy/interns-rate"], &keys[..]].concat(),
            )
            .await;
        let (alice, ivan) = (install.token("alice").await, install.token("ivan").await);
        assert!(alice.starts_with("sk-sf-") && alice != ivan);
        Self { vendor, install, alice, ivan }
    }

    /// By the official SDK, for a model and for the chain; a token that nobody was given is refused.
    async fn the_tokens_work_at_every_pod(&self) {
        for model in ["mock-small", "best"] {
            let calls = self.install.sdk_once(&self.alice, model, 20).await;
            assert_eq!(calls, everywhere(200, "mock-small"));
        }
        let stranger = format!("sk-sf-{}", "0".repeat(48));
        let calls = self.install.sdk_once(&stranger, "mock-small", 20).await;
        assert_eq!(calls, everywhere(401, "invalid_api_key"));
    }

    /// Twelve callers over all three pods race for alice's twenty cents: not a nano-dollar more is served.
    async fn the_budget_holds_over_all_pods(&self) -> i64 {
        let raced = self.install.sdk_race(&self.alice, LONG).await;
        assert!(raced("200 mock-small") > 0 && raced("429 budget_exceeded") > 0);
        let spent = self.vendor.calls().iter().map(|call| served("mock-small", call)).sum();
        assert!(spent <= BUDGET, "{spent} nano-USD were served of {BUDGET}");
        assert!(spent * 100 >= BUDGET * 95, "only {spent} nano-USD of {BUDGET} could be used");
        let around = self.install.sdk_once(&self.alice, "best", LONG).await;
        assert_eq!(around, everywhere(429, "budget_exceeded"), "the chain is no way around");
        spent
    }

    /// It is written when it moved by one percent.
    async fn kubectl_shows_what_was_spent(&self, spent: i64) {
        let told = async || {
            let key = self.install.kubectl.get(&["virtualkey/alice"]).await;
            key["status"]["spentUSD"].as_str().map(str::to_owned)
        };
        let near = |said: String| (nano(&said) - spent).abs() <= BUDGET / 100;
        until("her spend is in the status", SOON, async || told().await.is_some_and(near)).await;
        let (said, table) =
            (told().await.unwrap(), self.install.kubectl.run(&["get", "virtualkeys"]).await.done());
        println!("{table}");
        let row = table.lines().find(|line| line.starts_with("alice ")).unwrap();
        assert!(row.split_whitespace().any(|word| word == said), "{said} is not in\n{table}");
    }

    /// Interns share twenty calls a minute, whichever pods they ask.
    async fn the_rate_holds_over_all_pods(&self) {
        self.vendor.forget();
        let raced = self.install.sdk_race(&self.ivan, 5).await;
        let served = u32::try_from(self.vendor.calls().len()).unwrap();
        assert_eq!(raced("200 mock-small"), u64::from(served));
        assert!((RATE - 2..=RATE).contains(&served), "{served} calls were served in a minute of {RATE}");
        assert!(raced("429 rate_limit_exceeded") > 0);
    }

    /// On all pods, well under a second after kubectl said that it was accepted.
    async fn changes_are_in_force_at_once(&self) {
        let Self { install, ivan, .. } = self;
        let lifted = install.delete("policy/interns-rate").await;
        let mut took = vec![install.all_answer(lifted, ivan, 200).await];
        for _ in 0..5 {
            let denied = install.apply(&denied("interns", "mock-small")).await;
            took.push(install.all_answer(denied, ivan, 403).await);
            let allowed = install.delete("policy/interns-denied").await;
            took.push(install.all_answer(allowed, ivan, 200).await);
        }
        took.sort();
        println!("changes were in force on three pods after {took:?}");
        assert!(took[5] < HALF && took[10] < ALL, "{took:?}");
    }

    /// A budget that is raised lets alice go on. Then her key is deleted; ivan's is not.
    async fn a_key_that_is_deleted_is_refused(&self) {
        let Self { install, alice, ivan, .. } = self;
        let raised = install.apply(&key("alice", "research", "0.4")).await;
        let took = install.all_answer_to(raised, alice, LONG, 200).await;
        assert!(took < ALL, "a raised budget was in force after {took:?}");
        let deleted = install.delete("virtualkey/alice").await;
        let took = install.all_answer(deleted, alice, 401).await;
        assert!(took < ALL, "a deleted key was refused after {took:?}");
        let calls = install.sdk_once(alice, "mock-small", 20).await;
        assert_eq!(calls, everywhere(401, "invalid_api_key"));
        assert_eq!(install.sdk_once(ivan, "best", 20).await, everywhere(200, "mock-small"));
    }
}
