//! What is to be said of a change, and in how many records.

use super::read::{Held, sum};
use super::{Draft, PublishError, Publisher, World};
use crate::digest::Field;
use crate::entry::{seal_entry, text};
use crate::head::Head;
use crate::record::{MOST_BYTES, MOST_ENTRIES, Part, Record};
use crate::revision::Revision;
use bytes::Bytes;
use smartflow_compile::{Carried, ObjectRef};
use zeroize::Zeroizing;

/// An object that is to be said anew.
pub(super) struct Planned {
    object: ObjectRef,
    /// Tombstone, or entry.
    gone: bool,
    text: Zeroizing<Vec<u8>>,
}

/// Cuts them into records.
pub(super) fn groups(parts: Vec<Planned>) -> Vec<Vec<Planned>> {
    let (mut groups, mut group, mut bytes) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        let size = part.text.len();
        if group.len() == MOST_ENTRIES || (bytes + size > MOST_BYTES && !group.is_empty()) {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += size;
        group.push(part);
    }
    groups.push(group);
    groups
}

impl Publisher {
    /// Changes that are not published yet, in order; of several of one object the last. What a newer version wrote of an
    /// object stays while its spec has fields that are not known here: read again, it would be worth less.
    pub(super) fn plan(
        &self,
        changes: impl IntoIterator<Item = (ObjectRef, Option<Carried>)>,
    ) -> Result<Vec<Planned>, PublishError> {
        let mut planned = std::collections::BTreeMap::new();
        for (object, carried) in changes {
            if self.is_newer(&object) && carried.as_ref().is_some_and(Carried::has_unknown_fields) {
                planned.remove(&object);
                continue;
            }
            let text = text(&object, carried.as_ref())?;
            planned.insert(object, (carried.is_none(), text));
        }
        let mut parts = Vec::new();
        for (object, (gone, text)) in planned {
            let held = self.held.get(&object);
            let said = match (held, gone) {
                (None, true) => true,
                (Some(held), false) => held.key == self.sealing && held.text == sum(&text),
                _ => false,
            };
            if !said {
                parts.push(Planned { object, gone, text });
            }
        }
        Ok(parts)
    }

    /// Seals the next record.
    pub(super) fn draft(
        &mut self,
        group: Vec<Planned>,
        world: &World,
        complete: bool,
    ) -> Result<Draft, PublishError> {
        let epoch = self.epoch.ok_or(PublishError::NotLeading)?;
        let at = Revision { epoch, number: self.number + 1 };
        let key = self.ring.get(self.sealing).ok_or(PublishError::NoSuchKey(self.sealing))?;
        let (mut parts, mut held) = (Vec::new(), Vec::new());
        for Planned { object, gone, text } in group {
            let field = Field::of(key, &object);
            let sealed = Bytes::from(seal_entry(key, &self.shelf.install, field, at, &text)?);
            let old = self.held.get(&object).map(|held| held.field).filter(|old| *old != field);
            parts.extend(old.map(Part::Moved));
            if gone {
                parts.push(Part::Gone(field, sealed));
                held.push((object, None));
            } else {
                parts.push(Part::Set(field, sealed));
                let now = Held { field, key: key.id, text: sum(&text), too_new: false };
                held.push((object, Some(now)));
            }
        }
        let delta = self.set.weigh(&self.ring, &parts).map_err(|(_, fault)| fault)?;
        let head = Head {
            at,
            key: key.id,
            count: delta.count,
            digest: delta.digest,
            content: world.content,
            complete,
            published: world.now,
            settings: world.settings.clone(),
        };
        let sealed = Bytes::from(head.seal(key, &self.shelf.install)?);
        // Of one that begins anew gateways are told that it follows nothing; the script does that.
        let previous = self.last.as_deref().filter(|_| !self.reset).and_then(|last| last.parse().ok());
        let record = Record { at, previous, head: sealed, parts };
        Ok(Draft { record, head, delta, held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::open_entry;
    use crate::key::Ring;
    use crate::publisher::read::held;
    use smartflow_compile::{Change, Compiler, LEVEL, Object, Settings, load};
    use smartflow_store::redis::{Address, Options, Redis};

    fn policy(spec: &str) -> Object {
        let head = "apiVersion: smartflow.dev/v1alpha1\nkind: Policy\nmetadata: { name: p, namespace: n }";
        load(&format!("{head}\nspec: {spec}\n")).unwrap().objects.remove(0)
    }

    fn carried(object: &Object) -> Option<Carried> {
        let mut compiler = Compiler::new(&Settings::default());
        compiler.apply([Change::Set(Box::new(object.clone()))]);
        compiler.carry(object)
    }

    /// T8: an operator that was set back meets fields that it does not know.
    #[tokio::test]
    async fn what_a_newer_version_wrote_is_left_alone_while_its_spec_is_not_understood() {
        let ring = Ring::parse(&"ab".repeat(32)).unwrap();
        let redis = Redis::start(Options::new(Address::parse("redis://127.0.0.1:1").unwrap())).unwrap();
        let mut publisher = Publisher::new(redis, ring.clone());
        let key = ring.iter().next().unwrap();
        let (known, unknown) = (policy("{ limits: { requestsPerMinute: 1 } }"), policy("{ limitz: {} }"));
        let id = known.id().clone();
        let field = Field::of(key, &id);
        // Somebody wrote it who knows `limitz`.
        let written = |schema: u32| {
            let text = text(&id, carried(&known).as_ref()).unwrap();
            let mut text: serde_json::Value = serde_json::from_slice(&text).unwrap();
            text["schema"] = schema.into();
            let sealed = seal_entry(key, "i", field, Revision::default(), text.to_string().as_bytes());
            let opened = open_entry(&ring, "i", field, &sealed.unwrap()).unwrap();
            held(&opened, field, key.id).unwrap()
        };
        let said = |publisher: &Publisher, object: Option<&Object>| {
            publisher.plan([(id.clone(), object.and_then(carried))]).unwrap().len()
        };
        publisher.held.extend([written(LEVEL + 1)]);
        assert!(publisher.is_newer(&id));
        assert_eq!(said(&publisher, Some(&unknown)), 0, "left alone");
        assert_eq!(said(&publisher, Some(&known)), 1, "what is understood is said");
        assert_eq!(said(&publisher, None), 1, "what is gone is gone");
        publisher.held.extend([written(LEVEL)]);
        assert_eq!(said(&publisher, Some(&unknown)), 1, "our own is replaced");
    }
}
