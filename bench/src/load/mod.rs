//! The load generator: plain HTTP/1.1 on one thread, cheap enough to share a core with the mock.
//!
//! *Closed loop*: so many connections, each asks again as soon as it was answered. For throughput and CPU.
//! *Open loop*: requests are due at fixed instants whether or not earlier ones were answered, and latency counts from
//! the instant a request was due: a stall is charged to every request that it held up. For latency.

mod ask;
mod exchange;
mod record;
mod wire;

pub use ask::Kind;
pub use record::{Outcome, Quantiles};

use crate::clock::Clock;
use crate::watch;
use ask::Ask;
use exchange::Client;
use record::Record;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long requests in flight at the end may take to finish.
const LAST_CALL: Duration = Duration::from_secs(10);
/// Pause of a closed loop after a refused connection.
const REFUSED: Duration = Duration::from_millis(5);
/// Time in which the streams of a closed loop begin, so that they do not march in step.
const SPREAD: Duration = Duration::from_millis(500);

/// Arguments of `load`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address of the target
    #[arg(long)]
    pub target: SocketAddr,
    /// What is asked
    #[arg(long, value_enum, default_value = "chat")]
    pub kind: Kind,
    /// Model asked for, no quotes in it; the default follows the kind
    #[arg(long, value_parser = unquoted)]
    pub model: Option<String>,
    /// Bytes of the prompt
    #[arg(long, default_value_t = 200)]
    pub prompt_bytes: usize,
    /// A header to send, `Name: value`; may be repeated
    #[arg(long = "header")]
    pub headers: Vec<String>,
    /// Connections of a closed loop; most requests in flight of an open one
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub connections: u32,
    /// Requests due per second; without it the loop is closed
    #[arg(long)]
    pub rate: Option<f64>,
    /// Seconds before the window
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Seconds of the window
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Process whose tree's CPU and memory are measured in the window, `name=pid`; may be repeated
    #[arg(long, value_parser = watched)]
    pub watch: Vec<(String, u32)>,
}

/// Why a load could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A span or rate that is negative, endless or out of range.
    #[error("{name} must be a finite number above {least} and at most {most}, not {value}")]
    Span {
        /// Which argument.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The lower bound, excluded.
        least: f64,
        /// The upper bound.
        most: f64,
    },
    /// No timer.
    #[error("starting the clock: {0}")]
    Clock(#[from] io::Error),
}

fn watched(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("expected name=pid")?;
    Ok((name.to_owned(), pid.parse().map_err(|fault| format!("{pid}: {fault}"))?))
}

fn unquoted(text: &str) -> Result<String, String> {
    let plain = !text.contains(['"', '\\']) && !text.contains(char::is_control);
    if plain {
        Ok(text.to_owned())
    } else {
        Err("quotes, backslashes and control characters are not sent".to_owned())
    }
}

fn within(name: &'static str, value: f64, least: f64, most: f64) -> Result<f64, Fault> {
    if value > least && value <= most { Ok(value) } else { Err(Fault::Span { name, value, least, most }) }
}

/// The instants of one run.
#[derive(Clone, Copy)]
struct Window {
    begin: Instant,
    from: Instant,
    to: Instant,
}

impl Window {
    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// Runs one load and returns what it saw.
///
/// # Errors
/// When an argument is out of range or the kernel has no timer; faults of the target are part of the outcome.
pub async fn run(args: &Args) -> Result<Outcome, Fault> {
    let warmup = Duration::from_secs_f64(within("warmup", args.warmup, -f64::EPSILON, 3600.0)?.max(0.0));
    let seconds = Duration::from_secs_f64(within("seconds", args.seconds, 0.0, 3600.0)?);
    let rate = args.rate.map(|rate| within("rate", rate, 0.0, 1e6)).transpose()?;
    let clock = Clock::start()?;
    let begin = Instant::now() + Duration::from_millis(20);
    let window = Window { begin, from: begin + warmup, to: begin + warmup + seconds };
    let client = Rc::new(Client { ask: Ask::new(args), window, record: RefCell::new(Record::default()) });
    let tickets = Rc::new(Cell::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for place in 0..args.connections {
        let worker =
            Worker { client: Rc::clone(&client), clock: Rc::clone(&clock), tickets: Rc::clone(&tickets) };
        let late = SPREAD.mul_f64(f64::from(place) / f64::from(args.connections));
        workers.spawn_local(async move {
            match rate {
                Some(rate) => worker.open(rate).await,
                None => worker.closed(late).await,
            }
        });
    }
    let meter = Meter::find(args, &clock, window).await;
    clock.until(window.from).await;
    let before = meter.read();
    clock.until(window.to).await;
    let after = meter.read();
    let _ = tokio::time::timeout(LAST_CALL, async { while workers.join_next().await.is_some() {} }).await;
    workers.abort_all();
    let record = client.record.take();
    Ok(record.outcome(args, &meter.names, &before, &after))
}

/// One slot for a request in flight.
struct Worker {
    client: Rc<Client>,
    clock: Rc<Clock>,
    tickets: Rc<Cell<u32>>,
}

impl Worker {
    async fn closed(&self, late: Duration) {
        let start = if self.client.ask.streamed { late } else { Duration::ZERO };
        self.clock.until(self.client.window.begin + start).await;
        let mut wire = None;
        loop {
            let now = Instant::now();
            if now >= self.client.window.to {
                return;
            }
            self.client.once(&mut wire, now).await;
            if wire.is_none() {
                self.clock.after(REFUSED).await;
            }
        }
    }

    async fn open(&self, rate: f64) {
        let mut wire = None;
        loop {
            let ticket = self.tickets.get();
            self.tickets.set(ticket.saturating_add(1));
            let due = self.client.window.begin + Duration::from_secs_f64(f64::from(ticket) / rate);
            if due >= self.client.window.to {
                return;
            }
            self.clock.until(due).await;
            self.client.once(&mut wire, due).await;
        }
    }
}

/// Readings of the watched trees.
struct Meter {
    names: Vec<String>,
    trees: Vec<Vec<u32>>,
}

impl Meter {
    /// Looks the trees up a little before the window: walking `/proc` is slow beside a request.
    async fn find(args: &Args, clock: &Rc<Clock>, window: Window) -> Self {
        let early = window.from.checked_sub(Duration::from_millis(100)).unwrap_or(window.begin);
        clock.until(early.max(window.begin)).await;
        let (names, trees) = args.watch.iter().map(|(name, pid)| (name.clone(), watch::tree(*pid))).unzip();
        Self { names, trees }
    }

    fn read(&self) -> record::Mark {
        record::Mark {
            at: Instant::now(),
            trees: self.trees.iter().map(|pids| watch::read(pids)).collect(),
            own: watch::read(&[std::process::id()]),
        }
    }
}
