//! A pod's end: boots from the whole set, then follows the stream.
//!
//! ```text
//! head, all entries in buckets, then the stream until what is there equals the head     boot
//! blocking XREAD on a connection of its own                                             follow
//! a gap, another setting, something refused                                             boot again
//! ```
//! What serves is changed only by a set that equals a sealed head which is complete. Everything else is an alarm, and the
//! pod runs on what it has.

mod beacon;
mod boot;
mod last_good;
mod refusal;
mod replica;
mod store;
mod wait;
mod whole;

pub use beacon::{Beacon, BeatError};
pub use last_good::{Kept, KeptError, LastGood};
pub use refusal::Refusal;
pub use replica::Activation;
pub use store::{Records, Save, Saver};
pub use whole::Whole;

use crate::key::{KeyId, Ring};
use crate::revision::Revision;
use crate::shelf::Shelf;
use boot::boot;
use bytes::Bytes;
use replica::{Halt, Replica};
use smartflow_store::redis::{Dedicated, Error, Redis};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wait::{Pause, Waits};

/// A read of the stream blocks for this long; then the head is looked at.
const BLOCK: Duration = Duration::from_millis(500);
const NOTHING: &str = "nothing is published yet: is the operator running, with this prefix?";
const LOST: &str =
    "what is in Redis does not go together: the stream does not follow upon the entries and their head";

/// How to follow.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keys that are known.
    pub ring: Ring,
    /// Highest level of entries that is read: [`smartflow_compile::LEVEL`], or an older one to see what an older gateway
    /// would do.
    pub reads: u32,
    /// An older configuration than this is refused at boot.
    pub max_age: Option<Duration>,
    /// A revision that was seen before: an older one is refused.
    pub floor: Option<Revision>,
}

/// What happened.
#[derive(Debug)]
pub enum News {
    /// This serves from now on.
    Activated(Box<Activation>, Save),
    /// Something was not taken; what serves stays.
    Refused(Refusal),
    /// Why there is nothing new, in words: Redis is away, or nothing is published yet.
    Waiting(String),
    /// What is held is what is published, now. Told about twice a second.
    Current,
    /// Nothing new; what was told last still holds.
    Quiet,
}

/// Follows the configuration. One per process; owned by the task that calls [`Follower::next`].
pub struct Follower {
    redis: Redis,
    shelf: Shelf,
    options: Options,
    replica: Replica,
    link: Option<Dedicated>,
    /// The stream is followed; else the whole set is to be read.
    following: bool,
    /// The sealed head that is held.
    head: Bytes,
    floor: Option<Revision>,
    waits: Waits,
    /// What was told last, so that it is told once.
    told: Option<Told>,
    news: VecDeque<News>,
    /// What is waited for before the next step.
    pause: Option<Pause>,
    /// What is to be kept of the changes since the last activation.
    unsaved: Save,
}

/// Why a step did not go on.
enum Trouble {
    Store(Error),
    Refused(Refusal),
    Gap,
    /// Nothing is published yet.
    Nothing,
    /// The rest of this change is not published.
    Unfinished(Revision),
}

/// What was told of a trouble: what changes each time that it is looked at is not told each time.
#[derive(PartialEq, Eq)]
enum Told {
    Waiting(String),
    Refused(std::mem::Discriminant<Refusal>, Option<KeyId>),
}

impl From<Error> for Trouble {
    fn from(fault: Error) -> Self {
        Self::Store(fault)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Halt> for Trouble {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Gap => Self::Gap,
            Halt::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl Follower {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(redis: Redis, options: Options) -> Self {
        let shelf = Shelf::of(&redis);
        let replica = Replica::new(options.ring.clone(), shelf.install.clone(), options.reads);
        let (floor, waits) = (options.floor, Waits::default());
        let (link, following, head) = (None, false, Bytes::new());
        let (told, news, pause) = Default::default();
        let unsaved = Save::More(Records(Vec::new()));
        Self {
            redis,
            shelf,
            options,
            replica,
            link,
            following,
            head,
            floor,
            waits,
            told,
            news,
            pause,
            unsaved,
        }
    }

    /// Takes other keys, of a file that changed. What was refused for want of one is tried again.
    pub fn set_ring(&mut self, ring: Ring) {
        self.replica.ring = ring.clone();
        self.options.ring = ring;
        (self.waits, self.pause) = (Waits::default(), None);
    }

    /// Starts from what was kept in a file: for when Redis is away. It is proven like any other set.
    ///
    /// # Errors
    /// As a boot from Redis.
    pub fn start_from(&mut self, kept: &Whole) -> Result<Option<Activation>, Refusal> {
        let activation = self.replica.adopt(kept, self.floor)?;
        self.note(kept.head.clone());
        Ok(activation)
    }

    /// Reads the whole set again, to have it written whole.
    pub fn read_again(&mut self) {
        self.following = false;
    }

    /// The revision that is held.
    #[must_use]
    pub fn at(&self) -> Option<Revision> {
        self.replica.at()
    }

    /// Waits for something to happen, or ten seconds. Dropping the future costs a reconnect: call it from one task, to the
    /// end.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            if let Some(pause) = self.pause.take() {
                self.link = self.waits.pause(pause, &self.shelf, self.link.take()).await;
                return News::Quiet;
            }
            if let Err(trouble) = self.step().await {
                self.stumble(trouble);
            }
        }
    }

