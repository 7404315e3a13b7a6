//! Builds the parts and runs them until told to stop.

use crate::admin;
use crate::args::{LogFormat, Serve};
use crate::budget::clock::Clock;
use crate::budget::keeper::{self, Keeper, Kept};
use crate::budget::remote;
use crate::edge::tls::{Terms, pair, renewal::Renewal};
use crate::edge::{drain::Drain, listener, patience::Patience};
use crate::live::Current;
use crate::origin::Origin;
use crate::routing::health::Wards;
use crate::source::{self, redis::FollowError};
use crate::state::Reported;
use crate::telemetry::door::{CertificateRefused, CertificateServes};
use crate::telemetry::{Metrics, emit, usage};
use crate::trim::{self, Trim};
use crate::upstream::pool::SWEEP;
use crate::upstream::prepared::Network;
use crate::upstream::{proxy::Proxy, proxy::ProxyError, tls, tls::TlsError};
use crate::worker::{Settings, Shared, Worker};
use smartflow_store::redis::AddressError;
use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::runtime::LocalOptions;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How often the ledger reports, refills and looks at the clock.
const TICK: Duration = Duration::from_millis(200);
/// The flags of the two ports.
const TRAFFIC: &str = "--listen";
const ADMIN: &str = "--admin-listen";
/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Why the gateway does not start, or ends with a failure.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Nothing to serve.
    #[error(
        "tell what to serve: --world <folder with resources>, or --redis <url> with --sealing-key-file <file> for what an \
         operator publishes. Try `smartflow-gateway --help`."
    )]
    NoWorld,
    /// Configuration from Redis without the key that it is sealed with.
    #[error("--redis without --world is configuration from an operator: name its --sealing-key-file <file>")]
    NoSealingKey,
    /// What an operator publishes cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// `--log` is not a filter.
    #[error("--log `{0}` is not a filter such as `info` or `info,hyper=warn`")]
    Log(String),
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listener's certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] pair::PairError),
    /// `HTTPS_PROXY` cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The resources' folder or the data dir cannot be used.
    #[error(transparent)]
    Source(#[from] source::SourceError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] keeper::KeeperError),
    /// `--redis` is no address.
    #[error("--redis: {0}")]
    Redis(#[from] AddressError),
    /// An address cannot be listened at.
    #[error("{flag} {address}: {source}. Name another address, or end what listens there.")]
    Listen {
        /// The flag that names it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The usage log cannot be opened.
    #[error("--usage-log: {0}")]
    UsageLog(io::Error),
    /// Threads, signals or runtimes cannot be had.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// Serves until SIGTERM or SIGINT. Exit codes: 0 ended as told, 1 failed, 2 wrong usage.
#[must_use]
pub fn run(args: Serve) -> ExitCode {
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("smartflow-gateway: {error}"));
            let wrong_usage = matches!(
                error,
                ServeError::NoWorld | ServeError::NoSealingKey | ServeError::Redis(_) | ServeError::Log(_)
            );
            ExitCode::from(if wrong_usage { 2 } else { 1 })
        }
    }
}

/// A line for the person at the terminal.
#[allow(clippy::print_stderr)] // The one place where the gateway talks to a person instead of a log.
fn say(line: &str) {
    eprintln!("{line}");
}

