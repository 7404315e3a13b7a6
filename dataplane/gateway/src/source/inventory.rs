//! Which file declares which object.

use smartflow_compile::ObjectRef;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Files by the objects that they declare.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// The first file of each object; one entry per object and nothing else, as there may be many.
    holders: HashMap<ObjectRef, Arc<str>>,
    /// All files of objects that several declare.
    shared: BTreeMap<ObjectRef, BTreeSet<Arc<str>>>,
    /// Namespaces, each stored once.
    namespaces: BTreeSet<Arc<str>>,
}

impl Inventory {
    /// The file that declares `id`; the first by name when several do.
    pub(super) fn file_of(&self, id: &ObjectRef) -> Option<&Arc<str>> {
        self.holders.get(id)
    }

    /// All files that declare `id`.
    pub(super) fn files_of(&self, id: &ObjectRef) -> BTreeSet<Arc<str>> {
        self.shared.get(id).cloned().unwrap_or_else(|| self.holders.get(id).cloned().into_iter().collect())
    }

    /// Files that share an object with one of `files`.
    pub(super) fn entangled(&self, files: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let touched = self.shared.values().filter(|sharers| !sharers.is_disjoint(files));
        touched.flatten().filter(|file| !files.contains(*file)).cloned().collect()
    }

    /// Forgets `files`; returns what they declared.
    pub(super) fn release(&mut self, files: &BTreeSet<Arc<str>>) -> BTreeSet<ObjectRef> {
        let mut released: BTreeSet<ObjectRef> =
            self.holders.extract_if(|_, file| files.contains(file)).map(|(id, _)| id).collect();
        for (id, sharers) in &mut self.shared {
            let before = sharers.len();
            sharers.retain(|file| !files.contains(file));
            if sharers.len() != before {
                released.insert(id.clone());
            }
        }
        for (id, sharers) in &self.shared {
            if let Some(first) = sharers.first() {
                self.holders.insert(id.clone(), first.clone());
            }
        }
        self.shared.retain(|_, sharers| sharers.len() > 1);
        released
    }

    /// Notes that `file` declares `id`.
    pub(super) fn declare(&mut self, id: &ObjectRef, file: &Arc<str>) {
        let mut id = id.clone();
        id.name.namespace = self.interned(&id.name.namespace);
        match self.holders.get_mut(&id) {
            None => {
                self.holders.insert(id, file.clone());
            }
            Some(holder) if holder == file => {}
            Some(holder) => {
                let sharers = self.shared.entry(id).or_insert_with(|| [holder.clone()].into());
                sharers.insert(file.clone());
                if file < holder {
                    *holder = file.clone();
                }
            }
        }
    }

    /// Objects that are declared.
    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    /// All of them, written as `Kind namespace/name`.
    pub(super) fn identities(&self) -> BTreeSet<String> {
        self.holders.keys().map(ToString::to_string).collect()
    }

    fn interned(&mut self, namespace: &Arc<str>) -> Arc<str> {
        match self.namespaces.get(namespace) {
            Some(known) => known.clone(),
            None => {
                self.namespaces.insert(namespace.clone());
                namespace.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartflow_compile::Kind;
    use smartflow_snapshot::ObjectName;

    fn id(name: &str) -> ObjectRef {
        ObjectRef { kind: Kind::Policy, name: ObjectName::new("a", name) }
    }

    fn files(names: &[&str]) -> BTreeSet<Arc<str>> {
        names.iter().map(|n| Arc::from(*n)).collect()
    }

    #[test]
    fn objects_of_several_files() {
        let mut inventory = Inventory::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a.yaml".into(), "b.yaml".into());
        inventory.declare(&id("one"), &b);
        inventory.declare(&id("one"), &b);
        assert_eq!(inventory.files_of(&id("one")), files(&["b.yaml"]));
        assert!(inventory.entangled(&files(&["b.yaml"])).is_empty());
        inventory.declare(&id("one"), &a);
        inventory.declare(&id("two"), &a);
        assert_eq!(inventory.file_of(&id("one")), Some(&a));
        assert_eq!(inventory.entangled(&files(&["b.yaml"])), files(&["a.yaml"]));

        let released = inventory.release(&files(&["a.yaml"]));
        assert_eq!(released, [id("one"), id("two")].into());
        assert_eq!((inventory.file_of(&id("one")), inventory.file_of(&id("two"))), (Some(&b), None));
        assert!(inventory.entangled(&files(&["b.yaml"])).is_empty());
        inventory.release(&files(&["b.yaml"]));
        assert!(inventory.identities().is_empty());
    }
}
