//! One object, sealed: a header that every version reads, and the object as `smartflow-compile` carries it.

use crate::digest::Field;
use crate::key::{Ring, SealingKey};
use crate::revision::Revision;
use crate::seal::{Place, Purpose, SealError, open, seal};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smartflow_compile::{Carried, Change, Finding, Kind, LEVEL, Object, ObjectRef, Reason, Restraint};
use smartflow_snapshot::ObjectName;
use zeroize::Zeroizing;

/// What is lost where an entry cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Class {
    /// It offers or grants: it is absent.
    Grant,
    /// It restricts: what it concerns is closed.
    Restrict,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    /// Level of whoever wrote it.
    schema: u32,
    /// Lowest level that can read it.
    min_reader: u32,
    class: Class,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<&'a Restraint>,
    /// Left out: the object is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a Carried>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(default)]
    schema: u32,
    min_reader: u32,
    class: Class,
    kind: Box<str>,
    namespace: Box<str>,
    name: Box<str>,
    #[serde(default)]
    targets: Option<Restraint>,
    #[serde(default, borrow)]
    object: Option<&'a RawValue>,
}

/// The text of an entry before it is sealed; `None` for `carried`: a tombstone.
pub(crate) fn text(object: &ObjectRef, carried: Option<&Carried>) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let restricts = object.kind == Kind::Policy;
    let written = Written {
        schema: LEVEL,
        min_reader: carried.map_or(1, Carried::level),
        class: if restricts { Class::Restrict } else { Class::Grant },
        kind: object.kind.as_str(),
        namespace: &object.name.namespace,
        name: &object.name.name,
        targets: carried.and_then(Carried::restraint),
        object: carried,
    };
    serde_json::to_vec(&written).map(Zeroizing::new).map_err(|_| SealError::NotSealed)
}

pub(crate) fn seal_entry(
    key: &SealingKey,
    install: &str,
    field: Field,
    at: Revision,
    text: &[u8],
) -> Result<Vec<u8>, SealError> {
    seal(key, place(install, &field), at, text)
}

fn place<'a>(install: &'a str, field: &'a Field) -> Place<'a> {
    Place { purpose: Purpose::Entry, install, spot: &field.0 }
}

/// An entry that was opened: its header is proven.
pub(crate) struct Opened {
    text: Zeroizing<Vec<u8>>,
    /// As the writer named it.
    pub(crate) label: Label,
    pub(crate) min_reader: u32,
    pub(crate) schema: u32,
    pub(crate) class: Class,
    pub(crate) gone: bool,
}

/// Which object, of a kind that may not be known here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Label {
    pub(crate) kind: Box<str>,
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
}

impl Label {
    /// The object, when its kind is known here.
    pub(crate) fn object(&self) -> Option<ObjectRef> {
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == &*self.kind)?;
        Some(ObjectRef { kind, name: ObjectName::new(&*self.namespace, &*self.name) })
    }

    /// A policy that stands for an object of a kind that is not known here. No object can have this name.
    fn stand_in(&self) -> ObjectRef {
        let name = format!("{}:{}", self.kind, self.name);
        ObjectRef { kind: Kind::Policy, name: ObjectName::new(&*self.namespace, name) }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// What an entry means to a pod.
pub(crate) struct Taken {
    /// `None`: nothing (a grant of a kind that is not known here).
    pub(crate) change: Option<Change>,
    /// Which object that concerns here.
    pub(crate) object: Option<ObjectRef>,
    /// Why it could not be used.
    pub(crate) unusable: Option<Finding>,
}

/// Opens an entry: it is what was sealed for this name, and its own name is this one.
pub(crate) fn open_entry(
    ring: &Ring,
    install: &str,
    field: Field,
    sealed: &[u8],
) -> Result<Opened, SealError> {
    let (front, text) = open(ring, place(install, &field), sealed)?;
    let read: Read<'_> = serde_json::from_slice(&text).map_err(|_| SealError::Forged)?;
    let key = ring.get(front.key).ok_or(SealError::UnknownKey(front.key))?;
    if Field::of_parts(key, &read.kind, &read.namespace, &read.name) != field {
        return Err(SealError::Forged);
    }
    let Read { schema, min_reader, class, kind, namespace, name, object, .. } = read;
    let gone = object.is_none();
    let label = Label { kind, namespace, name };
    Ok(Opened { text, label, min_reader, schema, class, gone })
}

impl Opened {
    /// The header and the object, once more. They were read before, so that this does not fail.
    fn read(&self) -> Option<Read<'_>> {
        serde_json::from_slice(&self.text).ok()
    }

    /// The object as it was carried, when this version can read it.
    pub(crate) fn carried(&self) -> Option<Carried> {
        serde_json::from_str(self.read()?.object?.get()).ok()
    }

    /// Text of the whole, to compare it with another.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// What the entry means to a reader of level `reads`.
    pub(crate) fn take(&self, reads: u32) -> Taken {
        let known = self.label.object();
        if self.gone {
            let object = known.or_else(|| (self.class == Class::Restrict).then(|| self.label.stand_in()));
            return Taken { change: object.clone().map(Change::Remove), object, unusable: None };
        }
        let object = match known.clone() {
            None => Err(Finding::too_new(self.min_reader, reads)),
            Some(_) if self.min_reader > reads => Err(Finding::too_new(self.min_reader, reads)),
            Some(id) => match self.carried() {
                Some(carried) => Object::carried(id, carried),
                None => Err(unreadable()),
            },
        };
        match object {
            Ok(object) => {
                Taken { change: Some(Change::Set(Box::new(object))), object: known, unusable: None }
            }
            Err(why) => self.unusable(known, why),
        }
    }

    fn unusable(&self, known: Option<ObjectRef>, why: Finding) -> Taken {
        let restricts = self.class == Class::Restrict;
        let object = known.or_else(|| restricts.then(|| self.label.stand_in()));
        let targets = self.read().and_then(|r| r.targets);
        let unusable = |id| Object::unusable(id, targets.as_ref(), why.clone());
        let change = object.clone().map(|id| Change::Set(Box::new(unusable(id))));
        Taken { change, object, unusable: Some(why) }
    }
}

fn unreadable() -> Finding {
    let message = "What the operator says of it cannot be read by this version.";
    Finding::error(Reason::GatewayTooOld, "", message, "Update the gateways, then the operator.")
}
