#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use smartflow_snapshot::{
    Auth, ChainTarget, Model, Namespaces, ObjectName, Price, Protocol, Provider, Retry, Strategy, Target,
    Timeouts,
};
use std::num::NonZeroU32;

const S: u64 = 1_000_000_000;
const ALL: [FaultClass; 10] = [
    FaultClass::RateLimited,
    FaultClass::QuotaExhausted,
    FaultClass::ServerError,
    FaultClass::Timeout,
    FaultClass::Connect,
    FaultClass::Auth,
    FaultClass::NotFound,
    FaultClass::ContextWindow,
    FaultClass::ContentPolicy,
    FaultClass::BadRequest,
];

pub(crate) fn target(index: usize) -> ChainTarget {
    let s = Duration::from_secs(60);
    let model = Model {
        name: "m".into(),
        upstream_name: "m".into(),
        aliases: Box::default(),
        price: Price::default(),
        context_window: None,
        max_output: None,
        hidden_output: false,
        image_tokens: None,
        embedding: false,
        legacy_max_tokens: false,
        thinking: None,
        structured_output: false,
        refuses: Box::default(),
    };
    let provider = Provider {
        name: ObjectName::new("default", format!("p{index}")),
        catalog: "openai".into(),
        protocol: Protocol::OpenAi,
        habits: Box::default(),
        base_url: "".into(),
        endpoints: Box::default(),
        concurrency: None,
        auth: Auth::None,
        headers: Box::default(),
        models: Box::default(),
        timeouts: Timeouts { connect: s, first_byte: s, idle: s, total: s },
        allow_private: false,
        ca: None,
        access: Namespaces::All,
    };
    let target = Target { provider: Arc::new(provider), model: Arc::new(model) };
    let timeouts = target.provider.timeouts;
    ChainTarget { name: format!("t{index}").into(), target, weight: 1, priority: 0, params: None, timeouts }
}

/// A chain whose caller's own faults lead nowhere else.
fn chain(targets: usize, attempts: u32) -> Chain {
    let ms = Duration::from_millis;
    Chain {
        name: ObjectName::new("default", "chain"),
        strategy: Strategy::Priority,
        targets: (0..targets).map(target).collect(),
        fallback_on: ALL.into_iter().filter(|c| c.is_of_target()).collect(),
        retry: Retry { attempts, backoff: ms(100), max_backoff: ms(1000) },
        failure_threshold: NonZeroU32::new(100).unwrap(),
        cooldown: Duration::from_secs(30),
        timeout: Duration::from_secs(60),
    }
}

fn healths(n: usize) -> Vec<Arc<Health>> {
    (0..n).map(|_| Arc::default()).collect()
}

fn plan(chain: &Chain, healths: &[Arc<Health>]) -> Plan {
    Plan::new(chain, healths, |_| true, Draw { turn: 0, random: 7 }, 0, chain.timeout, u32::MAX)
}

fn failure(class: FaultClass) -> Failure {
    Failure { class, retry_after: None }
}

/// Targets that are tried when every one of them fails like this.
fn tried(chain: &Chain, failure: Failure) -> Vec<usize> {
    let healths = healths(chain.targets.len());
    let mut plan = plan(chain, &healths);
    let mut step = plan.first(&healths, 0).unwrap();
    let mut seen = vec![step.target];
    while let Some(next) = plan.after(chain, &healths, step.target, failure, 0, 1 << 60) {
        seen.push(next.target);
        step = next;
        assert!(seen.len() < 100);
    }
    seen
}

#[test]
fn a_passing_failure_is_retried_and_then_the_next_target_is_tried() {
    for class in [FaultClass::RateLimited, FaultClass::ServerError, FaultClass::Timeout, FaultClass::Connect]
    {
        assert_eq!(tried(&chain(2, 2), failure(class)), [0, 0, 0, 1, 1, 1], "{class:?}");
        assert_eq!(tried(&chain(1, 1), failure(class)), [0, 0], "{class:?}");
        assert_eq!(tried(&chain(3, 0), failure(class)), [0, 1, 2], "{class:?}");
    }
}

#[test]
fn a_lasting_failure_moves_on_at_once() {
    for class in [FaultClass::Auth, FaultClass::NotFound, FaultClass::QuotaExhausted] {
        assert_eq!(tried(&chain(2, 5), failure(class)), [0, 1], "{class:?}");
    }
}

#[test]
fn the_callers_own_faults_end_the_call_unless_the_chain_says_otherwise() {
    for class in [FaultClass::BadRequest, FaultClass::ContextWindow, FaultClass::ContentPolicy] {
        assert_eq!(tried(&chain(3, 5), failure(class)), [0], "{class:?}");
        let willing = Chain { fallback_on: Box::new([class]), ..chain(3, 5) };
        assert_eq!(tried(&willing, failure(class)), [0, 1, 2], "{class:?}: at once, and never twice");
        assert_eq!(tried(&willing, failure(FaultClass::ServerError)), [0; 6], "retried, but not elsewhere");
    }
}

