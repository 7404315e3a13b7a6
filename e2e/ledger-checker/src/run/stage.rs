//! The world of a run: two vendors that fail, a chain over both, a key with a budget, and a key above it.

use super::dice::Dice;
use super::plan::Stakes;
use crate::account::Named;
use crate::evidence::Account;
use serde_json::{Value, json};
use smartflow_e2e::vendor::{Config, Fault, Vendor};
use smartflow_e2e::world::{World, anthropic_provider, key, object, provider};

/// The key that calls, and the one above it.
pub(super) const PAYER: &str = "payer";
const TEAM: &str = "team";

/// What a run is played with.
pub(super) struct Stage {
    pub(super) openai: Vendor,
    pub(super) anthropic: Vendor,
    pub(super) world: World,
    pub(super) accounts: Vec<Account>,
}

impl Stage {
    pub(super) fn set(stakes: &Stakes) -> Self {
        let (openai, anthropic) = (Vendor::start(Config::default()), Vendor::start(Config::anthropic()));
        let world = World::new();
        world.put("vendor", &hasty(provider(&openai)));
        world.put("claude", &hasty(anthropic_provider(&anthropic)));
        world.put("chain", &[object("FallbackChain", "best", chain())]);
        let mut spec = json!({"budget": budget(stakes.limit, "Lifetime")});
        if let Some(above) = stakes.above {
            world.put(TEAM, &key(TEAM, &json!({"budget": budget(above, "Daily")})));
            spec["parentRef"] = json!({"name": TEAM});
        }
        world.put(PAYER, &key(PAYER, &spec));
        let stage = Self { openai, anthropic, world, accounts: accounts(stakes) };
        stage.fail(stakes);
        stage
    }

    /// Vendors fail as planned.
    fn fail(&self, stakes: &Stakes) {
        for (place, vendor) in [&self.openai, &self.anthropic].into_iter().enumerate() {
            let (seed, of_hundred) = (stakes.seed, stakes.faults);
            vendor.set_plan(Some(Box::new(move |call| {
                let mut dice = Dice::new(seed, 1_000_000 * (place as u64 + 1) + call.id as u64);
                dice.percent(of_hundred).then(|| fault(&mut dice))
            })));
        }
    }

    /// They fail no more.
    pub(super) fn heal(&self) {
        self.openai.set_plan(None);
        self.anthropic.set_plan(None);
    }
}

fn fault(dice: &mut Dice) -> Fault {
    match dice.below(24) {
        0..4 => Fault::Status { status: 429, retry_after: None },
        4..7 => Fault::Status { status: 500, retry_after: None },
        7 => Fault::Hang,
        8 => Fault::Stall(20),
        9..12 => Fault::Reset(0),
        12..14 => Fault::Reset(30),
        14..17 => Fault::Cut(40),
        17..19 => Fault::ErrorEvent(20),
        19 => Fault::Malformed,
        _ => Fault::NoUsage,
    }
}

fn hasty(mut objects: Vec<Value>) -> Vec<Value> {
    for object in objects.iter_mut().filter(|object| object["kind"] == "LLMProvider") {
        object["spec"]["timeouts"] =
            json!({"connect": "1s", "firstByte": "500ms", "idle": "500ms", "total": "20s"});
    }
    objects
}

fn chain() -> Value {
    let target =
        |name: &str, model: &str| json!({"name": name, "providerRef": {"name": name}, "model": model});
    json!({
        "models": ["best"], "strategy": "RoundRobin",
        "targets": [target("vendor", "mock-small"), target("claude", "mock-haiku")],
        "retry": {"attempts": 1, "backoff": "10ms", "maxBackoff": "50ms"},
        "failureThreshold": 8, "cooldown": "200ms", "timeout": "4s",
    })
}

fn budget(limit: i64, period: &str) -> Value {
    json!({"limitUSD": format!("{}.{:09}", limit / 1_000_000_000, limit % 1_000_000_000), "period": period})
}

fn accounts(stakes: &Stakes) -> Vec<Account> {
    let account = |key: &str, period: &'static str, limit: i64| {
        let name = format!("key/{key}");
        let named = Named {
            install: "standalone",
            namespace: "default",
            name: &name,
            budget: "budget",
            period,
            timezone: "UTC",
        };
        Account { id: named.id(), name, limit, keys: vec![format!("default/{PAYER}")] }
    };
    let above = stakes.above.map(|limit| account(TEAM, "Daily", limit));
    std::iter::once(account(PAYER, "Lifetime", stakes.limit)).chain(above).collect()
}
