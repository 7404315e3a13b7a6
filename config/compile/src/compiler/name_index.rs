//! Model names of a namespace: who offers which, and who clashes. Rules: resources.md, "Names and grants".

use super::{Compiler, Dirty};
use crate::finding::{Finding, Reason};
use crate::object::Kind;
use smartflow_snapshot::{Model, Names, ObjectName, Offered, Provider, Target};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Each namespace's names in order, to look prefixes up.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    sorted: HashMap<Arc<str>, Vec<Box<str>>>,
}

impl NameIndex {
    /// Names of `namespace` that begin with `prefix`.
    pub(super) fn starting<'a>(&'a self, namespace: &str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.sorted.get(namespace).map_or(&[][..], |n| &n[..]);
        let first = names.partition_point(|n| **n < *prefix);
        names[first..].iter().map(|n| &**n).take_while(move |n| n.starts_with(prefix))
    }
}

impl Compiler {
    /// Works out the names of namespaces whose providers changed, and which keys grant something that exists.
    pub(super) fn resolve_names(&mut self, dirty: &mut Dirty) {
        let providers = self.snapshot.providers.clone();
        for namespace in &dirty.names {
            let first = ObjectName::new(namespace.clone(), "");
            let own: Vec<&Arc<Provider>> = providers
                .range(first..)
                .take_while(|(n, _)| n.namespace == *namespace)
                .map(|(_, p)| p)
                .collect();
            let (offered, mut clashes) = offer(&own);
            let everyone = self.providers.entries_of(namespace);
            for (name, entry) in everyone {
                let now = clashes.remove(name).unwrap_or_default();
                if entry.clashes != now {
                    entry.clashes = now;
                    dirty
                        .reports
                        .insert(crate::object::ObjectRef { kind: Kind::LLMProvider, name: name.clone() });
                }
            }
            self.names.put(Arc::make_mut(&mut self.snapshot.names), namespace, offered);
        }
        if !dirty.names.is_empty() {
            self.recheck_grants(dirty);
        }
    }
}

impl NameIndex {
    fn put(&mut self, names: &mut Names, namespace: &Arc<str>, offered: Offered) {
        if offered.is_empty() {
            self.sorted.remove(namespace);
            names.by_namespace.remove(namespace);
            return;
        }
        let mut sorted: Vec<Box<str>> = offered.keys().cloned().collect();
        sorted.sort_unstable();
        self.sorted.insert(namespace.clone(), sorted);
        names.by_namespace.insert(namespace.clone(), Arc::new(offered));
    }
}

/// A model that has a name, and its provider.
type Claim<'a> = (&'a Arc<Provider>, &'a Arc<Model>);

/// Names that the providers of one namespace offer, and what is to be said to providers that get in each other's way.
fn offer(providers: &[&Arc<Provider>]) -> (Offered, BTreeMap<ObjectName, Vec<Finding>>) {
    let mut offered = Offered::new();
    let mut claims: HashMap<&str, Vec<Claim<'_>>> = HashMap::new();
    for provider in providers {
        for model in &provider.models {
            offered.insert(qualified(provider, model), Some(target(provider, model)));
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                claims.entry(name).or_default().push((provider, model));
            }
        }
    }
    let mut clashes = Clashes::default();
    for (name, owners) in claims {
        let taken = offered.get(name).cloned().flatten();
        match (taken, &owners[..]) {
            (Some(keeper), _) => {
                for (provider, _) in owners.iter().filter(|(p, m)| *qualified(p, m) != *name) {
                    clashes
                        .shadowed
                        .entry(&provider.name)
                        .or_default()
                        .push((name, keeper.provider.name.clone()));
                }
            }
            (None, [(provider, model)]) => {
                offered.insert(name.into(), Some(target(provider, model)));
            }
            (None, all) => {
                for (i, (provider, _)) in all.iter().enumerate() {
                    let rival = &all[usize::from(i == 0)].0.name;
                    clashes.lost.entry(&provider.name).or_default().push((name, rival.clone()));
                }
                offered.insert(name.into(), None);
            }
        }
    }
    (offered, clashes.findings())
}

fn qualified(provider: &Provider, model: &Model) -> Box<str> {
    format!("{}/{}", provider.name.name, model.name).into()
}

fn target(provider: &Arc<Provider>, model: &Arc<Model>) -> Target {
    Target { provider: provider.clone(), model: model.clone() }
}

/// Names by the provider that does not get them, with the one that is in the way.
#[derive(Default)]
struct Clashes<'a> {
    lost: BTreeMap<&'a ObjectName, Vec<(&'a str, ObjectName)>>,
    shadowed: BTreeMap<&'a ObjectName, Vec<(&'a str, ObjectName)>>,
}

impl Clashes<'_> {
    fn findings(self) -> BTreeMap<ObjectName, Vec<Finding>> {
        let mut findings: BTreeMap<ObjectName, Vec<Finding>> = BTreeMap::new();
        for (provider, names) in self.lost {
            let message = format!("Nobody gets these names, as others offer them too: {}.", list(names));
            let fix = format!(
                "List the models under names of their own; callers may also write {}/<model>.",
                provider.name
            );
            let finding = Finding::error(Reason::NameClash, "spec.models", message, fix);
            findings.entry(provider.clone()).or_default().push(finding);
        }
        for (provider, names) in self.shadowed {
            let message = format!("These names mean a model of another provider: {}.", list(names));
            let fix = format!("Callers reach this provider's models as {}/<model>.", provider.name);
            let finding = Finding::error(Reason::NameShadowed, "spec.models", message, fix).warning();
            findings.entry(provider.clone()).or_default().push(finding);
        }
        findings
    }
}

/// The first few, in order.
fn list(mut names: Vec<(&str, ObjectName)>) -> String {
    names.sort();
    let rest = names.len().saturating_sub(5);
    let first: Vec<String> =
        names.iter().take(5).map(|(name, rival)| format!("{name} ({})", rival.name)).collect();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}