fn serve(args: &Serve) -> Result<(), ServeError> {
    let origin = Origin::of(args)?;
    start_logging(args)?;
    let network = network(args)?;
    let pair = certificate(args)?;
    origin.look()?;
    // Asked before the data folder is made: a port in use leaves nothing behind.
    let (address, admin_address) = (claimed(TRAFFIC, args.listen)?, claimed(ADMIN, args.admin_listen)?);
    let clock = Clock::default();
    let Kept { ledger, desk, epoch, pod, keeper } = keeper::open(&args.data_dir, clock, lender(args)?)?;
    let origin = origin.open(pod)?;
    let threads = usize::from(args.threads.unwrap_or_else(cores));
    let metrics = Metrics::default();
    let usage = usage::Writer::start(&args.usage_log, threads, &metrics).map_err(ServeError::UsageLog)?;
    let shared = Arc::new(Shared {
        current: Current::empty(network),
        ledger,
        desk,
        epoch,
        wards: Wards::default(),
        clock,
        metrics,
        drain: Drain::default(),
        settings: Settings {
            max_body: args.max_body,
            max_reply: args.max_reply,
            client_timeout: args.client_timeout,
            max_connections: args.max_connections,
            max_streams: args.max_streams,
            tls: pair.as_ref().map(|(_, terms)| terms.clone()),
        },
        reported: Reported::default(),
    });
    // Bound before anything is activated: a port in use is told before the person believes that it works. Nobody can
    // connect before keys and their tokens are there.
    let listeners = listeners(claimed(TRAFFIC, address)?, threads)?;
    let admin_address = claimed(ADMIN, admin_address)?;
    let admin = listener::bind(admin_address).map_err(|source| listen_error(ADMIN, admin_address, source))?;
    let origin = origin.activate(&shared);
    keeper.greet();
    let workers = start_workers(&shared, &usage, listeners)?;
    let watch = origin.watch(&shared)?;
    let renewal = pair.map(|(pair, terms)| renew(pair, terms, shared.clone())).transpose()?;
    announce(args, address, &admin);
    let ran = control(args.drain, admin, &shared, &keeper);
    drop((watch, renewal));
    finish(workers);
    drop(usage);
    keeper.end(&shared.ledger, &shared.clock);
    tracing::info!("ended");
    ran.map_err(ServeError::Start)
}

fn start_logging(args: &Serve) -> Result<(), ServeError> {
    let filter = EnvFilter::try_new(&args.log).map_err(|_| ServeError::Log(args.log.clone()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match args.log_format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
    }
    Ok(())
}

/// The lender in Redis, when there is one.
fn lender(args: &Serve) -> Result<Option<remote::Settings>, ServeError> {
    let settings = |redis| remote::Settings {
        redis,
        lease: args.lease_duration,
        allow_unreplicated: args.allow_unreplicated,
        pod: args.pod_uid,
        // A folder has no operator behind it.
        makes_ledger: args.world.is_some(),
    };
    Ok(args.redis.options()?.map(settings))
}

fn network(args: &Serve) -> Result<Network, ServeError> {
    let extra = match &args.ca_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let pem = text.map_err(|source| ServeError::Read { path: path.clone(), source })?;
            tls::certificates(&pem, &path.display().to_string())?
        }
        None => Vec::new(),
    };
    let tls = tls::client(&extra, "--ca-file")?;
    Ok(Network { extra, tls, proxy: Proxy::parse(args.https_proxy.as_deref(), &args.no_proxy)? })
}

/// What callers are answered with over TLS, when there is a certificate.
fn certificate(args: &Serve) -> Result<Option<(Renewal, Terms)>, ServeError> {
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let (watched, pair) = Renewal::open(certificate, key)?;
    Ok(Some((watched, Terms::new(pair).map_err(TlsError::Setup)?)))
}

/// Follows the certificate's files on a thread of its own; ends with the process.
fn renew(mut pair: Renewal, terms: Terms, shared: Arc<Shared>) -> Result<source::Stop, ServeError> {
    let stop = pair.stop();
    emit(&shared.metrics, CertificateServes { terms: &terms });
    let thread = std::thread::Builder::new().name("certificate".to_owned());
    let run = move || {
        while let Some(changed) = pair.next_change() {
            match changed {
                Ok(pair) => {
                    terms.change(pair);
                    emit(&shared.metrics, CertificateServes { terms: &terms });
                }
                Err(why) => emit(&shared.metrics, CertificateRefused { why: &why }),
            }
        }
    };
    thread.spawn(run).map_err(ServeError::Start)?;
    Ok(stop)
}

fn cores() -> u16 {
    std::thread::available_parallelism().map_or(1, |n| u16::try_from(n.get()).unwrap_or(u16::MAX))
}

fn listen_error(flag: &'static str, address: SocketAddr, source: io::Error) -> ServeError {
    ServeError::Listen { flag, address, source }
}

/// The address with its port, when no other process has it.
fn claimed(flag: &'static str, address: SocketAddr) -> Result<SocketAddr, ServeError> {
    listener::claim(address).map_err(|source| listen_error(flag, address, source))
}

