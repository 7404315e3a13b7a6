//! The figures: what is measured, in which order, and what becomes of it.

pub mod compile;
pub mod cpu;
pub mod keys;
pub mod latency;
pub mod loads;
pub mod stage;
pub mod start;

use crate::kit::{self, Kit, Span};
use crate::program::{self, Cores};
use crate::report;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// A figure, or a group that is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Figure {
    /// CPU per request and per stream event beside the floor
    Cpu,
    /// Added latency of an open loop
    Latency,
    /// Start to first answer, and resident memory at rest
    Start,
    /// 100,000 keys: memory of each, CPU per request, one key's change
    Keys,
    /// The compiler by itself: 10,000 keys and 100 providers
    Compile,
}

/// Arguments of `figures`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Program of the gateway
    #[arg(long)]
    pub gateway: PathBuf,
    /// One short round: to see that everything works, not to quote
    #[arg(long)]
    pub quick: bool,
    /// Only these figures; may be repeated
    #[arg(long, value_enum)]
    pub only: Vec<Figure>,
    /// Rounds; every one visits all that is compared, in another order
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Program of the independent harness: its parts measure the same, in the same rounds
    #[arg(long)]
    pub gwbench: Option<PathBuf>,
    /// Keys of the large world
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub keys: u32,
    /// Markdown file whose figures are replaced by a full run
    #[arg(long)]
    pub page: Option<PathBuf>,
    /// Folder for results.json, and for scratch files while it runs
    #[arg(long, default_value = "target/bench")]
    pub out: PathBuf,
    /// Where programs run.
    #[command(flatten)]
    pub cores: Cores,
}

/// Why the figures could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A program did not run.
    #[error(transparent)]
    Program(#[from] program::Fault),
    /// A load gave no figure.
    #[error("{subject}: {source}")]
    Load {
        /// What was measured.
        subject: String,
        /// The reason.
        source: kit::Fault,
    },
    /// Files or ports.
    #[error("{step}: {source}")]
    System {
        /// What was tried.
        step: String,
        /// The system's reason.
        source: io::Error,
    },
    /// What was started did not answer in time.
    #[error("{subject} gave no good answer in {seconds} s; the last was: {last}; it said: {log}")]
    Silent {
        /// What was started.
        subject: String,
        /// How long it had.
        seconds: u64,
        /// What came last.
        last: String,
        /// The end of its output.
        log: String,
    },
    /// A changed key was not taken up.
    #[error(
        "a changed key was not taken up within {seconds} s (smartflow_snapshot_generation stayed {generation})"
    )]
    Unchanged {
        /// How long it had.
        seconds: u64,
        /// Value before and after.
        generation: f64,
    },
    /// A metric that a figure is read from is not there.
    #[error("the gateway has no metric {0}")]
    Metric(&'static str),
    /// The compiler found a fault in the benchmark's own world.
    #[error("the world to compile has a fault: {0}")]
    World(String),
    /// Results could not be written.
    #[error(transparent)]
    Report(#[from] report::Fault),
}

impl Fault {
    fn system(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self::System { step, source }
    }
}

/// All that was measured; a part is absent when it was not asked for.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// CPU, by kit and test.
    pub cpu: Vec<cpu::Row>,
    /// Latency of an open loop.
    pub latency: Option<latency::Latency>,
    /// Start and memory at rest.
    pub start: Option<start::Start>,
    /// The large world.
    pub keys: Option<keys::Keys>,
    /// The compiler by itself.
    pub compile: Option<compile::Compile>,
}

/// Makes the figures, prints them, keeps them, and writes them into the page after a full run.
///
/// # Errors
/// When anything does not run as it should: there are no half figures.
pub fn run(args: &Args) -> Result<(), Fault> {
    let wanted = |figure| args.only.is_empty() || args.only.contains(&figure);
    let stage = stage::Stage::open(args)?;
    let mut results = Results::default();
    if wanted(Figure::Compile) {
        results.compile = Some(compile::measure(stage.plan)?);
    }
    if wanted(Figure::Start) {
        results.start = Some(start::measure(&stage)?);
    }
    if wanted(Figure::Cpu) {
        results.cpu = cpu::measure(&stage)?;
    }
    if wanted(Figure::Latency) {
        results.latency = Some(latency::measure(&stage)?);
    }
    if wanted(Figure::Keys) {
        results.keys = Some(keys::measure(&stage)?);
    }
    Ok(report::publish(args, stage.plan, &results)?)
}

/// How thoroughly figures are made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plan {
    /// Interleaved rounds.
    pub rounds: u32,
    /// Starts that are timed.
    pub starts: u32,
    /// Changes of a key that are timed.
    pub changes: u32,
    /// Full compiles that are timed; a hundred times as many changes are.
    pub compiles: u32,
    /// Seconds before a window.
    pub warmup: f64,
    /// Seconds of a window.
    pub seconds: f64,
    /// Real-time priority.
    pub realtime: bool,
}

impl Plan {
    fn of(args: &Args) -> Self {
        let full = Self {
            rounds: 5,
            starts: 15,
            changes: 40,
            compiles: 10,
            warmup: 0.7,
            seconds: 2.5,
            realtime: false,
        };
        let quick = Self {
            rounds: 1,
            starts: 3,
            changes: 5,
            compiles: 3,
            warmup: 0.5,
            seconds: 1.0,
            realtime: false,
        };
        let plan = if args.quick { quick } else { full };
        Self { rounds: args.rounds.unwrap_or(plan.rounds), realtime: args.cores.realtime, ..plan }
    }

    fn span(self) -> Span {
        Span { warmup: self.warmup, seconds: self.seconds }
    }
}

/// Tells on standard error what is going on.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The kits of a run: ours, and the independent one when it was given.
fn kits(args: &Args, own: PathBuf) -> Vec<Kit> {
    let independent = args.gwbench.clone().map(Kit::Independent);
    std::iter::once(Kit::Own(own)).chain(independent).collect()
}
