//! Seeds in every run of the tests, and falsified evidence of each: what the checker does not see it does not check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod falsified;

use smartflow_ledger_checker::evidence::Evidence;
use smartflow_ledger_checker::judge::{Summary, judge, judge_pace};
use smartflow_ledger_checker::run::{FleetPlan, Plan, play, play_fleet, play_rates};
use std::fmt::Display;
use std::time::Duration;

/// Two rounds of the ring of a minute.
const PACE: Duration = Duration::from_secs(125);

fn holds(plan: &impl Display, evidence: &Evidence) -> Summary {
    let verdict = judge(evidence);
    println!("{plan}\n{:?}", verdict.summary);
    assert!(verdict.violations.is_empty(), "{plan}\n{:#?}", verdict.violations);
    let told = verdict.summary;
    assert!(told.exact > 100 && told.asks > 200, "{plan}: too few calls to prove anything: {told:?}");
    falsified::all_are_seen(evidence);
    told
}

async fn alone(seeds: std::ops::RangeInclusive<u64>) {
    for seed in seeds {
        let plan = Plan::of(seed);
        holds(&plan, &play(&plan).await);
    }
}

/// Most of them prove that the budget can be used, where a window ended in between nobody can say; and most of what was
/// planned happens.
async fn fleet(seeds: std::ops::RangeInclusive<u64>) {
    let (mut all, mut used, mut planned, mut happened) = (0, 0, 0, 0);
    for seed in seeds {
        let plan = FleetPlan::of(seed);
        let evidence = play_fleet(&plan).await;
        all += 1;
        used += usize::from(holds(&plan, &evidence).used.is_some());
        planned += plan.events.len();
        happened += evidence.happened;
    }
    assert!(used * 2 > all, "only {used} of {all} seeds used their budget up");
    assert!(happened * 3 > planned * 2, "only {happened} of {planned} troubles happened");
}

#[tokio::test]
async fn seeds_1_to_15_of_a_gateway_that_is_its_own_lender() {
    alone(1..=15).await;
}

#[tokio::test]
async fn seeds_16_to_30_of_a_gateway_that_is_its_own_lender() {
    alone(16..=30).await;
}

#[tokio::test]
async fn seeds_1_to_10_of_three_gateways_and_redis() {
    fleet(1..=10).await;
}

#[tokio::test]
async fn seeds_11_to_20_of_three_gateways_and_redis() {
    fleet(11..=20).await;
}

#[tokio::test]
async fn seeds_21_to_30_of_three_gateways_and_redis() {
    fleet(21..=30).await;
}

#[tokio::test]
async fn three_gateways_never_make_more_than_sixty_calls_in_a_minute_and_can_make_nearly_all() {
    let (measured, verdict) = judge_pace(&play_rates(PACE).await);
    println!("{measured:?}");
    assert!(verdict.violations.is_empty(), "{measured:?}: {:#?}", verdict.violations);
}
