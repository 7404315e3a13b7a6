//! Which policies concern a call, and what they say. Policies only restrict: all that match apply, in any order.

use smartflow_snapshot::{Access, Effect, Enforcement, Key, Model, ObjectName, Owner, Policy, Provider};
use std::borrow::Cow;
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
    let names = names(written, provider, model);
    let mut all = Restrictions::default();
    for policy in policies {
        let concerns = |name: &Cow<'_, str>| {
            policy.targets.matches(&key.name.namespace, owner, name, &model.name, &provider.name)
        };
        if !names.iter().any(concerns) {
            continue;
        }
        let blocks = match &policy.effect {
            Effect::Closed { .. } => true,
            Effect::Restrict { limits, budget, access } => {
                if limits.is_some() || budget.is_some() {
                    all.metered.push(policy.clone());
                }
                access.as_deref().is_some_and(|a| denies(a, owner, &names, model))
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

/// Every name that leads to `model`, and the one that its provider knows: a policy that names one of them means the
/// model, whatever the caller wrote and whatever its LLMProvider calls it.
fn names<'a>(written: &'a str, provider: &Provider, model: &'a Model) -> Vec<Cow<'a, str>> {
    let short =
        std::iter::once(&model.name).chain(&model.aliases).chain([&model.upstream_name]).map(|n| &**n);
    let long = short.clone().map(|n| Cow::Owned(format!("{}/{n}", provider.name.name)));
    std::iter::once(written).chain(short).map(Cow::Borrowed).chain(long).collect()
}

/// Denials win; an allow list that is there must match. A denial counts under all names of a model, so that none of
/// them is a way around it; an allowance under its own.
fn denies(access: &Access, owner: Option<&Owner>, names: &[Cow<'_, str>], model: &Model) -> bool {
    let groups = owner.map_or(&[][..], |o| &*o.groups);
    let in_group = |list: &[Box<str>]| list.iter().any(|g| groups.contains(g));
    let denied = in_group(&access.deny_groups) || names.iter().any(|n| access.deny_models.allows(n));
    let allowed = (access.allow_groups.is_empty() || in_group(&access.allow_groups))
        && (access.allow_models.0.is_empty() || access.allow_models.allows(&model.name));
    denied || !allowed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use smartflow_snapshot::{
        Auth, Grant, Grants, Namespaces, Overrides, Price, Protocol, Targets, Timeouts, Unsupported,
    };
    use std::time::Duration;

    fn model() -> Model {
        Model {
            name: "gpt".into(),
            upstream_name: "gpt-2026-11-01".into(),
            aliases: Box::new(["alias".into()]),
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
        }
    }

    fn provider() -> Provider {
        let s = Duration::from_secs(1);
        Provider {
            name: ObjectName::new("default", "vendor"),
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
        }
    }

    fn key(groups: &[&str]) -> Key {
        let groups: Vec<Box<str>> = groups.iter().map(|g| (*g).into()).collect();
        let owner = Owner { user: Some("alice".into()), groups: groups.into(), ..Owner::default() };
        Key {
            name: ObjectName::new("default", "alice"),
            token: None,
            owner: Some(Box::new(owner)),
            models: Grants(Arc::new([Grant::All])),
            overrides: Overrides::default(),
            unsupported: Unsupported::default(),
            budget: None,
            limits: None,
            disabled: false,
            expires_at: None,
            parents: Box::default(),
            created: 0,
        }
    }

    fn policy(name: &str, enforcement: Enforcement, effect: Effect, targets: Targets) -> Arc<Policy> {
        Arc::new(Policy { name: ObjectName::new("default", name), targets, enforcement, effect })
    }

    fn access(access: Access) -> Effect {
        Effect::Restrict { limits: None, budget: None, access: Some(Box::new(access)) }
    }

    fn grants(list: &[&str]) -> Grants {
        Grants(list.iter().map(|g| Grant::parse(g)).collect())
    }

    fn blocked(effect: Effect, groups: &[&str], written: &str) -> bool {
        let policies = [policy("p", Enforcement::Enforce, effect, Targets::default())];
        restrictions(&policies, &key(groups), written, &provider(), &model()).blocked.is_some()
    }

    #[test]
    fn denials_win_over_allowances() {
        let both = || {
            access(Access {
                allow_groups: Box::new(["staff".into()]),
                deny_groups: Box::new(["interns".into()]),
                ..Access::default()
            })
        };
        assert!(!blocked(both(), &["staff"], "gpt"));
        assert!(blocked(both(), &["staff", "interns"], "gpt"));
        assert!(blocked(both(), &[], "gpt"), "an allow list that is there must match");
    }

    #[test]
    fn a_model_is_denied_under_all_its_names() {
        for written in ["gpt", "alias", "vendor/gpt"] {
            assert!(blocked(
                access(Access { deny_models: grants(&["gpt"]), ..Access::default() }),
                &[],
                written
            ));
            assert!(blocked(
                access(Access { allow_models: grants(&["other*"]), ..Access::default() }),
                &[],
                written
            ));
            assert!(!blocked(
                access(Access { allow_models: grants(&["g*"]), ..Access::default() }),
                &[],
                written
            ));
        }
        for denied in
            ["alias", "vendor/gpt", "vendor/*", "vendor/alias", "gpt-2026-11-01", "vendor/gpt-2026-*"]
        {
            for written in ["gpt", "alias", "vendor/gpt"] {
                let deny = access(Access { deny_models: grants(&[denied]), ..Access::default() });
                assert!(blocked(deny, &[], written), "{written} is no way around {denied}");
                let closed = Effect::Closed { reason: "typo".into() };
                let targets = Targets { models: grants(&[denied]), ..Targets::default() };
                let policies = [policy("p", Enforcement::Enforce, closed, targets)];
                let all = restrictions(&policies, &key(&[]), written, &provider(), &model());
                assert!(all.blocked.is_some(), "{written} is no way around a target {denied}");
            }
        }
    }

    #[test]
    fn dry_run_tells_and_does_not_block() {
        let deny = || access(Access { deny_models: grants(&["*"]), ..Access::default() });
        let policies = [
            policy("dry", Enforcement::DryRun, deny(), Targets::default()),
            policy(
                "other",
                Enforcement::Enforce,
                deny(),
                Targets { users: Box::new(["bob".into()]), ..Targets::default() },
            ),
        ];
        let all = restrictions(&policies, &key(&[]), "gpt", &provider(), &model());
        assert_eq!((all.blocked, all.would_block.len()), (None, 1));
    }

    #[test]
    fn a_policy_that_cannot_be_understood_blocks_what_it_targets() {
        let closed = || Effect::Closed { reason: "typo".into() };
        assert!(blocked(closed(), &[], "gpt"));
        let elsewhere = Targets { models: grants(&["other"]), ..Targets::default() };
        let policies = [policy("p", Enforcement::Enforce, closed(), elsewhere)];
        assert!(restrictions(&policies, &key(&[]), "gpt", &provider(), &model()).blocked.is_none());
    }
}
