//! One line per call, for finance and forensics: who, what, how much. Lines go to a bounded queue of the runtime that
//! served the call; one thread writes them in batches. When it cannot keep up, lines are dropped and counted: a slow
//! disk must not slow callers down.

use super::Metrics;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use serde::{Serialize, Serializer};
use smartflow_dialect::Usage;
use smartflow_snapshot::{Key, Model, ObjectName, Provider};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines that a runtime keeps for the writer.
const MOST_WAITING: usize = 65_536;
/// How often lines are written.
const PERIOD: Duration = Duration::from_millis(100);

/// How a call ended. `as_str` is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered to the end.
    Ok,
    /// Answered, but ended early because the budget had no more.
    Shortened,
    /// Refused by the gateway.
    Refused,
    /// The provider said that the request is wrong.
    Rejected,
    /// The provider failed, before or within the answer.
    UpstreamFailed,
    /// A deadline passed.
    Timeout,
    /// The caller left.
    ClientGone,
    /// The gateway failed.
    InternalError,
}

impl Outcome {
    /// As in the usage line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Shortened => "shortened",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::UpstreamFailed => "upstream_failed",
            Self::Timeout => "timeout",
            Self::ClientGone => "client_gone",
            Self::InternalError => "internal_error",
        }
    }
}

/// What is known of a call at its end. The JSON names are the public format.
#[derive(Serialize)]
pub struct UsageLine {
    /// End of the call.
    pub time: Timestamp,
    /// As in `x-smartflow-request-id`.
    pub request_id: Box<str>,
    /// W3C trace id of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Box<str>>,
    /// `chat`, `embeddings`.
    pub endpoint: &'static str,
    /// The virtual key, with its owner.
    #[serde(flatten, serialize_with = "key")]
    pub key: Arc<Key>,
    /// The model as the caller wrote it.
    pub requested_model: Box<str>,
    /// Who served it.
    #[serde(flatten, serialize_with = "target")]
    pub target: Option<(Arc<Provider>, Arc<Model>)>,
    /// `user` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// `metadata` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<serde_json::value::RawValue>>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// Tokens by class.
    #[serde(serialize_with = "tokens")]
    pub usage: Usage,
    /// US dollars, as a decimal.
    #[serde(serialize_with = "usd")]
    pub cost_usd: i64,
    /// The cost is an upper bound, because the provider reported no usage.
    pub estimated: bool,
    /// Status that the caller got.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Error code, when it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// Calls to providers.
    pub attempts: u32,
    /// Microseconds from the request's head to the end of its answer.
    pub latency_us: u64,
    /// Microseconds to the first byte of the answer.
    pub first_byte_us: u64,
    /// Microseconds inside the gateway.
    pub overhead_us: u64,
    /// Policies in dry run that would have blocked the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_block: Vec<ObjectName>,
    /// A budget of the call is at or above its soft limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub above_soft_limit: bool,
}

fn key<S: Serializer>(key: &Arc<Key>, s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        key: &'a ObjectName,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<&'a smartflow_snapshot::Owner>,
    }
    Shown { key: &key.name, owner: key.owner.as_deref() }.serialize(s)
}

fn target<S: Serializer>(target: &Option<(Arc<Provider>, Arc<Model>)>, s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        provider: Option<&'a ObjectName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
    }
    let (provider, model) = target.as_ref().map(|(p, m)| (&p.name, &*m.name)).unzip();
    Shown { provider, model }.serialize(s)
}

/// `input` and `output` are whole; the other classes are parts of them and left out when zero.
fn tokens<S: Serializer>(usage: &Usage, s: S) -> Result<S::Ok, S::Error> {
    let parts = [
        ("cached_input", usage.cached_input),
        ("cache_write", usage.cache_write),
        ("audio_input", usage.audio_input),
        ("reasoning", usage.reasoning),
        ("audio_output", usage.audio_output),
    ];
    let whole = [("input", usage.input), ("output", usage.output)].into_iter();
    s.collect_map(whole.chain(parts.into_iter().filter(|(_, n)| *n > 0)))
}

fn usd<S: Serializer>(nano: &i64, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&crate::budget::usd(*nano))
}

/// Lines of one runtime.
pub struct Queue {
    lines: Mutex<Vec<UsageLine>>,
    dropped: Counter,
}

impl Queue {
    /// Adds a line, or counts it as dropped.
    pub fn push(&self, line: UsageLine) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < MOST_WAITING {
            lines.push(line);
        } else {
            self.dropped.inc();
        }
    }
}

/// The thread that writes.
pub struct Writer {
    queues: Vec<Arc<Queue>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts writing to `place` (`stdout`, `off`, or a file) for `runtimes` runtimes.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub fn start(place: &str, runtimes: usize, metrics: &Metrics) -> io::Result<Self> {
        let queue = || Queue { lines: Mutex::default(), dropped: metrics.usage_dropped.clone() };
        let queues: Vec<_> = (0..runtimes).map(|_| Arc::new(queue())).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let sink: Option<Box<dyn Write + Send>> = match place {
            "off" => None,
            "stdout" => Some(Box::new(io::stdout())),
            file => Some(Box::new(append(Path::new(file))?)),
        };
        let (all, stopped) = (queues.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("usage".to_owned());
        let thread = thread.spawn(move || write_until(&stopped, &all, sink))?;
        Ok(Self { queues, stop, thread: Some(thread) })
    }

    /// Queue of runtime `index`.
    #[must_use]
    pub fn queue(&self, index: usize) -> Option<Arc<Queue>> {
        self.queues.get(index).cloned()
    }
}

impl Drop for Writer {
    /// Writes what is left.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn write_until(stop: &AtomicBool, queues: &[Arc<Queue>], mut sink: Option<Box<dyn Write + Send>>) {
    let (mut text, mut lines) = (Vec::new(), Vec::new());
    loop {
        let last = stop.load(Ordering::Acquire);
        for queue in queues {
            // Swapped, so that the runtime never waits for the disk.
            std::mem::swap(&mut lines, &mut *queue.lines.lock().unwrap_or_else(PoisonError::into_inner));
            for line in lines.drain(..).filter(|_| sink.is_some()) {
                if serde_json::to_writer(&mut text, &line).is_ok() {
                    text.push(b'\n');
                }
            }
        }
        if let Some(out) = sink.as_mut().filter(|_| !text.is_empty())
            && let Err(error) = out.write_all(&text).and_then(|()| out.flush())
        {
            tracing::error!(%error, "usage lines cannot be written");
        }
        text.clear();
        if last {
            return;
        }
        std::thread::park_timeout(PERIOD);
    }
}
