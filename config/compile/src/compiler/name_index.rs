//! Model names of a namespace: who offers which, and who clashes. Rules: resources.md, "Names and grants".

use super::chains::Claimant;
use super::{Compiler, Dirty};
use crate::finding::{Finding, Reason};
use crate::kind::chain::ChainDraft;
use crate::object::{Kind, ObjectRef};
use smartflow_snapshot::{Chain, Model, ObjectName, Offered, Provider, Target};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Who claims which name, by namespace.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    places: HashMap<Arc<str>, Place>,
}

/// Claims in one namespace, in order of names.
#[derive(Debug, Default)]
struct Place {
    exact: BTreeMap<Arc<str>, Claims>,
    /// Chains by the beginnings of names that lead to them.
    prefixes: BTreeMap<Arc<str>, Vec<Arc<Chain>>>,
}

/// Names that changes concern, in one namespace.
#[derive(Debug, Default)]
struct Touched {
    exact: BTreeSet<Arc<str>>,
    prefixes: BTreeSet<Arc<str>>,
}

/// What has one name.
#[derive(Debug, Default)]
struct Claims {
    /// Chains; the name is exactly theirs.
    chains: Vec<Arc<Chain>>,
    /// Whose `provider/model` it is.
    qualified: Option<Target>,
    /// Models whose name or alias it is.
    plain: Vec<Target>,
}

impl Claims {
    /// What the name means among models; inner `None` = several things, so nothing.
    fn model(&self) -> Option<Option<&Target>> {
        match (&self.qualified, &self.plain[..]) {
            (None, []) => None,
            (Some(target), _) | (None, [target]) => Some(Some(target)),
            (None, _) => Some(None),
        }
    }

    /// The same among chains. `provider/model` is always valid, whatever chains are called.
    fn chain(&self) -> Option<Option<&Arc<Chain>>> {
        if self.qualified.is_some() { None } else { only(&self.chains) }
    }

    fn claimants(&self) -> impl Iterator<Item = ObjectRef> {
        let providers = self.plain.iter().chain(&self.qualified);
        let providers =
            providers.map(|t| ObjectRef { kind: Kind::LLMProvider, name: t.provider.name.clone() });
        providers.chain(self.chains.iter().map(chain_ref))
    }

    fn is_empty(&self) -> bool {
        self.qualified.is_none() && self.plain.is_empty() && self.chains.is_empty()
    }
}

fn chain_ref(chain: &Arc<Chain>) -> ObjectRef {
    ObjectRef { kind: Kind::FallbackChain, name: chain.name.clone() }
}

/// The one, or `Some(None)` where there are several.
fn only(chains: &[Arc<Chain>]) -> Option<Option<&Arc<Chain>>> {
    match chains {
        [] => None,
        [chain] => Some(Some(chain)),
        _ => Some(None),
    }
}

/// Names of a model: as its provider's, and by themselves.
fn names<'a>(provider: &Provider, model: &'a Model) -> (Box<str>, impl Iterator<Item = &'a str> + use<'a>) {
    let qualified = format!("{}/{}", provider.name.name, model.name).into();
    (qualified, std::iter::once(&*model.name).chain(model.aliases.iter().map(|a| &**a)))
}

impl Place {
    fn claim(&mut self, name: &str, touched: &mut Touched, change: impl FnOnce(&mut Claims)) {
        let name = self.exact.get_key_value(name).map_or_else(|| name.into(), |(known, _)| known.clone());
        change(self.exact.entry(name.clone()).or_default());
        touched.exact.insert(name);
    }

    /// Replaces what a provider offers.
    fn offer(&mut self, old: Option<&Arc<Provider>>, new: Option<&Arc<Provider>>, touched: &mut Touched) {
        for (provider, model) in old.iter().flat_map(|p| p.models.iter().map(move |m| (p, m))) {
            let (qualified, plain) = names(provider, model);
            self.claim(&qualified, touched, |c| c.qualified = None);
            for name in plain {
                self.claim(name, touched, |c| c.plain.retain(|t| t.provider.name != provider.name));
            }
        }
        for (provider, model) in new.iter().flat_map(|p| p.models.iter().map(move |m| (p, m))) {
            let target = Target { provider: Arc::clone(provider), model: model.clone() };
            let (qualified, plain) = names(provider, model);
            self.claim(&qualified, touched, |c| c.qualified = Some(target.clone()));
            plain.for_each(|name| self.claim(name, touched, |c| c.plain.push(target.clone())));
        }
    }

