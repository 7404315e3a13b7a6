//! What a call costs, what it may cost at worst, and holding that much until it is known. The thin side of the ledger.

use self::guards::{INSTALL, Room, Unit};
use jiff::Timestamp;
use smartflow_ledger::lender::{FileLender, Lender};
use smartflow_ledger::money::UsdText;
use smartflow_ledger::rate::RateDesk;
use smartflow_ledger::{Incarnation, Ledger, Now, OpenError, Options, PodId};
use std::path::Path;
use std::sync::Arc;

pub mod clock;
pub mod disk;
mod dry;
pub mod guards;
pub mod hold;
pub mod keeper;
pub mod plan;
pub mod pod;
pub mod price;
pub mod remote;
#[cfg(test)]
mod remote_tests;
pub mod slices;
pub mod tokens;

/// Nano-USD as a decimal in US dollars.
#[must_use]
pub fn usd(nanos: i64) -> UsdText {
    UsdText::new(nanos)
}

/// The default of `--lease-duration`. A lender in this process never leaves: here it only sets how often is reported.
const LEASE_MILLIS: u64 = 600_000;
/// Who a process is that lends to itself.
const ALONE: PodId = PodId(0);

/// Money and rates of this process.
pub struct Opened {
    /// Money.
    pub ledger: Ledger,
    /// Where the money is lent from; [`disk::Disk`] keeps both on the disk.
    pub lender: Arc<FileLender>,
    /// Rates.
    pub desk: RateDesk,
    /// Epoch of the limits that this process declares; grows with every start.
    pub epoch: u64,
}

/// Opens the ledger in `data_dir`: this process is its own lender.
///
/// # Errors
/// The folder is in use by another process, cannot be written, or holds a ledger that is damaged.
pub fn open(data_dir: &Path, now: Now) -> Result<Opened, OpenError> {
    let dir = data_dir.join("ledger");
    let lender = FileLender::open(&dir, now)?;
    let epoch = lender.epoch();
    for finding in lender.findings() {
        tracing::warn!(%finding, "the ledger was repaired");
    }
    let file = Arc::new(lender);
    let lender: Arc<dyn Lender> = file.clone();
    let incarnation = Incarnation::random();
    let options = Options {
        install: INSTALL.to_owned(),
        data_dir: dir,
        incarnation,
        pod: ALONE,
        lease_millis: LEASE_MILLIS,
    };
    let ledger = Ledger::open(options, lender.clone(), now)?;
    for finding in ledger.findings() {
        tracing::warn!(%finding, "the ledger was repaired");
    }
    Ok(Opened { ledger, lender: file, desk: RateDesk::new(&lender, incarnation, ALONE), epoch })
}

/// What is left of the tightest budget.
pub struct Left {
    /// Nano-USD.
    pub nanos: i64,
    /// When it starts anew.
    pub resets: Option<Timestamp>,
}

/// What is left over all budgets of `room`; `None` without any.
#[must_use]
pub fn remaining(ledger: &Ledger, now: Now, room: &Room) -> Option<Left> {
    let views = room.legs.iter().filter(|l| l.unit == Unit::Money).map(|l| ledger.view(now, &l.account));
    let tightest = views.min_by_key(|v| v.remaining)?;
    let resets = tightest.resets_at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Some(Left { nanos: tightest.remaining, resets })
}