    async fn step(&mut self) -> Result<(), Trouble> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.redis.dedicated().await?,
        };
        let done = if self.following { self.follow(&mut link).await } else { self.boot(&mut link).await };
        // A connection that failed is of no use any more.
        if !matches!(done, Err(Trouble::Store(_))) {
            self.link = Some(link);
        }
        done
    }

    async fn boot(&mut self, link: &mut Dedicated) -> Result<(), Trouble> {
        let whole = boot(&self.shelf, link, &self.replica, self.floor, self.options.max_age).await?;
        let began = Instant::now();
        let activation = self.replica.adopt(&whole, self.floor)?;
        self.note(whole.head.clone());
        (self.following, self.unsaved) = (true, Save::Whole(whole));
        if let Some(activation) = activation {
            self.tell(activation, began);
        }
        Ok(())
    }

    async fn follow(&mut self, link: &mut Dedicated) -> Result<(), Trouble> {
        let at = self.replica.at().ok_or(Trouble::Gap)?;
        let records = self.shelf.after(link, at, Some(BLOCK)).await?;
        if records.is_empty() {
            return self.look(link, at).await;
        }
        for (id, record) in records {
            let record = record.ok_or(Trouble::Refused(Refusal::Record(id)))?;
            let began = Instant::now();
            let activation = self.replica.follow(&record)?;
            self.note(record.head.clone());
            match &mut self.unsaved {
                // Of a set that was read in the middle of a change nothing was kept yet that a record could follow upon.
                Save::Whole(whole) => whole.then(record),
                Save::More(Records(records)) => records.push(record),
            }
            if let Some(activation) = activation {
                self.tell(activation, began);
            }
        }
        Ok(())
    }

    fn tell(&mut self, activation: Activation, began: Instant) {
        let save = std::mem::replace(&mut self.unsaved, Save::More(Records(Vec::new())));
        let activation = Activation { took: began.elapsed(), ..activation };
        self.told = None;
        self.waits.done();
        self.news.push_back(News::Activated(Box::new(activation), save));
    }

    fn note(&mut self, head: Bytes) {
        self.head = head;
        self.floor = self.floor.max(self.replica.at());
    }

    /// Nothing came for a while: whether that is because nothing was published.
    async fn look(&mut self, link: &mut Dedicated, at: Revision) -> Result<(), Trouble> {
        let Some(sealed) = self.shelf.head(link).await? else { return Err(Refusal::HeadGone.into()) };
        if sealed == self.head {
            if !self.replica.is_complete() {
                return Err(Trouble::Unfinished(at));
            }
            self.told = None;
            self.news.push_back(News::Current);
            return Ok(());
        }
        let head = self.replica.head(&sealed)?;
        if head.at < at {
            return Err(Refusal::Older { found: head.at, known: at }.into());
        }
        // It may have come just now; what is not in the stream was taken out of it.
        if self.shelf.after(link, at, None).await?.is_empty() { Err(Trouble::Gap) } else { Ok(()) }
    }

    /// Tells what is new of a trouble; before the next step there is a pause in any case.
    fn stumble(&mut self, trouble: Trouble) {
        let (pause, news) = match trouble {
            Trouble::Gap => {
                self.following = false;
                (Pause::Gap, self.waits.is_lost().then(|| News::Waiting(LOST.to_owned())))
            }
            Trouble::Store(fault) => (Pause::Store, Some(News::Waiting(fault.to_string()))),
            Trouble::Nothing => (Pause::Store, Some(News::Waiting(NOTHING.to_owned()))),
            Trouble::Unfinished(at) => {
                let why =
                    format!("only a part of the change up to {at} is published: is the operator running?");
                (Pause::Store, Some(News::Waiting(why)))
            }
            Trouble::Refused(refusal) => {
                self.following = false;
                (Pause::Refused, Some(News::Refused(refusal)))
            }
        };
        self.pause = Some(pause);
        let told = match &news {
            Some(News::Waiting(why)) => Told::Waiting(why.clone()),
            Some(News::Refused(why)) => Told::Refused(std::mem::discriminant(why), why.missing_key()),
            _ => return,
        };
        if self.told.as_ref() != Some(&told) {
            self.told = Some(told);
            self.news.extend(news);
        }
    }
}
