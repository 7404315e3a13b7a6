//! The way out over Redis: `smartflow-transport`'s publisher, led by this replica while it has the Lease.

use crate::lease::{self, Term};
use crate::publish::{Batch, Outlet, OutletError};
use crate::sealing::{self, SealingError};
use crate::status::{Fleet, Revision};
use kube_client::Client;
use smartflow_compile::ObjectRef;
use smartflow_store::redis::Redis;
use smartflow_transport::publisher::{PublishError, Publisher, Standing, World};
use smartflow_transport::{Fleet as Gateways, Ring, RingError};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How often the keys are read again.
const KEYS: Duration = Duration::from_secs(10);

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
    /// Number of the term that the published set was taken over in.
    taken: Option<u64>,
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
            self.read_keys(term).await?;
            let ring = self.ring.clone().ok_or(Fault::NoKeys)?;
            let oldest = ring.oldest();
            let publisher = self.publisher.insert(Publisher::new(self.redis.clone(), ring));
            // While a new key is being handed out, only the old one is with everybody for sure.
            publisher.seal_with(oldest)?;
        }
        self.publisher.as_mut().ok_or(Fault::NoKeys)
    }

    /// Now and then: takes up keys that changed, and seals with the newest that every gateway knows.
    async fn rotate(&mut self) -> Result<(), Fault> {
        if self.taken.is_none() || Instant::now() < self.read {
            return Ok(());
        }
        let changed = self.read_keys(None).await?;
        let (Some(publisher), Some(ring)) = (&mut self.publisher, &self.ring) else { return Ok(()) };
        if changed {
            publisher.set_ring(ring.clone());
        }
        let newest = ring.newest_known(|id| self.gateways.knows(id));
        if newest != publisher.sealing_key() {
            publisher.seal_with(newest)?;
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
        lease::note_epoch(&self.client, &self.lease, taken.epoch).await?;
        self.taken = Some(term.number);
        Ok(())
    }

    async fn send(&mut self, term: Term, whole: bool, batch: Batch) -> Result<Revision, Fault> {
        if term.left(Instant::now()).is_none() {
            return Err(Fault::Over);
        }
        if whole || self.taken != Some(term.number) {
            self.take_over(term).await?;
        }
        let world = World { content: batch.content, settings: batch.settings, now: now() };
        let publisher = self.publisher(Some(term)).await?;
        let at = if whole {
            let there = batch.entries.into_iter().filter_map(|(id, carried)| Some((id, carried?)));
            publisher.publish_all(there, &world).await?
        } else {
            publisher.publish(batch.entries, &world).await?
        };
        Ok(Revision { epoch: at.epoch, number: at.number })
    }

    async fn look(&mut self) -> Result<Fleet, Fault> {
        let publisher = self.publisher.as_ref().ok_or(Fault::NoKeys)?;
        let look = publisher.look().await?;
        if look.forged > 0 {
            tracing::warn!(forged = look.forged, "heartbeats that are not of this install's gateways");
        }
        self.gateways.hear(look.beats);
        if let Standing::Lost(why) = look.standing {
            return Err(PublishError::Lost(why).into());
        }
        self.rotate().await?;
        let unusable = self.gateways.ready().flat_map(|beat| &beat.unusable);
        let unusable: BTreeSet<String> = unusable.map(|(name, _)| name.clone()).collect();
        let watermark = self.gateways.reached().map(|at| Revision { epoch: at.epoch, number: at.number });
        Ok(Fleet::Known { ready: self.gateways.ready().count(), watermark, unusable })
    }
}

impl Outlet for RedisOutlet {
    async fn publish(&mut self, term: Term, whole: bool, batch: Batch) -> Result<Revision, OutletError> {
        let sent = self.send(term, whole, batch).await;
        if sent.is_err() && whole {
            self.taken = None;
        }
        sent.map_err(Into::into)
    }

    async fn last_good(&mut self, term: Term, id: &ObjectRef) -> Result<Option<String>, OutletError> {
        let publisher = self.publisher(Some(term)).await?;
        Ok(publisher.last_good(id).await.map_err(Fault::from)?)
    }

    async fn fleet(&mut self) -> Result<Fleet, OutletError> {
        Ok(self.look().await?)
    }
}

/// Milliseconds of Unix time.
fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
