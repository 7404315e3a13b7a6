//! The way out over Redis: `smartflow-transport`'s publisher, led by this replica while it has the Lease.

use crate::lease::{self, Term};
use crate::publish::{Batch, Outlet, OutletError};
use crate::sealing::{self, SealingError};
use crate::status::{Fleet, Known, Revision};
use kube_client::Client;
use smartflow_compile::{ObjectRef, Settings};
use smartflow_snapshot::ContentHash;
use smartflow_store::redis::Redis;
use smartflow_transport::publisher::{LastGood, PublishError, Publisher, Standing, World};
use smartflow_transport::{Fleet as Gateways, Revision as Published, Ring, RingError};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How often the keys are read again.
const KEYS: Duration = Duration::from_secs(10);
/// How often it is looked for keys while there are none.
const NO_KEYS: Duration = Duration::from_secs(1);
/// A head that nobody had to publish for so long is published anew, for gateways with `--max-config-age`.
const REFRESH: Duration = Duration::from_secs(600);
/// A ready gateway that does not run what was published so long ago lags.
const LAG: Duration = Duration::from_secs(5);

/// Where the sealing keys are.
#[derive(Debug, Clone)]
pub enum Keys {
    /// In a file.
    File(PathBuf),
    /// In a Secret of this namespace and name, which the leader makes when it is missing.
    Secret(String, String),
}

/// Publishes to Redis.
pub struct RedisOutlet {
    client: Client,
    redis: Redis,
    keys: Keys,
    lease: lease::Settings,
    publisher: Option<Publisher>,
    /// The keys as they were read last.
    text: sealing::Keys,
    ring: Option<Ring>,
    /// When they are read again.
    read: Instant,
    gateways: Gateways,
    /// The term that the published set was taken over in.
    taken: Option<Term>,
    /// What was published last in it, and when.
    last: Option<Last>,
    mark: Mark,
    /// Heartbeats that could not be opened when it was looked last.
    forged: usize,
}

/// What was published last.
struct Last {
    at: Published,
    since: Instant,
    content: ContentHash,
    settings: Settings,
}

/// What every gateway should run by now.
#[derive(Default)]
struct Mark {
    /// Published longer than [`LAG`] ago.
    due: Option<Published>,
    /// Published since then, and when.
    next: Option<(Published, Instant)>,
}

impl Mark {
    fn published(&mut self, at: Published, since: Instant) {
        if self.next.is_none() && self.due.is_none_or(|due| due < at) {
            self.next = Some((at, since));
        }
    }

    fn look(&mut self, last: Option<&Last>) -> Option<Published> {
        if let Some((at, _)) = self.next.take_if(|(_, since)| since.elapsed() > LAG) {
            self.due = Some(at);
            last.into_iter().for_each(|last| self.published(last.at, last.since));
        }
        self.due
    }
}

/// Why the publisher cannot be had or does not publish.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Keys(#[from] SealingError),
    #[error("the sealing keys cannot be used: {0}")]
    Ring(#[from] RingError),
    #[error("there is no sealing key yet")]
    NoKeys,
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("the epoch could not be noted: {0}")]
    Lease(#[from] lease::LeaseError),
    #[error("there is another sealing key")]
    Reseal,
    #[error("the term is over")]
    Over,
}

impl From<Fault> for OutletError {
    fn from(fault: Fault) -> Self {
        let anew = matches!(
            &fault,
            Fault::Reseal
                | Fault::Publish(PublishError::Lost(_) | PublishError::NotLeading | PublishError::Fenced(_))
        );
        Self { why: fault.to_string(), anew }
    }
}

impl RedisOutlet {
    /// Connected to nothing yet.
    #[must_use]
    pub fn new(client: Client, redis: Redis, keys: Keys, lease: lease::Settings) -> Self {
        Self {
            client,
            redis,
            keys,
            lease,
            publisher: None,
            text: sealing::Keys::default(),
            ring: None,
            read: Instant::now(),
            gateways: Gateways::default(),
            taken: None,
            last: None,
            mark: Mark::default(),
            forged: 0,
        }
    }

