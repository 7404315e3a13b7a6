//! How long to wait after what.

use crate::shelf::Shelf;
use smartflow_store::redis::Dedicated;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// After an error of Redis, or while nothing is published.
const STORE: Duration = Duration::from_millis(200);
/// The first gap is nothing unusual; those that follow it are.
const GAPS: Duration = Duration::from_millis(100);
/// After something was refused: at first, and at most.
const REFUSED: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// While waiting after a refusal, how often it is looked whether the head is another one.
const LOOK: Duration = Duration::from_millis(250);

/// What went wrong since the last activation.
#[derive(Debug, Default)]
pub(super) struct Waits {
    gaps: u32,
    refusals: u32,
}

impl Waits {
    /// All is well.
    pub(super) fn done(&mut self) {
        *self = Self::default();
    }

    pub(super) async fn store(&mut self) {
        sleep(STORE).await;
    }

    pub(super) async fn gap(&mut self) {
        self.gaps += 1;
        if self.gaps > 1 {
            sleep(GAPS).await;
        }
    }

    /// Waits longer each time, but not beyond the moment when something else is published.
    pub(super) async fn refused(&mut self, shelf: &Shelf, link: Option<Dedicated>) -> Option<Dedicated> {
        let (first, most) = REFUSED;
        let until = Instant::now() + first.saturating_mul(1 << self.refusals.min(8)).min(most);
        self.refusals += 1;
        let mut link = link?;
        let before = shelf.head(&mut link).await.ok()?;
        while Instant::now() < until {
            sleep(LOOK.min(until - Instant::now())).await;
            if shelf.head(&mut link).await.ok()? != before {
                break;
            }
        }
        Some(link)
    }
}
