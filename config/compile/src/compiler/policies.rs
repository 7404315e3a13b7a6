//! Policies: where they may reach.

use super::{Compiler, Dirty, Settings, entry_hash};
use crate::finding::{Finding, Reason};
use crate::kind::policy::PolicyDraft;
use crate::object::{Body, Object};
use crate::report::Serving;
use smartflow_snapshot::{ContentHash, Effect, ObjectName, Policy};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Policies {
    entries: BTreeMap<ObjectName, Entry>,
}

#[derive(Debug)]
struct Entry {
    draft: Arc<PolicyDraft>,
    last_good: bool,
    own: Box<[Finding]>,
    reach: Option<Finding>,
    served: Option<(Arc<Policy>, ContentHash)>,
}

impl Policies {
    /// Returns the hash of the entry that this takes out of the snapshot.
    pub(super) fn set(
        &mut self,
        name: &ObjectName,
        draft: Arc<PolicyDraft>,
        last_good: bool,
        own: Box<[Finding]>,
    ) -> ContentHash {
        let gone = self.remove(name);
        self.entries.insert(name.clone(), Entry { draft, last_good, own, reach: None, served: None });
        gone
    }

    /// Returns the hash of the entry that this takes out of the snapshot.
    pub(super) fn remove(&mut self, name: &ObjectName) -> ContentHash {
        let served = self.entries.remove(name).and_then(|e| e.served);
        served.map(|(_, hash)| hash).unwrap_or_default()
    }

    pub(super) fn contains(&self, name: &ObjectName) -> bool {
        self.entries.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.entries.keys()
    }

    pub(super) fn report(&self, name: &ObjectName) -> Option<(Serving, Vec<Finding>)> {
        let entry = self.entries.get(name)?;
        let serving = match &entry.served {
            Some((policy, _)) if matches!(policy.effect, Effect::Closed { .. }) => Serving::Closed,
            Some(_) if entry.last_good => Serving::LastGood,
            Some(_) => Serving::Current,
            // `enforcement: Off` is in force as it stands.
            None if entry.last_good => Serving::LastGood,
            None => Serving::Current,
        };
        Some((serving, entry.own.iter().chain(&entry.reach).cloned().collect()))
    }
}

impl Compiler {
    /// Works out policies anew and puts them in order; there are few.
    pub(super) fn resolve_policies(&mut self, dirty: &mut Dirty) {
        if !dirty.policies {
            return;
        }
        let platform = &self.platform;
        for (name, entry) in self.policies.entries.iter_mut().filter(|(_, e)| e.served.is_none()) {
            let everywhere = platform.iter().any(|p| **p == *name.namespace);
            let Some(policy) = &entry.draft.policy else { continue };
            let (policy, finding) = reach(policy.clone(), everywhere);
            entry.reach = finding;
            let hash = entry_hash("policy", &policy);
            self.snapshot.hash = self.snapshot.hash.plus(hash);
            entry.served = Some((Arc::new(policy), hash));
        }
        let served = self.policies.entries.values().filter_map(|e| e.served.as_ref());
        self.snapshot.policies = served.map(|(policy, _)| policy.clone()).collect();
    }
}

/// Keeps a policy to its own namespace, unless it may reach `everywhere`. One that names others only would restrict nobody:
/// it is closed there, as any that is invalid.
fn reach(mut policy: Policy, everywhere: bool) -> (Policy, Option<Finding>) {
    if everywhere {
        return (policy, None);
    }
    let home: Box<str> = (&*policy.name.namespace).into();
    let written = std::mem::replace(&mut policy.targets.namespaces, [home.clone()].into());
    if written.iter().all(|n| *n == home) {
        return (policy, None);
    }
    let message = format!("A policy of namespace {home} concerns calls of {home} only.");
    let fix = "Leave namespaces out, or put the policy into a platform namespace.";
    let finding = Finding::error(Reason::NotAllowed, "spec.targets.namespaces", message, fix);
    if !written.contains(&home) && !matches!(policy.effect, Effect::Closed { .. }) {
        policy.effect = Effect::Closed { reason: finding.to_string().into() };
    }
    (policy, Some(finding))
}

impl Object {
    /// Takes a policy for invalid that may not reach whom it names where it is, and nobody else: by itself it is sound,
    /// so that it needs `settings` to say so. Before [`Object::with_last_good`].
    #[must_use]
    pub fn confined(mut self, settings: &Settings) -> Self {
        let Body::Policy(draft) = &self.body else { return self };
        let Some(policy) = draft.policy.as_ref().filter(|_| self.is_valid()) else { return self };
        let home = &*self.id.name.namespace;
        let named = &policy.targets.namespaces;
        let at_home = named.is_empty() || named.iter().any(|n| **n == *home);
        if at_home || settings.platform_namespaces.iter().any(|p| p == home) {
            return self;
        }
        let (closed, finding) = reach(policy.clone(), false);
        self.body = Body::Policy(Arc::new(PolicyDraft { policy: Some(closed) }));
        self.findings.extend(finding);
        self.spec = None;
        self
    }
}