    /// Reads the keys; true when they are others than before.
    async fn read_keys(&mut self, term: Option<Term>) -> Result<bool, Fault> {
        let text = match &self.keys {
            Keys::File(path) => Some(sealing::from_file(path)?),
            Keys::Secret(namespace, name) => {
                sealing::from_secret(&self.client, namespace, name, term).await?
            }
        };
        let text = text.ok_or(Fault::NoKeys)?;
        self.read = Instant::now() + KEYS;
        if self.ring.is_some() && text == self.text {
            return Ok(false);
        }
        (self.ring, self.text) = (Some(Ring::parse(&text)?), text);
        Ok(true)
    }

    /// The publisher, once there are keys.
    async fn publisher(&mut self, term: Option<Term>) -> Result<&mut Publisher, Fault> {
        if self.publisher.is_none() {
            let now = Instant::now();
            if now < self.read {
                return Err(Fault::NoKeys);
            }
            self.read = now + NO_KEYS;
            self.read_keys(term).await?;
            let ring = self.ring.clone().ok_or(Fault::NoKeys)?;
            self.publisher = Some(Publisher::new(self.redis.clone(), ring));
        }
        self.publisher.as_mut().ok_or(Fault::NoKeys)
    }

    /// Now and then: takes up keys that changed, and seals with the newest that every gateway knows.
    async fn rotate(&mut self) -> Result<(), Fault> {
        if self.taken.is_none() || Instant::now() < self.read {
            return Ok(());
        }
        let changed = self.read_keys(None).await.unwrap_or_else(|fault| {
            // The Secret is gone, or somebody is in the middle of writing it: what is published stays sealed as it is.
            tracing::warn!(%fault, "the sealing keys stay as they were");
            self.read = Instant::now() + KEYS;
            false
        });
        let (Some(publisher), Some(ring)) = (&mut self.publisher, &self.ring) else { return Ok(()) };
        if changed {
            publisher.set_ring(ring.clone());
        }
        // Never back: that nobody is heard says nothing of which keys they have.
        if publisher.sealing_key() != ring.newest() && self.gateways.knows(ring.newest()) {
            publisher.seal_with(ring.newest())?;
        }
        if publisher.must_reseal() { Err(Fault::Reseal) } else { Ok(()) }
    }

    /// Reads what is published and mints an epoch, once a term and after a loss; the Lease notes it before it is used.
    async fn take_over(&mut self, term: Term) -> Result<(), Fault> {
        let now = now();
        let taken = self.publisher(Some(term)).await?.take_over(now, term.epoch).await?;
        if let Some(damage) = &taken.damage {
            tracing::warn!(damage, "what is published cannot be built upon: all of it is published anew");
        }
        tracing::info!(epoch = taken.epoch, published = taken.published, "this replica publishes");
        let epoch = taken.epoch.to_string();
        lease::note(&self.client, &self.lease, term, lease::EPOCH, &epoch).await?;
        (self.taken, self.last, self.mark) = (Some(term), None, Mark::default());
        Ok(())
    }

    /// Says now and then that somebody is there. Only within the term in which it published last: whoever has the Lease
    /// since then does the same.
    async fn refresh(&mut self) -> Result<(), Fault> {
        let (Some(publisher), Some(last)) = (&mut self.publisher, &mut self.last) else { return Ok(()) };
        if last.since.elapsed() < REFRESH || self.taken.is_none() {
            return Ok(());
        }
        let world = World { content: last.content, settings: last.settings.clone(), now: now() };
        (last.at, last.since) = (publisher.refresh(&world).await?, Instant::now());
        self.mark.published(last.at, last.since);
        Ok(())
    }

    /// What is told of a fault. After one that says that what is published is not ours, it is read again.
    fn told(&mut self, fault: Fault, whole: bool) -> OutletError {
        let reseals = matches!(fault, Fault::Reseal);
        let told = OutletError::from(fault);
        if whole || (told.anew && !reseals) {
            self.taken = None;
        }
        told
    }

    /// Has what is published, as this term's: it was read once, and nothing is known to have changed without us since.
    async fn lead(&mut self, term: Term) -> Result<(), Fault> {
        let left = |term: Term| term.left(Instant::now()).map(drop).ok_or(Fault::Over);
        left(term)?;
        if self.taken.is_none_or(|taken| taken.number != term.number) {
            self.take_over(term).await?;
            // Much may have happened while others were waited for.
            left(term)?;
        }
        Ok(())
    }

