//! Prometheus metrics. Labels are bounded by what administrators declare (provider, model, policy) and by enums; a
//! virtual key, a user or anything that a caller writes is never a label.

use super::config::Config;
use super::door::Door;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use smartflow_dialect::Usage;
use smartflow_snapshot::FaultClass;
use std::sync::atomic::AtomicU64;

/// Seconds; up to the longest call.
const DURATIONS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Seconds; the gateway's own share.
const OVERHEADS: [f64; 11] =
    [0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25];

/// A counter of fractions (US dollars).
pub type Dollars = Counter<f64, AtomicU64>;

/// Where a call went.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct TargetLabels {
    /// `chat` or `embeddings`.
    pub endpoint: &'static str,
    /// `namespace/name` of the provider.
    pub provider: String,
    /// Name of the model in the provider's object.
    pub model: String,
}

/// How a call to a target ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `chat` or `embeddings`.
    pub endpoint: &'static str,
    /// `namespace/name` of the provider.
    pub provider: String,
    /// Name of the model in the provider's object.
    pub model: String,
    /// See `telemetry::usage::Outcome`.
    pub outcome: &'static str,
}

/// Failed attempts at one target.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct AttemptLabels {
    /// `namespace/name` of the provider.
    pub provider: String,
    /// Name of the model in the provider's object.
    pub model: String,
    /// As in `fallbackOn`.
    pub class: &'static str,
}

/// A model of a provider.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ModelLabels {
    /// `namespace/name` of the provider.
    pub provider: String,
    /// Name of the model in the provider's object.
    pub model: String,
}

/// Tokens of one class at one target.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct TokenLabels {
    /// `namespace/name` of the provider.
    pub provider: String,
    /// Name of the model in the provider's object.
    pub model: String,
    /// `input`, `output`, `cached_input`, `reasoning`.
    pub class: &'static str,
}

/// A refusal.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RefusalLabels {
    /// The error code that the caller got; a policy's refusals are all `policy_violation`.
    pub code: String,
}

/// A policy that blocked or would have.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PolicyLabels {
    /// `namespace/name` of the policy.
    pub policy: String,
    /// `enforce` or `dry_run`.
    pub mode: &'static str,
}

/// Findings of one severity.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SeverityLabels {
    /// `error` or `warning`.
    pub severity: &'static str,
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    /// Certificates, handshakes, connections.
    pub door: Door,
    /// Calls that reached a target, by outcome.
    pub requests: Family<OutcomeLabels, Counter>,
    /// Seconds from the request's head to the end of its answer.
    pub duration: Family<TargetLabels, Histogram, fn() -> Histogram>,
    /// Seconds to the first byte of the answer.
    pub first_byte: Family<TargetLabels, Histogram, fn() -> Histogram>,
    /// Seconds spent inside the gateway, upstream excluded.
    pub overhead: Histogram,
    /// Tokens as billed.
    pub tokens: Family<TokenLabels, Counter>,
    /// US dollars as billed.
    pub cost: Family<TargetLabels, Dollars>,
    /// Attempts that failed and were followed by another one.
    pub failed_attempts: Family<AttemptLabels, Counter>,
    /// Targets that were left alone because they kept failing.
    pub left_alone: Family<ModelLabels, Counter>,
    /// Calls that were refused before they reached a target.
    pub refused: Family<RefusalLabels, Counter>,
    /// Calls that a policy blocked, or would have in dry run.
    pub violations: Family<PolicyLabels, Counter>,
    /// Budgets that came to their soft limit.
    pub soft_limits: Counter,
    /// Calls in flight.
    pub in_flight: Gauge,
    /// Open connections of callers.
    pub connections: Gauge,
    /// Findings over all resources.
    pub findings: Family<SeverityLabels, Gauge>,
    /// Which snapshot serves, counted from the start of the process.
    pub generation: Gauge,
    /// Virtual keys that serve.
    pub keys: Gauge,
    /// Providers that serve.
    pub providers: Gauge,
    /// Microseconds from a changed file to the swapped snapshot, of the last change.
    pub activation: Gauge,
    /// Microseconds of the last compile.
    pub compile: Gauge,
    /// Usage lines that were lost because their writer could not keep up.
    pub usage_dropped: Counter,
    /// Errors that should not happen.
    pub internal_errors: Counter,
    /// With a lender in Redis: 1 while it answers.
    pub lender_up: Gauge,
    /// 1 while the ledger in Redis recovers and lends nothing.
    pub ledger_recovering: Gauge,
    /// 1 while the ledger in Redis has lost its last replica.
    pub ledger_unprotected: Gauge,
    /// 1 while Redis may not keep a ledger, so that nothing is lent.
    pub ledger_stopped: Gauge,
    /// Configuration from Redis.
    pub config: Config,
}

fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut m = Self {
            registry: Registry::with_prefix("smartflow"),
            door: Door::default(),
            requests: Family::default(),
            duration: Family::new_with_constructor(durations),
            first_byte: Family::new_with_constructor(durations),
            overhead: Histogram::new(OVERHEADS),
            tokens: Family::default(),
            cost: Family::default(),
            failed_attempts: Family::default(),
            left_alone: Family::default(),
            refused: Family::default(),
            violations: Family::default(),
            soft_limits: Counter::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            findings: Family::default(),
            generation: Gauge::default(),
            keys: Gauge::default(),
            providers: Gauge::default(),
            activation: Gauge::default(),
            compile: Gauge::default(),
            usage_dropped: Counter::default(),
            internal_errors: Counter::default(),
            lender_up: Gauge::default(),
            ledger_recovering: Gauge::default(),
            ledger_unprotected: Gauge::default(),
            ledger_stopped: Gauge::default(),
            config: Config::default(),
        };
        m.register();
        m
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("requests", "Calls that reached a target, by outcome", self.requests.clone());
        r.register_with_unit(
            "request_duration",
            "From the request's head to the end of its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        r.register_with_unit(
            "first_byte",
            "From the request's head to the first byte of its answer",
            Unit::Seconds,
            self.first_byte.clone(),
        );
        r.register_with_unit(
            "overhead",
            "Time inside the gateway, upstream excluded",
            Unit::Seconds,
            self.overhead.clone(),
        );
        r.register("tokens", "Tokens as billed, by class", self.tokens.clone());
        r.register("cost_usd", "US dollars as billed", self.cost.clone());
        r.register(
            "failed_attempts",
            "Attempts that failed and were followed by another one, by class",
            self.failed_attempts.clone(),
        );
        r.register(
            "targets_left_alone",
            "Times that a target was left alone because it kept failing",
            self.left_alone.clone(),
        );
        r.register(
            "refused",
            "Calls refused before they reached a target, by error code",
            self.refused.clone(),
        );
        r.register(
            "policy_violations",
            "Calls that a policy blocked, or would have in dry run",
            self.violations.clone(),
        );
        r.register("budget_soft_limits", "Budgets that came to their soft limit", self.soft_limits.clone());
        r.register("in_flight", "Calls in flight", self.in_flight.clone());
        r.register("connections", "Open connections of callers", self.connections.clone());
        r.register("findings", "Findings over all resources", self.findings.clone());
        r.register("snapshot_generation", "Activations since the start", self.generation.clone());
        r.register("snapshot_keys", "Virtual keys that serve", self.keys.clone());
        r.register("snapshot_providers", "Providers that serve", self.providers.clone());
        r.register("snapshot_activation_us", "Microseconds of the last swap", self.activation.clone());
        r.register("snapshot_compile_us", "Microseconds of the last compile", self.compile.clone());
        r.register(
            "usage_lines_dropped",
            "Usage lines lost because their writer could not keep up",
            self.usage_dropped.clone(),
        );
        r.register("internal_errors", "Errors that should not happen", self.internal_errors.clone());
        self.door.register(r);
        self.register_lender();
        self.register_config();
    }

    fn register_lender(&mut self) {
        let r = &mut self.registry;
        r.register("lender_up", "1 while the lender in Redis answers", self.lender_up.clone());
        r.register(
            "ledger_recovering",
            "1 while the ledger in Redis lost data and lends nothing",
            self.ledger_recovering.clone(),
        );
        r.register(
            "ledger_unprotected",
            "1 while the ledger in Redis has lost its last replica",
            self.ledger_unprotected.clone(),
        );
        r.register(
            "ledger_stopped",
            "1 while Redis may not keep a ledger and nothing is lent",
            self.ledger_stopped.clone(),
        );
    }

    fn register_config(&mut self) {
        let (r, config) = (&mut self.registry, &self.config);
        r.register_with_unit(
            "config_age",
            "Since the configuration that serves was last known to be what is published; -1 = never",
            Unit::Seconds,
            config.age.clone(),
        );
        r.register("config_epoch", "Epoch of the revision that serves", config.epoch.clone());
        r.register("config_revision", "Number of the revision that serves", config.revision.clone());
        r.register(
            "config_refused",
            "Entries and heads that were refused: changed, missing or brought back",
            config.refused.clone(),
        );
        r.register("config_unusable", "Entries that this version cannot use", config.unusable.clone());
        r.register(
            "config_differs",
            "1 while the operator compiled the same objects to something else",
            config.differs.clone(),
        );
        r.register("config_heartbeats", "Heartbeats, by whether Redis took them", config.heartbeats.clone());
    }

    /// The page for Prometheus.
    ///
    /// # Errors
    /// When a label cannot be written, which the types rule out.
    pub fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::with_capacity(8192);
        prometheus_client::encoding::text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// Handles of one target, looked up once: counting costs an atomic addition each.
