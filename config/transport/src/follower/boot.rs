//! Reading the whole set.

use super::Trouble;
use super::refusal::Refusal;
use super::replica::Replica;
use super::whole::Whole;
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
    let most = 2 * head.count + SURPLUS;
    shelf
        .scan(link, |field, entry| {
            whole.found(field, entry);
            if whole.entries.len() as u64 > most {
                let (at, found, wanted) = (head.at, whole.entries.len() as u64, head.count);
                return Err(Trouble::Refused(Refusal::Differs { at, found, wanted }));
            }
            Ok(())
        })
        .await?;
    catch_up(shelf, link, head.at, &mut whole).await?;
    Ok(whole)
}

/// What was published while the entries were read.
async fn catch_up(
    shelf: &Shelf,
    link: &mut Dedicated,
    from: Revision,
    whole: &mut Whole,
) -> Result<(), Trouble> {
    let mut at = from;
    loop {
        let records = shelf.after(link, at, None).await?;
        if records.is_empty() {
            return Ok(());
        }
        for (id, record) in records {
            let record = record.ok_or(Trouble::Refused(Refusal::Record(id)))?;
            if record.previous != Some(at) {
                return Err(Trouble::Gap);
            }
            at = record.at;
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
