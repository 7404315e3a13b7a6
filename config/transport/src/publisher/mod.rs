//! The operator's end: what is compiled goes to Redis, what gateways say comes back.
//!
//! ```text
//! take_over(now, lease)      reads and proves what is published, mints an epoch       on leadership, and when Lost
//! publish_all(objects, …)    the rest is tombstoned: only when everything is synced   after take_over, and to reseal
//! publish(changes, …)        what changed                                             from then on
//! look()                     heartbeats; Current, Lost, or Fenced                     many times a second
//! last_good(object)          the spec that was last published of it                   after take_over, of invalid objects
//! ```
//! A change is one record where it fits (512 entries, 256 KiB); more records of it say that they are not complete, and no
//! gateway takes them into service before the last one.

mod error;
mod plan;
mod read;
pub(crate) mod script;
mod watch;
mod window;

pub use error::PublishError;
pub use watch::{Look, Standing};

use crate::head::Head;
use crate::key::{KeyId, Ring};
use crate::record::Record;
use crate::revision::{Revision, mint};
use crate::set::{Delta, Set};
use crate::shelf::{LIMIT, Shelf, list, text};
use read::{Held, read, read_one};
use smartflow_compile::{Carried, ObjectRef, Settings};
use smartflow_snapshot::ContentHash;
use smartflow_store::redis::{Dedicated, Redis, Value};
use std::collections::{BTreeSet, HashMap};
use window::Window;

/// How often a set that changes while it is read is read again.
const READS: usize = 3;

/// What the objects of a change were compiled to, and under which settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct World {
    /// Hash of the operator's own snapshot.
    pub content: ContentHash,
    /// What its compiler was told beside the objects.
    pub settings: Settings,
    /// Milliseconds of Unix time.
    pub now: u64,
}

/// What was found when a leader began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenOver {
    /// The epoch from now on: note it on the Lease.
    pub epoch: u64,
    /// Objects that are published. Those that are not in the next [`Publisher::publish_all`] are tombstoned.
    pub published: usize,
    /// Why nothing of it can be built upon, so that everything is published anew.
    pub damage: Option<String>,
}

/// A spec that was published, of an object that was valid then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastGood {
    /// As JSON, with its defaults.
    pub spec: String,
    /// When the object was created, Unix seconds; 0 = not known. One that was made since under the same name is another.
    pub created: i64,
}

/// Publishes. One per operator; only the leader's is used. Needs a runtime.
pub struct Publisher {
    redis: Redis,
    shelf: Shelf,
    ring: Ring,
    sealing: KeyId,
    /// That key was asked for, and nothing is published with it yet.
    asked: bool,
    epoch: Option<u64>,
    /// Number of the last record of the epoch.
    number: u64,
    /// Where the stream ends.
    last: Option<String>,
    head: Option<Head>,
    /// Seals of the head as it is in Redis, to tell whether it is still there.
    sealed_head: Vec<u8>,
    set: Set,
    held: HashMap<ObjectRef, Held>,
    /// The next record begins anew: what is in Redis is not to be built upon.
    reset: bool,
    /// Until then, what is proven of it all the same: specs can be recalled.
    relics: Option<(Set, HashMap<ObjectRef, Held>)>,
    window: Window,
    /// Sent, but it is not known whether it was carried out.
    unsure: Option<Draft>,
}

/// A record with what it makes of the publisher's own state.
pub(super) struct Draft {
    record: Record,
    head: Head,
    delta: Delta,
    held: Vec<(ObjectRef, Option<Held>)>,
}

impl Publisher {
    /// Nothing is read yet. Seals with the oldest key of `ring`, the one that everybody has while a new one is being
    /// handed out; see [`Publisher::seal_with`].
    #[must_use]
    pub fn new(redis: Redis, ring: Ring) -> Self {
        let (shelf, sealing) = (Shelf::of(&redis), ring.oldest());
        Self {
            redis,
            shelf,
            ring,
            sealing,
            asked: false,
            epoch: None,
            number: 0,
            last: None,
            head: None,
            sealed_head: Vec::new(),
            set: Set::default(),
            held: HashMap::new(),
            reset: false,
            relics: None,
            window: Window::default(),
            unsure: None,
        }
    }

