//! Directed traces of L23 to L25, and how much of a limit is usable, in simulated time.

use crate::{
    setup::{MILLI, SECOND, Setup},
    world::World,
};

/// What broke the first wording of L23: a pod asks ahead for the next slot, another pod takes the rest of this one,
/// and both windows together hold more than the limit.
#[test]
fn a_grant_ahead_then_a_burst_on_another_pod() {
    let setup = Setup { pods: 2, requests: Some(600), drift_ppm: 0, seconds: 70, ..Setup::default() };
    let mut world = World::new(setup);
    for call in 0..33 {
        world.call_at(SECOND / 10 * (call + 1), 0);
    }
    for call in 0..600 {
        world.call_at(2950 * MILLI, 1);
        world.call_at(3020 * MILLI + call * MILLI / 10, 0);
    }
    let seen = world.run();
    assert!(seen.most_requests().0 <= 600, "{:?} in 60 slots", seen.most_requests());
    assert!(seen.admitted >= 590, "{} admitted", seen.admitted);
}

#[test]
fn at_least_58_of_60_are_usable_when_saturated() {
    for (limit, pods) in [(60, 1), (60, 3), (60, 8), (600, 1), (600, 3), (600, 8), (6000, 3)] {
        for seed in 1..=3 {
            let calls_milli = u64::from(limit) * 40;
            let requests = Some(limit);
            let setup = Setup { seed, pods, requests, calls_milli, seconds: 400, ..Setup::default() };
            let seen = World::new(setup).run();
            let usable = seen.usable(u64::from(limit), 61, 305);
            assert!(usable >= 58.0 / 60.0, "{usable:.3} of {limit} on {pods} pods, seed {seed}");
            assert!(seen.most_requests() <= (u64::from(limit), 0), "{:?} of {limit}", seen.most_requests());
        }
    }
}

#[test]
fn tokens_are_usable_too() {
    for pods in [1, 3, 8] {
        let setup = Setup {
            pods,
            tokens: Some(100_000),
            calls_milli: 10_000,
            estimate: (200, 600),
            actual_percent: (100, 100),
            seconds: 400,
            ..Setup::default()
        };
        let seen = World::new(setup).run();
        let used: u64 = seen.tokens[61..366].iter().sum();
        let usable = used as f64 / 305.0 * 60.0 / 100_000.0;
        assert!(seen.most_tokens <= 100_000, "{} tokens on {pods} pods", seen.most_tokens);
        assert!(usable >= 0.95, "{usable:.3} on {pods} pods");
    }
}

#[test]
fn all_permits_are_usable() {
    for (limit, pods) in [(3, 3), (20, 3), (20, 8), (200, 3)] {
        let calls_milli = u64::from(limit) * 2000;
        let setup = Setup { pods, parallel: Some(limit), calls_milli, seconds: 60, ..Setup::default() };
        let seen = World::new(setup).run();
        assert_eq!(seen.most_parallel, u64::from(limit), "{pods} pods");
        // 1.5 s a call: so many end in a minute when every permit is always in use.
        let share = seen.admitted as f64 / (f64::from(limit) * 60.0 / 1.5);
        assert!(share >= 0.85, "{share:.3} of {limit} on {pods} pods");
    }
}

/// Above 1,200 requests per active pod and minute an ordinary call does not wait for the lender.
#[test]
fn large_limits_rarely_wait() {
    let setup = Setup { requests: Some(60_000), calls_milli: 700_000, seconds: 70, ..Setup::default() };
    let seen = World::new(setup).run();
    assert!(seen.waited * 50 < seen.offered, "{} of {} waited", seen.waited, seen.offered);
    assert!(seen.lender_calls * 50 < seen.admitted, "{} messages", seen.lender_calls);
}

#[test]
fn an_exhausted_account_costs_a_few_messages() {
    let setup = Setup { requests: Some(60), calls_milli: 1_000_000, seconds: 60, ..Setup::default() };
    let seen = World::new(setup).run();
    assert!(seen.offered > 50_000);
    assert!(seen.lender_calls <= 600, "{} messages in 60 s at 1,000 calls a second", seen.lender_calls);
}

/// A lost ring: local windows for 60 s, so at most what was used before and one limit more.
#[test]
fn a_lost_ring_admits_at_most_twice_the_limit() {
    for bursts in [false, true] {
        let setup = Setup {
            requests: Some(600),
            calls_milli: 40_000,
            bursts,
            seconds: 200,
            lost_at: Some(70),
            ..Setup::default()
        };
        let seen = World::new(setup).run();
        assert!(seen.local[72..130].contains(&true), "pods kept to themselves");
        assert!(!seen.local[135..].contains(&true), "and no longer than a minute");
        assert!(seen.most_requests().1 <= 1200, "{:?}", seen.most_requests());
        let alone: Vec<u64> = (73..140).map(|slot| seen.by_slot[slot..slot + 60].iter().sum()).collect();
        assert!(alone.iter().all(|sum| *sum <= 600), "{alone:?} from the third slot on their own");
    }
}

/// L25's bound: limit × (1 + cut-off pods / pods).
#[test]
fn pods_that_are_cut_off_admit_their_share() {
    for cut in 1..=3 {
        let setup = Setup {
            requests: Some(600),
            parallel: Some(30),
            calls_milli: 40_000,
            seconds: 200,
            cut: Some((cut, 70)),
            ..Setup::default()
        };
        let seen = World::new(setup).run();
        assert!(seen.local[75..].contains(&true));
        let bound = 600 + 200 * cut as u64;
        assert!(seen.most_requests().1 <= bound, "{:?} with {cut} of 3 cut off", seen.most_requests());
        let last: u64 = seen.by_slot[139..199].iter().sum();
        assert!(last >= 180 * cut as u64, "{last} with {cut} of 3 cut off");
    }
}

#[test]
fn a_restarted_lender_still_counts() {
    for restart in [65, 90, 110] {
        let setup = Setup {
            requests: Some(60),
            calls_milli: 4000,
            seconds: 200,
            restart_at: Some(restart),
            ..Setup::default()
        };
        let seen = World::new(setup).run();
        assert!(seen.most_requests() <= (60, 0), "{:?} after a restart at {restart}", seen.most_requests());
        assert!(seen.admitted >= 58 * 3, "{} admitted", seen.admitted);
    }
}
