//! The ledger with its lender in Redis: what this process holds is spent without asking (L13), and a thread of its own
//! carries messages to the scripts and back. No call ever waits on that thread for anything but money it lacks.

use super::clock::Clock;
use super::disk::Disk;
use super::guards::INSTALL;
use super::pod;
use smartflow_ledger::lender::Lender;
use smartflow_ledger::lender::redis::{Creation, Health, RedisLender, RedisOptions};
use smartflow_ledger::message::Batch;
use smartflow_ledger::rate::RateDesk;
use smartflow_ledger::{Incarnation, Ledger, OpenError, Options, PodId};
use smartflow_store::redis::{self, Redis};
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// The courier looks for messages this often even when nobody calls it.
const LOOK: Duration = Duration::from_millis(200);
/// After a failure it waits this long, so that calls that ask again and again do not keep it busy.
const PAUSE: Duration = Duration::from_millis(25);
/// How long the stream of recalls is left alone after a failure.
const RECALL_PAUSE: Duration = Duration::from_millis(500);
/// How long the end of the process may take to bring what it holds back to the lender.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Messages in one exchange, of money and of rates each: Redis carries out that many in a part of its usual timeout.
const MOST: usize = 128;
/// How long a start waits for the lender's first answer.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// Who knows of no ledger makes one only when there was none for this long: whoever does know one speaks meanwhile.
const HUSH: Duration = Duration::from_millis(500);

/// Settings of the lender in Redis.
pub struct Settings {
    /// How to reach Redis.
    pub redis: redis::Options,
    /// How long this process may spend without hearing from the lender.
    pub lease: Duration,
    /// Lend also when a failover left no replica (L14a).
    pub allow_unreplicated: bool,
    /// The pod's UID; without one a random identity is kept in the data dir.
    pub pod: Option<PodId>,
    /// There is no operator: this process makes the ledger where there is none.
    pub makes_ledger: bool,
}

