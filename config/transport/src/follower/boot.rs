//! Reading the whole set.

use super::Trouble;
use super::refusal::Refusal;
use super::replica::Replica;
use super::whole::Whole;
use crate::digest::Field;
use crate::head::Head;
use crate::revision::Revision;
use crate::shelf::Shelf;
use smartflow_store::redis::Dedicated;
use std::time::{Duration, SystemTime};

/// Entries beyond twice what the head names, before it is given up: whoever fills Redis does not fill the pod.
const SURPLUS: u64 = 10_000;

/// Head, all entries in buckets, and then the stream to its end, as the set went on while it was read.
pub(super) async fn boot(
    shelf: &Shelf,
    link: &mut Dedicated,
    replica: &Replica,
    floor: Option<Revision>,
    max_age: Option<Duration>,
) -> Result<Whole, Trouble> {
    let Some(sealed) = shelf.head(link).await? else {
        return Err(if floor.is_some() { Refusal::HeadGone.into() } else { Trouble::Nothing });
    };
    let head = replica.head(&sealed)?;
    check(&head, floor, max_age)?;
    let mut whole = Whole { head: sealed, ..Whole::default() };
    let (most, mut found) = (2 * head.count + SURPLUS, 0);
    shelf
        .scan(link, |name, entry| {
            found += 1;
            if found > most {
                return Err(Trouble::Refused(Refusal::Differs { at: head.at, found, wanted: head.count }));
            }
            // Whatever has another name cannot be part of a set.
            if let Some(field) = Field::read(&name) {
                whole.found(field, entry);
            }
            Ok(())
        })
        .await?;
    let last = catch_up(shelf, link, replica, head, &mut whole).await?;
    check(&last, floor, max_age)?;
    Ok(whole)
}

/// What was published while the entries were read; returns the last head.
async fn catch_up(
    shelf: &Shelf,
    link: &mut Dedicated,
    replica: &Replica,
    mut head: Head,
    whole: &mut Whole,
) -> Result<Head, Trouble> {
    loop {
        let records = shelf.after(link, head.at, None).await?;
        if records.is_empty() {
            return Ok(head);
        }
        for (id, record) in records {
            let record = record.ok_or(Trouble::Refused(Refusal::Record(id)))?;
            if record.previous != Some(head.at) {
                return Err(Trouble::Gap);
            }
            head = replica.head_of(&record)?;
            whole.then(record);
        }
    }
}

fn check(head: &Head, floor: Option<Revision>, max_age: Option<Duration>) -> Result<(), Refusal> {
    if let Some(known) = floor.filter(|known| head.at < *known) {
        return Err(Refusal::Older { found: head.at, known });
    }
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let age = now.saturating_sub(Duration::from_millis(head.published));
    match max_age {
        Some(most) if age > most => Err(Refusal::TooOld { age, most }),
        _ => Ok(()),
    }
}
