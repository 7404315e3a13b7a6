//! Which namespaces there are, and their labels.

use crate::finding::Finding;
use crate::kind::namespace::{Labels, NAME_LABEL};
use crate::object::{Kind, ObjectRef};
use smartflow_snapshot::ObjectName;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A namespace is there as soon as something is in it, or when it is declared. Secrets do not count: nothing calls
/// from a namespace that holds nothing else, and pods are told of few Secrets.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    population: HashMap<Arc<str>, usize>,
    declared: HashMap<Arc<str>, (Labels, Box<[Finding]>)>,
}

impl Namespaces {
    /// An object comes to live in its namespace. True when the namespace is new.
    pub(super) fn settle(&mut self, id: &ObjectRef) -> bool {
        if matches!(id.kind, Kind::Namespace | Kind::Secret) {
            return false;
        }
        let count = self.population.entry(id.name.namespace.clone()).or_default();
        *count += 1;
        *count == 1
    }

    /// An object leaves its namespace. True when nothing is left in it.
    pub(super) fn leave(&mut self, id: &ObjectRef) -> bool {
        if matches!(id.kind, Kind::Namespace | Kind::Secret) {
            return false;
        }
        let Some(count) = self.population.get_mut(&id.name.namespace) else { return false };
        *count = count.saturating_sub(1);
        let empty = *count == 0;
        if empty {
            self.population.remove(&id.name.namespace);
        }
        empty
    }

    /// Declares a namespace. True when this may change what selectors match.
    pub(super) fn set(&mut self, name: &Arc<str>, labels: Labels, findings: Box<[Finding]>) -> bool {
        let old = self.declared.insert(name.clone(), (labels, findings));
        old.map(|(labels, _)| labels).as_ref() != self.declared.get(name).map(|(labels, _)| labels)
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.declared.remove(name).is_some()
    }

    /// Namespaces that carry all of `selector`.
    pub(super) fn matching(&self, selector: &Labels) -> BTreeSet<Box<str>> {
        let carries = |namespace: &str| {
            let labels = self.declared.get(namespace).map(|(labels, _)| labels);
            selector.iter().all(|(key, value)| {
                let named = **key == *NAME_LABEL && **value == *namespace;
                named || labels.is_some_and(|l| **key != *NAME_LABEL && l.get(key) == Some(value))
            })
        };
        let all = self.population.keys().chain(self.declared.keys());
        all.filter(|n| carries(n)).map(|n| (&**n).into()).collect()
    }

    pub(super) fn report(&self, name: &ObjectName) -> Option<Vec<Finding>> {
        self.declared.get(&name.name).map(|(_, findings)| findings.to_vec())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = ObjectName> {
        self.declared.keys().map(|name| ObjectName::new("", name.clone()))
    }
}
