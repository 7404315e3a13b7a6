//! The thread that follows.

use super::key_file::KeyFile;
use super::reports::Reports;
use super::{Options, Stop};
use crate::state::activate;
use crate::telemetry::emit;
use crate::telemetry::event::{ConfigRefused, ConfigWaits, DataDirFault};
use crate::worker::Shared;
use smartflow_store::redis::Redis;
use smartflow_transport::Ring;
use smartflow_transport::follower::{self, Activation, Follower, Kept, KeptError, News, Saver};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long Redis is waited for before what was kept is started from.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the kept file is marked as current, and written whole where that is due.
const CONFIRM: Duration = Duration::from_secs(30);

/// What the thread needs.
pub(super) struct Parts {
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: Arc<Stop>,
    pub(super) wake: Arc<Notify>,
    pub(super) key_file: KeyFile,
    pub(super) ring: Ring,
    pub(super) kept: Result<Option<Kept>, KeptError>,
    pub(super) saver: Saver,
}

/// The thread's state.
struct Source {
    options: Options,
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    key_file: KeyFile,
    saver: Saver,
    follower: Follower,
    reports: Reports,
    /// What was kept, until something serves.
    kept: Option<Kept>,
    confirmed: Option<Instant>,
}

/// Follows until it is stopped.
pub(super) async fn run(redis: Redis, parts: Parts) {
    let Parts { options, shared, stop, wake, key_file, ring, kept, saver } = parts;
    let kept = kept.unwrap_or_else(|fault| {
        emit(&shared.metrics, DataDirFault { why: &fault.to_string() });
        None
    });
    let keys = ring.ids();
    shared.reported.stands.change(|standing| standing.keys = keys);
    let follow = follower::Options {
        ring,
        reads: options.reads,
        max_age: options.max_age,
        floor: kept.as_ref().and_then(|kept| kept.at),
    };
    let follower = Follower::new(redis, follow);
    let reports = Reports::default();
    let mut source =
        Source { options, shared, wake, key_file, saver, follower, reports, kept, confirmed: None };
    let began = Instant::now();
    while !stop.stopped.load(Ordering::Acquire) {
        let news = tokio::select! {
            news = source.follower.next() => news,
            () = stop.source.notified() => return,
        };
        let refused = matches!(news, News::Refused(_));
        source.take(news);
        if refused || began.elapsed() > PATIENCE {
            source.start_from_kept();
        }
        source.tend();
    }
}

impl Source {
    fn take(&mut self, news: News) {
        match news {
            News::Activated(activation, save) => {
                self.kept = None;
                self.activate(*activation, false);
                self.saver.save(save);
                self.confirmed = Some(Instant::now());
            }
            News::Refused(refusal) => {
                let (what, why) = (refusal.what(), refusal.to_string());
                let missing = refusal.missing_key().map(|key| self.without(key));
                let why = missing.unwrap_or(why);
                self.shared.reported.stands.change(|standing| {
                    standing.refused += 1;
                    standing.why = Some(why.clone());
                });
                emit(&self.shared.metrics, ConfigRefused { what, why: &why });
                self.wake.notify_one();
            }
            News::Waiting(why) => {
                emit(&self.shared.metrics, ConfigWaits { why: &why });
                self.shared.reported.stands.change(|standing| standing.why = Some(why));
            }
            News::Current => {
                self.shared.reported.stands.change(|standing| {
                    (standing.confirmed, standing.why) = (Some(Instant::now()), None);
                });
                if self.confirmed.is_none_or(|at| at.elapsed() > CONFIRM) {
                    self.confirmed = Some(Instant::now());
                    self.saver.confirm();
                }
            }
            News::Quiet => {}
        }
    }

    /// Which key is missing, and which there are.
    fn without(&self, key: smartflow_transport::KeyId) -> String {
        let known: Vec<String> =
            self.shared.reported.stands.load().keys.iter().map(ToString::to_string).collect();
        let file = self.options.sealing_key_file.display();
        format!(
            "the configuration is sealed with key {key}; --sealing-key-file {file} has {}",
            known.join(", ")
        )
    }

    fn activate(&mut self, mut activation: Activation, from_last_good: bool) {
        let world = self.reports.world(&mut activation);
        let (unusable, head) = (Arc::new(activation.unusable), activation.head);
        let differs = head.content != world.snapshot.hash && unusable.is_empty();
        if differs {
            tracing::warn!(
                operator = %head.content,
                gateway = %world.snapshot.hash,
                "the operator compiled the same objects to something else: is it of another version?"
            );
        }
        activate(&self.shared, world);
        let config = &self.shared.metrics.config;
        config.activated(head.at, unusable.len(), differs);
        self.shared.reported.stands.change(|standing| {
            (standing.at, standing.key) = (Some(head.at), Some(head.key));
            standing.content = Some(head.content);
            standing.unusable = unusable;
            standing.from_last_good = from_last_good;
            if !from_last_good {
                (standing.confirmed, standing.why) = (Some(Instant::now()), None);
            }
        });
        self.wake.notify_one();
    }

    /// Serves what was kept when nothing else is to be had.
    fn start_from_kept(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        if kept.age > self.options.last_good_max_age {
            let why = format!(
                "the last-good configuration is {:?} old; --last-good-max-age is {:?}",
                kept.age, self.options.last_good_max_age
            );
            return emit(&self.shared.metrics, ConfigWaits { why: &why });
        }
        match self.follower.start_from(&kept.whole) {
            Ok(Some(activation)) => {
                tracing::warn!(age = ?kept.age, revision = %activation.head.at, "serving the last-good configuration");
                self.activate(activation, true);
            }
            Ok(None) => {}
            Err(refusal) => {
                let why = format!("the last-good configuration cannot be used: {refusal}");
                emit(&self.shared.metrics, DataDirFault { why: &why });
            }
        }
    }

    /// What is due beside.
    fn tend(&mut self) {
        match self.key_file.changed() {
            Some(Ok(ring)) => {
                let keys = ring.ids();
                tracing::info!(?keys, "the sealing keys are others now");
                self.shared.reported.stands.change(|standing| standing.keys = keys);
                self.saver.set_ring(ring.clone());
                self.follower.set_ring(ring);
                self.wake.notify_one();
            }
            Some(Err(fault)) => tracing::error!(%fault, "the sealing keys stay as they were"),
            None => {}
        }
        if self.saver.is_behind() && self.confirmed.is_none_or(|at| at.elapsed() > CONFIRM) {
            self.confirmed = Some(Instant::now());
            self.follower.read_again();
        }
    }
}
