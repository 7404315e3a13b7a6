//! Which file declares which object.

use sha2::{Digest, Sha256};
use smartflow_compile::{Kind, ObjectRef};
use smartflow_snapshot::ObjectName;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Files by the objects that they declare. There may be very many objects: each costs its name (shared with the
/// compiler) in its file's list, and sixteen bytes in the index.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Objects of each file, in order.
    files: BTreeMap<Arc<str>, File>,
    /// The first file of each object, by its number.
    holders: HashMap<Fingerprint, u32>,
    /// Names of files by number.
    numbers: Vec<Option<Arc<str>>>,
    /// Numbers that nobody has.
    free: Vec<u32>,
    /// All files of objects that several declare.
    shared: BTreeMap<ObjectRef, BTreeSet<Arc<str>>>,
    /// Namespaces, each stored once, and their places in that list.
    namespaces: Vec<Arc<str>>,
    places: BTreeMap<Arc<str>, u32>,
}

#[derive(Debug)]
struct File {
    number: u32,
    objects: Box<[Held]>,
}

/// An [`ObjectRef`] in less space.
#[derive(Debug)]
struct Held {
    name: Arc<str>,
    /// Place of its namespace.
    namespace: u32,
    kind: Kind,
}

/// First bytes of the SHA-256 of an identity: two of a million objects share one with a chance of 1 in 10^17.
type Fingerprint = [u8; 12];

fn fingerprint(identity: &str) -> Fingerprint {
    let mut short = Fingerprint::default();
    short.copy_from_slice(&Sha256::digest(identity.as_bytes())[..12]);
    short
}

impl Inventory {
    /// The file that declares `id`; the first by name when several do.
    pub(super) fn file_of(&self, id: &ObjectRef) -> Option<&Arc<str>> {
        self.holder(&id.to_string())
    }

    /// The same for an object that is written `Kind namespace/name`.
    pub(super) fn holder(&self, identity: &str) -> Option<&Arc<str>> {
        let number = *self.holders.get(&fingerprint(identity))?;
        self.numbers.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// All files that declare `id`.
    pub(super) fn files_of(&self, id: &ObjectRef) -> BTreeSet<Arc<str>> {
        self.shared.get(id).cloned().unwrap_or_else(|| self.file_of(id).cloned().into_iter().collect())
    }

    /// What `file` declares.
    pub(super) fn objects_of(&self, file: &str) -> impl Iterator<Item = ObjectRef> {
        let held = self.files.get(file).into_iter().flat_map(|f| &f.objects);
        held.filter_map(|held| self.identity(held))
    }

    fn identity(&self, held: &Held) -> Option<ObjectRef> {
        let namespace = self.namespaces.get(usize::try_from(held.namespace).ok()?)?.clone();
        Some(ObjectRef { kind: held.kind, name: ObjectName { namespace, name: held.name.clone() } })
    }

    /// Files that share an object with one of `files`.
    pub(super) fn entangled(&self, files: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let touched = self.shared.values().filter(|sharers| !sharers.is_disjoint(files));
        touched.flatten().filter(|file| !files.contains(*file)).cloned().collect()
    }

    /// Forgets `files`; returns what they declared.
    pub(super) fn release(&mut self, files: &BTreeSet<Arc<str>>) -> BTreeSet<ObjectRef> {
        let mut released = BTreeSet::new();
        for file in files {
            let Some(File { number, objects }) = self.files.remove(file) else { continue };
            if let Some(name) = usize::try_from(number).ok().and_then(|n| self.numbers.get_mut(n)) {
                *name = None;
                self.free.push(number);
            }
            for held in objects {
                let Some(id) = self.identity(&held) else { continue };
                let print = fingerprint(&id.to_string());
                if self.holders.get(&print) == Some(&number) {
                    self.holders.remove(&print);
                }
                released.insert(id);
            }
        }
        for (id, sharers) in &mut self.shared {
            sharers.retain(|file| !files.contains(file));
            if let Some(first) = sharers.first().and_then(|f| self.files.get(f)) {
                self.holders.insert(fingerprint(&id.to_string()), first.number);
            }
        }
        self.shared.retain(|_, sharers| sharers.len() > 1);
        released
    }

    /// Notes what `file`, which was released or is new, declares.
    pub(super) fn declare<'a>(&mut self, file: &Arc<str>, objects: impl Iterator<Item = &'a ObjectRef>) {
        let number = self.number(file);
        let mut held: Vec<ObjectRef> = Vec::new();
        for id in objects {
            let mut id = id.clone();
            id.name.namespace = self.interned(&id.name.namespace).0;
            let print = fingerprint(&id.to_string());
            match self.file_of(&id).cloned() {
                Some(holder) if holder != *file => {
                    let first = file < &holder;
                    self.shared.entry(id.clone()).or_insert_with(|| [holder].into()).insert(file.clone());
                    if first {
                        self.holders.insert(print, number);
                    }
                }
                _ => drop(self.holders.insert(print, number)),
            }
            held.push(id);
        }
        held.sort();
        held.dedup();
        let objects = held.into_iter().map(|id| Held {
            namespace: self.interned(&id.name.namespace).1,
            name: id.name.name,
            kind: id.kind,
        });
        let objects = objects.collect();
        self.files.insert(file.clone(), File { number, objects });
    }

