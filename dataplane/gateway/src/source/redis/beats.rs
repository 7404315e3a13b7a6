//! Heartbeats: each second, and as soon as something else serves.

use super::{Options, Stop};
use crate::worker::Shared;
use smartflow_ledger::PodId;
use smartflow_store::redis::Redis;
use smartflow_transport::Beat;
use smartflow_transport::follower::Beacon;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const EACH: Duration = Duration::from_secs(1);
/// However much happens, they are this far apart.
const APART: Duration = Duration::from_millis(20);

/// What is said, but for what changes.
pub(super) struct Beats {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    pod: String,
    key_file: PathBuf,
    incarnation: u64,
    reads: u32,
}

impl Beats {
    pub(super) fn new(options: &Options, pod: PodId, shared: Arc<Shared>, wake: Arc<Notify>) -> Self {
        let started = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let incarnation = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
        let key_file = options.sealing_key_file.clone();
        Self { shared, wake, pod: pod.to_string(), key_file, incarnation, reads: options.reads }
    }

    pub(super) async fn run(self, redis: Redis, stop: Arc<Stop>) {
        let mut beacon = Beacon::new(redis);
        let mut key_file = super::KeyFile::new(self.key_file.clone());
        let mut ring = key_file.read().ok();
        while !stop.stopped.load(Ordering::Acquire) {
            if let Some(Ok(changed)) = key_file.changed() {
                ring = Some(changed);
            }
            if let Some(ring) = &ring {
                beacon.seal_with(self.shared.reported.stands.load().key);
                // Redis away: the source says so, and the operator sees that nothing is said.
                let sent = beacon.send(ring, self.beat()).await;
                self.shared.metrics.config.heartbeats(sent.is_ok());
            }
            let _ = timeout(EACH - APART, async {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = stop.beats.notified() => {}
                }
            })
            .await;
            sleep(APART).await;
        }
    }

    fn beat(&self) -> Beat {
        let standing = self.shared.reported.stands.load();
        let live = self.shared.current.load();
        let mut unusable = standing.unusable.to_vec();
        unusable.extend(live.unusable.iter().map(|(name, why)| (format!("LLMProvider {name}"), why.clone())));
        Beat {
            pod: self.pod.clone(),
            incarnation: self.incarnation,
            number: 0,
            ready: live.generation > 0 && !self.shared.drain.is_draining(),
            at: standing.at.unwrap_or_default(),
            keys: standing.keys.clone(),
            reads: self.reads,
            unusable_count: unusable.len() as u64,
            unusable,
            refused: standing.refused,
            content: live.snapshot.hash,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
