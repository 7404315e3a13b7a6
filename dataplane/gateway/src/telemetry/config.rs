//! Metrics of configuration that comes from Redis.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use smartflow_transport::Revision;
use std::time::Instant;

/// What was refused.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WhatLabels {
    /// `entry` or `head`.
    pub what: &'static str,
}

/// Whether Redis took a heartbeat.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SentLabels {
    /// `sent` or `failed`.
    pub result: &'static str,
}

/// Metrics of configuration that comes from Redis; all zero, and the age -1, of a gateway that serves a folder.
pub struct Config {
    /// Seconds.
    pub age: Gauge,
    /// Of the revision that serves.
    pub epoch: Gauge,
    /// Within the epoch.
    pub revision: Gauge,
    /// Entries and heads.
    pub refused: Family<WhatLabels, Counter>,
    /// Entries that cannot be used.
    pub unusable: Gauge,
    /// 0 or 1.
    pub differs: Gauge,
    /// By result.
    pub heartbeats: Family<SentLabels, Counter>,
}

impl Default for Config {
    fn default() -> Self {
        let (age, epoch, revision, refused, unusable, differs, heartbeats) = Default::default();
        let config = Self { age, epoch, revision, refused, unusable, differs, heartbeats };
        config.age.set(-1);
        config
    }
}

impl Config {
    /// A revision serves.
    pub fn activated(&self, at: Revision, unusable: usize, differs: bool) {
        self.epoch.set(whole(at.epoch));
        self.revision.set(whole(at.number));
        self.unusable.set(i64::try_from(unusable).unwrap_or(i64::MAX));
        self.differs.set(i64::from(differs));
    }

    /// When it was last known to be what is published.
    pub fn age(&self, confirmed: Option<Instant>) {
        self.age.set(confirmed.map_or(-1, |at| whole(at.elapsed().as_secs())));
    }

    /// A heartbeat was sent, or not.
    pub fn heartbeats(&self, sent: bool) {
        let result = if sent { "sent" } else { "failed" };
        self.heartbeats.get_or_create(&SentLabels { result }).inc();
    }
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
