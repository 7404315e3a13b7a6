//! What a load saw.

use super::Args;
use crate::watch::{Reading, Used};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The most latencies that are kept; later ones are counted but not in the quantiles.
const KEPT: usize = 4_000_000;
/// The most text of a bad answer that is shown.
const SHOWN: usize = 300;
/// The most kinds of errors that are told apart.
const KINDS: usize = 32;

/// What is gathered while a load runs.
#[derive(Default)]
pub(super) struct Record {
    /// Good answers that ended in the window.
    pub(super) in_window: u64,
    /// Stream events that came in the window.
    pub(super) events: u64,
    latency: Vec<u32>,
    first_byte: Vec<u32>,
    completed: u64,
    errors: BTreeMap<String, u64>,
    sample: Option<String>,
}

/// Readings at one end of the window.
pub(super) struct Mark {
    pub(super) at: Instant,
    pub(super) trees: Vec<Reading>,
    pub(super) own: Reading,
}

/// Quantiles of a span, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50: u32,
    /// Ninety of a hundred are faster.
    pub p90: u32,
    /// Ninety-nine of a hundred are faster.
    pub p99: u32,
    /// The slowest.
    pub max: u32,
}

/// The result of a load, as it is printed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Good answers to requests that were due in the window.
    pub completed: u64,
    /// Good answers per second that ended in the window.
    pub per_second: f64,
    /// Stream events received in the window.
    pub events: u64,
    /// Bad answers to requests that were due in the window, by kind.
    pub errors: BTreeMap<String, u64>,
    /// The first bad answer.
    pub sample: Option<String>,
    /// From due to the end of the answer.
    pub latency_us: Option<Quantiles>,
    /// From due to the first byte of the body.
    pub first_byte_us: Option<Quantiles>,
    /// Share of a core that the load itself used.
    pub own_cpu_share: f64,
    /// What the watched trees used.
    pub watched: BTreeMap<String, Used>,
}

impl Outcome {
    /// Bad answers in all.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Record {
    pub(super) fn good(&mut self, latency: Duration, first_byte: Duration) {
        self.completed += 1;
        if self.latency.len() < KEPT {
            self.latency.push(micros(latency));
            self.first_byte.push(micros(first_byte));
        }
    }

    pub(super) fn bad(&mut self, kind: String, text: &[u8], counted: bool) {
        if self.sample.is_none() {
            let shown = text.get(..SHOWN).unwrap_or(text);
            self.sample = Some(format!("{kind}: {}", String::from_utf8_lossy(shown)));
        }
        if counted {
            let full = self.errors.len() >= KINDS && !self.errors.contains_key(&kind);
            *self.errors.entry(if full { "other".to_owned() } else { kind }).or_default() += 1;
        }
    }

    pub(super) fn outcome(self, args: &Args, names: &[String], before: &Mark, after: &Mark) -> Outcome {
        let span = after.at.saturating_duration_since(before.at);
        let trees = names.iter().zip(before.trees.iter().zip(&after.trees));
        let watched = trees.map(|(name, (first, last))| {
            (name.clone(), last.used_since(first, span, self.in_window, self.events))
        });
        Outcome {
            completed: self.completed,
            per_second: self.in_window as f64 / args.seconds,
            events: self.events,
            watched: watched.collect(),
            own_cpu_share: after.own.cpu_since(&before.own).as_secs_f64() / span.as_secs_f64(),
            errors: self.errors,
            sample: self.sample,
            latency_us: quantiles(self.latency),
            first_byte_us: quantiles(self.first_byte),
        }
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

fn quantiles(mut spans: Vec<u32>) -> Option<Quantiles> {
    spans.sort_unstable();
    let max = *spans.last()?;
    // Nearest rank: the least value that at least so many percent do not exceed.
    let rank = |percent: usize| spans.get((spans.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Quantiles { p50: rank(50)?, p90: rank(90)?, p99: rank(99)?, max })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let q = quantiles((1..=100).rev().collect()).unwrap();
        assert_eq!((q.p50, q.p90, q.p99, q.max), (50, 90, 99, 100));
        assert_eq!(quantiles(vec![7]).unwrap(), Quantiles { p50: 7, p90: 7, p99: 7, max: 7 });
        assert!(quantiles(Vec::new()).is_none());
    }

    #[test]
    fn errors_outside_the_window_are_shown_but_not_counted() {
        let mut record = Record::default();
        record.bad("status 500".to_owned(), b"early", false);
        record.bad("status 429".to_owned(), b"late", true);
        assert_eq!(record.sample.as_deref(), Some("status 500: early"));
        assert_eq!(record.errors, BTreeMap::from([("status 429".to_owned(), 1)]));
    }
}
