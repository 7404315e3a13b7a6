//! What gateways spend is in the status, and stays true when Redis loses the ledger.

use crate::desk::{Desk, KEY, PROVIDER, SOON};
use crate::gateway::connect;
use serde_json::Value;
use smartflow_ledger::lender::Lender;
use smartflow_ledger::lender::redis::{RedisLender, RedisOptions};
use smartflow_ledger::message::{Batch, Lend, MoneyAsk, Totals};
use smartflow_ledger::{
    AccountId, AccountSpec, Calendar, INSTALL, Incarnation, Now, OWN_BUDGET, Period, PodId, Revision, Window,
    key_account,
};
use smartflow_rig::cluster::{Cluster, until};
use std::time::{Duration, Instant};

const USD: i64 = 1_000_000_000;

/// A process of a gateway, as the lender knows it.
struct Purse {
    lender: RedisLender,
    pod: PodId,
    incarnation: Incarnation,
    number: u64,
}

/// The account of a key with a budget of ten dollars a day, and its window.
fn account(namespace: &str, key: &str) -> (AccountId, Window) {
    let spec = AccountSpec {
        namespace,
        name: &key_account(key),
        budget: OWN_BUDGET,
        period: Period::Daily,
        timezone: "UTC",
        limit: 0,
        revision: Revision::default(),
    };
    let now = jiff::Timestamp::now().as_millisecond();
    (spec.id(INSTALL), Calendar::new(Period::Daily, "UTC").unwrap().at(now))
}

impl Purse {
    async fn new(desk: &Desk<'_>) -> Self {
        let options = RedisOptions { lease_millis: 600_000, allow_unreplicated: false };
        let lender = RedisLender::new(connect(&desk.redis.url()).await, options);
        let incarnation = Incarnation::random();
        Self { lender, pod: PodId(incarnation.0), incarnation, number: 0 }
    }

    async fn say(&mut self, of: (AccountId, Window), totals: Totals, lend: Option<i64>, close: bool) -> i64 {
        self.number += 1;
        let ask = MoneyAsk {
            account: of.0,
            window: of.1,
            incarnation: self.incarnation,
            pod: self.pod,
            number: self.number,
            totals,
            reservation: 0,
            lend: lend.map(|at_least| Lend { at_least, background: false }),
            limit: Some((10 * USD, Revision { epoch: 1, number: 1 })),
            close,
            closed_total: 0,
            counted: false,
        };
        let (incarnation, pod) = (self.incarnation, self.pod);
        let batch = Batch { incarnation, pod, recalls_after: u64::MAX, money: vec![ask], rates: Vec::new() };
        let answers = self.lender.exchange(Now { mono: 0, wall: 0 }, &batch).await.unwrap();
        answers.money[0].granted
    }

    /// Has spent so much of what it was lent.
    async fn spends(&mut self, of: (AccountId, Window), spent: i64) {
        let granted = self.say(of, Totals { spent: 0, ..Totals::default() }, Some(spent), false).await;
        assert!(granted >= spent, "{granted}");
        self.say(of, Totals { granted, spent, ..Totals::default() }, None, false).await;
    }

    /// Is lent what it never reports to have spent.
    async fn holds(&mut self, of: (AccountId, Window), spent: i64, held: i64) {
        let granted = self.say(of, Totals::default(), Some(spent + held), false).await;
        let returned = granted - spent - held;
        self.say(of, Totals { granted, spent, returned, overrun: 0 }, None, false).await;
    }

    /// Ends, and takes along what it still held.
    async fn dies(&mut self, of: (AccountId, Window), spent: i64, held: i64) {
        let granted = self.say(of, Totals::default(), Some(spent + held), false).await;
        let returned = granted - spent - held;
        self.say(of, Totals { granted, spent, returned, overrun: 0 }, None, true).await;
    }
}

fn keys(names: &[String]) -> String {
    names.iter().map(|name| KEY.replace("alice-token", name).replace("alice", name)).collect()
}

async fn status(desk: &Desk<'_>, key: &str) -> Value {
    desk.kubectl.get(&["virtualkey", key]).await["status"].clone()
}