    async fn send(&mut self, term: Term, whole: bool, batch: Batch) -> Result<Revision, Fault> {
        self.lead(term).await?;
        let (content, settings) = (batch.content, batch.settings.clone());
        let world = World { content: batch.content, settings: batch.settings, now: now() };
        let publisher = self.publisher(Some(term)).await?;
        let keep = batch.keep;
        let entries =
            batch.entries.into_iter().filter(|(id, carried)| carried.is_none() || !keep.contains(id));
        let at = if whole {
            let there = entries.filter_map(|(id, carried)| Some((id, carried?)));
            publisher.publish_all_but(there, &keep, &world).await?
        } else {
            publisher.publish(entries, &world).await?
        };
        let since =
            self.last.as_ref().filter(|last| last.at == at).map_or_else(Instant::now, |last| last.since);
        self.last = Some(Last { at, since, content, settings });
        self.mark.published(at, since);
        Ok(Revision { epoch: at.epoch, number: at.number })
    }

    async fn look(&mut self, term: Option<Term>) -> Result<Fleet, Fault> {
        // Whoever does not write seals nothing, refreshes nothing, and misses nothing.
        let number = term.filter(|term| term.left(Instant::now()).is_some()).map(|term| term.number);
        self.taken = self.taken.filter(|taken| Some(taken.number) == number);
        let look = match (&self.publisher, number) {
            (Some(publisher), _) => publisher.look().await?,
            (None, Some(_)) => self.publisher(term).await?.look().await?,
            (None, None) => return Err(Fault::NoKeys),
        };
        if std::mem::replace(&mut self.forged, look.forged) != look.forged {
            tracing::warn!(forged = look.forged, "heartbeats that are not of this install's gateways");
        }
        self.gateways.hear(look.beats);
        match look.standing {
            Standing::Lost(why) if self.taken.is_some() => return Err(PublishError::Lost(why).into()),
            // We have the Lease: it was somebody who does not know yet that it is not theirs any more.
            Standing::Fenced(by) if self.taken.is_some() => return Err(PublishError::Fenced(by).into()),
            _ => {}
        }
        self.rotate().await?;
        self.refresh().await?;
        Ok(Fleet::Known(self.known()))
    }

    fn known(&mut self) -> Known {
        let due = self.mark.look(self.last.as_ref());
        let unusable = self.gateways.ready().flat_map(|beat| &beat.unusable);
        let lagging = due.into_iter().flat_map(|at| self.gateways.behind(at));
        let unnamed = |beat: &smartflow_transport::Beat| beat.unusable_count > beat.unusable.len() as u64;
        let refused = self.gateways.all().map(|heard| &heard.beat).filter(|beat| beat.refused > 0);
        Known {
            ready: self.gateways.ready().count(),
            watermark: self.gateways.reached().map(|at| Revision { epoch: at.epoch, number: at.number }),
            unusable: unusable.map(|(name, _)| name.clone()).collect(),
            unnamed: self.gateways.ready().any(unnamed),
            reads: self.gateways.reads(),
            lagging: lagging.map(|beat| beat.pod.clone()).collect(),
            refused: refused.map(|beat| (beat.pod.clone(), beat.refused)).collect(),
            keys: self.ring.as_ref().map_or(0, |ring| ring.ids().len()),
        }
    }
}

impl Outlet for RedisOutlet {
    async fn publish(&mut self, term: Term, whole: bool, batch: Batch) -> Result<Revision, OutletError> {
        let sent = self.send(term, whole, batch).await;
        sent.map_err(|fault| self.told(fault, whole))
    }

    async fn last_good(&mut self, term: Term, id: &ObjectRef) -> Result<Option<LastGood>, OutletError> {
        self.lead(term).await?;
        match self.publisher(Some(term)).await?.last_good(id).await {
            // It is as if nothing had been published of it: what grants is not there, what restricts is closed.
            Err(error @ PublishError::Unproven(_)) => {
                tracing::warn!(%error, "no last valid spec is taken from it");
                Ok(None)
            }
            found => Ok(found.map_err(Fault::from)?),
        }
    }

    async fn fleet(&mut self, term: Option<Term>) -> Result<Fleet, OutletError> {
        let fleet = self.look(term).await;
        fleet.map_err(|fault| self.told(fault, false))
    }
}

/// Milliseconds of Unix time.
fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
#[path = "outlet_tests.rs"]
mod tests;
