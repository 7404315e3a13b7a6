//! Whether keys grant anything that exists. Many keys grant alike, so that it is asked once for all of them.

use super::{Compiler, Dirty};
use crate::object::Kind;
use smartflow_snapshot::{Grant, Grants, Key, ObjectName};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<(Arc<str>, Grants), Group>,
}

#[derive(Debug, Default)]
struct Group {
    keys: usize,
    /// `None` = not asked yet.
    unmatched: Option<bool>,
}

impl Groups {
    pub(super) fn join(&mut self, key: &Key) {
        self.groups.entry(group(key)).or_default().keys += 1;
    }

    pub(super) fn leave(&mut self, key: &Key) {
        let group = group(key);
        if let Some(members) = self.groups.get_mut(&group) {
            members.keys = members.keys.saturating_sub(1);
            if members.keys == 0 {
                self.groups.remove(&group);
            }
        }
    }
}

fn group(key: &Key) -> (Arc<str>, Grants) {
    (key.name.namespace.clone(), key.models.clone())
}

impl Compiler {
    /// True when nothing that exists is granted by `key`.
    pub(super) fn is_unmatched(&mut self, key: &Key) -> bool {
        let group = group(key);
        if let Some(known) = self.grants.groups.get(&group).and_then(|g| g.unmatched) {
            return known;
        }
        let unmatched = !self.matches(&group.0, &group.1);
        if let Some(asked) = self.grants.groups.get_mut(&group) {
            asked.unmatched = Some(unmatched);
        }
        unmatched
    }

    /// Asks again after names of some namespaces changed, and passes on where the answer did.
    pub(super) fn recheck_grants(&mut self, changed: &BTreeSet<Arc<str>>, dirty: &mut Dirty) {
        let everywhere = changed.iter().any(|n| self.is_platform(n));
        let concerned = |namespace: &Arc<str>| everywhere || changed.contains(namespace);
        let asked = self.grants.groups.iter().filter(|((n, _), g)| concerned(n) && g.unmatched.is_some());
        let turned: HashSet<(Arc<str>, Grants)> = asked
            .filter(|((n, grants), group)| group.unmatched == Some(self.matches(n, grants)))
            .map(|(group, _)| group.clone())
            .collect();
        if turned.is_empty() {
            return;
        }
        for group in &turned {
            if let Some(group) = self.grants.groups.get_mut(group) {
                group.unmatched = group.unmatched.map(|u| !u);
            }
        }
        let concerned = |name: &&ObjectName| self.sound_key(name).is_some_and(|k| turned.contains(&group(k)));
        let names: Vec<ObjectName> = self.key_names().filter(concerned).cloned().collect();
        for name in names {
            if let Some(entry) = self.open_key(&name) {
                entry.set_unmatched(!entry.is_unmatched());
            }
            self.close_key(&name);
            dirty.report(Kind::VirtualKey, &name);
        }
    }

    fn matches(&self, namespace: &str, grants: &Grants) -> bool {
        let names = &self.snapshot.names;
        let resolves = |name: &str| names.resolve(namespace, name).is_some();
        let mut places =
            std::iter::once(namespace).chain(self.platform.iter().map(|p| &**p)).collect::<Vec<_>>();
        places.dedup();
        let any = |prefix: &str| places.iter().any(|p| self.names.starting(p, prefix).any(resolves));
        grants.0.iter().any(|grant| match grant {
            Grant::All => any(""),
            Grant::Prefix(prefix) => any(prefix),
            Grant::Exact(name) => resolves(name),
        })
    }
}
