//! Policies: where they may reach.

use super::{Compiler, Dirty, entry_hash};
use crate::finding::{Finding, Reason};
use crate::kind::policy::PolicyDraft;
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
            // `enforcement: Off` is in force as it stands; a policy that may not reach its targets is not.
            None if entry.draft.policy.is_none() && entry.last_good => Serving::LastGood,
            None if entry.draft.policy.is_none() => Serving::Current,
            None => Serving::Nothing,
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
            if let Some(policy) = policy {
                let hash = entry_hash("policy", &policy);
                self.snapshot.hash = self.snapshot.hash.plus(hash);
                entry.served = Some((Arc::new(policy), hash));
            }
        }
        let served = self.policies.entries.values().filter_map(|e| e.served.as_ref());
        self.snapshot.policies = served.map(|(policy, _)| policy.clone()).collect();
    }
}

/// Keeps a policy to its own namespace, unless it may reach `everywhere`.
fn reach(mut policy: Policy, everywhere: bool) -> (Option<Policy>, Option<Finding>) {
    if everywhere {
        return (Some(policy), None);
    }
    let home: Box<str> = (&*policy.name.namespace).into();
    let written = std::mem::replace(&mut policy.targets.namespaces, [home.clone()].into());
    if written.iter().all(|n| *n == home) {
        return (Some(policy), None);
    }
    let message = format!("A policy of namespace {home} concerns calls of {home} only.");
    let fix = "Leave namespaces out, or put the policy into a platform namespace.";
    let finding = Finding::error(Reason::NotAllowed, "spec.targets.namespaces", message, fix);
    (written.contains(&home).then_some(policy), Some(finding))
}