    /// Reads and proves what is published, and mints an epoch that is later than `now` (milliseconds of Unix time), than
    /// `lease` (the epoch that the Lease notes, 0 = none), and than everything that is published or run by a gateway.
    /// Seals on with the key that the published head is sealed with, when it is among ours. Writes nothing.
    ///
    /// # Errors
    /// [`PublishError::Store`]
    pub async fn take_over(&mut self, now: u64, lease: u64) -> Result<TakenOver, PublishError> {
        self.epoch = None;
        self.unsure = None;
        let mut link = self.redis.dedicated().await?;
        let mut found = read(&self.shelf, &mut link, &self.ring).await?;
        for _ in 1..READS {
            if found.damage.is_none() || found.head.is_none() {
                break;
            }
            found = read(&self.shelf, &mut link, &self.ring).await?;
        }
        let look = self.look_at(&mut link).await?;
        let beats = look.beats.iter().map(|heard| heard.beat.at.epoch);
        let heads = found.head.iter().map(|head| head.at.epoch);
        // The end of a stream that is not of ours could be anything; a fresh one begins then.
        let epoch = mint(now, beats.chain(heads).chain([lease]));
        if let Some(head) = found.head.as_ref().filter(|_| !self.asked) {
            self.sealing = head.key;
        }
        self.reset = found.damage.is_some();
        let whole = (found.set, found.held);
        ((self.set, self.held), self.relics) = match self.reset {
            true => (Default::default(), found.proven.then_some(whole)),
            false => (whole, None),
        };
        (self.last, self.head) = (found.last, found.head.filter(|_| !self.reset));
        (self.number, self.window) = (0, Window::default());
        self.epoch = Some(epoch);
        Ok(TakenOver { epoch, published: self.held.len(), damage: found.damage })
    }

    /// Publishes what is not published yet: objects, or `None` for those that are gone. Unchanged ones are not sealed
    /// again, and when nothing is left to be said, nothing is published. Returns the revision that contains it all.
    ///
    /// # Errors
    /// Every variant. After [`PublishError::Store`] call it again with the same changes, or more.
    pub async fn publish(
        &mut self,
        changes: impl IntoIterator<Item = (ObjectRef, Option<Carried>)>,
        world: &World,
    ) -> Result<Revision, PublishError> {
        let epoch = self.epoch.ok_or(PublishError::NotLeading)?;
        self.settle().await?;
        let parts = self.plan(changes)?;
        let said = self.head.as_ref().is_some_and(|h| {
            let same = (h.content, &h.settings) == (world.content, &world.settings);
            h.complete && same && h.at.epoch == epoch
        });
        if let (true, true, Some(head)) = (parts.is_empty(), said, &self.head) {
            return Ok(head.at);
        }
        self.say(parts, world).await
    }

