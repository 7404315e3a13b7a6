//! Configuration from Redis: what an operator published (`smartflow-transport`).
//!
//! ```text
//! run ── follower ── Activation ──► reports ──► World ──► activate
//!   │       └ sealed, as it came ──► last-good file, on a thread of its own
//!   └ Standing ──► /readyz, /snapshot, metrics, and each second the heartbeat (beats)
//! ```

mod beats;
mod key_file;
mod reports;
mod run;
mod standing;

pub use key_file::KeyFileError;
pub use standing::{Standing, Stands};

use crate::worker::Shared;
use key_file::KeyFile;
use smartflow_ledger::PodId;
use smartflow_store::redis::{Redis, SetupError};
use smartflow_transport::follower::{LastGood, Saver};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// How to follow.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to reach Redis.
    pub redis: smartflow_store::redis::Options,
    /// File with the sealing keys.
    pub sealing_key_file: PathBuf,
    /// Folder for the last-good configuration; made where it is missing.
    pub data_dir: PathBuf,
    /// An older configuration is refused.
    pub max_age: Option<Duration>,
    /// An older last-good configuration is not started from.
    pub last_good_max_age: Duration,
    /// Highest level of entries that is read.
    pub reads: u32,
}

impl Options {
    /// Whether there are keys, before anything is made.
    ///
    /// # Errors
    /// What is wrong with their file.
    pub fn has_keys(&self) -> Result<(), FollowError> {
        KeyFile::new(self.sealing_key_file.clone()).read()?;
        Ok(())
    }
}

/// Why configuration cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The connection's settings cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The sealing keys cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The data dir cannot be made.
    #[error("data dir {path}: {source}", path = path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No thread or runtime is to be had.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// Tells the threads to end.
#[derive(Default)]
struct Stop {
    stopped: AtomicBool,
    source: Notify,
    beats: Notify,
}

/// Follows until it is dropped.
pub struct Following {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.stopped.store(true, Ordering::Release);
        self.stop.source.notify_one();
        self.stop.beats.notify_one();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Begins to follow as `pod`, on threads of its own; what comes is activated in `shared`.
///
/// # Errors
/// Every variant of [`FollowError`]. That Redis is away is none: it is told by [`Stands`].
pub fn follow(options: &Options, pod: PodId, shared: &Arc<Shared>) -> Result<Following, FollowError> {
    let mut key_file = KeyFile::new(options.sealing_key_file.clone());
    let ring = key_file.read()?;
    let folder = &options.data_dir;
    super::generated_keys::private_folder(folder)
        .map_err(|source| FollowError::DataDir { path: folder.clone(), source })?;
    let file = || LastGood::in_folder(folder);
    let install = options.redis.prefix.clone();
    let kept = file().read(&ring, &install);
    let told = shared.clone();
    let failed = move |why: &str| {
        let event = crate::telemetry::event::DataDirFault { why };
        crate::telemetry::emit(&told.metrics, event);
    };
    let saver = Saver::start(file(), ring.clone(), install, failed).map_err(FollowError::Start)?;
    let stop = Arc::new(Stop::default());
    let wake = Arc::new(Notify::new());
    let source = {
        let (options, shared, stop, wake) = (options.clone(), shared.clone(), stop.clone(), wake.clone());
        let parts = run::Parts { options, shared, stop, wake, key_file, ring: ring.clone(), kept, saver };
        thread("source", parts.options.redis.clone(), move |redis| run::run(redis, parts))?
    };
    let beats = {
        let (shared, stop) = (shared.clone(), stop.clone());
        let beats = beats::Beats::new(options, pod, shared, wake);
        thread("heartbeat", options.redis.clone(), move |redis| beats.run(redis, stop))?
    };
    Ok(Following { stop, threads: vec![source, beats] })
}

/// A thread with a runtime and a connection of its own: the heartbeat goes on while a whole set is compiled.
fn thread<F: Future<Output = ()>>(
    name: &str,
    redis: smartflow_store::redis::Options,
    run: impl FnOnce(Redis) -> F + Send + 'static,
) -> Result<JoinHandle<()>, FollowError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(FollowError::Start)?;
    let redis = {
        let _inside = runtime.enter();
        Redis::start(redis)?
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || runtime.block_on(run(redis))).map_err(FollowError::Start)
}
