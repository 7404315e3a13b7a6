//! FallbackChain: a model name that leads to several targets.

use super::typed;
use crate::finding::{Finding, Reason};
use crate::value::duration;
use serde_json::Value;
use smartflow_crds as crds;
use smartflow_snapshot::{FaultClass, ObjectName, Params, Retry, Strategy};
use std::num::NonZeroU32;
use std::time::Duration;

/// Longest of the waits and deadlines.
const LONGEST: Duration = Duration::from_secs(3600);
/// Failures that are not the caller's own.
const USUAL: [FaultClass; 7] = [
    FaultClass::RateLimited,
    FaultClass::QuotaExhausted,
    FaultClass::ServerError,
    FaultClass::Timeout,
    FaultClass::Connect,
    FaultClass::Auth,
    FaultClass::NotFound,
];

/// A chain whose spec is sound, without what it refers to.
#[derive(Clone, Debug)]
pub(crate) struct ChainDraft {
    /// Names that are exactly these.
    pub(crate) exact: Box<[Box<str>]>,
    /// Beginnings of names.
    pub(crate) prefixes: Box<[Box<str>]>,
    pub(crate) strategy: Strategy,
    /// In the order of the list.
    pub(crate) targets: Box<[TargetDraft]>,
    pub(crate) fallback_on: Box<[FaultClass]>,
    pub(crate) retry: Retry,
    pub(crate) failure_threshold: NonZeroU32,
    pub(crate) cooldown: Duration,
    pub(crate) timeout: Duration,
}

/// A target by its names.
#[derive(Clone, Debug)]
pub(crate) struct TargetDraft {
    pub(crate) name: Box<str>,
    pub(crate) provider: ObjectName,
    pub(crate) model: Box<str>,
    pub(crate) weight: u32,
    pub(crate) priority: u32,
    pub(crate) params: Option<Params>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) total: Option<Duration>,
}

/// The draft, or findings that say why there is none.
pub(crate) fn draft(name: &ObjectName, spec: &Value, findings: &mut Vec<Finding>) -> Option<ChainDraft> {
    let spec: crds::FallbackChainSpec = typed(spec, findings)?;
    let faults = findings.len();
    check_weights(&spec, findings);
    let (prefixes, exact): (Vec<&str>, Vec<&str>) =
        spec.models.iter().map(String::as_str).partition(|m| m.ends_with('*'));
    let retry = spec.retry.clone().unwrap_or_default();
    let draft = ChainDraft {
        exact: sorted(exact),
        prefixes: sorted(prefixes.into_iter().map(|p| p.trim_end_matches('*')).collect()),
        strategy: strategy(spec.strategy),
        targets: spec.targets.iter().enumerate().map(|(i, t)| target(name, i, t, findings)).collect(),
        fallback_on: classes(spec.fallback_on.as_deref()),
        retry: Retry {
            attempts: count(retry.attempts),
            backoff: wait(&retry.backoff, "spec.retry.backoff", findings),
            max_backoff: wait(&retry.max_backoff, "spec.retry.maxBackoff", findings),
        },
        failure_threshold: NonZeroU32::new(count(spec.failure_threshold)).unwrap_or(NonZeroU32::MIN),
        cooldown: deadline(&spec.cooldown, "spec.cooldown", findings),
        timeout: deadline(&spec.timeout, "spec.timeout", findings),
    };
    (findings.len() == faults).then_some(draft)
}

fn sorted(mut names: Vec<&str>) -> Box<[Box<str>]> {
    names.sort_unstable();
    names.into_iter().map(Into::into).collect()
}

/// The schema lets no negative number through.
fn count(n: i32) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

fn target(
    chain: &ObjectName,
    index: usize,
    t: &crds::ChainTarget,
    findings: &mut Vec<Finding>,
) -> TargetDraft {
    let namespace = t.provider_ref.namespace.as_deref().map_or_else(|| chain.namespace.clone(), Into::into);
    let timeouts = t.timeouts.clone().unwrap_or_default();
    let mut read = |text: Option<String>, field: &str| {
        text.map(|text| deadline(&text, &format!("spec.targets[{index}].timeouts.{field}"), findings))
    };
    TargetDraft {
        params: t.params.as_ref().map(params),
        first_byte: read(timeouts.first_byte, "firstByte"),
        idle: read(timeouts.idle, "idle"),
        total: read(timeouts.total, "total"),
        name: t.name.as_str().into(),
        provider: ObjectName::new(namespace, t.provider_ref.name.as_str()),
        model: t.model.as_str().into(),
        weight: count(t.weight.unwrap_or(1)),
        priority: count(t.priority),
    }
}

