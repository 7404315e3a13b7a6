//! A set of mock, floor and load. Ours, or the independent harness when its program was given: the same questions are
//! put to both, so that their answers can stand side by side.

use crate::call::call;
use crate::load::{Kind, Outcome};
use crate::program::{self, Cores};
use crate::world::{ANTHROPIC_MODEL, credential};
use serde::Serialize;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Who provides the parts.
#[derive(Clone, Debug)]
pub enum Kit {
    /// This program.
    Own(PathBuf),
    /// `gwbench`.
    Independent(PathBuf),
}

/// One load.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// Its name in results.
    pub name: &'static str,
    /// What is asked.
    pub kind: Kind,
    /// Connections.
    pub connections: u32,
    /// Requests due per second, or a closed loop.
    pub rate: Option<f64>,
    /// Bytes of the prompt.
    pub prompt_bytes: usize,
    /// Model asked for: it decides which format the mock is asked in.
    pub model: &'static str,
}

/// What one load measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measure {
    /// CPU of the measured program per request, microseconds.
    pub cpu_us_per_request: f64,
    /// The same per stream event.
    pub cpu_us_per_event: f64,
    /// Share of its core.
    pub cpu_share: f64,
    /// Good answers per second.
    pub per_second: f64,
    /// Median latency, microseconds.
    pub p50_us: f64,
    /// 99th percentile of latency, microseconds.
    pub p99_us: f64,
}

/// Why a load gave no figure.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A program did not run.
    #[error(transparent)]
    Program(#[from] program::Fault),
    /// The load printed something else.
    #[error("the load printed no result: {0}")]
    Result(#[from] serde_json::Error),
    /// The mock could not be told its settings.
    #[error("setting the mock: {0}")]
    Mock(#[from] io::Error),
    /// Answers were bad: a figure made of them would mean nothing.
    #[error("{test}: {bad} bad answers; the first: {sample}")]
    Bad {
        /// Which test.
        test: &'static str,
        /// How many.
        bad: u64,
        /// The first of them.
        sample: String,
    },
    /// Nothing was answered.
    #[error("{test}: not one answer in the window")]
    Nothing {
        /// Which test.
        test: &'static str,
    },
}

impl Kit {
    /// Name in results.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Own(_) => "own",
            Self::Independent(_) => "gwbench",
        }
    }

    /// Whether its load asks in this way.
    #[must_use]
    pub fn asks(&self, kind: Kind) -> bool {
        matches!(self, Self::Own(_)) || !kind.is_anthropic()
    }

    /// Whether its mock serves this model.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        matches!(self, Self::Own(_)) || model != ANTHROPIC_MODEL
    }

    fn program(&self) -> String {
        let (Self::Own(path) | Self::Independent(path)) = self;
        path_text(path)
    }

    /// Command of the mock.
    #[must_use]
    pub fn mock(&self, listen: SocketAddr) -> Vec<String> {
        words(&[&self.program(), "mock", "--listen", &listen.to_string()])
    }

    /// Command of the floor.
    #[must_use]
    pub fn floor(&self, listen: SocketAddr, vendor: SocketAddr) -> Vec<String> {
        let (listen, vendor) = (listen.to_string(), vendor.to_string());
        let mut argv = words(&[&self.program(), "floor", "--listen", &listen, "--upstream", &vendor]);
        argv.extend(words(&["--key", crate::TOKEN]));
        if matches!(self, Self::Independent(_)) {
            argv.extend(words(&["--mode", "parse"]));
        }
        argv
    }

    /// Sets the mock's pace for streams: 50 content events, one each 20 ms.
    ///
    /// # Errors
    /// When the mock does not answer.
    pub fn pace(&self, mock: SocketAddr) -> Result<(), Fault> {
        let answer = match self {
            Self::Own(_) => call(mock, "/settings", &[], Some(r#"{"events": 50, "gap_us": 20000}"#))?,
            Self::Independent(_) => call(mock, "/control?chunks=50&chunk_delay_us=20000", &[], None)?,
        };
        if answer.status == 200 { Ok(()) } else { Err(io::Error::other(answer.text).into()) }
    }

    /// Runs a load against `target` and watches the tree of `pid`.
    ///
    /// # Errors
    /// When it does not run, or when answers are bad.
    pub fn measure(
        &self,
        cores: Cores,
        test: Test,
        target: SocketAddr,
        pid: u32,
        span: Span,
    ) -> Result<Measure, Fault> {
        let printed = cores.output(&self.load(test, target, pid, span))?;
        let (measure, bad, sample) = match self {
            Self::Own(_) => own(&serde_json::from_slice(&printed)?),
            Self::Independent(_) => independent(&serde_json::from_slice(&printed)?),
        };
        if bad > 0 {
            return Err(Fault::Bad { test: test.name, bad, sample });
        }
        if measure.per_second <= 0.0 {
            return Err(Fault::Nothing { test: test.name });
        }
        Ok(measure)
    }

    fn load(&self, test: Test, target: SocketAddr, pid: u32, span: Span) -> Vec<String> {
        let kind_flag = if matches!(self, Self::Own(_)) { "--kind" } else { "--mode" };
        let mut argv = words(&[&self.program(), "load", "--target", &target.to_string(), kind_flag]);
        argv.extend(words(&[
            test.kind.name(),
            "--model",
            test.model,
            "--connections",
            &test.connections.to_string(),
        ]));
        argv.extend(words(&[
            "--prompt-bytes",
            &test.prompt_bytes.to_string(),
            "--header",
            &credential(test.kind),
        ]));
        argv.extend(words(&["--warmup", &span.warmup.to_string(), "--seconds", &span.seconds.to_string()]));
        argv.extend(words(&["--watch", &format!("measured={pid}")]));
        if let Some(rate) = test.rate {
            argv.extend(words(&["--rate", &rate.to_string()]));
        }
        argv
    }
}

/// Seconds of a load.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Before the window.
    pub warmup: f64,
    /// The window.
    pub seconds: f64,
}

fn own(outcome: &Outcome) -> (Measure, u64, String) {
    let used = outcome.watched.get("measured").copied().unwrap_or_default();
    let latency = |pick: fn(&crate::load::Quantiles) -> u32| {
        outcome.latency_us.as_ref().map_or(0.0, |q| pick(q).into())
    };
    let measure = Measure {
        cpu_us_per_request: used.cpu_us_per_request,
        cpu_us_per_event: used.cpu_us_per_event,
        cpu_share: used.cpu_share,
        per_second: outcome.per_second,
        p50_us: latency(|q| q.p50),
        p99_us: latency(|q| q.p99),
    };
    (measure, outcome.bad(), outcome.sample.clone().unwrap_or_default())
}

fn independent(outcome: &Value) -> (Measure, u64, String) {
    let number = |at: &str| outcome.pointer(at).and_then(Value::as_f64).unwrap_or(0.0);
    let measure = Measure {
        cpu_us_per_request: number("/watch/measured/cpu_us_per_request"),
        cpu_us_per_event: number("/watch/measured/cpu_us_per_event"),
        cpu_share: number("/watch/measured/cpu_share"),
        per_second: number("/rps"),
        p50_us: number("/latency_us/p50"),
        p99_us: number("/latency_us/p99"),
    };
    let bad = outcome.pointer("/error_total").and_then(Value::as_u64).unwrap_or(0);
    let sample = outcome.pointer("/sample_error").and_then(Value::as_str).unwrap_or_default();
    (measure, bad, sample.to_owned())
}

/// A path as an argument.
#[must_use]
pub fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// Arguments, owned.
#[must_use]
pub fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