fn listeners(address: SocketAddr, threads: usize) -> Result<Vec<TcpListener>, ServeError> {
    let all: io::Result<Vec<_>> = (0..threads).map(|_| listener::bind(address)).collect();
    all.map_err(|source| listen_error(TRAFFIC, address, source))
}

fn start_workers(
    shared: &Arc<Shared>,
    usage: &usage::Writer,
    listeners: Vec<TcpListener>,
) -> Result<Vec<JoinHandle<()>>, ServeError> {
    let mut workers = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        let Some(queue) = usage.queue(index) else { continue };
        let shared = shared.clone();
        let thread = std::thread::Builder::new().name(format!("traffic-{index}"));
        let started = thread.spawn(move || {
            if let Err(error) = work(shared, queue, listener) {
                tracing::error!(%error, "a traffic thread ended");
            }
        });
        workers.push(started.map_err(ServeError::Start)?);
    }
    Ok(workers)
}

/// One single-threaded runtime: its own connections, its own pools.
fn work(shared: Arc<Shared>, queue: Arc<usage::Queue>, listener: TcpListener) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let worker = Worker::new(shared.clone(), queue, rand::random());
    let sweeper = worker.clone();
    runtime.spawn_local(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            sweeper.sweep();
        }
    });
    let (watcher, period) = (worker.clone(), Patience::period(shared.settings.client_timeout));
    runtime.spawn_local(async move {
        loop {
            tokio::time::sleep(period).await;
            watcher.patience.look();
        }
    });
    runtime.block_on(async move {
        listener::serve(listener, worker).await?;
        // Calls that are in flight at the end of the drain are dropped with this runtime, which settles them.
        while !shared.drain.is_over() {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        Ok(())
    })
}

fn announce(args: &Serve, address: SocketAddr, admin: &TcpListener) {
    let admin = admin.local_addr().unwrap_or(args.admin_listen);
    let tls = args.tls_cert.is_some();
    tracing::info!(%address, tls, %admin, data_dir = %shown(&args.data_dir), "serving");
}

fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

/// Admin port, signals and the ledger's clock, on the main thread.
fn control(drain: Duration, admin: TcpListener, shared: &Arc<Shared>, keeper: &Keeper) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let serving = tokio::spawn(admin::serve(admin, shared.clone()));
        let (mut tick, mut trim) = (tokio::time::interval(TICK), Trim::default());
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    tend(shared, keeper);
                    give_back(shared, &mut trim);
                }
                _ = term.recv() => break,
                _ = int.recv() => break,
            }
        }
        let calls = || shared.metrics.in_flight.get();
        let connections = shared.drain.connections();
        tracing::info!(calls = calls(), connections, at_most = ?drain, "draining: calls in flight may end; Ctrl-C ends it now");
        shared.drain.begin();
        let due = tokio::time::Instant::now() + drain;
        while !shared.drain.is_done() && tokio::time::Instant::now() < due {
            tokio::select! {
                _ = tick.tick() => tend(shared, keeper),
                () = tokio::time::sleep(DRAIN_LOOK) => {}
                // A second signal: the person means it.
                _ = int.recv() => break,
            }
        }
        if calls() > 0 {
            tracing::warn!(calls = calls(), "the drain is over: these calls are cut, and billed as far as they came");
        }
        shared.drain.end();
        serving.abort();
        Ok(())
    })
}

fn tend(shared: &Shared, keeper: &Keeper) {
    let now = shared.clock.now();
    keeper.look(&shared.metrics);
    shared.ledger.tick(now);
    shared.desk.tend(now);
}

/// Gives back what only the start or a change of the world needed.
fn give_back(shared: &Shared, trim: &mut Trim) {
    if trim.is_due(shared.current.load().generation, Instant::now())
        && let Err(error) = trim::code()
    {
        tracing::debug!(%error, "the code of the start stays in memory");
    }
}

/// Joins the traffic threads: the drain is over, so each ends at its next look.
fn finish(workers: Vec<JoinHandle<()>>) {
    for worker in workers {
        let _ = worker.join();
    }
}