/// Both formats that we speak call these fields alike. The schema lets only JSON numbers through.
fn params(p: &crds::TargetParams) -> Params {
    let field = |name: &str, value: &Option<String>| value.as_deref().map(|v| (name.into(), v.into()));
    let fields = [field("temperature", &p.temperature), field("top_p", &p.top_p)];
    Params {
        fields: fields.into_iter().flatten().collect(),
        max_output: p.max_output_tokens.and_then(|n| u32::try_from(n).ok()),
    }
}

fn strategy(strategy: crds::Strategy) -> Strategy {
    match strategy {
        crds::Strategy::Priority => Strategy::Priority,
        crds::Strategy::RoundRobin => Strategy::RoundRobin,
        crds::Strategy::Weighted => Strategy::Weighted,
        crds::Strategy::Random => Strategy::Random,
        crds::Strategy::LeastBusy => Strategy::LeastBusy,
    }
}

fn classes(written: Option<&[crds::FallbackOn]>) -> Box<[FaultClass]> {
    let Some(written) = written else { return USUAL.into() };
    let mut classes: Vec<FaultClass> = written.iter().map(|c| class(*c)).collect();
    classes.sort_unstable();
    classes.into()
}

fn class(class: crds::FallbackOn) -> FaultClass {
    match class {
        crds::FallbackOn::RateLimited => FaultClass::RateLimited,
        crds::FallbackOn::QuotaExhausted => FaultClass::QuotaExhausted,
        crds::FallbackOn::ServerError => FaultClass::ServerError,
        crds::FallbackOn::Timeout => FaultClass::Timeout,
        crds::FallbackOn::Connect => FaultClass::Connect,
        crds::FallbackOn::Auth => FaultClass::Auth,
        crds::FallbackOn::NotFound => FaultClass::NotFound,
        crds::FallbackOn::ContextWindow => FaultClass::ContextWindow,
        crds::FallbackOn::ContentPolicy => FaultClass::ContentPolicy,
        crds::FallbackOn::BadRequest => FaultClass::BadRequest,
    }
}

/// A weight that nothing looks at is refused, and so are weights that leave nobody.
fn check_weights(spec: &crds::FallbackChainSpec, findings: &mut Vec<Finding>) {
    if spec.strategy != crds::Strategy::Weighted {
        for (i, _) in spec.targets.iter().enumerate().filter(|(_, t)| t.weight.is_some()) {
            let path = format!("spec.targets[{i}].weight");
            let message = format!("Strategy {:?} does not look at weights.", spec.strategy);
            let fix = "Remove it, or write strategy: Weighted.";
            findings.push(Finding::error(Reason::NotAllowed, &path, message, fix));
        }
    } else if spec.targets.iter().all(|t| t.weight == Some(0)) {
        let fix = "Give at least one of them a weight above zero.";
        findings.push(Finding::error(Reason::Invalid, "spec.targets", "All weights are zero.", fix));
    }
}

fn wait(text: &str, path: &str, findings: &mut Vec<Finding>) -> Duration {
    match duration(text) {
        Some(d) if d <= LONGEST => d,
        _ => {
            let fix = "Write at most 1h, as a whole number and a unit: 500ms, 30s, 5m.";
            let message = "This is longer than an hour, or not a duration.";
            findings.push(Finding::error(Reason::Invalid, path, message, fix));
            Duration::ZERO
        }
    }
}

fn deadline(text: &str, path: &str, findings: &mut Vec<Finding>) -> Duration {
    let faults = findings.len();
    let duration = wait(text, path, findings);
    if duration.is_zero() && findings.len() == faults {
        let fix = "Write a duration above zero, such as 30s.";
        findings.push(Finding::error(Reason::Invalid, path, "This is no time at all.", fix));
    }
    duration
}
