//! The published set, as it is found.

use super::PublishError;
use crate::digest::{Field, share};
use crate::entry::{Opened, open_entry};
use crate::head::Head;
use crate::key::{KeyId, Ring};
use crate::seal::{Front, SealError};
use crate::set::Set;
use crate::shelf::Shelf;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use smartflow_compile::ObjectRef;
use smartflow_store::redis::{Dedicated, Error, cmd};
use std::collections::HashMap;

/// What is published of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub(super) field: Field,
    pub(super) key: KeyId,
    /// Of the text before it was sealed.
    pub(super) text: Sum,
    /// Level of whoever wrote it, when that is above ours.
    pub(super) too_new: bool,
}

/// First half of a SHA-256.
pub(super) type Sum = [u8; 16];

pub(super) fn sum(text: &[u8]) -> Sum {
    let mut sum = [0; 16];
    sum.iter_mut().zip(digest(&SHA256, text).as_ref()).for_each(|(out, byte)| *out = *byte);
    sum
}

/// What was found.
pub(super) struct Found {
    pub(super) last: Option<String>,
    pub(super) head: Option<Head>,
    pub(super) set: Set,
    pub(super) held: HashMap<ObjectRef, Held>,
    /// The set is the one that the head names, whatever else is there.
    pub(super) proven: bool,
    /// Why it cannot be built upon.
    pub(super) damage: Option<String>,
}

/// Reads everything and proves it.
pub(super) async fn read(shelf: &Shelf, link: &mut Dedicated, ring: &Ring) -> Result<Found, PublishError> {
    let last = shelf.last(link).await?;
    let sealed = shelf.head(link).await?;
    let (set, held) = (Set::default(), HashMap::new());
    let mut found = Found { last, head: None, set, held, proven: false, damage: None };
    let mut bad: Option<String> = None;
    shelf
        .scan(link, |name, entry| {
            let Some(field) = Field::read(&name) else {
                bad = Some("something that is no entry is among the entries".to_owned());
                return Ok(());
            };
            match take(shelf, ring, field, &entry) {
                Ok((share, object)) => {
                    found.set.insert(field, share);
                    found.held.extend(object);
                }
                Err(fault) => bad = Some(format!("entry {field} cannot be used: {fault}")),
            }
            Ok::<_, PublishError>(())
        })
        .await?;
    found.damage = match (sealed.as_deref().map(|s| Head::open(ring, &shelf.install, s)), bad) {
        (None, _) if found.last.is_none() && found.set.len() == 0 => Some("nothing is published".to_owned()),
        (None, _) => Some("the head is missing".to_owned()),
        (Some(Err(fault)), _) => Some(format!("the head cannot be used: {fault}")),
        (Some(Ok(head)), bad) => {
            let fits = found.set.equals(&head);
            let ends = found.last.as_deref() == Some(&*head.at.to_string());
            (found.head, found.proven) = (Some(head), fits);
            match bad {
                Some(bad) => Some(bad),
                None if !fits => Some("the entries are not those that the head names".to_owned()),
                None if !ends => Some("the stream does not end with the head".to_owned()),
                None => None,
            }
        }
    };
    Ok(found)
}

type Taken = (smartflow_snapshot::ContentHash, Option<(ObjectRef, Held)>);

fn take(shelf: &Shelf, ring: &Ring, field: Field, entry: &Bytes) -> Result<Taken, SealError> {
    let share = share(ring, field, entry)?;
    let opened = open_entry(ring, &shelf.install, field, entry)?;
    let key = Front::of(entry).ok_or(SealError::Forged)?.key;
    Ok((share, held(&opened, field, key)))
}

/// An object of a kind that is not known here stays where it is.
pub(super) fn held(opened: &Opened, field: Field, key: KeyId) -> Option<(ObjectRef, Held)> {
    let too_new = opened.schema > smartflow_compile::LEVEL;
    Some((opened.label.object()?, Held { field, key, text: sum(opened.text()), too_new }))
}

/// One entry of a proven set, opened; `None`: what is there is not what is in the set.
pub(super) async fn read_one(
    shelf: &Shelf,
    link: &mut Dedicated,
    ring: &Ring,
    set: &Set,
    field: Field,
) -> Result<Option<Opened>, Error> {
    let mut ask = cmd("HGET");
    ask.arg(&shelf.entries).arg(&field.0[..]);
    let entry: Option<Vec<u8>> = link.run(&ask, crate::shelf::LIMIT).await?;
    let proven =
        |entry: &Vec<u8>| set.share(&field).is_some() && share(ring, field, entry).ok() == set.share(&field);
    let entry = entry.filter(proven);
    Ok(entry.and_then(|entry| open_entry(ring, &shelf.install, field, &entry).ok()))
}
