//! Policies: what is restricted. All that match apply; the strictest answer wins; order does not matter.

use crate::{Budget, Grants, Limits, ObjectName, Owner};
use serde::Serialize;

/// A policy, ready to be matched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Policy {
    /// The Policy object.
    pub name: ObjectName,
    /// Whom it concerns.
    pub targets: Targets,
    /// Whether it blocks.
    pub enforcement: Enforcement,
    /// What it restricts.
    pub effect: Effect,
}

/// Whether a policy blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub enum Enforcement {
    /// It blocks.
    #[default]
    Enforce,
    /// It only says (metric, usage log) what it would have blocked.
    DryRun,
}

/// Whom a policy concerns: every list that is not empty must match. A policy of a namespace that is not a platform
/// namespace only ever concerns calls by keys of its own namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Targets {
    /// Namespaces of the calling key. Compile fills in the policy's own, unless it lives in a platform namespace.
    pub namespaces: Box<[Box<str>]>,
    /// Owners' users.
    pub users: Box<[Box<str>]>,
    /// Owners' teams.
    pub teams: Box<[Box<str>]>,
    /// Owners' groups; one in common is enough.
    pub groups: Box<[Box<str>]>,
    /// Model names as the caller wrote them, or as the provider's object names them (not as the provider knows them).
    pub models: Grants,
    /// Names of providers in any namespace that the key may use, `name` or `namespace/name`.
    pub providers: Box<[Box<str>]>,
}

/// What a policy restricts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Effect {
    /// Any of these.
    Restrict {
        /// Shared rates.
        limits: Option<Box<PolicyLimits>>,
        /// Shared money.
        budget: Option<Box<PolicyBudget>>,
        /// Who may use what.
        access: Option<Box<Access>>,
    },
    /// The policy is invalid and has no valid predecessor: everything it targets is blocked (403).
    Closed {
        /// First finding, for the log; callers are told only the policy's name.
        reason: Box<str>,
    },
}

/// Whom one account of a shared budget or limit is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum BudgetPer {
    /// One for all that the policy targets.
    Policy,
    /// One for each user (keys without a user count by key).
    User,
    /// One for each team (keys without a team count by key).
    Team,
    /// One for each key.
    Key,
    /// One for each model, over all callers.
    Model,
}

/// Rates shared by what a policy targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PolicyLimits {
    /// Sharing.
    pub per: BudgetPer,
    /// The rates.
    pub limits: Limits,
}

/// Money shared by what a policy targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PolicyBudget {
    /// Sharing.
    pub per: BudgetPer,
    /// The budget.
    pub budget: Budget,
}

/// Who may use what, by group. A call passes when no `deny` matches and, where `allow` is not empty, one of it does.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Access {
    /// Groups that may.
    pub allow_groups: Box<[Box<str>]>,
    /// Groups that may not.
    pub deny_groups: Box<[Box<str>]>,
    /// Models that may be used by what is targeted; empty = all.
    pub allow_models: Grants,
    /// Models that may not.
    pub deny_models: Grants,
}

impl Targets {
    /// True when a call by a key of `namespace` and `owner`, that wrote `written` and is served by `model` of
    /// `provider`, is concerned.
    #[must_use]
    pub fn matches(
        &self,
        namespace: &str,
        owner: Option<&Owner>,
        written: &str,
        model: &str,
        provider: &ObjectName,
    ) -> bool {
        let any = |list: &[Box<str>], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|v| list.iter().any(|x| &**x == v))
        };
        let groups = owner.map_or(&[][..], |o| &o.groups);
        any(&self.namespaces, Some(namespace))
            && any(&self.users, owner.and_then(|o| o.user.as_deref()))
            && any(&self.teams, owner.and_then(|o| o.team.as_deref()))
            && (self.groups.is_empty() || self.groups.iter().any(|g| groups.contains(g)))
            && (self.models.0.is_empty() || self.models.allows(written) || self.models.allows(model))
            && (self.providers.is_empty()
                || self.providers.iter().any(|p| **p == *provider.name || **p == *provider.to_string()))
    }
}
