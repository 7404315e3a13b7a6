//! Chains: whether their targets are there, and may be used.

use super::{Compiler, Dirty, entry_hash};
use crate::finding::{Finding, Reason};
use crate::kind::chain::{ChainDraft, TargetDraft};
use crate::object::Kind;
use crate::report::Serving;
use smartflow_snapshot::{Chain, ChainTarget, Model, ObjectName, Provider, Target, Timeouts};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Chains {
    entries: BTreeMap<ObjectName, Entry>,
    /// Chains that refer to a provider, there or not.
    users: BTreeMap<ObjectName, BTreeSet<ObjectName>>,
}

#[derive(Debug)]
struct Entry {
    /// `None` = the spec is not sound, and no sound one was kept.
    draft: Option<Arc<ChainDraft>>,
    last_good: bool,
    own: Box<[Finding]>,
    references: Vec<Finding>,
}

/// A chain as it claims names.
#[derive(Clone, Debug)]
pub(super) struct Claimant {
    pub(super) chain: Arc<Chain>,
    pub(super) draft: Arc<ChainDraft>,
}

impl Chains {
    pub(super) fn contains(&self, name: &ObjectName) -> bool {
        self.entries.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.entries.keys()
    }
}

impl Compiler {
    pub(super) fn set_chain(
        &mut self,
        name: &ObjectName,
        draft: Option<Arc<ChainDraft>>,
        last_good: bool,
        own: Box<[Finding]>,
        dirty: &mut Dirty,
    ) {
        self.withdraw_chain(name, dirty);
        for target in draft.iter().flat_map(|d| &d.targets) {
            self.chains.users.entry(target.provider.clone()).or_default().insert(name.clone());
        }
        self.chains.entries.insert(name.clone(), Entry { draft, last_good, own, references: Vec::new() });
    }

    /// Takes a chain out; what is published of it and its names follow when it is worked out.
    pub(super) fn withdraw_chain(&mut self, name: &ObjectName, dirty: &mut Dirty) {
        dirty.chains.insert(name.clone());
        let Some(Entry { draft: Some(draft), .. }) = self.chains.entries.remove(name) else { return };
        for target in &draft.targets {
            if let Some(users) = self.chains.users.get_mut(&target.provider) {
                users.remove(name);
                if users.is_empty() {
                    self.chains.users.remove(&target.provider);
                }
            }
        }
        // Names of a chain that is declared anew with the same value would not be looked at otherwise.
        if let Some(chain) = self.snapshot.chains.get(name) {
            let old = Claimant { chain: chain.clone(), draft };
            dirty.claims.push((Some(old), None));
        }
    }

    /// Names of targets that a chain declares and that do not serve.
    pub(super) fn left_out(&self, name: &ObjectName) -> Vec<Box<str>> {
        let draft = self.chains.entries.get(name).and_then(|e| e.draft.as_ref());
        let Some((draft, chain)) = draft.zip(self.snapshot.chains.get(name)) else { return Vec::new() };
        let serves = |target: &TargetDraft| chain.targets.iter().any(|t| t.name == target.name);
        draft.targets.iter().filter(|t| !serves(t)).map(|t| t.name.clone()).collect()
    }

    pub(super) fn chain_report(&self, name: &ObjectName) -> Option<(Serving, Vec<Finding>)> {
        let entry = self.chains.entries.get(name)?;
        let chain = self.snapshot.chains.get(name);
        let serving = match (chain.is_some_and(|c| !c.targets.is_empty()), entry.last_good) {
            (false, _) => Serving::Nothing,
            (true, true) => Serving::LastGood,
            (true, false) => Serving::Current,
        };
        let mut findings: Vec<Finding> = entry.own.iter().chain(&entry.references).cloned().collect();
        if let (Some(chain), Some(draft)) = (chain, &entry.draft) {
            findings.extend(self.names.chain_findings(chain, draft));
        }
        Some((serving, findings))
    }

    /// Works out the chains that changes touch, directly or through a provider.
    pub(super) fn resolve_chains(&mut self, dirty: &mut Dirty) {
        for provider in dirty.offers.iter().filter_map(|(old, new)| old.as_ref().or(new.as_ref())) {
            dirty.chains.extend(self.chains.users.get(&provider.name).into_iter().flatten().cloned());
        }
        for name in std::mem::take(&mut dirty.chains) {
            dirty.report(Kind::FallbackChain, &name);
            self.resolve_chain(&name, dirty);
        }
    }

