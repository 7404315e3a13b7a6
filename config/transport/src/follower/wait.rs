//! How long to wait after what.

use crate::shelf::Shelf;
use smartflow_store::redis::Dedicated;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// After an error of Redis, or while nothing is published.
const STORE: Duration = Duration::from_millis(200);
/// The first gap is nothing unusual; those that follow it are: at first, and at most.
const GAPS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// So many gaps in a row are told of.
const LOST: u32 = 5;
/// After something was refused: at first, and at most.
const REFUSED: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// While waiting after a refusal, how often it is looked whether the head is another one.
const LOOK: Duration = Duration::from_millis(250);

/// After what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// An error of Redis, or nothing to be had.
    Store,
    Gap,
    Refused,
}

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

    /// True when there were so many gaps in a row that it does not end by itself.
    pub(super) fn is_lost(&self) -> bool {
        self.gaps >= LOST
    }

    /// Waits, the longer the more often. After a refusal not beyond the moment when something else is published.
    pub(super) async fn pause(
        &mut self,
        after: Pause,
        shelf: &Shelf,
        link: Option<Dedicated>,
    ) -> Option<Dedicated> {
        match after {
            Pause::Store => {
                sleep(STORE).await;
                link
            }
            Pause::Gap => {
                if let Some(again) = self.gaps.checked_sub(1) {
                    sleep(grown(GAPS, again)).await;
                }
                self.gaps += 1;
                link
            }
            Pause::Refused => {
                let until = Instant::now() + grown(REFUSED, self.refusals);
                self.refusals += 1;
                let link = watch(shelf, link, until).await;
                if link.is_none() {
                    sleep(LOOK).await;
                }
                link
            }
        }
    }
}

/// Waits for another head.
async fn watch(shelf: &Shelf, link: Option<Dedicated>, until: Instant) -> Option<Dedicated> {
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

/// Doubled each time.
fn grown((first, most): (Duration, Duration), again: u32) -> Duration {
    first.saturating_mul(1 << again.min(8)).min(most)
}
