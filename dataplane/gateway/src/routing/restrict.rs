//! Which policies concern a call, and what they say. Policies only restrict: all that match apply, in any order.

use smartflow_snapshot::{Access, Effect, Enforcement, Key, Model, ObjectName, Owner, Policy, Provider};
use std::sync::Arc;

/// What the matching policies say of one (key, model name).
#[derive(Default)]
pub struct Restrictions {
    /// The first (by name) that blocks.
    pub blocked: Option<ObjectName>,
    /// Those in dry run that would block.
    pub would_block: Vec<ObjectName>,
    /// Those with budgets or limits.
    pub metered: Vec<Arc<Policy>>,
}

/// Matches `policies` against a call by `key` that wrote `written` and is served by `model` of `provider`.
#[must_use]
pub fn restrictions(
    policies: &[Arc<Policy>],
    key: &Key,
    written: &str,
    provider: &Provider,
    model: &Model,
) -> Restrictions {
    let owner = key.owner.as_deref();
    let mut all = Restrictions::default();
    for policy in policies {
        if !policy.targets.matches(&key.name.namespace, owner, written, &model.name, &provider.name) {
            continue;
        }
        let blocks = match &policy.effect {
            Effect::Closed { .. } => true,
            Effect::Restrict { limits, budget, access } => {
                if limits.is_some() || budget.is_some() {
                    all.metered.push(policy.clone());
                }
                access.as_deref().is_some_and(|a| denies(a, owner, written, model))
            }
        };
        match (blocks, policy.enforcement) {
            (false, _) => {}
            (true, Enforcement::DryRun) => all.would_block.push(policy.name.clone()),
            (true, Enforcement::Enforce) => all.blocked = all.blocked.or_else(|| Some(policy.name.clone())),
        }
    }
    all
}

/// Denials win; an allow list that is there must match. A model counts under the name that was written and under its
/// own, so that an alias is no way around a denial.
fn denies(access: &Access, owner: Option<&Owner>, written: &str, model: &Model) -> bool {
    let groups = owner.map_or(&[][..], |o| &*o.groups);
    let in_group = |list: &[Box<str>]| list.iter().any(|g| groups.contains(g));
    let denied = in_group(&access.deny_groups)
        || access.deny_models.allows(written)
        || access.deny_models.allows(&model.name);
    let allowed = (access.allow_groups.is_empty() || in_group(&access.allow_groups))
        && (access.allow_models.0.is_empty() || access.allow_models.allows(&model.name));
    denied || !allowed
}
