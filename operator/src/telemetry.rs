//! What is counted and told of the operator itself, for its admin port.

use crate::status::{Fleet, Outcome};
use crate::watch::Synced;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// Counts and health.
pub struct Telemetry {
    registry: Registry,
    leader: Gauge,
    behind: Gauge,
    compiles: Counter,
    compile_micros: Gauge,
    queue: Gauge,
    writes: Family<OutcomeLabels, Counter>,
    publications: Family<OutcomeLabels, Counter>,
    gateways: Gauge,
    lagging: Gauge,
    keys: Gauge,
    readable: Gauge,
    /// All kinds were listed.
    ready: AtomicBool,
    /// Which watches do not work, and why.
    reasons: Mutex<Vec<String>>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut new = Self {
            registry: Registry::with_prefix("smartflow_operator"),
            leader: Gauge::default(),
            behind: Gauge::default(),
            compiles: Counter::default(),
            compile_micros: Gauge::default(),
            queue: Gauge::default(),
            writes: Family::default(),
            publications: Family::default(),
            gateways: Gauge::default(),
            lagging: Gauge::default(),
            keys: Gauge::default(),
            readable: Gauge::default(),
            ready: AtomicBool::new(false),
            reasons: Mutex::default(),
        };
        let r = &mut new.registry;
        r.register("leader", "1 while this replica has the Lease and writes", new.leader.clone());
        r.register("watches_behind", "Watches that were never through or do not work", new.behind.clone());
        r.register("compiles", "Times that changes were compiled", new.compiles.clone());
        let help = "How long the last compilation took, in microseconds";
        r.register("compile_microseconds", help, new.compile_micros.clone());
        r.register("status_queue", "Statuses that wait to be written", new.queue.clone());
        r.register("status_writes", "Statuses that were written, by outcome", new.writes.clone());
        r.register("publications", "Batches that were published, by outcome", new.publications.clone());
        r.register("ready_gateways", "Gateways that are ready", new.gateways.clone());
        let help = "Ready gateways that do not run what was published more than five seconds ago";
        r.register("lagging_gateways", help, new.lagging.clone());
        r.register(
            "sealing_keys",
            "Sealing keys that are known: two while one is replaced",
            new.keys.clone(),
        );
        let help = "1 while the store can be read; only the replica that writes reads it";
        r.register("store_readable", help, new.readable.clone());
        new
    }
}

impl Telemetry {
    /// How far the watches are.
    pub fn synced(&self, synced: &Synced) {
        let reason =
            |(source, why): (&_, Option<&str>)| format!("{source}: {}", why.unwrap_or("not listed yet"));
        let reasons: Vec<String> = synced.behind().map(reason).collect();
        self.behind.set(i64::try_from(reasons.len()).unwrap_or(i64::MAX));
        self.ready.store(synced.all(), Ordering::Release);
        *self.reasons.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    /// Changes were compiled.
    pub fn compiled(&self, took: Duration) {
        self.compiles.inc();
        self.compile_micros.set(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    }

    /// This replica writes, or does not any more.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Statuses that wait.
    pub fn depth(&self, depth: usize) {
        self.queue.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// A status was written, or not.
    pub fn wrote(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Conflict => "conflict",
            Outcome::Failed => "failed",
        };
        self.writes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// A batch was published, or not.
    pub fn published(&self, done: bool) {
        let outcome = if done { "done" } else { "failed" };
        self.publications.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// What the gateways run.
    pub fn fleet(&self, fleet: &Fleet) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.readable.set(i64::from(fleet.known().is_some()));
        let Some(known) = fleet.known() else { return };
        self.gateways.set(count(known.ready));
        self.lagging.set(count(known.lagging.len()));
        self.keys.set(count(known.keys));
    }

    /// `Ok` once all kinds were listed; else, and for watches that broke since, the reasons.
    pub fn readiness(&self) -> (bool, Vec<String>) {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.ready.load(Ordering::Acquire), reasons)
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// Never, as text grows.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        encode(&mut page, &self.registry)?;
        Ok(page)
    }
}