    /// [`Publisher::publish`] of everything there is: what is published beyond it is tombstoned. **Only** when every kind
    /// and every Secret that is referred to was read to its end: what is not among `objects` is taken for deleted.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn publish_all(
        &mut self,
        objects: impl IntoIterator<Item = (ObjectRef, Carried)>,
        world: &World,
    ) -> Result<Revision, PublishError> {
        self.publish_all_but(objects, &BTreeSet::new(), world).await
    }

    /// [`Publisher::publish_all`], but what is published of the objects in `keep` stays as it is, if it is.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn publish_all_but(
        &mut self,
        objects: impl IntoIterator<Item = (ObjectRef, Carried)>,
        keep: &BTreeSet<ObjectRef>,
        world: &World,
    ) -> Result<Revision, PublishError> {
        let others = self.held.keys().filter(|id| !keep.contains(*id));
        let mut gone: BTreeSet<ObjectRef> = others.cloned().collect();
        let mut changes = Vec::new();
        for (id, carried) in objects {
            gone.remove(&id);
            changes.push((id, Some(carried)));
        }
        changes.extend(gone.into_iter().map(|id| (id, None)));
        self.publish(changes, world).await
    }

    /// Publishes the head anew, so that `--max-config-age` of gateways sees that somebody is there.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn refresh(&mut self, world: &World) -> Result<Revision, PublishError> {
        self.epoch.ok_or(PublishError::NotLeading)?;
        self.settle().await?;
        self.say(Vec::new(), world).await
    }

    /// The spec that was last published of an object, which was valid: what serves on while it is invalid. Only what
    /// [`Publisher::take_over`] proved to be published is answered: an entry alone could be an old one, brought back.
    /// `None`: there is nothing of it, or nothing of what was there could be proven (its damage was told then).
    ///
    /// # Errors
    /// [`PublishError::NotLeading`], [`PublishError::Store`]; [`PublishError::Unproven`] when it changed since.
    pub async fn last_good(&self, object: &ObjectRef) -> Result<Option<LastGood>, PublishError> {
        self.epoch.ok_or(PublishError::NotLeading)?;
        let (set, held) = match &self.relics {
            Some((set, held)) => (set, held),
            None => (&self.set, &self.held),
        };
        let Some(held) = held.get(object) else { return Ok(None) };
        let mut link = self.redis.dedicated().await?;
        let opened = read_one(&self.shelf, &mut link, &self.ring, set, held.field).await?;
        let opened = opened.ok_or_else(|| PublishError::Unproven(object.clone()))?;
        let carried = opened.carried();
        Ok(carried.and_then(|c| Some(LastGood { spec: c.spec()?.to_owned(), created: c.created() })))
    }

    /// True when a version that knows more wrote what is published of `object`: it is to be left alone as long as
    /// the object has fields that are not known here.
    #[must_use]
    pub fn is_newer(&self, object: &ObjectRef) -> bool {
        self.held.get(object).is_some_and(|held| held.too_new)
    }

    /// Seals with `key` from now on; [`Publisher::publish_all`] then reseals the rest. Ask for the newest once
    /// [`Fleet::knows`](crate::Fleet::knows) it.
    ///
    /// # Errors
    /// [`PublishError::NoSuchKey`]
    pub fn seal_with(&mut self, key: KeyId) -> Result<(), PublishError> {
        self.ring.get(key).ok_or(PublishError::NoSuchKey(key))?;
        (self.sealing, self.asked) = (key, true);
        Ok(())
    }

    /// The key that it seals with.
    #[must_use]
    pub fn sealing_key(&self) -> KeyId {
        self.sealing
    }

    /// True when something that is published is sealed with a key other than [`Publisher::sealing_key`], and
    /// [`Publisher::publish_all`] would change that: it leaves alone what a newer version wrote and this one cannot read.
    #[must_use]
    pub fn must_reseal(&self) -> bool {
        self.held.values().any(|held| held.key != self.sealing && !held.too_new)
    }

    /// Takes other keys, of a file that changed. Seals on with the same one if it is still there.
    pub fn set_ring(&mut self, ring: Ring) {
        if ring.get(self.sealing).is_none() {
            self.sealing = ring.oldest();
        }
        self.ring = ring;
    }

    /// Sends what a change consists of, in as many records as it needs.
    async fn say(&mut self, parts: Vec<plan::Planned>, world: &World) -> Result<Revision, PublishError> {
        let mut groups = plan::groups(parts).into_iter().peekable();
        let mut link = self.redis.dedicated().await?;
        loop {
            let group = groups.next().unwrap_or_default();
            let complete = groups.peek().is_none();
            let draft = self.draft(group, world, complete)?;
            let at = draft.head.at;
            self.send(&mut link, draft).await?;
            if complete {
                return Ok(at);
            }
        }
    }

    /// Finds out what became of a record whose answer never came, by sending it again.
    async fn settle(&mut self) -> Result<(), PublishError> {
        let Some(draft) = self.unsure.take() else { return Ok(()) };
        match self.redis.dedicated().await {
            Ok(mut link) => self.send(&mut link, draft).await,
            Err(fault) => {
                self.unsure = Some(draft);
                Err(fault.into())
            }
        }
    }

    async fn send(&mut self, link: &mut Dedicated, draft: Draft) -> Result<(), PublishError> {
        let record = &draft.record;
        let size = record.head.len() + record.parts.iter().map(crate::record::Part::len).sum::<usize>();
        let keep = self.window.with(size);
        let mut args: Vec<Vec<u8>> = vec![
            record.at.to_string().into_bytes(),
            self.last.clone().unwrap_or_default().into_bytes(),
            keep.to_string().into_bytes(),
            if self.reset { b"1".to_vec() } else { Vec::new() },
            record.head.to_vec(),
        ];
        args.extend(record.parts.iter().flat_map(|part| [part.tag().to_vec(), part.body()]));
        let keys = [&self.shelf.stream, &self.shelf.entries, &self.shelf.head];
        let keys = keys.map(String::as_str);
        match link.script::<Value, _, _>(&script::PUBLISH, &keys, &args, LIMIT).await {
            Ok(answer) => {
                let [word, at] = list(answer)?;
                let at = String::from_utf8_lossy(&text(at)?).into_owned();
                // Where the stream ends with it, it was carried out the first time.
                if &text(word)?[..] == b"ok" || at == record.at.to_string() {
                    self.commit(draft);
                    return Ok(());
                }
                Err(self.displaced(link, &at).await?)
            }
            Err(fault) if fault.never_ran() && fault.code().is_some() => {
                let smaller = fault.to_string().contains("equal or smaller");
                if smaller { Err(self.displaced(link, "").await?) } else { Err(fault.into()) }
            }
            Err(fault) => {
                self.unsure = (!fault.never_ran()).then_some(draft);
                Err(fault.into())
            }
        }
    }

    fn commit(&mut self, draft: Draft) {
        let Draft { record, head, delta, held } = draft;
        self.set.commit(delta);
        for (id, now) in held {
            match now {
                Some(now) => drop(self.held.insert(id, now)),
                None => drop(self.held.remove(&id)),
            }
        }
        self.asked &= head.key != self.sealing;
        self.last = Some(record.at.to_string());
        self.sealed_head = record.head.to_vec();
        (self.number, self.reset, self.relics, self.head) = (record.at.number, false, None, Some(head));
    }

    /// Why the stream does not end where it should.
    async fn displaced(&self, link: &mut Dedicated, at: &str) -> Result<PublishError, PublishError> {
        let sealed = self.shelf.head(link).await?;
        let head = sealed.and_then(|sealed| Head::open(&self.ring, &self.shelf.install, &sealed).ok());
        Ok(match head {
            Some(head) if Some(head.at.epoch) > self.epoch => PublishError::Fenced(head.at),
            _ if at.is_empty() => {
                PublishError::Lost("the stream is gone, or ends later than it should".to_owned())
            }
            _ => PublishError::Lost(format!("the stream ends with {at}")),
        })
    }
}
