//! Whether keys grant what exists. Many keys grant alike, so that it is asked once for all of them.

use super::{Compiler, Dirty};
use crate::object::Kind;
use smartflow_snapshot::{Grant, Grants, Key, ObjectName};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<(Arc<str>, Grants), Group>,
}

type Unmatched = Box<[Box<str>]>;

#[derive(Debug, Default)]
struct Group {
    keys: usize,
    /// Entries that match nothing, as they are written; `None` = not asked yet.
    unmatched: Option<Unmatched>,
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
    /// True when `key` grants nothing, or some of what it grants does not exist.
    pub(super) fn is_unmatched(&mut self, key: &Key) -> bool {
        let group = group(key);
        if self.grants.groups.get(&group).is_none_or(|g| g.unmatched.is_none()) {
            let unmatched = self.unmatched_of(&group.0, &group.1);
            if let Some(asked) = self.grants.groups.get_mut(&group) {
                asked.unmatched = Some(unmatched);
            }
        }
        key.models.0.is_empty() || !self.unmatched_entries(key).is_empty()
    }

    /// Entries of `key` that match nothing that exists, as they are written.
    pub(super) fn unmatched_entries(&self, key: &Key) -> &[Box<str>] {
        let asked = self.grants.groups.get(&group(key)).and_then(|g| g.unmatched.as_deref());
        asked.unwrap_or_default()
    }

    /// Asks again after names of some namespaces changed, and passes on where the answer did.
    pub(super) fn recheck_grants(&mut self, changed: &BTreeSet<Arc<str>>, dirty: &mut Dirty) {
        let everywhere = changed.iter().any(|n| self.is_platform(n));
        let concerned = |namespace: &Arc<str>| everywhere || changed.contains(namespace);
        let asked = self.grants.groups.iter().filter(|((n, _), g)| concerned(n) && g.unmatched.is_some());
        let turned: HashMap<(Arc<str>, Grants), Unmatched> = asked
            .map(|(group, asked)| (group, asked, self.unmatched_of(&group.0, &group.1)))
            .filter(|(_, asked, now)| asked.unmatched.as_ref() != Some(now))
            .map(|(group, _, now)| (group.clone(), now))
            .collect();
        if turned.is_empty() {
            return;
        }
        let turns = |key: &Arc<Key>| Some((key.models.0.is_empty(), turned.get(&group(key))?));
        let flagged = |name: &ObjectName| {
            let (nothing, unmatched) = self.sound_key(name).and_then(turns)?;
            Some((name.clone(), nothing || !unmatched.is_empty()))
        };
        let keys: Vec<(ObjectName, bool)> = self.key_names().filter_map(flagged).collect();
        for (group, unmatched) in turned {
            if let Some(group) = self.grants.groups.get_mut(&group) {
                group.unmatched = Some(unmatched);
            }
        }
        for (name, unmatched) in keys {
            if let Some(entry) = self.open_key(&name) {
                entry.set_unmatched(unmatched);
            }
            self.close_key(&name);
            dirty.report(Kind::VirtualKey, &name);
        }
    }

    fn unmatched_of(&self, namespace: &str, grants: &Grants) -> Unmatched {
        let names = &self.snapshot.names;
        let resolves = |name: &str| names.resolve(namespace, name).is_some();
        let mut places =
            std::iter::once(namespace).chain(self.platform.iter().map(|p| &**p)).collect::<Vec<_>>();
        places.dedup();
        let any = |prefix: &str| places.iter().any(|p| self.names.starting(p, prefix).any(resolves));
        let unmatched = grants.0.iter().filter_map(|grant| match grant {
            Grant::All => (!any("")).then(|| "*".into()),
            Grant::Prefix(prefix) => (!any(prefix)).then(|| format!("{prefix}*").into()),
            Grant::Exact(name) => (!resolves(name)).then(|| name.clone()),
        });
        unmatched.collect()
    }
}