pub struct TargetMetrics {
    /// Calls that ended well.
    pub ok: Counter,
    /// Seconds in all.
    pub duration: Histogram,
    /// Seconds to the first byte.
    pub first_byte: Histogram,
    /// Input tokens.
    pub input: Counter,
    /// Output tokens.
    pub output: Counter,
    /// Input tokens from the vendor's cache.
    pub cached: Counter,
    /// Reasoning tokens.
    pub reasoning: Counter,
    /// US dollars.
    pub cost: Dollars,
    labels: TargetLabels,
}

impl TargetMetrics {
    /// Handles for calls to `model` of `provider`.
    #[must_use]
    pub fn new(metrics: &Metrics, endpoint: &'static str, provider: &str, model: &str) -> Self {
        let labels = TargetLabels { endpoint, provider: provider.to_owned(), model: model.to_owned() };
        let tokens = |class| {
            let labels = TokenLabels { provider: provider.to_owned(), model: model.to_owned(), class };
            metrics.tokens.get_or_create_owned(&labels)
        };
        let target = Self {
            ok: Counter::default(),
            duration: metrics.duration.get_or_create_owned(&labels),
            first_byte: metrics.first_byte.get_or_create_owned(&labels),
            input: tokens("input"),
            output: tokens("output"),
            cached: tokens("cached_input"),
            reasoning: tokens("reasoning"),
            cost: metrics.cost.get_or_create_owned(&labels),
            labels,
        };
        Self { ok: target.outcome(metrics, "ok"), ..target }
    }

    /// The same target's handles as `endpoint`.
    #[must_use]
    pub fn of(&self, metrics: &Metrics, endpoint: &'static str) -> Self {
        Self::new(metrics, endpoint, &self.labels.provider, &self.labels.model)
    }

    /// Adds what a call or an attempt used and cost (nano-USD).
    pub fn spend(&self, usage: &Usage, cost: i64) {
        let add = |counter: &Counter, n: u64| {
            if n > 0 {
                counter.inc_by(n);
            }
        };
        add(&self.input, usage.input);
        add(&self.output, usage.output);
        add(&self.cached, usage.cached_input);
        add(&self.reasoning, usage.reasoning);
        if cost > 0 {
            // A metric may round; the ledger does not.
            #[allow(clippy::cast_precision_loss)]
            self.cost.inc_by(cost as f64 / 1e9);
        }
    }

    /// Counter of attempts that failed with `class` and were followed by another one.
    #[must_use]
    pub fn failed_attempt(&self, metrics: &Metrics, class: FaultClass) -> Counter {
        let TargetLabels { provider, model, .. } = self.labels.clone();
        metrics.failed_attempts.get_or_create_owned(&AttemptLabels { provider, model, class: class.as_str() })
    }

    /// Counter of calls that ended with `outcome`.
    #[must_use]
    pub fn outcome(&self, metrics: &Metrics, outcome: &'static str) -> Counter {
        let TargetLabels { endpoint, provider, model } = self.labels.clone();
        metrics.requests.get_or_create_owned(&OutcomeLabels { endpoint, provider, model, outcome })
    }
}
