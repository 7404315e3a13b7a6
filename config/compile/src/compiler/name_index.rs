//! Model names of a namespace: who offers which, and who clashes. Rules: resources.md, "Names and grants".

use super::{Compiler, Dirty};
use crate::finding::{Finding, Reason};
use crate::object::Kind;
use smartflow_snapshot::{Model, ObjectName, Provider, Target};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Who claims which name, by namespace, in order.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    places: HashMap<Arc<str>, BTreeMap<Arc<str>, Claims>>,
}

/// Models that have one name.
#[derive(Debug, Default)]
struct Claims {
    /// Whose `provider/model` it is.
    qualified: Option<Target>,
    /// Whose name or alias it is.
    plain: Vec<Target>,
}

impl Claims {
    /// What the name means; `None` = several things, so nothing.
    fn meaning(&self) -> Option<&Target> {
        match (&self.qualified, &self.plain[..]) {
            (Some(target), _) | (None, [target]) => Some(target),
            (None, _) => None,
        }
    }

    fn claimants(&self) -> impl Iterator<Item = &ObjectName> {
        self.plain.iter().chain(&self.qualified).map(|t| &t.provider.name)
    }

    fn is_empty(&self) -> bool {
        self.qualified.is_none() && self.plain.is_empty()
    }
}

/// Names of a model: as its provider's, and by themselves.
fn names<'a>(provider: &Provider, model: &'a Model) -> (Box<str>, impl Iterator<Item = &'a str> + use<'a>) {
    let qualified = format!("{}/{}", provider.name.name, model.name).into();
    (qualified, std::iter::once(&*model.name).chain(model.aliases.iter().map(|a| &**a)))
}

impl NameIndex {
    /// Names of `namespace` that begin with `prefix`.
    pub(super) fn starting<'a>(&'a self, namespace: &str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let names = self.places.get(namespace).into_iter().flat_map(move |n| n.range::<str, _>(from));
        names.map(|(name, _)| &**name).take_while(move |n| n.starts_with(prefix))
    }

    /// Replaces what a provider offers; adds the names that this concerns to `touched`.
    fn replace(
        &mut self,
        old: Option<&Arc<Provider>>,
        new: Option<&Arc<Provider>>,
        touched: &mut BTreeSet<Arc<str>>,
    ) {
        let Some(Provider { name: ObjectName { namespace, .. }, .. }) = old.or(new).map(|p| &**p) else {
            return;
        };
        let place = self.places.entry(namespace.clone()).or_default();
        let mut claims = |name: &str, change: &mut dyn FnMut(&mut Claims)| {
            let name = place.get_key_value(name).map_or_else(|| name.into(), |(known, _)| known.clone());
            change(place.entry(name.clone()).or_default());
            touched.insert(name);
        };
        for (provider, model) in old.iter().flat_map(|p| p.models.iter().map(move |m| (p, m))) {
            let (qualified, plain) = names(provider, model);
            claims(&qualified, &mut |c| c.qualified = None);
            plain
                .for_each(|name| claims(name, &mut |c| c.plain.retain(|t| t.provider.name != provider.name)));
        }
        for (provider, model) in new.iter().flat_map(|p| p.models.iter().map(move |m| (p, m))) {
            let target = Target { provider: Arc::clone(provider), model: model.clone() };
            let (qualified, plain) = names(provider, model);
            claims(&qualified, &mut |c| c.qualified = Some(target.clone()));
            plain.for_each(|name| claims(name, &mut |c| c.plain.push(target.clone())));
        }
    }

    /// What is to be said to a provider about names that others have, too.
    pub(super) fn findings(&self, provider: &Provider) -> Vec<Finding> {
        let (mut lost, mut shadowed) = (BTreeSet::new(), BTreeSet::new());
        let place = self.places.get(&provider.name.namespace);
        for model in &provider.models {
            let (own, plain) = names(provider, model);
            for name in plain {
                let Some(claims) = place.and_then(|p| p.get(name)) else { continue };
                match &claims.qualified {
                    Some(keeper) if *own != *name => {
                        shadowed.insert((name, &*keeper.provider.name.name));
                    }
                    None if claims.plain.len() > 1 => {
                        let others = claims.claimants().filter(|c| **c != provider.name);
                        lost.insert((name, &*others.min().unwrap_or(&provider.name).name));
                    }
                    _ => {}
                }
            }
        }
        let mut findings = Vec::new();
        if !lost.is_empty() {
            let message = format!("Nobody gets these names, as others offer them too: {}.", list(&lost));
            let way = format!("callers may also write {}/<model>", provider.name.name);
            let fix = format!("List the models under names of their own; {way}.");
            findings.push(Finding::error(Reason::NameClash, "spec.models", message, fix));
        }
        if !shadowed.is_empty() {
            let message = format!("These names mean a model of another provider: {}.", list(&shadowed));
            let fix = format!("Callers reach this provider's models as {}/<model>.", provider.name.name);
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
    /// Works out the names that changed providers have, and which keys grant something that exists.
    pub(super) fn resolve_names(&mut self, dirty: &mut Dirty) {
        if dirty.offers.is_empty() {
            return;
        }
        let mut places: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (old, new) in std::mem::take(&mut dirty.offers) {
            let Some(namespace) = old.as_ref().or(new.as_ref()).map(|p| p.name.namespace.clone()) else {
                continue;
            };
            let mut touched = BTreeSet::new();
            self.names.replace(old.as_ref(), new.as_ref(), &mut touched);
            places.entry(namespace).or_default().extend(touched);
        }
        for (namespace, touched) in &places {
            self.publish_names(namespace, touched, dirty);
        }
        self.recheck_grants(&places.into_keys().collect(), dirty);
    }

    fn publish_names(&mut self, namespace: &Arc<str>, touched: &BTreeSet<Arc<str>>, dirty: &mut Dirty) {
        let by_namespace = &mut Arc::make_mut(&mut self.snapshot.names).by_namespace;
        let offered = Arc::make_mut(by_namespace.entry(namespace.clone()).or_default());
        let Some(place) = self.names.places.get_mut(namespace) else { return };
        for name in touched {
            let Some(claims) = place.get(name) else { continue };
            claims.claimants().for_each(|provider| dirty.report(Kind::LLMProvider, provider));
            if claims.is_empty() {
                place.remove(name);
                offered.remove(name);
            } else {
                offered.insert(name.clone(), claims.meaning().cloned());
            }
        }
        if place.is_empty() {
            self.names.places.remove(namespace);
            by_namespace.remove(namespace);
        }
    }
}
