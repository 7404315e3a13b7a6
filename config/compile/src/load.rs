//! YAML text to objects.

use crate::finding::{Finding, Position, Reason};
use crate::manifest::Manifest;
use crate::object::{Object, ObjectRef};
use crate::yaml::{Documents, Tree, check, explain};
use std::collections::{BTreeMap, BTreeSet};

/// Text that is parsed once, what it holds being kept until its end is seen; a longer one is checked first.
const AT_ONCE: usize = 1 << 20;

/// What a text holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Its objects, in order, each with its findings.
    pub objects: Vec<Object>,
    /// Faults of documents of which it cannot be told which object they are.
    pub findings: Vec<Finding>,
}

/// One document of a text.
#[derive(Debug)]
pub enum Item {
    /// An object, valid or not.
    Object(Box<Object>),
    /// A document that is not an object known here.
    Stray(Finding),
}

/// Reads a text: any number of documents, each an object.
///
/// # Errors
/// When the text as a whole is not YAML or exceeds the limits: then nothing of it can be relied on, and whoever reads
/// files keeps what was last read from this one.
pub fn load(text: &str) -> Result<Loaded, Finding> {
    let mut loaded = Loaded::default();
    load_each(text, |item| match item {
        Item::Object(object) => loaded.objects.push(*object),
        Item::Stray(finding) => loaded.findings.push(finding),
    })?;
    Ok(loaded)
}

/// Like [`load`], one document at a time, so that a large text needs little memory. `each` is not called at all when
/// the text cannot be relied on.
///
/// # Errors
/// As [`load`].
pub fn load_each(text: &str, mut each: impl FnMut(Item)) -> Result<(), Finding> {
    if text.len() <= AT_ONCE {
        let read = |document: Result<_, _>| document.map(|(tree, findings)| item(&tree, findings));
        let items = Documents::of(text).map(read).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|fault| explain(text, fault))?;
        items.into_iter().for_each(each);
        return Ok(());
    }
    check(text).map_err(|fault| explain(text, fault))?;
    for document in Documents::of(text) {
        let (tree, findings) = document?;
        each(item(&tree, findings));
    }
    Ok(())
}

/// Where `path` of `object` is in a text that [`load`] took. Findings that come from compiling have no position of
/// their own, as nobody keeps the text; whoever prints them asks here.
#[must_use]
pub fn locate(text: &str, object: &ObjectRef, path: &str) -> Option<Position> {
    let trees = Documents::of(text).map_while(Result::ok);
    let is_it = |tree: &Tree| Manifest::read(tree.value()).is_ok_and(|(m, _)| m.id == *object);
    trees.map(|(tree, _)| tree).find(is_it).map(|tree| tree.locate(path))
}

/// [`locate`] for many places at once, in one pass over the text; answers are in the order of `places`.
#[must_use]
pub fn locate_all(text: &str, places: &[(&ObjectRef, &str)]) -> Vec<Option<Position>> {
    let mut wanted: BTreeMap<&ObjectRef, Vec<usize>> = BTreeMap::new();
    for (i, (object, _)) in places.iter().enumerate() {
        wanted.entry(object).or_default().push(i);
    }
    let mut found = vec![None; places.len()];
    for (tree, _) in Documents::of(text).map_while(Result::ok) {
        let Ok((manifest, _)) = Manifest::read(tree.value()) else { continue };
        for i in wanted.remove(&manifest.id).into_iter().flatten() {
            found[i] = Some(tree.locate(places[i].1));
        }
    }
    found
}

fn item(tree: &Tree, mut findings: Vec<Finding>) -> Item {
    let manifest = match Manifest::read(tree.value()) {
        Ok((manifest, more)) => {
            findings.extend(more);
            manifest
        }
        Err(finding) => return Item::Stray(placed(finding, tree)),
    };
    let mut object = Object::of(manifest, findings);
    let findings = std::mem::take(&mut object.findings);
    // What was no value of its own is not of the wrong type a second time.
    let mut unread = BTreeSet::new();
    let first = |f: &Finding| f.reason != Reason::WrongType || unread.insert(f.path.clone());
    object.findings = findings.into_iter().filter(first).map(|f| placed(f, tree)).collect();
    object.findings.sort_by_key(|f| f.at);
    Item::Object(Box::new(object))
}

fn placed(finding: Finding, tree: &Tree) -> Finding {
    let at = finding.at.or_else(|| Some(tree.locate(&finding.path)));
    Finding { at, ..finding }
}
