//! Builds everything and runs it until it is told to end.

use crate::accounts::{Accounts, Told};
use crate::admin;
use crate::args::{LogFormat, Run};
use crate::driver::{Driver, Ports};
use crate::lease::{Elector, Settings};
use crate::outlet::{Keys, RedisOutlet};
use crate::publish::{self, Outlet};
use crate::reconcile::Reconciler;
use crate::status::Fleet;
use crate::telemetry::Telemetry;
use crate::{events, watch};
use kube_client::{Client, Config};
use rand::Rng;
use smartflow_ledger::lender::redis::{RedisLender, RedisOptions};
use smartflow_store::redis::{Redis, SetupError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as watched};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// What was read of the ledger may wait to be taken in.
const NEWS: usize = 4;
/// After it is told to end, how long everything may take.
const LAST: Duration = Duration::from_secs(10);
/// How long of that whatever is being written may take.
const WRITES: Duration = Duration::from_secs(4);

/// Why the operator did not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log filter is not one.
    #[error("--log {filter}: {source}")]
    Log {
        /// What was given.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The runtime or signals cannot be had.
    #[error("the runtime cannot be started: {0}")]
    Runtime(io::Error),
    /// The admin port cannot be had.
    #[error("--admin-listen {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No cluster is known.
    #[error("no cluster: {0}. In a pod, mount a service account; elsewhere, set KUBECONFIG.")]
    Config(#[from] kube_client::config::InferConfigError),
    /// Nothing can be published.
    #[error("--redis is missing: where what is published goes, such as redis://smartflow-redis:6379")]
    NoRedis,
    /// The settings of Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] SetupError),
    /// No client can be made.
    #[error("no client for the API server: {0}")]
    Client(kube_client::Error),
    /// A task is over that should not be. The others are of no use without it.
    #[error("{0} ended early: the log says why")]
    Ended(&'static str),
}

/// What is needed beside the settings.
pub struct Outside<O> {
    /// Of the API server.
    pub client: Client,
    /// Where publications go.
    pub outlet: O,
    /// The Lease, and who this replica is.
    pub lease: Settings,
    /// Money; without it nothing is known of spend.
    pub ledger: Option<RedisLender>,
}

/// Runs until `stop` changes; the Lease is given back, once nothing is written any more.
///
/// # Errors
/// When the admin port cannot be had, or a task ends early.
pub async fn run<O: Outlet>(
    settings: &Run,
    outside: Outside<O>,
    mut stop: watched::Receiver<bool>,
) -> Result<(), ServeError> {
    let Outside { client, outlet, lease, ledger } = outside;
    let address = settings.admin_listen;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| ServeError::Listen { address, source })?;
    let telemetry = Arc::new(Telemetry::default());
    let telemetry_of_admin = telemetry.clone();
    let sources = watch::sources(&settings.namespaces);
    let compiled = smartflow_compile::Settings { platform_namespaces: settings.platform_namespaces.clone() };
    let world = Reconciler::new(&sources, &compiled, Instant::now());

    let (notes_in, notes) = mpsc::channel(watch::QUEUE);
    let (jobs, jobs_out) = mpsc::channel(1);
    let (ended_in, ended) = mpsc::channel(1);
    let (fleet_in, fleet) = watched::channel(Fleet::default());
    let (terms_in, terms) = watched::channel(None);
    let (notices, notices_out) = mpsc::channel(events::QUEUE);
    let replica = lease.holder.clone();
    let about = events::lease(&lease.namespace, &lease.name);
    let (told_in, told) = watched::channel(Told::default());
    let (news_in, news) = mpsc::channel(NEWS);
    let reader =
        ledger.map(|lender| Accounts::new(client.clone(), lender, lease.clone(), settings.lease_duration));
    let elector = Elector::new(client.clone(), lease, terms_in);

    let mut watches = watch::start(&client, &sources, &notes_in);
    drop(notes_in);
    let mut admin = Task::start(async move { drop(admin::serve(listener, telemetry_of_admin).await) });
    let mut telling = Task::start(events::tell(client.clone(), replica, notices_out));
    let mut publishing = Task::start(publish::run(outlet, terms.clone(), jobs_out, ended_in, fleet_in));
    let (release, released) = watched::channel(false);
    let mut electing = Task::start(elector.run(released));
    let mut reading = reader.map(|reader| Task::start(reader.run(told, news_in)));
    let ports = Ports {
        client,
        notes,
        terms,
        jobs,
        ended,
        fleet,
        ledger: news,
        told: told_in,
        lease: about,
        notices,
        telemetry,
    };
    let (quit, quits) = watched::channel(false);
    let mut driving = Task::start(Driver::new(world, ports).run(quits));

    let early = tokio::select! {
        // It also ends when whoever could say so is gone.
        _ = stop.changed() => None,
        () = driving.end() => Some("the driver"),
        () = publishing.end() => Some("the publisher"),
        () = electing.end() => Some("the election"),
        () = telling.end() => Some("the writer of events"),
        () = admin.end() => Some("the admin port"),
        () = Task::end_of(&mut reading) => Some("the reader of the ledger"),
        _ = watches.join_next() => Some("a watch"),
    };
    let ending = async {
        // Whoever writes first, so that nothing is written any more once the Lease is given back.
        quit.send_replace(true);
        driving.end().await;
        tokio::join!(publishing.end_within(WRITES), async {
            if let Some(reading) = &mut reading {
                reading.end_within(WRITES).await;
            }
        });
        release.send_replace(true);
        electing.end().await;
        telling.end().await;
    };
    if tokio::time::timeout(LAST, ending).await.is_err() {
        tracing::warn!("not everything ended in time");
    }
    early.map_or(Ok(()), |task| Err(ServeError::Ended(task)))
}

/// A task that ends with its owner. `None`: it is over.
struct Task(Option<JoinHandle<()>>);

impl Task {
    fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(work)))
    }

    /// Waits until it ended by itself.
    async fn end(&mut self) {
        let Some(task) = &mut self.0 else { return };
        if let Err(error) = task.await {
            tracing::error!(%error, "a task ended early");
        }
        self.0 = None;
    }

    /// The same of one that may not be there, which never ends.
    async fn end_of(task: &mut Option<Self>) {
        match task {
            Some(task) => task.end().await,
            None => std::future::pending().await,
        }
    }

    /// Waits so long, then ends it.
    async fn end_within(&mut self, limit: Duration) {
        if tokio::time::timeout(limit, self.end()).await.is_err()
            && let Some(task) = &mut self.0
        {
            task.abort();
            self.end().await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// The Lease that `settings` ask for, with a name for this replica.
#[must_use]
pub fn lease(settings: &Run) -> Settings {
    let replica = settings.replica.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}_{:08x}", host.trim(), rand::rng().random::<u32>())
    });
    Settings {
        namespace: settings.namespace.clone(),
        name: settings.lease.clone(),
        holder: replica,
        duration: settings.leader_lease_duration,
    }
}