/// Why the ledger cannot be opened.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The data dir.
    #[error("--data-dir: {0}. Each gateway needs a folder of its own.")]
    Open(#[from] OpenError),
    /// The settings of Redis.
    #[error(transparent)]
    Redis(#[from] redis::SetupError),
    /// The pod's identity cannot be kept.
    #[error("{path}: {source}")]
    Pod {
        /// The file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// No thread or runtime is to be had.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// What keeps the ledger going. End it with [`Remote::end`], after the last call.
pub struct Remote {
    lender: Arc<RedisLender>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    disk: Disk,
    heard: Receiver<()>,
}

/// Money and rates whose lender is in Redis.
pub struct Opened {
    /// Money.
    pub ledger: Ledger,
    /// Rates.
    pub desk: RateDesk,
    /// Epoch of the limits that this process declares.
    pub epoch: u64,
    /// Who this process is to the lender.
    pub pod: PodId,
    /// What carries their messages.
    pub remote: Remote,
}

/// Opens the ledger in `data_dir` and starts to talk to Redis, which may be away.
///
/// # Errors
/// The data dir is in use or cannot be written, or the settings cannot work.
pub fn open(data_dir: &Path, clock: Clock, settings: Settings) -> Result<Opened, RemoteError> {
    let dir = data_dir.join("ledger");
    std::fs::create_dir_all(&dir)
        .map_err(|source| RemoteError::Pod { path: dir.display().to_string(), source })?;
    let pod = match settings.pod {
        Some(pod) => pod,
        None => pod::identity(&dir).map_err(|(path, source)| RemoteError::Pod { path, source })?,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RemoteError::Start)?;
    let lease_millis = u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX);
    let options = RedisOptions { lease_millis, allow_unreplicated: settings.allow_unreplicated };
    let redis = runtime.block_on(async { Redis::start(settings.redis) })?;
    let lender = Arc::new(RedisLender::new(redis, options));
    let (incarnation, now) = (Incarnation::random(), clock.now());
    let options = Options { install: INSTALL.to_owned(), data_dir: dir, incarnation, pod, lease_millis };
    let as_lender: Arc<dyn Lender> = lender.clone();
    let ledger = Ledger::open(options, as_lender, now)?;
    for finding in ledger.findings() {
        tracing::warn!(%finding, "the ledger was repaired");
    }
    lender.has_heard(ledger.heard_before());
    let desk = RateDesk::remote(incarnation, pod);
    let wake = Arc::new(Notify::new());
    let (of_money, of_rates) = (wake.clone(), wake.clone());
    ledger.on_outgoing(move || of_money.notify_one());
    desk.on_outgoing(move || of_rates.notify_one());
    let (stop, stopped) = watch::channel(false);
    let (first, heard) = sync_channel(1);
    let courier = Courier {
        first: Cell::new(Some(first)),
        returning: ledger.open_rows() > 0,
        ledger: ledger.clone(),
        desk: desk.clone(),
        lender: lender.clone(),
        clock,
        wake,
        incarnation,
        pod,
        makes_ledger: settings.makes_ledger,
        most: Cell::new(MOST),
        missing: Cell::new(None),
    };
    let thread = std::thread::Builder::new().name("ledger".to_owned());
    let thread = thread.spawn(move || runtime.block_on(courier.run(stopped))).map_err(RemoteError::Start)?;
    let disk = Disk::keep(ledger.clone(), None).map_err(RemoteError::Start)?;
    // Of limits of unknown age; a source that numbers them says so with each, and what is loaded from a folder is as old as
    // its loading.
    let epoch = u64::try_from(now.wall).unwrap_or(0);
    Ok(Opened { ledger, desk, epoch, pod, remote: Remote { lender, stop, thread, disk, heard } })
}

impl Remote {
    /// How the lender is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        self.lender.health()
    }

    /// Waits for the lender's first answer, at most 2 s, and says whether it came. Before it, this process knows of no
    /// other gateway, and would admit alone what all of them share (L25).
    #[must_use]
    pub fn greets(&self) -> bool {
        self.heard.recv_timeout(FIRST_WORD).is_ok()
    }

    /// Brings what this process holds back to the lender and ends (L5a); Redis may be away, then the next start on this
    /// data dir, or the operator, does it.
    pub fn end(self) {
        self.stop.send_replace(true);
        let _ = self.thread.join();
        drop(self.disk);
    }
}

/// Carries messages.
struct Courier {
    ledger: Ledger,
    desk: RateDesk,
    lender: Arc<RedisLender>,
    clock: Clock,
    wake: Arc<Notify>,
    incarnation: Incarnation,
    pod: PodId,
    makes_ledger: bool,
    /// An earlier process on this data dir has spent.
    returning: bool,
    /// Told of the first answer.
    first: Cell<Option<SyncSender<()>>>,
    /// Messages in the next exchange.
    most: Cell<usize>,
    /// Since when there is no ledger.
    missing: Cell<Option<Instant>>,
}

impl Courier {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.carry(&mut stopped) => {}
            () = self.recalls() => {}
        }
        if timeout(LAST_WORDS, self.last_words()).await.is_err() {
            tracing::warn!(
                "the lender was not told all at the end; the next start on this data dir tells it"
            );
        }
    }

    /// Until told to stop, never within an exchange: what became of it must be heard.
    async fn carry(&self, stopped: &mut watch::Receiver<bool>) {
        // The start waits for an answer.
        self.ledger.want_answer();
        self.wake.notify_one();
        while !*stopped.borrow() {
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(LOOK) => self.look(),
                told = stopped.changed() => if told.is_err() { return },
            }
            while self.round().await && !*stopped.borrow() {}
        }
    }

    /// One exchange, when there is something to say; whether there may be more.
    async fn round(&self) -> bool {
        let mut rates = self.desk.outgoing();
        let most = self.most.get();
        let later = rates.split_off(rates.len().min(most));
        let now = self.clock.now();
        let outgoing = self.ledger.outgoing_up_to(now, most);
        if outgoing.is_none() && rates.is_empty() {
            return false;
        }
        let mut went_well = self.exchange(outgoing, rates).await;
        for some in later.chunks(most) {
            went_well &= self.exchange(None, some.to_vec()).await;
        }
        if !went_well {
            sleep(PAUSE).await;
        }
        true
    }

    /// A server that did not answer may have had too much to do at once.
    fn learn_pace(&self, answered: bool) {
        let most = self.most.get();
        self.most.set(if answered { (most + most / 4 + 1).min(MOST) } else { (most / 2).max(1) });
    }

    /// Without a ledger or a server, or at another one than before, somebody has to look: idle pods say nothing for
    /// seconds, and what they know of an earlier ledger must be known before a new one lends.
    fn look(&self) {
        if self.lender.has_news() {
            self.ledger.want_answer();
        }
    }

    async fn exchange(
        &self,
        outgoing: Option<smartflow_ledger::Outgoing>,
        rates: Vec<smartflow_ledger::rate::RateAsk>,
    ) -> bool {
        let mut batch = outgoing.as_ref().map_or_else(|| self.nothing(), |money| money.batch.clone());
        batch.rates = rates;
        let result = Lender::exchange(&*self.lender, self.clock.now(), &batch).await;
        self.learn_pace(result.is_ok());
        let now = self.clock.now();
        let answered = match &result {
            Ok(answers) => {
                if let Some(first) = self.first.take() {
                    let _ = first.try_send(());
                }
                answers.rates.iter().for_each(|answer| self.desk.incoming(now, answer));
                Some((answers.generation, answers.recovering))
            }
            Err(_) => None,
        };
        if let Some(outgoing) = outgoing {
            self.ledger.feed(now, &outgoing, result);
        }
        match answered {
            Some((generation, true)) => self.tell_all(generation).await,
            None if self.makes_ledger && self.lender.is_missing() => self.make().await,
            _ => self.missing.set(None),
        }
        answered.is_some()
    }

    /// While the ledger recovers: says when it knows all from here (L14).
    async fn tell_all(&self, generation: u64) {
        let told = self.lender.told_all() == generation;
        if !told && self.ledger.generation() == generation && self.ledger.has_said_all() {
            self.lender.has_told_all(generation);
            // It travels with any exchange, so with this one; a failure is made good by the next heartbeat.
            let _ = Lender::exchange(&*self.lender, self.clock.now(), &self.nothing()).await;
        }
    }

    async fn make(&self) {
        let known = self.ledger.generation().max(self.ledger.heard_before());
        let wall = self.clock.now().wall;
        // Others may hold money of a ledger that was there before: they are waited for.
        let lost = known > 0 || self.returning;
        let since = self.missing.get().unwrap_or_else(Instant::now);
        self.missing.set(Some(since));
        if !lost && since.elapsed() < HUSH {
            return;
        }
        let generation = (known + 1).max(u64::try_from(wall).unwrap_or(1));
        let creation = Creation { generation, lost, pods: Vec::new() };
        if let Ok(Some(generation)) = self.lender.create(&creation).await {
            tracing::warn!(generation, lost, "there was no ledger in Redis: made one");
            self.ledger.want_answer();
        }
    }

    fn nothing(&self) -> Batch {
        let (incarnation, pod) = (self.incarnation, self.pod);
        Batch { incarnation, pod, recalls_after: u64::MAX, money: Vec::new(), rates: Vec::new() }
    }

    /// Reads what other pods are short of, blocking in Redis (L8).
    async fn recalls(&self) {
        loop {
            match self.lender.recalls(self.incarnation, self.ledger.recalls_upto()).await {
                Ok(recalls) => self.ledger.feed_recalls(&recalls),
                Err(_) => sleep(RECALL_PAUSE).await,
            }
        }
    }

    async fn last_words(&self) {
        let mut due = Instant::now();
        while !self.ledger.close(self.clock.now()) {
            while self.round().await {}
            // Without an answer the same is said again, not at once.
            due += PAUSE;
            tokio::time::sleep_until(due).await;
        }
        // Nothing is held any more, and all that earlier processes here spent is told: nobody has to wait for this pod. A
        // failure costs a wait, no money.
        let _ = self.lender.leave(self.pod).await;
    }
}