#[test]
fn a_target_that_asks_for_a_wait_gets_it_only_where_nobody_else_can_be_tried() {
    let asks = |ms| Failure { class: FaultClass::RateLimited, retry_after: Some(Duration::from_millis(ms)) };
    assert_eq!(tried(&chain(2, 1), asks(500)), [0, 1, 1]);
    assert_eq!(tried(&chain(2, 1), asks(1001)), [0, 1], "longer than the longest wait");
    let (chain, healths) = (chain(1, 1), healths(1));
    let mut one = plan(&chain, &healths);
    let first = one.first(&healths, 0).unwrap();
    let step = one.after(&chain, &healths, first.target, asks(500), 0, 0).unwrap();
    assert_eq!(step.wait, Duration::from_millis(500));
    let mut late = plan(&chain, &healths);
    let first = late.first(&healths, 0).unwrap();
    let now = 60 * S - 400_000_000;
    assert!(late.after(&chain, &healths, first.target, asks(500), now, 0).is_none(), "the call ends before");
}

#[test]
fn nothing_is_tried_after_the_deadline_or_beyond_what_the_caller_allows() {
    let (chain, healths) = (chain(3, 2), healths(3));
    let mut late = plan(&chain, &healths);
    drop(late.first(&healths, 0).unwrap());
    assert!(late.after(&chain, &healths, 0, failure(FaultClass::Auth), 60 * S, 0).is_none());
    for (further, calls) in [(0, 1), (1, 2), (2, 3)] {
        let draw = Draw { turn: 0, random: 7 };
        let mut plan = Plan::new(&chain, &healths, |_| true, draw, 0, chain.timeout, further);
        let mut step = Some(plan.first(&healths, 0).unwrap());
        let mut made = 0;
        while let Some(s) = step {
            made += 1;
            step = plan.after(&chain, &healths, s.target, failure(FaultClass::ServerError), 0, 0);
        }
        assert_eq!(made, calls);
    }
}

#[test]
fn a_target_that_is_left_alone_costs_nothing() {
    let (chain, healths) = (chain(3, 2), healths(3));
    let once = Settings { threshold: NonZeroU32::MIN, cooldown: Duration::from_secs(30) };
    healths[0].permit(0, chain.timeout).unwrap().failed(0, &once);
    let mut open = plan(&chain, &healths);
    assert_eq!(open.first(&healths, S).unwrap().target, 1);
    healths[1].permit(S, chain.timeout).unwrap().failed(S, &once);
    healths[2].permit(S, chain.timeout).unwrap().failed(S, &once);
    let none = plan(&chain, &healths).first(&healths, 2 * S).unwrap_err();
    assert_eq!(none.retry_after, Duration::from_secs(28), "the first of them");
    // A target that its own failure opened is not tried again by the same call.
    let fresh = self::healths(2);
    let mut own = plan(&chain, &fresh);
    let mut step = own.first(&fresh, 0).unwrap();
    assert!(step.permit.failed(0, &once));
    assert_eq!(own.after(&chain, &fresh, 0, failure(FaultClass::ServerError), 0, 0).unwrap().target, 1);
}

#[test]
fn only_those_that_may_serve_are_tried() {
    let (chain, healths) = (chain(3, 0), healths(3));
    let draw = Draw { turn: 0, random: 7 };
    let mut plan = Plan::new(&chain, &healths, |i| i != 1, draw, 0, chain.timeout, u32::MAX);
    assert_eq!(plan.first(&healths, 0).unwrap().target, 0);
    assert_eq!(plan.after(&chain, &healths, 0, failure(FaultClass::Auth), 0, 0).unwrap().target, 2);
    let mut nobody = Plan::new(&chain, &healths, |_| false, draw, 0, chain.timeout, u32::MAX);
    assert_eq!(nobody.first(&healths, 0).unwrap_err().retry_after, Duration::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever fails how: it ends, every wait is bounded and within the deadline, no target is tried more often than
    /// the chain says, none is come back to, and every permit is given back.
    #[test]
    fn every_call_ends(
        targets in 1usize..=16,
        attempts in 0u32..4,
        strategy in 0usize..5,
        turn in any::<u64>(),
        failures in prop::collection::vec((0usize..ALL.len(), prop::option::of(0u64..3000), 0u64..5000, any::<u64>()), 80),
    ) {
        let strategy =
            [Strategy::Priority, Strategy::RoundRobin, Strategy::Weighted, Strategy::Random, Strategy::LeastBusy][strategy];
        let chain = Chain { strategy, failure_threshold: NonZeroU32::new(3).unwrap(), ..chain(targets, attempts) };
        let healths = healths(targets);
        let draw = Draw { turn, random: turn };
        let mut plan = Plan::new(&chain, &healths, |_| true, draw, 0, chain.timeout, u32::MAX);
        let (mut now, mut seen) = (0, Vec::new());
        let mut step = plan.first(&healths, now).ok();
        for (class, asked, took, random) in failures {
            let Some(mut current) = step.take() else { break };
            let wait = u64::try_from(current.wait.as_nanos()).unwrap();
            prop_assert!(current.wait <= chain.retry.max_backoff && now + wait <= 60 * S);
            if seen.last() != Some(&current.target) {
                prop_assert!(!seen.contains(&current.target), "come back to");
            }
            seen.push(current.target);
            now += wait + took * 1_000_000;
            let failure = Failure { class: ALL[class], retry_after: asked.map(Duration::from_millis) };
            current.permit.failed(now, &breaker(&chain));
            drop(current.permit);
            step = plan.after(&chain, &healths, current.target, failure, now, random);
        }
        prop_assert!(step.is_none());
        for index in 0..targets {
            prop_assert!(seen.iter().filter(|t| **t == index).count() <= 1 + attempts as usize);
        }
        prop_assert!(healths.iter().all(|h| h.busy() == 0));
    }
}