    fn resolve_chain(&mut self, name: &ObjectName, dirty: &mut Dirty) {
        let draft = self.chains.entries.get(name).and_then(|e| e.draft.clone());
        let mut references = Vec::new();
        let new = draft.as_ref().map(|draft| Arc::new(self.chain(name, draft, &mut references)));
        if let Some(entry) = self.chains.entries.get_mut(name) {
            entry.references = references;
        }
        let old = self.snapshot.chains.get(name).cloned();
        let hash = |c: &Arc<Chain>| entry_hash("chain", c);
        let hashes = (old.as_ref().map(hash).unwrap_or_default(), new.as_ref().map(hash).unwrap_or_default());
        self.snapshot.hash = self.snapshot.hash.minus(hashes.0).plus(hashes.1);
        if old != new {
            let served = Arc::make_mut(&mut self.snapshot.chains);
            match &new {
                Some(chain) => served.insert(name.clone(), chain.clone()),
                None => served.remove(name),
            };
        }
        let claimant = |chain| draft.clone().map(|draft| Claimant { chain, draft });
        dirty.claims.push((old.and_then(claimant), new.and_then(claimant)));
    }

    fn chain(&self, name: &ObjectName, draft: &ChainDraft, findings: &mut Vec<Finding>) -> Chain {
        let mut targets: Vec<ChainTarget> = Vec::with_capacity(draft.targets.len());
        for (i, wanted) in draft.targets.iter().enumerate() {
            match self.chain_target(name, wanted, targets.first(), &format!("spec.targets[{i}]")) {
                Ok(target) => targets.push(target),
                Err(finding) => findings.push(finding),
            }
        }
        targets.sort_by_key(|t| t.priority);
        Chain {
            name: name.clone(),
            strategy: draft.strategy,
            targets: targets.into(),
            fallback_on: draft.fallback_on.clone(),
            retry: draft.retry,
            failure_threshold: draft.failure_threshold,
            cooldown: draft.cooldown,
            timeout: draft.timeout,
        }
    }

    /// The target with what it refers to. `beside`: one that serves the same chain.
    fn chain_target(
        &self,
        chain: &ObjectName,
        wanted: &TargetDraft,
        beside: Option<&ChainTarget>,
        path: &str,
    ) -> Result<ChainTarget, Finding> {
        let home = &chain.namespace;
        let Some(provider) = self.snapshot.providers.get(&wanted.provider).filter(|p| allows(p, home)) else {
            // One answer for what is not there and what is not offered, as callers get it, too.
            let message = format!("There is no LLMProvider {} that {home} may use.", wanted.provider);
            let fix = "Create it, make it ready, or let its access include this namespace.";
            let path = format!("{path}.providerRef");
            return Err(Finding::reference(Reason::ProviderNotFound, &path, message, fix));
        };
        let path = format!("{path}.model");
        let named = |m: &&Arc<Model>| m.name == wanted.model || m.aliases.contains(&wanted.model);
        let Some(model) = provider.models.iter().find(named) else {
            let message = format!("LLMProvider {} has no model {}.", wanted.provider, wanted.model);
            let fix = "Write one of its models, or add the model to it.";
            return Err(Finding::reference(Reason::ModelNotFound, &path, message, fix));
        };
        if beside.is_some_and(|b| b.target.model.embedding != model.embedding) {
            let message =
                "A chain serves either chat completions or embeddings, and another target decided it.";
            let fix = "Move this target to a chain of its own.";
            return Err(Finding::reference(Reason::NotAllowed, &path, message, fix));
        }
        if model.embedding && wanted.params.is_some() {
            let message = "Embeddings have no such parameters.";
            let path = path.replace(".model", ".params");
            return Err(Finding::reference(Reason::NotAllowed, &path, message, "Remove params."));
        }
        let own = provider.timeouts;
        let timeouts = Timeouts {
            first_byte: wanted.first_byte.unwrap_or(own.first_byte),
            idle: wanted.idle.unwrap_or(own.idle),
            total: wanted.total.unwrap_or(own.total),
            ..own
        };
        Ok(ChainTarget {
            params: wanted.params.clone(),
            timeouts,
            name: wanted.name.clone(),
            target: Target { provider: provider.clone(), model: model.clone() },
            weight: wanted.weight,
            priority: wanted.priority,
        })
    }
}

fn allows(provider: &Provider, namespace: &Arc<str>) -> bool {
    provider.name.namespace == *namespace || provider.access.contains(namespace)
}