    /// Replaces what a chain answers to.
    fn answer(&mut self, old: Option<&Claimant>, new: Option<&Claimant>, touched: &mut Touched) {
        if let Some(Claimant { chain, draft }) = old {
            for name in &draft.exact {
                self.claim(name, touched, |c| c.chains.retain(|o| o.name != chain.name));
            }
            for prefix in &draft.prefixes {
                let chains = self.prefixes.entry((&**prefix).into()).or_default();
                chains.retain(|o| o.name != chain.name);
                touched.prefixes.insert((&**prefix).into());
            }
        }
        if let Some(Claimant { chain, draft }) = new {
            for name in &draft.exact {
                self.claim(name, touched, |c| c.chains.push(chain.clone()));
            }
            for prefix in &draft.prefixes {
                self.prefixes.entry((&**prefix).into()).or_default().push(chain.clone());
                touched.prefixes.insert((&**prefix).into());
            }
        }
    }

    /// Brings `offered` up to date, forgets names that nobody claims any more, and returns who claims the others.
    fn publish(&mut self, touched: &Touched, offered: &mut Offered) -> BTreeSet<ObjectRef> {
        let mut concerned = BTreeSet::new();
        for name in &touched.exact {
            let Some(claims) = self.exact.get(name) else { continue };
            concerned.extend(claims.claimants());
            match claims.model() {
                Some(meaning) => offered.models.insert(name.clone(), meaning.cloned()),
                None => offered.models.remove(name),
            };
            match claims.chain() {
                Some(meaning) => offered.chains.insert(name.clone(), meaning.cloned()),
                None => offered.chains.remove(name),
            };
            if claims.is_empty() {
                self.exact.remove(name);
            }
        }
        for prefix in &touched.prefixes {
            let Some(chains) = self.prefixes.get(prefix) else { continue };
            concerned.extend(chains.iter().map(chain_ref));
            match only(chains) {
                Some(meaning) => drop(offered.prefixes.insert(prefix.clone(), meaning.cloned())),
                None => {
                    offered.prefixes.remove(prefix);
                    self.prefixes.remove(prefix);
                }
            }
        }
        concerned
    }
}

