//! Callers that call all the time, and what became of their calls.

use crate::pod::{Answer, PATIENCE, chat};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Tokens that an answer may have.
pub(crate) const TOKENS: u64 = 5;

/// Callers with one key, one at each gateway, until they are stopped.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    tokens: AtomicU64,
    /// Calls by status and error code, each kind with its last answer.
    answers: Mutex<BTreeMap<(u16, String), (u64, String)>>,
}

/// Tokens that an answer was billed for.
pub(crate) fn billed(answer: &Answer) -> u64 {
    let usage: Option<serde_json::Value> = serde_json::from_str(&answer.1).ok();
    usage.and_then(|body| body["usage"]["completion_tokens"].as_u64()).unwrap_or_default()
}

impl Traffic {
    /// Begins to call.
    pub(crate) fn start(ports: impl IntoIterator<Item = u16>, token: &'static str) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let caller = |port| {
            let (stop, seen) = (stop.clone(), seen.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let answer = chat(port, token, "simulated-chat").unwrap_or_default();
                    let refused = answer.0 != 200;
                    seen.note(answer);
                    // Refusals cost nothing, so there would be thousands.
                    std::thread::park_timeout(Duration::from_millis(if refused { 20 } else { 2 }));
                }
            })
        };
        let callers = ports.into_iter().map(caller).collect();
        Self { stop, callers, seen }
    }

    /// Tokens that were answered so far.
    pub(crate) fn tokens(&self) -> u64 {
        self.seen.tokens.load(Ordering::Acquire)
    }

    /// Calls so far that ended so.
    pub(crate) fn count(&self, status: u16, code: &str) -> u64 {
        let answers = self.seen.answers.lock().unwrap();
        answers.get(&(status, code.to_owned())).map_or(0, |(count, _)| *count)
    }

    /// Waits until so many more calls ended so.
    pub(crate) fn more(&self, count: u64, status: u16, code: &str) {
        let (before, begun) = (self.count(status, code), Instant::now());
        while self.count(status, code) < before + count {
            assert!(begun.elapsed() < PATIENCE, "not {count} more of {status} {code}: {:?}", self.kinds());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// How calls ended.
    pub(crate) fn kinds(&self) -> BTreeMap<(u16, String), (u64, String)> {
        self.seen.answers.lock().unwrap().clone()
    }

    /// Ends it; panics when a call ended in another way than these.
    pub(crate) fn end(self, allowed: &[(u16, &str)]) -> u64 {
        self.stop.store(true, Ordering::Release);
        for caller in self.callers {
            caller.join().unwrap();
        }
        let answers = self.seen.answers.lock().unwrap();
        let other: Vec<_> = answers
            .iter()
            .filter(|((status, code), _)| !allowed.contains(&(*status, code.as_str())))
            .collect();
        assert!(other.is_empty(), "{other:?}");
        self.seen.tokens.load(Ordering::Acquire)
    }
}

impl Seen {
    fn note(&self, answer: Answer) {
        self.tokens.fetch_add(billed(&answer), Ordering::AcqRel);
        let body: serde_json::Value = serde_json::from_str(&answer.1).unwrap_or_default();
        let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
        let mut answers = self.answers.lock().unwrap();
        let kind = answers.entry((answer.0, code)).or_default();
        *kind = (kind.0 + 1, answer.1);
    }
}
