//! L23 to L25 under random interleavings, losses, doublings and delays, in simulated time. A failing case prints its
//! set-up, which holds the seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, missing_docs)]

mod rate_world;

use proptest::prelude::*;
use rate_world::{MILLI, SECOND, Seen, Setup, World};

fn run(setup: &Setup) -> Seen {
    World::new(setup.clone()).run()
}

/// Limits, loads and faults at random; `load` is in percent of `limit` per minute.
fn faults() -> impl Strategy<Value = Setup> {
    let network = (0..40_u64, 0..6_u64, 0..20_u64, 0..20_u64, 0..20_001_u64);
    (any::<u64>(), 0..3_usize, any::<bool>(), network, proptest::option::of(20..150_u64)).prop_map(
        |(seed, pods, bursts, (trip, loss_percent, double_percent, late_percent, drift_ppm), restart_at)| {
            Setup {
                seed,
                pods: [1, 3, 8][pods],
                bursts,
                round_trip: (trip + 1) * MILLI,
                loss_percent,
                double_percent,
                late_percent,
                drift_ppm,
                restart_at,
                ..Setup::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_never_exceed_the_limit_in_60_slots(setup in faults(), limit in 0..4_usize, load in 80..400_u64) {
        let limit = [5, 60, 600, 3000][limit];
        let setup = Setup { requests: Some(limit), calls_milli: u64::from(limit) * load / 6, ..setup };
        let seen = run(&setup);
        let (strict, with_local) = seen.most_requests();
        prop_assert!(strict <= u64::from(limit), "{strict} of {limit} in 60 slots: {setup:?}");
        prop_assert!(with_local <= 2 * u64::from(limit), "{with_local} of {limit}, pods away at times: {setup:?}");
    }

    #[test]
    fn tokens_never_exceed_the_limit_at_admission(setup in faults(), load in 80..400_u64, low in 0..100_u64) {
        let setup = Setup {
            tokens: Some(100_000),
            requests: Some(600),
            calls_milli: 1000 * load / 100,
            estimate: (1, 2000),
            actual_percent: (low, 100),
            ..setup
        };
        let seen = run(&setup);
        if !seen.local.contains(&true) {
            prop_assert!(seen.most_tokens <= 100_000, "{} tokens: {setup:?}", seen.most_tokens);
        }
    }

    #[test]
    fn calls_in_flight_never_exceed_the_limit(setup in faults(), limit in 1..30_u32, load in 50..400_u64) {
        // 1.5 s a call on average.
        // Permits are not in the journal: the pods of a lender that has one die with it.
        let calls_milli = u64::from(limit) * load * 10 * 2 / 3;
        let setup = Setup { parallel: Some(limit), calls_milli, restart_at: None, ..setup };
        let seen = run(&setup);
        if !seen.local.contains(&true) {
            prop_assert!(seen.most_parallel <= u64::from(limit), "{} of {limit}: {setup:?}", seen.most_parallel);
        }
    }
}

#[test]
fn figures() {
    for limit in [5, 60, 600, 6000] {
        for pods in [1, 3, 8] {
            for (load, bursts) in [(80, false), (150, false), (400, true)] {
                let calls_milli = limit * load / 6;
                let setup = Setup {
                    pods,
                    bursts,
                    requests: Some(limit as u32),
                    calls_milli,
                    seconds: 400,
                    ..Setup::default()
                };
                let seen = run(&setup);
                eprintln!(
                    "limit {limit:5} pods {pods} load {load:3} bursts {bursts:5}: most {:?} usable {:.3} calls/adm {:.2} waits {:.3} longest {}ms local {}",
                    seen.most_requests(),
                    seen.usable(limit, 61, 305),
                    seen.lender_calls as f64 / seen.admitted as f64,
                    seen.waited as f64 / seen.offered as f64,
                    seen.longest_wait / MILLI,
                    seen.local.contains(&true)
                );
            }
        }
    }
    let _ = SECOND;
}
