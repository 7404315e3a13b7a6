//! How much of a budget can be used, and when the first call is refused (the table at the end of `ledger.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]
#![allow(clippy::cast_sign_loss, clippy::cast_precision_loss, clippy::print_stdout)]

mod world;

use smartflow_ledger::Period;
use world::{Faults, Plan, SECOND, World};

struct Usable {
    first_refusal: f64,
    used: f64,
    false_refusals: u64,
}

fn run(seed: u64, pods: usize, clients: usize, limit: i64, reserve: i64, cost: (i64, i64)) -> Usable {
    let mut world = World::new(seed, pods, &[("key/k", limit, Period::Daily)], Faults::default());
    world.plan =
        Plan { reserve: (reserve, reserve), cost, lasts: (200, 1_000), think: 100, ..Plan::default() };
    world.clients(clients);
    let mut last = (0, 0);
    // Until the same call is refused on every pod: nothing served for 5 s.
    for second in 1..400 {
        world.run_until(second * SECOND);
        if last.0 == world.counts.served && second > last.1 + 5 {
            break;
        }
        if last.0 != world.counts.served {
            last = (world.counts.served, second);
        }
    }
    let first_refusal = world.first_refusal.unwrap_or(1.0);
    let refused = world.counts.refused;
    world.wind_down();
    world.check_caps();
    let standing = &world.standing(0)[0];
    let used = (standing.spent + standing.forfeited) as f64 / limit as f64;
    Usable { first_refusal, used, false_refusals: refused }
}

fn worst(what: &str, least: f64, each: impl Fn(u64) -> Usable) {
    let runs: Vec<Usable> = (1..=8).map(each).collect();
    let used = runs.iter().map(|run| run.used).fold(1.0, f64::min);
    let first = runs.iter().map(|run| run.first_refusal).fold(1.0, f64::min);
    println!(
        "{what}: first refusal at {:.1} %, used {:.2} % (worst of 8 seeds; {} refusals)",
        first * 100.0,
        used * 100.0,
        runs[0].false_refusals
    );
    assert!(used >= least, "{what}: {used}");
}

const DOLLAR: i64 = 1_000_000_000;

#[test]
fn a_dollar_in_small_calls() {
    for pods in [1, 3, 8] {
        worst(&format!("$1, $0.005 calls, 8 clients, {pods} pods"), 0.97, |seed| {
            run(seed, pods, 8, DOLLAR, DOLLAR / 200, (25, 100))
        });
    }
}

#[test]
fn a_dollar_in_calls_of_two_cents() {
    for pods in [3, 8] {
        worst(&format!("$1, $0.02 calls at full cost, {pods} pods"), 1.0, |seed| {
            run(seed, pods, 8, DOLLAR, DOLLAR / 50, (100, 100))
        });
    }
    worst("$1, reservation $0.02, cost 25 to 100 % of it, 8 pods", 0.97, |seed| {
        run(seed, 8, 8, DOLLAR, DOLLAR / 50, (25, 100))
    });
}

#[test]
fn much_money_and_many_calls() {
    worst("$2,000, 200 parallel, 8 pods", 0.99, |seed| {
        run(seed, 8, 200, 2_000 * DOLLAR, 2 * DOLLAR, (25, 100))
    });
}