    /// Objects that are declared.
    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    fn number(&mut self, file: &Arc<str>) -> u32 {
        let name = Some(file.clone());
        if let Some(number) = self.free.pop() {
            if let Some(slot) = usize::try_from(number).ok().and_then(|n| self.numbers.get_mut(n)) {
                *slot = name;
            }
            return number;
        }
        self.numbers.push(name);
        // There are far fewer files than that.
        u32::try_from(self.numbers.len() - 1).unwrap_or(u32::MAX)
    }

    fn interned(&mut self, namespace: &Arc<str>) -> (Arc<str>, u32) {
        if let Some((known, place)) = self.places.get_key_value(namespace) {
            return (known.clone(), *place);
        }
        // There are far fewer namespaces than that.
        let place = u32::try_from(self.namespaces.len()).unwrap_or(u32::MAX);
        self.namespaces.push(namespace.clone());
        self.places.insert(namespace.clone(), place);
        (namespace.clone(), place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        inventory.declare(&b, [id("one"), id("one")].iter());
        assert_eq!(inventory.files_of(&id("one")), files(&["b.yaml"]));
        assert!(inventory.entangled(&files(&["b.yaml"])).is_empty());
        inventory.declare(&a, [id("one"), id("two")].iter());
        assert_eq!(inventory.file_of(&id("one")), Some(&a));
        assert_eq!(inventory.holder("Policy a/two"), Some(&a));
        assert_eq!(inventory.entangled(&files(&["b.yaml"])), files(&["a.yaml"]));
        assert_eq!(inventory.len(), 2);

        let released = inventory.release(&files(&["a.yaml"]));
        assert_eq!(released, [id("one"), id("two")].into());
        assert_eq!((inventory.file_of(&id("one")), inventory.file_of(&id("two"))), (Some(&b), None));
        assert!(inventory.entangled(&files(&["b.yaml"])).is_empty());
        inventory.release(&files(&["b.yaml"]));
        assert_eq!(inventory.len(), 0);
        assert!(inventory.numbers.iter().all(Option::is_none), "numbers are used again");
    }

    #[test]
    fn the_last_of_many_goes_before_the_first() {
        let mut inventory = Inventory::default();
        for file in ["c", "a", "b"] {
            inventory.declare(&file.into(), [id("one")].iter());
        }
        assert_eq!(inventory.file_of(&id("one")).map(|f| &**f), Some("a"));
        inventory.release(&files(&["c"]));
        assert_eq!(inventory.files_of(&id("one")), files(&["a", "b"]));
        inventory.release(&files(&["a"]));
        assert_eq!(inventory.file_of(&id("one")).map(|f| &**f), Some("b"));
    }
}