/// Waits until the status of a key says this.
async fn shows(desk: &Desk<'_>, key: &str, field: &str, amount: &str) {
    let what = format!("{field} of {key} is {amount}");
    until(&what, SOON, async || status(desk, key).await[field] == amount).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spent_is_shown_coarsely_and_warned_of() {
    let desk = Desk::new(Cluster::shared().await).await;
    let _operator = desk.operator();
    desk.apply(&[PROVIDER, KEY, &keys(&["bob".to_owned()])].concat()).await;
    shows(&desk, "alice", "spentUSD", "0").await;
    let first = status(&desk, "alice").await;
    let window = account(&desk.namespace, "alice").1;
    let ends = jiff::Timestamp::from_millisecond(window.end).unwrap().to_string();
    assert_eq!((&first["remainingUSD"], &first["resetsAt"]), (&"10".into(), &ends.as_str().into()));
    let mut purse = Purse::new(&desk).await;
    let (alice, bob) = (account(&desk.namespace, "alice"), account(&desk.namespace, "bob"));
    purse.spends(alice, 495 * USD / 100).await;
    shows(&desk, "alice", "spentUSD", "4.95").await;
    assert_eq!(status(&desk, "alice").await["remainingUSD"], "5.05");
    // Less than a hundredth of the budget is not worth a write; what is written after it shows that it was seen.
    purse.spends(alice, 499 * USD / 100).await;
    purse.spends(bob, USD).await;
    shows(&desk, "bob", "spentUSD", "1").await;
    assert_eq!(status(&desk, "alice").await["spentUSD"], "4.95");
    // A half is, whatever the step.
    purse.spends(alice, 5 * USD).await;
    shows(&desk, "alice", "spentUSD", "5").await;
    assert_eq!(desk.events("SoftLimitReached").await, [""; 0]);
    purse.spends(alice, 610 * USD / 100).await;
    desk.wait_for_event("SoftLimitReached", &["60 %", "6.1 of 10"]).await;
    purse.spends(alice, 10 * USD).await;
    desk.wait_for_event("BudgetExhausted", &["10 of 10"]).await;
    shows(&desk, "alice", "remainingUSD", "0").await;
    // A budget that is raised, and one that is taken away.
    desk.apply(&KEY.replace("limitUSD: '10'", "limitUSD: '20'")).await;
    shows(&desk, "alice", "remainingUSD", "10").await;
    desk.apply(&KEY.replace(", budget: {limitUSD: '10', period: Daily, softLimitPercent: 60}", "")).await;
    until("nothing is said of spend", SOON, async || status(&desk, "alice").await["spentUSD"].is_null())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_redis_lost_is_put_back_within_five_seconds() {
    let desk = Desk::new(Cluster::shared().await).await;
    let _operator = desk.operator();
    let names: Vec<String> = (0..100).map(|i| format!("key-{i}")).collect();
    desk.apply(&[PROVIDER, &keys(&names)].concat()).await;
    shows(&desk, "key-99", "spentUSD", "0").await;
    let (mut lives, mut died) = (Purse::new(&desk).await, Purse::new(&desk).await);
    for (i, name) in names.iter().enumerate() {
        let of = account(&desk.namespace, name);
        lives.spends(of, USD + i as i64).await;
        died.dies(of, 2 * USD, USD / 2).await;
    }
    for name in &names {
        shows(&desk, name, "unattributedUSD", "0.5").await;
    }
    let said = status(&desk, "key-7").await;
    assert_eq!((&said["spentUSD"], &said["closedUSD"]), (&"3.000000007".into(), &"2.5".into()));
    let standing =
        async |name: &String| lives.lender.standing(account(&desk.namespace, name).0).await.unwrap();
    let mut before = Vec::new();
    for name in &names {
        before.push(standing(name).await);
    }
    assert_eq!(desk.redis.cli(&["FLUSHALL"]), "OK");
    let lost = Instant::now();
    for (name, before) in names.iter().zip(&before) {
        let same = async || {
            standing(name).await.first().is_some_and(|now| {
                (now.spent, now.forfeited, now.closed_total)
                    == (before[0].spent, before[0].forfeited, before[0].closed_total)
            })
        };
        until("the ledger is as it was", Duration::from_secs(5), same).await;
    }
    assert!(lost.elapsed() < Duration::from_secs(5), "{:?}", lost.elapsed());
    desk.wait_for_event("LedgerRestored", &["200 rows"]).await;
    // What is spent from now on adds to it, and no status ever went back.
    let of = account(&desk.namespace, "key-7");
    lives.say(of, Totals { granted: 4 * USD, spent: 2 * USD, ..Totals::default() }, None, false).await;
    shows(&desk, "key-7", "spentUSD", "4").await;
    assert_eq!(status(&desk, "key-8").await["spentUSD"], "3.000000008");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_gateways_spent_is_known_even_when_ledger_and_operator_are_lost_together() {
    let desk = Desk::new(Cluster::shared().await).await;
    let first = desk.operator();
    desk.apply(&[PROVIDER, KEY].concat()).await;
    shows(&desk, "alice", "spentUSD", "0").await;
    let alice = account(&desk.namespace, "alice");
    let mut died = Purse::new(&desk).await;
    died.dies(alice, 3 * USD, USD).await;
    shows(&desk, "alice", "closedUSD", "4").await;
    drop(first);
    assert_eq!(desk.redis.cli(&["FLUSHALL"]), "OK");
    let _second = desk.operator();
    let purse = Purse::new(&desk).await;
    let known = async || purse.lender.standing(alice.0).await.unwrap().first().map(|s| s.closed_total);
    until("the status' word counts", SOON, async || known().await == Some(4 * USD)).await;
    // Others may hold money of the ledger that was: nothing is lent before they had time to say so.
    let lost = desk.redis.cli(&["HGET", "smartflow:ledger:1:meta", "lost"]);
    assert_eq!(lost, "1");
    assert_eq!(desk.redis.cli(&["SMEMBERS", "smartflow:ledger:1:awaited"]), "-");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_that_is_gone_held_is_shown_and_an_administrator_frees_it() {
    let desk = Desk::new(Cluster::shared().await).await;
    // A pod that is of no cluster is waited for twice this long.
    let _operator = desk.operator_with(&desk.redis.url(), &["--lease-duration=2s"]);
    desk.apply(&[PROVIDER, KEY].concat()).await;
    shows(&desk, "alice", "spentUSD", "0").await;
    let alice = account(&desk.namespace, "alice");
    let (mut gone, mut lives) = (Purse::new(&desk).await, Purse::new(&desk).await);
    gone.holds(alice, 3 * USD, USD).await;
    shows(&desk, "alice", "spentUSD", "3").await;
    assert!(status(&desk, "alice").await["unattributedUSD"].is_null(), "it may still spend it");
    let mut closed = async || {
        // One that is heard is not gone.
        lives.spends(alice, USD / 2).await;
        status(&desk, "alice").await["unattributedUSD"] == "1"
    };
    let began = Instant::now();
    while !closed().await {
        assert!(began.elapsed() < SOON, "what it held is not shown: {}", status(&desk, "alice").await);
    }
    let rows = lives.lender.standing(alice.0).await.unwrap().remove(0).rows;
    let of = |who: Incarnation| rows.iter().find(|row| row.incarnation == who).unwrap();
    assert!(of(gone.incarnation).closed.is_some() && of(lives.incarnation).closed.is_none());

    let key = format!("{}/alice", desk.namespace);
    let shown = desk.budget(&["show", &key]);
    assert!(shown.contains("spent 3.5") && shown.contains("lost with gateways that are gone 1"), "{shown}");
    let freed = desk.budget(&["write-off", &key]);
    assert!(freed.starts_with("1 US dollars are free again"), "{freed}");
    let free = async || status(&desk, "alice").await["unattributedUSD"].is_null();
    until("nothing is lost any more", SOON, free).await;
    // What is there is not forgotten; what is deleted is, and one of its name begins anew.
    let refused = desk.try_budget(&["purge", &key, "--period=daily"]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("delete it first")
    );
    let _ = desk.run(&["delete", "virtualkey/alice", "--wait=true"]).await.done();
    assert!(desk.budget(&["purge", &key, "--period=daily"]).contains("forgotten"));
    desk.apply(KEY).await;
    shows(&desk, "alice", "spentUSD", "0").await;
    assert_eq!(status(&desk, "alice").await["remainingUSD"], "10");
}
