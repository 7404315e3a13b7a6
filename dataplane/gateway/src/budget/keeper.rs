//! What keeps the ledger going beside the calls, and ends it.

use super::clock::Clock;
use super::disk::Disk;
use super::remote::{self, Remote};
use crate::telemetry::Metrics;
use crate::telemetry::emit;
use crate::telemetry::event::LenderHealth;
use smartflow_ledger::lender::redis::Health;
use smartflow_ledger::rate::RateDesk;
use smartflow_ledger::{Ledger, PodId};
use std::path::Path;
use std::sync::Mutex;

/// Where money is lent from.
pub enum Keeper {
    /// This process, which keeps the books on its disk.
    File(Disk),
    /// Redis, and how it was doing when last looked at.
    Redis(Remote, Mutex<Option<Health>>),
}

/// The ledger of this process, whoever lends to it.
pub struct Kept {
    /// Money.
    pub ledger: Ledger,
    /// Rates.
    pub desk: RateDesk,
    /// Epoch of the limits that this process declares.
    pub epoch: u64,
    /// Who this process is to the lender.
    pub pod: PodId,
    /// What keeps it going.
    pub keeper: Keeper,
}

/// Why it cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// With the lender in this process.
    #[error("--data-dir: {0}. Each gateway needs a folder of its own.")]
    File(#[from] smartflow_ledger::OpenError),
    /// With the lender in Redis.
    #[error(transparent)]
    Redis(#[from] remote::RemoteError),
    /// No thread is to be had.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

/// Opens the ledger in `data_dir`, with the lender that `redis` names or with its own.
///
/// # Errors
/// The data dir is in use or cannot be written, or the settings of Redis cannot work.
pub fn open(data_dir: &Path, clock: Clock, redis: Option<remote::Settings>) -> Result<Kept, KeeperError> {
    if let Some(settings) = redis {
        let remote::Opened { ledger, desk, epoch, pod, remote } = remote::open(data_dir, clock, settings)?;
        return Ok(Kept { ledger, desk, epoch, pod, keeper: Keeper::Redis(remote, Mutex::new(None)) });
    }
    let super::Opened { ledger, lender, desk, epoch } = super::open(data_dir, clock.now())?;
    let disk = Disk::keep(ledger.clone(), Some(lender)).map_err(KeeperError::Start)?;
    Ok(Kept { ledger, desk, epoch, pod: super::ALONE, keeper: Keeper::File(disk) })
}

impl Keeper {
    /// Tells when the lender's health changed. To be called now and then.
    pub fn look(&self, metrics: &Metrics) {
        let Self::Redis(remote, last) = self else { return };
        let health = remote.health();
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.as_ref() != Some(&health) {
            emit(metrics, LenderHealth { health: &health, before: last.as_ref() });
            *last = Some(health);
        }
    }

    /// Waits a little for a lender that others use, too, before the first call.
    pub fn greet(&self) {
        if let Self::Redis(remote, _) = self
            && !remote.greets()
        {
            tracing::warn!("Redis has not answered yet: until it does, this gateway holds the limits alone");
        }
    }

    /// Ends the ledger, after the last call: what it holds goes back.
    pub fn end(self, ledger: &Ledger, clock: &Clock) {
        match self {
            Self::File(disk) => {
                ledger.close(clock.now());
                drop(disk);
            }
            Self::Redis(remote, _) => remote.end(),
        }
    }
}
