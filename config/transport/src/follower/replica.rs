//! What a pod knows: the set that it holds, and what was compiled of it. Pure.

use super::refusal::Refusal;
use super::whole::Whole;
use crate::digest::{Field, share};
use crate::entry::{Opened, Taken, open_entry};
use crate::head::Head;
use crate::key::Ring;
use crate::record::{Part, Record};
use crate::revision::Revision;
use crate::seal::SealError;
use crate::set::Set;
use smartflow_compile::{Change, Compiler, ObjectRef, Report, Settings};
use smartflow_snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A set that equals its head, compiled.
#[derive(Debug)]
pub struct Activation {
    /// What serves from now on.
    pub snapshot: Snapshot,
    /// The head: its revision, the operator's content hash, when it was published.
    pub head: Head,
    /// Reports of the objects that it touched, in order.
    pub reports: Vec<Report>,
    /// Objects that are gone.
    pub gone: Vec<ObjectRef>,
    /// Objects there are.
    pub objects: u64,
    /// Entries that could not be used: `Kind namespace/name` and why.
    pub unusable: Vec<(String, String)>,
    /// Proving and compiling it took this long.
    pub took: Duration,
}

/// Why a record leads nowhere.
pub(crate) enum Halt {
    /// It does not follow what is held: read the whole set again.
    Gap,
    /// It is not what it should be.
    Refused(Refusal),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An entry that could not be used.
struct Unusable {
    label: String,
    why: String,
    /// What stands for it in the compiler.
    object: Option<ObjectRef>,
}

/// What a pod knows.
pub(crate) struct Replica {
    pub(crate) ring: Ring,
    install: String,
    /// Highest level of entries that it reads.
    reads: u32,
    compiler: Option<(Compiler, Settings)>,
    set: Set,
    head: Option<Head>,
    unusable: BTreeMap<Field, Unusable>,
    /// Touched since the last activation.
    touched: BTreeSet<ObjectRef>,
}

impl Replica {
    pub(crate) fn new(ring: Ring, install: String, reads: u32) -> Self {
        Self {
            ring,
            install,
            reads,
            compiler: None,
            set: Set::default(),
            head: None,
            unusable: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    /// The revision that is held.
    pub(crate) fn at(&self) -> Option<Revision> {
        self.head.as_ref().map(|head| head.at)
    }

    /// False in the middle of a change.
    pub(crate) fn is_complete(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.complete)
    }

    /// Opens a head.
    pub(crate) fn head(&self, sealed: &[u8]) -> Result<Head, Refusal> {
        Head::open(&self.ring, &self.install, sealed).map_err(Refusal::Head)
    }

    /// Opens the head of a record. It is of that record: the id in the stream alone says nothing, whoever can write to
    /// Redis chooses it.
    pub(crate) fn head_of(&self, record: &Record) -> Result<Head, Refusal> {
        let head = self.head(&record.head)?;
        if head.at == record.at { Ok(head) } else { Err(Refusal::Head(SealError::Forged)) }
    }

    /// Takes a whole set in the place of what is held. Entries that are held already are not compiled again. One that is
    /// older than `floor`, which was seen before, is refused.
    ///
    /// Returns nothing where the head says that more follows.
    pub(crate) fn adopt(
        &mut self,
        whole: &Whole,
        floor: Option<Revision>,
    ) -> Result<Option<Activation>, Refusal> {
        let head = self.head(&whole.head)?;
        if let Some(known) = floor.max(self.at()).filter(|known| head.at < *known) {
            return Err(Refusal::Older { found: head.at, known });
        }
        let set = self.prove(&head, whole)?;
        if self.compiler.as_ref().is_none_or(|(_, settings)| *settings != head.settings) {
            self.compiler = Some((Compiler::new(&head.settings), head.settings.clone()));
            (self.set, self.touched) = (Set::default(), BTreeSet::new());
            self.unusable.clear();
        }
        // Keys last: what they grant and refer to is then there, and is asked for once.
        let (mut keys, mut others) = (Vec::new(), Vec::new());
        for (field, sealed) in whole.entries.iter().filter(|(f, _)| self.set.share(f) != set.share(f)) {
            let opened = open_entry(&self.ring, &self.install, *field, sealed);
            let opened = opened.map_err(|fault| Refusal::Entry { field: *field, fault })?;
            match &*opened.label.kind {
                // Opened once more when its turn comes: there may be very many.
                "VirtualKey" => keys.push((*field, sealed)),
                _ => others.push((*field, opened)),
            }
        }
        let Some((mut compiler, settings)) = self.compiler.take() else { return Ok(None) };
        let missing = self.missing(&compiler, &set);
        self.unusable.retain(|field, _| set.contains(field));
        self.set = set;
        let (ring, install) = (self.ring.clone(), self.install.clone());
        let keys = keys.into_iter().filter_map(|(field, sealed)| {
            open_entry(&ring, &install, field, sealed).ok().map(|opened| (field, opened))
        });
        let changes = others.into_iter().chain(keys);
        let changes = missing.into_iter().chain(changes.filter_map(|(f, opened)| self.take(f, &opened)));
        let mut gone = Vec::new();
        let compiled = compiler.apply(changes.inspect(|change| gone.extend(removed(change))));
        self.touched.extend(compiled.reports.into_iter().map(|r| r.object).chain(gone));
        self.compiler = Some((compiler, settings));
        Ok(self.activate(head))
    }

    /// Takes one record.
    pub(crate) fn follow(&mut self, record: &Record) -> Result<Option<Activation>, Halt> {
        let Some(known) = self.at().filter(|at| record.previous == Some(*at)) else {
            return Err(Halt::Gap);
        };
        let head = self.head_of(record)?;
        if head.at <= known {
            return Err(Refusal::Older { found: head.at, known }.into());
        }
        if self.compiler.as_ref().is_none_or(|(_, settings)| *settings != head.settings) {
            return Err(Halt::Gap);
        }
        let changes = self.changes(&head, record)?;
        let Some((compiler, _)) = &mut self.compiler else { return Err(Halt::Gap) };
        let gone: Vec<ObjectRef> = changes.iter().filter_map(removed).collect();
        let compiled = compiler.apply(changes);
        self.touched.extend(compiled.reports.into_iter().map(|r| r.object).chain(gone));
        Ok(self.activate(head))
    }

    /// What a record changes, once it is proven that it leads to its head.
    fn changes(&mut self, head: &Head, record: &Record) -> Result<Vec<Change>, Refusal> {
        let refused = |(field, fault)| Refusal::Entry { field, fault };
        let delta = self.set.weigh(&self.ring, &record.parts).map_err(refused)?;
        if !delta.equals(head) {
            return Err(Refusal::Differs { at: head.at, found: delta.count, wanted: head.count });
        }
        let mut opened = Vec::new();
        for part in &record.parts {
            if let Part::Set(field, sealed) | Part::Gone(field, sealed) = part {
                let entry = open_entry(&self.ring, &self.install, *field, sealed);
                let entry = entry.map_err(|fault| refused((*field, fault)))?;
                // A tombstone in the place of an entry would lead to another set than an object that is gone.
                if entry.gone != matches!(part, Part::Gone(..)) {
                    return Err(refused((*field, SealError::Forged)));
                }
                opened.push((*field, entry));
            }
        }
        for part in &record.parts {
            let (Part::Set(field, _) | Part::Gone(field, _) | Part::Moved(field)) = part;
            self.unusable.remove(field);
        }
        self.set.commit(delta);
        Ok(opened.iter().filter_map(|(field, entry)| self.take(*field, entry)).collect())
    }

    /// The set of what was found, when it is the head's.
    fn prove(&self, head: &Head, whole: &Whole) -> Result<Set, Refusal> {
        let (mut set, mut damaged) = (Set::default(), Vec::new());
        for (field, sealed) in &whole.entries {
            match share(&self.ring, *field, sealed) {
                Ok(share) => set.insert(*field, share),
                Err(fault) => damaged.push((*field, fault)),
            }
        }
        if set.equals(head) && damaged.is_empty() {
            return Ok(set);
        }
        // Says which one it is, where that can be told; of several always the same one.
        damaged.extend(whole.entries.iter().filter_map(|(field, sealed)| {
            let fault = open_entry(&self.ring, &self.install, *field, sealed).err()?;
            Some((*field, fault))
        }));
        match damaged.into_iter().min_by_key(|(field, _)| *field) {
            Some((field, fault)) => Err(Refusal::Entry { field, fault }),
            None => Err(Refusal::Differs { at: head.at, found: set.len(), wanted: head.count }),
        }
    }

    /// Removals of what the compiler has and the new set has not.
    fn missing(&self, compiler: &Compiler, set: &Set) -> Vec<Change> {
        let stand_ins: BTreeMap<&ObjectRef, &Field> =
            self.unusable.iter().filter_map(|(field, u)| Some((u.object.as_ref()?, field))).collect();
        let there = |object: &ObjectRef| match stand_ins.get(object) {
            Some(field) => set.contains(field),
            None => self.ring.iter().any(|key| set.contains(&Field::of(key, object))),
        };
        compiler.objects().filter(|object| !there(object)).map(Change::Remove).collect()
    }

    fn take(&mut self, field: Field, opened: &Opened) -> Option<Change> {
        let Taken { change, object, unusable } = opened.take(self.reads);
        match unusable {
            Some(why) => {
                let (label, why) = (opened.label.to_string(), why.to_string());
                self.unusable.insert(field, Unusable { label, why, object });
            }
            None => drop(self.unusable.remove(&field)),
        }
        change
    }

    /// Notes the head; what is to serve when it is complete.
    fn activate(&mut self, head: Head) -> Option<Activation> {
        self.head = Some(head.clone());
        let (compiler, _) = self.compiler.as_ref().filter(|_| head.complete)?;
        let (mut reports, mut gone) = (Vec::new(), Vec::new());
        for object in std::mem::take(&mut self.touched) {
            match compiler.report(&object) {
                Some(report) => reports.push(report),
                None => gone.push(object),
            }
        }
        let unusable = self.unusable.values().map(|u| (u.label.clone(), u.why.clone())).collect();
        let objects = self.set.len();
        let (snapshot, took) = (compiler.snapshot().clone(), Duration::ZERO);
        Some(Activation { snapshot, head, reports, gone, objects, unusable, took })
    }
}

fn removed(change: &Change) -> Option<ObjectRef> {
    match change {
        Change::Remove(object) => Some(object.clone()),
        Change::Set(_) => None,
    }
}