/// Logs go to standard error.
///
/// # Errors
/// When the filter is not one.
pub fn log(settings: &Run) -> Result<(), ServeError> {
    let filter = EnvFilter::builder().parse(&settings.log);
    let filter = filter.map_err(|source| ServeError::Log { filter: settings.log.clone(), source })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A test may have set one up already.
    let _ = match settings.log_format {
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        LogFormat::Text => subscriber.try_init(),
    };
    Ok(())
}

/// Builds a runtime and what is outside, and runs until SIGTERM or SIGINT.
#[must_use]
pub fn main(settings: &Run) -> ExitCode {
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "smartflow-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: &Run) -> Result<(), ServeError> {
    log(settings)?;
    // One provider is compiled in; whoever installed it before installed the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let stop = signals().map_err(ServeError::Runtime)?;
        let client = crate::cluster::client(Config::infer().await?).map_err(ServeError::Client)?;
        let redis = settings.redis.options().map_err(SetupError::from)?.ok_or(ServeError::NoRedis)?;
        let redis = Redis::start(redis)?;
        let keys = match &settings.sealing_key_file {
            Some(path) => Keys::File(path.clone()),
            None => Keys::Secret(settings.namespace.clone(), settings.sealing_key_secret.clone()),
        };
        let lease = lease(settings);
        let ledger = RedisLender::new(redis.clone(), ledger_options(settings));
        let outlet = RedisOutlet::new(client.clone(), redis, keys, lease.clone());
        run(settings, Outside { client, outlet, lease, ledger: Some(ledger) }, stop).await
    })
}

/// How the operator uses the lender: it borrows nothing, so that it does not matter to it whether there are replicas.
pub(crate) fn ledger_options(settings: &Run) -> RedisOptions {
    let lease_millis = u64::try_from(settings.lease_duration.as_millis()).unwrap_or(u64::MAX);
    RedisOptions { lease_millis, allow_unreplicated: false }
}

/// Changes when the process is asked to end.
fn signals() -> io::Result<watched::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watched::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    });
    Ok(stopped)
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
