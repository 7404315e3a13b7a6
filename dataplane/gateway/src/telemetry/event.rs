//! Events of the control side: each writes its log line and its metric.

use super::Metrics;
use smartflow_snapshot::ContentHash;
use std::time::Duration;

/// Something worth telling.
pub trait Event {
    /// Logs once, counts once.
    fn emit(self, metrics: &Metrics);
}

/// Tells `event`.
pub fn emit(metrics: &Metrics, event: impl Event) {
    event.emit(metrics);
}

/// A snapshot serves.
pub struct SnapshotActivated {
    /// Counts activations.
    pub generation: u64,
    /// Its content.
    pub hash: ContentHash,
    /// Keys that serve.
    pub keys: usize,
    /// Providers that serve.
    pub providers: usize,
    /// Findings of severity error.
    pub errors: usize,
    /// Findings of severity warning.
    pub warnings: usize,
    /// Swapping.
    pub took: Duration,
    /// Compiling.
    pub compiled_in: Duration,
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

impl Event for SnapshotActivated {
    fn emit(self, metrics: &Metrics) {
        let severity = |severity| super::metrics::SeverityLabels { severity };
        metrics.findings.get_or_create(&severity("error")).set(whole(self.errors));
        metrics.findings.get_or_create(&severity("warning")).set(whole(self.warnings));
        metrics.generation.set(i64::try_from(self.generation).unwrap_or(i64::MAX));
        metrics.keys.set(whole(self.keys));
        metrics.providers.set(whole(self.providers));
        metrics.activation.set(micros(self.took));
        metrics.compile.set(micros(self.compiled_in));
        tracing::info!(
            generation = self.generation,
            hash = %self.hash,
            keys = self.keys,
            providers = self.providers,
            errors = self.errors,
            warnings = self.warnings,
            took_us = micros(self.took),
            compiled_us = micros(self.compiled_in),
            "snapshot activated"
        );
    }
}

/// Something in the data dir did not work.
pub struct DataDirFault<'a> {
    /// What; it names the file.
    pub why: &'a str,
}

impl Event for DataDirFault<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.internal_errors.inc();
        tracing::error!(why = self.why, "the data dir cannot be used as it should");
    }
}

/// Something of the configuration was not taken; what serves stays.
pub struct ConfigRefused<'a> {
    /// `entry` or `head`.
    pub what: &'static str,
    /// Why.
    pub why: &'a str,
}

impl Event for ConfigRefused<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.config.refused.get_or_create(&super::config::WhatLabels { what: self.what }).inc();
        tracing::error!(why = self.why, "configuration was refused; what serves stays");
    }
}

/// No newer configuration is to be had.
pub struct ConfigWaits<'a> {
    /// Why.
    pub why: &'a str,
}

impl Event for ConfigWaits<'_> {
    fn emit(self, _: &Metrics) {
        tracing::warn!(why = self.why, "waiting for configuration");
    }
}

/// A call failed upstream.
pub struct UpstreamFailed<'a> {
    /// As in `x-smartflow-request-id`.
    pub request_id: &'a str,
    /// `namespace/name`
    pub provider: &'a smartflow_snapshot::ObjectName,
    /// What happened; free of secrets.
    pub why: &'a dyn std::fmt::Display,
}

impl Event for UpstreamFailed<'_> {
    fn emit(self, _: &Metrics) {
        tracing::warn!(request_id = self.request_id, provider = %self.provider, why = %self.why, "provider failed");
    }
}

/// A target kept failing: calls go elsewhere for a while.
pub struct TargetLeftAlone<'a> {
    /// `namespace/name`
    pub provider: &'a smartflow_snapshot::ObjectName,
    /// Name of the model in the provider's object.
    pub model: &'a str,
    /// For how long.
    pub cooldown: Duration,
}

impl Event for TargetLeftAlone<'_> {
    fn emit(self, metrics: &Metrics) {
        let (provider, model) = (self.provider.to_string(), self.model.to_owned());
        metrics.left_alone.get_or_create(&super::metrics::ModelLabels { provider, model }).inc();
        tracing::warn!(provider = %self.provider, model = self.model, cooldown = ?self.cooldown, "a target keeps failing and is left alone");
    }
}

/// Something that should not happen.
pub struct InternalError<'a> {
    /// As in `x-smartflow-request-id`.
    pub request_id: &'a str,
    /// What happened.
    pub why: &'a str,
}

impl Event for InternalError<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.internal_errors.inc();
        tracing::error!(request_id = self.request_id, why = self.why, "internal error");
    }
}

/// A policy blocked a call, or would have.
pub struct PolicyViolated<'a> {
    /// The policy.
    pub policy: &'a smartflow_snapshot::ObjectName,
    /// It only would have.
    pub dry_run: bool,
}

impl Event for PolicyViolated<'_> {
    fn emit(self, metrics: &Metrics) {
        let mode = if self.dry_run { "dry_run" } else { "enforce" };
        let labels = super::metrics::PolicyLabels { policy: self.policy.to_string(), mode };
        metrics.violations.get_or_create(&labels).inc();
    }
}

/// A call brought a budget to its soft limit.
pub struct SoftLimitReached<'a> {
    /// The key that called.
    pub key: &'a smartflow_snapshot::ObjectName,
    /// Whose budget, in words.
    pub budget: &'a str,
}

impl Event for SoftLimitReached<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.soft_limits.inc();
        tracing::warn!(key = %self.key, budget = self.budget, "a budget came to its soft limit");
    }
}

/// The lender in Redis is doing otherwise than before.
pub struct LenderHealth<'a> {
    /// Now.
    pub health: &'a smartflow_ledger::lender::redis::Health,
    /// Before; none at the start.
    pub before: Option<&'a smartflow_ledger::lender::redis::Health>,
}

impl Event for LenderHealth<'_> {
    fn emit(self, metrics: &Metrics) {
        let Self { health, before } = self;
        metrics.lender_up.set(i64::from(!health.away));
        metrics.ledger_recovering.set(i64::from(health.recovering));
        metrics.ledger_unprotected.set(i64::from(health.unprotected));
        metrics.ledger_stopped.set(i64::from(health.stopped.is_some()));
        let was = |what: fn(&smartflow_ledger::lender::redis::Health) -> bool| before.is_some_and(what);
        if health.away && before.is_some() {
            tracing::warn!("the lender in Redis is away: what this pod holds is spent, nothing more is lent");
        } else if !health.away && was(|b| b.away) {
            tracing::info!("the lender in Redis answers");
        }
        if health.recovering && !was(|b| b.recovering) {
            tracing::warn!("the ledger in Redis lost data: nothing is lent until all pods have reported");
        } else if !health.recovering && was(|b| b.recovering) {
            tracing::info!("the ledger in Redis has recovered");
        }
        if health.unprotected && !was(|b| b.unprotected) {
            tracing::warn!("Redis has lost its last replica: a failover would forget grants");
        }
        if let Some(why) = health.stopped.as_ref().filter(|_| !was(|b| b.stopped.is_some())) {
            tracing::error!(%why, "nothing is lent");
        }
    }
}
