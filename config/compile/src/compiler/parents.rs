//! Keys that pay for other keys.

use super::Compiler;
use super::keys::Keys;
use crate::finding::{Finding, Reason};
use smartflow_snapshot::ObjectName;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Most ancestors of a key.
const MAX_ANCESTORS: usize = 8;

/// Children by parent, there or not. Both live in one namespace, so that a child's name is enough.
#[derive(Debug, Default)]
pub(super) struct Children {
    of: HashMap<ObjectName, BTreeSet<Arc<str>>>,
}

impl Children {
    pub(super) fn add(&mut self, parent: ObjectName, child: &ObjectName) {
        self.of.entry(parent).or_default().insert(child.name.clone());
    }

    pub(super) fn remove(&mut self, parent: &ObjectName, child: &ObjectName) {
        if let Some(children) = self.of.get_mut(parent) {
            children.remove(&child.name);
            if children.is_empty() {
                self.of.remove(parent);
            }
        }
    }

    /// True when `name` has children.
    pub(super) fn any(&self, name: &ObjectName) -> bool {
        self.of.contains_key(name)
    }

    /// Everyone below `name`, as far down as an ancestor is looked for.
    fn below(&self, name: &ObjectName) -> BTreeSet<ObjectName> {
        let mut found = BTreeSet::new();
        let mut level = vec![name.clone()];
        for _ in 0..=MAX_ANCESTORS {
            let children = level.iter().flat_map(|p| {
                let names = self.of.get(p).into_iter().flatten();
                names.map(|n| ObjectName::new(p.namespace.clone(), n.clone()))
            });
            level = children.filter(|c| !found.contains(c)).collect();
            found.extend(level.iter().cloned());
        }
        found
    }
}

impl Keys {
    /// Whose ancestors may be others when `name` comes, goes, or gets another parent.
    pub(super) fn descendants(&self, name: &ObjectName) -> BTreeSet<ObjectName> {
        self.children.below(name)
    }
}

impl Compiler {
    /// Ancestors of a key, nearest first, or why they cannot all be had.
    pub(super) fn ancestors(&self, name: &ObjectName) -> Result<Box<[ObjectName]>, Finding> {
        let fault = |reason, message: String, fix: &str| {
            Err(Finding::reference(reason, "spec.parentRef.name", message, fix))
        };
        let mut chain: Vec<ObjectName> = Vec::new();
        let mut here = name;
        while let Some(parent) = self.keys.parent(here) {
            let key = ObjectName::new(name.namespace.clone(), parent.clone());
            let Some(parent) = self.sound_key(&key) else {
                let message = match chain.last() {
                    Some(child) => {
                        format!("There is no valid VirtualKey {key}, the parent of {}.", child.name)
                    }
                    None => format!("There is no valid VirtualKey {key}."),
                };
                return fault(Reason::ParentNotFound, message, "Create or correct it, or remove parentRef.");
            };
            if parent.name == *name || chain.contains(&parent.name) {
                let message = format!("{} is its own ancestor.", parent.name.name);
                return fault(Reason::ParentCycle, message, "Remove parentRef from one of the keys.");
            }
            if chain.len() == MAX_ANCESTORS {
                let message = format!("More than {MAX_ANCESTORS} ancestors.");
                return fault(Reason::ParentTooDeep, message, "Shorten the chain of parents.");
            }
            chain.push(parent.name.clone());
            here = &parent.name;
        }
        Ok(chain.into())
    }
}
