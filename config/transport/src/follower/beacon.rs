//! Sends heartbeats.

use crate::beat::Beat;
use crate::key::{KeyId, Ring};
use crate::publisher::script::BEAT;
use crate::shelf::Shelf;
use smartflow_store::redis::{Error, Redis};

/// Sends heartbeats of one pod.
pub struct Beacon {
    redis: Redis,
    shelf: Shelf,
    sent: u64,
    key: Option<KeyId>,
}

/// Why a heartbeat was not sent.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// Redis did not take it.
    #[error(transparent)]
    Store(#[from] Error),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] crate::seal::SealError),
}

impl Beacon {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { shelf: Shelf::of(&redis), redis, sent: 0, key: None }
    }

    /// Seals with this key from now on, as long as the ring has it: the one of the head that the pod runs
    /// ([`Head::key`](crate::Head)). Whoever sealed that head can open it, also when the ring has another one that the
    /// operator has not any more, or not yet.
    pub fn seal_with(&mut self, key: Option<KeyId>) {
        self.key = key;
    }

    /// Sends `beat`, with its number.
    ///
    /// # Errors
    /// Every variant of [`BeatError`].
    pub async fn send(&mut self, ring: &Ring, mut beat: Beat) -> Result<(), BeatError> {
        self.sent += 1;
        beat.number = self.sent;
        let sealed = beat.seal(ring, self.key, &self.shelf.install)?;
        let args = [beat.pod.as_bytes(), &sealed];
        let _: i64 = self.redis.script(&BEAT, &[&*self.shelf.gateways], &args).await?;
        Ok(())
    }
}
