//! Policy: what is restricted.

use super::restriction::{budget, grants, limits, words};
use super::typed;
use crate::finding::Finding;
use serde_json::Value;
use smartflow_crds as crds;
use smartflow_snapshot::{
    Access, BudgetPer, Effect, Enforcement, Grants, ObjectName, Policy, PolicyBudget, PolicyLimits, Targets,
};
use std::collections::BTreeSet;

/// A policy whose spec is sound, or what is left of one that is not. Target namespaces are as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PolicyDraft {
    /// `None` = `enforcement: Off`.
    pub(crate) policy: Option<Policy>,
}

/// The draft, or findings that say why there is none.
pub(crate) fn draft(name: &ObjectName, spec: &Value, findings: &mut Vec<Finding>) -> Option<PolicyDraft> {
    let spec: crds::PolicySpec = typed(spec, findings)?;
    let faults = findings.len();
    let money = spec.budget.as_ref().and_then(|b| {
        Some(Box::new(PolicyBudget { per: per(b.per), budget: budget(&b.budget, "spec.budget", findings)? }))
    });
    let rates =
        spec.limits.as_ref().map(|l| Box::new(PolicyLimits { per: per(l.per), limits: limits(&l.limits) }));
    let policy = enforcement(spec.enforcement).map(|enforcement| Policy {
        name: name.clone(),
        targets: spec.targets.as_ref().map(targets).unwrap_or_default(),
        enforcement,
        effect: Effect::Restrict {
            limits: rates,
            budget: money,
            access: spec.access.as_ref().map(|a| Box::new(access(a))),
        },
    });
    (findings.len() == faults).then_some(PolicyDraft { policy })
}

/// What an invalid policy without a valid predecessor does: everything that its readable targets match is blocked,
/// else all that it may concern: its namespace, or, in a platform namespace, everything. A readable `enforcement` still holds; one that is there twice is not readable.
pub(crate) fn closed(name: &ObjectName, spec: &Value, findings: &[Finding]) -> PolicyDraft {
    let reason = findings.first().map(ToString::to_string).unwrap_or_default();
    let twice = findings.iter().any(|f| f.doubles("spec.enforcement"));
    let mode = spec.get("enforcement").filter(|_| !twice);
    let mode = mode.and_then(|e| serde_json::from_value(e.clone()).ok());
    let policy = enforcement(mode.unwrap_or_default()).map(|enforcement| Policy {
        name: name.clone(),
        targets: salvage_targets(spec, findings),
        enforcement,
        effect: Effect::Closed { reason: reason.into_boxed_str() },
    });
    PolicyDraft { policy }
}

/// Each list of targets without a fault. Leaving one out widens what is matched, so that nothing slips through.
pub(crate) fn salvage_targets(spec: &Value, findings: &[Finding]) -> Targets {
    let list = |name: &str| -> Vec<String> {
        let path = format!("spec.targets.{name}");
        if findings.iter().any(|f| f.path.starts_with(&path) || f.doubles(&path)) {
            return Vec::new();
        }
        let items = spec.pointer("/targets").and_then(|t| t.get(name)).and_then(Value::as_array);
        let words: Option<Vec<String>> =
            items.map(|i| i.iter().map(|v| v.as_str().map(str::to_owned)).collect()).unwrap_or_default();
        words.unwrap_or_default()
    };
    targets(&crds::Targets {
        namespaces: list("namespaces"),
        users: list("users"),
        teams: list("teams"),
        groups: list("groups"),
        models: list("models"),
        providers: list("providers"),
    })
}

impl PolicyDraft {
    /// Closed on what either of two declarations of one policy concerns, for when it cannot be told which is meant. The
    /// stricter `enforcement` holds.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let strict = |d: &Self| d.policy.as_ref().is_some_and(|p| p.enforcement == Enforcement::Enforce);
        let (base, more) = if strict(other) && !strict(self) { (other, self) } else { (self, other) };
        let (Some(policy), Some(rest)) = (&base.policy, &more.policy) else {
            return if base.policy.is_some() { base.clone() } else { more.clone() };
        };
        let (a, b) = (&policy.targets, &rest.targets);
        let models = if a.models.0.is_empty() || b.models.0.is_empty() {
            Grants::default()
        } else {
            Grants(a.models.0.iter().chain(b.models.0.iter()).cloned().collect())
        };
        let targets = Targets {
            namespaces: either(&a.namespaces, &b.namespaces),
            users: either(&a.users, &b.users),
            teams: either(&a.teams, &b.teams),
            groups: either(&a.groups, &b.groups),
            models,
            providers: either(&a.providers, &b.providers),
        };
        Self { policy: Some(Policy { targets, ..policy.clone() }) }
    }
}

/// What is in one of two lists; an empty one means everything.
fn either(a: &[Box<str>], b: &[Box<str>]) -> Box<[Box<str>]> {
    if a.is_empty() || b.is_empty() {
        return Box::default();
    }
    let all: BTreeSet<Box<str>> = a.iter().chain(b).cloned().collect();
    all.into_iter().collect()
}

fn targets(spec: &crds::Targets) -> Targets {
    Targets {
        namespaces: words(&spec.namespaces),
        users: words(&spec.users),
        teams: words(&spec.teams),
        groups: words(&spec.groups),
        models: grants(&spec.models),
        providers: words(&spec.providers),
    }
}

fn access(spec: &crds::PolicyAccess) -> Access {
    let groups = spec.groups.clone().unwrap_or_default();
    let models = spec.models.clone().unwrap_or_default();
    Access {
        allow_groups: words(&groups.allow),
        deny_groups: words(&groups.deny),
        allow_models: grants(&models.allow),
        deny_models: grants(&models.deny),
    }
}

pub(crate) fn enforcement(mode: crds::Enforcement) -> Option<Enforcement> {
    match mode {
        crds::Enforcement::Enforce => Some(Enforcement::Enforce),
        crds::Enforcement::DryRun => Some(Enforcement::DryRun),
        crds::Enforcement::Off => None,
    }
}

fn per(per: crds::Per) -> BudgetPer {
    match per {
        crds::Per::Policy => BudgetPer::Policy,
        crds::Per::User => BudgetPer::User,
        crds::Per::Team => BudgetPer::Team,
        crds::Per::Key => BudgetPer::Key,
        crds::Per::Model => BudgetPer::Model,
    }
}
