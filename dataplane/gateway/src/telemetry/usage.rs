//! One line per call, for finance and forensics: who, what, how much. Lines go to a bounded queue of the runtime that
//! served the call; one thread writes them in batches. When it cannot keep up, lines are dropped and counted: a slow
//! disk must not slow callers down.

use super::Metrics;
use super::line::UsageLine;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// Bytes that a runtime keeps for the writer.
const MOST_WAITING: usize = 32 * 1024 * 1024;
/// At so many bytes the writer is woken before its time: what is written soon is still in the processor's cache.
const MANY_WAITING: usize = 256 * 1024;
/// Memory that a buffer keeps at least; of a larger one half is given back when a sixteenth would have done.
const KEPT: usize = 64 * 1024;
/// How often lines are written.
const PERIOD: Duration = Duration::from_millis(100);

/// How a call ended. `as_str` is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Lines of one runtime.
pub struct Queue {
    /// `None`: nobody reads them.
    waiting: Option<Mutex<Waiting>>,
    writer: OnceLock<Thread>,
    dropped: Counter,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    stamp: Stamp,
}

/// The time as text; its date and second are written anew only when they change.
#[derive(Default)]
struct Stamp {
    second: i64,
    text: String,
}

/// Digits up to the second, as in `2026-11-21T14:39:18`.
const TO_THE_SECOND: usize = 19;

impl Stamp {
    /// RFC 3339 in UTC, in milliseconds, of Unix milliseconds.
    fn at(&mut self, millis: i64) -> &str {
        let (second, part) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text = Timestamp::from_second(second).unwrap_or_default().to_string();
        }
        self.text.truncate(TO_THE_SECOND);
        self.text.push('.');
        for place in [100, 10, 1] {
            self.text.push(char::from(b'0' + u8::try_from(part / place % 10).unwrap_or_default()));
        }
        self.text.push('Z');
        &self.text
    }
}

impl Queue {
    /// Adds a line, or counts it as dropped.
    pub fn push(&self, line: &UsageLine<'_>) {
        let Some(waiting) = &self.waiting else { return };
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { text, stamp } = &mut *waiting;
        let before = text.len();
        if before >= MOST_WAITING {
            self.dropped.inc();
            return;
        }
        line.write(stamp.at(line.time), text);
        if before < MANY_WAITING
            && text.len() >= MANY_WAITING
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    /// Puts what waits into `text`, which is empty, in exchange for its memory.
    fn take(&self, text: &mut Vec<u8>) {
        if let Some(waiting) = &self.waiting {
            std::mem::swap(text, &mut waiting.lock().unwrap_or_else(PoisonError::into_inner).text);
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
        let stop = Arc::new(AtomicBool::new(false));
        let sink: Option<Box<dyn Write + Send>> = match place {
            "off" => None,
            "stdout" => Some(Box::new(io::stdout())),
            file => Some(Box::new(append(Path::new(file))?)),
        };
        let queue = || Queue {
            waiting: sink.is_some().then(Mutex::default),
            writer: OnceLock::new(),
            dropped: metrics.usage_dropped.clone(),
        };
        let queues: Vec<_> = (0..runtimes).map(|_| Arc::new(queue())).collect();
        let (all, stopped) = (queues.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("usage".to_owned());
        let thread = thread.spawn(move || write_until(&stopped, &all, sink))?;
        for queue in &queues {
            let _ = queue.writer.set(thread.thread().clone());
        }
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
    let mut text = Vec::new();
    loop {
        let last = stop.load(Ordering::Acquire);
        for queue in queues {
            queue.take(&mut text);
            if let Some(out) = sink.as_mut().filter(|_| !text.is_empty())
                && let Err(error) = out.write_all(&text).and_then(|()| out.flush())
            {
                tracing::error!(%error, "usage lines cannot be written");
            }
            give_back(&mut text);
        }
        if last {
            return;
        }
        std::thread::park_timeout(PERIOD);
    }
}

/// Empties `text`, and gives half of its memory back when a sixteenth would have done. A new buffer, because shrinking the
/// old one would copy what was just written.
fn give_back(text: &mut Vec<u8>) {
    let (used, room) = (text.len(), text.capacity());
    text.clear();
    if used < room / 16 && room > KEPT {
        *text = Vec::new();
        text.reserve_exact((room / 2).max(KEPT));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::telemetry::line::tests as line;

    #[test]
    fn memory_of_a_burst_is_given_back_half_by_half() {
        let mut text = vec![b' '; 64 * KEPT];
        give_back(&mut text);
        assert_eq!((text.len(), text.capacity()), (0, 64 * KEPT), "it was used");
        let mut rooms = Vec::new();
        for _ in 0..8 {
            text.push(b' ');
            give_back(&mut text);
            rooms.push(text.capacity() / KEPT);
        }
        assert_eq!(rooms, [32, 16, 8, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn stamps_are_rfc_3339_in_milliseconds_from_second_to_second() {
        let mut stamp = Stamp::default();
        for millis in [0, 7, 999, 1_000, 1_795_271_958_042, 1_795_271_958_043, -1] {
            let exact = Timestamp::from_millisecond(millis).unwrap();
            assert_eq!(stamp.at(millis), format!("{exact:.3}"));
        }
    }

    #[test]
    fn what_nobody_writes_is_dropped_and_counted_not_kept_for_ever() {
        let dropped = Counter::default();
        let full = Waiting { text: vec![b' '; MOST_WAITING], ..Waiting::default() };
        let queue =
            Queue { waiting: Some(Mutex::new(full)), writer: OnceLock::new(), dropped: dropped.clone() };
        let key = line::key();
        queue.push(&line::short(&key));
        assert_eq!(dropped.get(), 1);
        let mut text = Vec::new();
        queue.take(&mut text);
        assert_eq!(text.len(), MOST_WAITING, "nothing more is kept");
        queue.push(&line::short(&key));
        text.clear();
        queue.take(&mut text);
        assert!(text.ends_with(b"}\n"), "it goes on once there is room");
        assert_eq!(dropped.get(), 1);
    }
}