impl NameIndex {
    /// Names of `namespace` that begin with `prefix`, and the beginnings of names that lead to chains, made long enough
    /// to begin with it.
    pub(super) fn starting<'a>(&'a self, namespace: &str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let place = self.places.get(namespace);
        let names = place.into_iter().flat_map(move |p| p.exact.range::<str, _>(from));
        let exact = names.map(|(name, _)| &**name).take_while(move |n| n.starts_with(prefix));
        let chains = place.into_iter().flat_map(|p| p.prefixes.keys()).map(|p| &**p);
        exact.chain(chains.filter_map(move |p| match (p.starts_with(prefix), prefix.starts_with(p)) {
            (true, _) => Some(p),
            (_, true) => Some(prefix),
            _ => None,
        }))
    }

    /// What is to be said to a provider about names that others have, too.
    pub(super) fn findings(&self, provider: &Provider) -> Vec<Finding> {
        let (mut lost, mut shadowed) = (BTreeSet::new(), BTreeSet::new());
        let place = self.places.get(&provider.name.namespace);
        for model in &provider.models {
            let (own, plain) = names(provider, model);
            for name in plain {
                let Some(claims) = place.and_then(|p| p.exact.get(name)) else { continue };
                match &claims.qualified {
                    Some(keeper) if *own != *name => {
                        shadowed.insert((name, &*keeper.provider.name.name));
                    }
                    // Where a chain answers to the name, nobody asks whose model it would be.
                    None if claims.plain.len() > 1 && !matches!(claims.chain(), Some(Some(_))) => {
                        let others = claims.plain.iter().map(|t| &t.provider.name);
                        let rival = others.filter(|c| **c != provider.name).min();
                        lost.insert((name, &*rival.unwrap_or(&provider.name).name));
                    }
                    _ => {}
                }
            }
        }
        let mut findings = Vec::new();
        if !lost.is_empty() {
            let message = format!("Nobody gets these names, as others offer them too: {}.", list(&lost));
            let own = &provider.name.name;
            let fix = format!(
                "Keep each name at one of them (spec.models), or let a FallbackChain answer to it. Callers may also write \
                 {own}/<model>, where their key grants that: its models must list {own}/<model> or {own}/*."
            );
            findings.push(Finding::error(Reason::NameClash, "spec.models", message, fix));
        }
        if !shadowed.is_empty() {
            let message = format!("These names mean a model of another provider: {}.", list(&shadowed));
            let fix = format!("Callers reach this provider's models as {}/<model>.", provider.name.name);
            findings.push(Finding::error(Reason::NameShadowed, "spec.models", message, fix).warning());
        }
        findings
    }

    /// What is to be said to a chain about names that others have, too. A chain may well have the name of a model.
    pub(super) fn chain_findings(&self, chain: &Chain, draft: &ChainDraft) -> Vec<Finding> {
        let (mut lost, mut shadowed) = (BTreeSet::new(), BTreeSet::new());
        let Some(place) = self.places.get(&chain.name.namespace) else { return Vec::new() };
        let rival = |chains: &'_ [Arc<Chain>]| {
            chains.iter().map(|c| &c.name).filter(|n| **n != chain.name).min().map(|n| n.name.clone())
        };
        let (mut rivals, mut keepers) = (Vec::new(), Vec::new());
        for name in &draft.exact {
            let Some(claims) = place.exact.get(&**name) else { continue };
            match &claims.qualified {
                Some(keeper) => keepers.push((name.to_string(), keeper.provider.name.name.clone())),
                None => rivals.extend(rival(&claims.chains).map(|r| (name.to_string(), r))),
            }
        }
        for prefix in &draft.prefixes {
            let chains = place.prefixes.get(&**prefix).map_or(&[][..], |c| c);
            rivals.extend(rival(chains).map(|r| (format!("{prefix}*"), r)));
        }
        lost.extend(rivals.iter().map(|(name, rival)| (name.as_str(), &**rival)));
        shadowed.extend(keepers.iter().map(|(name, keeper)| (name.as_str(), &**keeper)));
        let mut findings = Vec::new();
        if !lost.is_empty() {
            let message =
                format!("Nobody gets these names, as other chains answer to them too: {}.", list(&lost));
            let fix = "Keep each name at one chain.";
            findings.push(Finding::error(Reason::NameClash, "spec.models", message, fix));
        }
        if !shadowed.is_empty() {
            let message = format!("These names mean a model of a provider: {}.", list(&shadowed));
            let fix = "provider/model always means that model: give the chain another name.";
            findings.push(Finding::error(Reason::NameShadowed, "spec.models", message, fix).warning());
        }
        findings
    }
}

/// The first few names, each with who is in the way.
fn list(names: &BTreeSet<(&str, &str)>) -> String {
    let rest = names.len().saturating_sub(5);
    let first: Vec<String> = names.iter().take(5).map(|(name, rival)| format!("{name} ({rival})")).collect();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

impl Compiler {
    /// Works out the names that changed providers and chains have, and which keys grant something that exists.
    pub(super) fn resolve_names(&mut self, dirty: &mut Dirty) {
        let mut places: BTreeMap<Arc<str>, Touched> = BTreeMap::new();
        for (old, new) in std::mem::take(&mut dirty.offers) {
            let Some(ObjectName { namespace, .. }) = old.as_ref().or(new.as_ref()).map(|p| &p.name) else {
                continue;
            };
            let touched = places.entry(namespace.clone()).or_default();
            let place = self.names.places.entry(namespace.clone()).or_default();
            place.offer(old.as_ref(), new.as_ref(), touched);
        }
        for (old, new) in std::mem::take(&mut dirty.claims) {
            let Some(claimant) = old.as_ref().or(new.as_ref()) else { continue };
            let namespace = claimant.chain.name.namespace.clone();
            let touched = places.entry(namespace.clone()).or_default();
            self.names.places.entry(namespace).or_default().answer(old.as_ref(), new.as_ref(), touched);
        }
        for (namespace, touched) in &places {
            self.publish_names(namespace, touched, dirty);
        }
        if !places.is_empty() {
            self.recheck_grants(&places.into_keys().collect(), dirty);
        }
    }

    fn publish_names(&mut self, namespace: &Arc<str>, touched: &Touched, dirty: &mut Dirty) {
        let by_namespace = &mut Arc::make_mut(&mut self.snapshot.names).by_namespace;
        let offered = Arc::make_mut(by_namespace.entry(namespace.clone()).or_default());
        let Some(place) = self.names.places.get_mut(namespace) else { return };
        dirty.reports.extend(place.publish(touched, offered));
        if place.exact.is_empty() && place.prefixes.is_empty() {
            self.names.places.remove(namespace);
            by_namespace.remove(namespace);
        }
    }
}
