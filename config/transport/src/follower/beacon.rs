//! Sends heartbeats.

use crate::beat::Beat;
use crate::key::Ring;
use crate::publisher::script::BEAT;
use crate::shelf::Shelf;
use smartflow_store::redis::{Error, Redis};

/// Sends heartbeats of one pod.
pub struct Beacon {
    redis: Redis,
    shelf: Shelf,
    sent: u64,
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
        Self { shelf: Shelf::of(&redis), redis, sent: 0 }
    }

    /// Sends `beat`, with its number.
    ///
    /// # Errors
    /// Every variant of [`BeatError`].
    pub async fn send(&mut self, ring: &Ring, mut beat: Beat) -> Result<(), BeatError> {
        self.sent += 1;
        beat.number = self.sent;
        let sealed = beat.seal(ring, &self.shelf.install)?;
        let args = [beat.pod.as_bytes(), &sealed];
        let _: i64 = self.redis.script(&BEAT, &[&*self.shelf.gateways], &args).await?;
        Ok(())
    }
}
