//! A mock vendor that speaks OpenAI's wire format or Anthropic's, refuses what they refuse, and counts for itself.
//!
//! Replies are deterministic. A test steers them by words in the last user message, `[[tokens=40 delay_ms=5]]`
//! (see [`script`]), or by a plan set on the handle. What it received and what it served is read from the handle or,
//! by scripts in other languages, from `GET /__calls?tag=...` (no key needed).

mod answer;
mod anthropic;
mod chat;
mod embeddings;
mod fault;
mod fields;
mod messages;
mod models;
mod record;
mod reject;
mod schema;
pub mod script;
mod serve;
mod wire;

pub use fault::Fault;
pub use models::ModelSpec;
pub use record::{Call, End, Usage};

use record::Journal;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Decides, for each request that passed the checks, which fault it meets.
pub type Plan = Box<dyn Fn(&Call) -> Option<Fault> + Send>;

/// Whose wire format a vendor speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speech {
    /// OpenAI's: `Authorization: Bearer`, chat completions, embeddings, models.
    #[default]
    OpenAi,
    /// Anthropic's: `x-api-key` and `anthropic-version`, messages, token counts, models.
    Anthropic,
}

impl Speech {
    /// The body of an error that it was told to answer with.
    fn fault(self, status: u16, key: &str) -> serde_json::Value {
        match self {
            Self::OpenAi => reject::Reject::fault(status, key).body(),
            Self::Anthropic => anthropic::Reject::fault(status, key).body(),
        }
    }
}

/// How a vendor is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose format it speaks.
    pub speech: Speech,
    /// Keys it accepts.
    pub keys: Vec<String>,
    /// Models it offers.
    pub models: Vec<ModelSpec>,
    /// Top-level fields that its vendor does not know are ignored instead of refused, as many compatible vendors do.
    pub lenient: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            speech: Speech::OpenAi,
            keys: vec!["sk-vendor-canary-7f3a91c2".into()],
            models: models::defaults(),
            lenient: false,
        }
    }
}

impl Config {
    /// A vendor that speaks Anthropic's format.
    #[must_use]
    pub fn anthropic() -> Self {
        Self {
            speech: Speech::Anthropic,
            keys: vec!["sk-ant-vendor-canary-2b8d40e6".into()],
            models: models::anthropic(),
            lenient: false,
        }
    }
}

/// What all connections of a vendor share.
struct Shared {
    config: Config,
    journal: Journal,
    plan: Mutex<Option<Plan>>,
}

/// A running vendor; it ends when dropped.
pub struct Vendor {
    /// Where it listens (loopback).
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Vendor {
    /// Starts a vendor on a free loopback port, on a thread of its own.
    ///
    /// # Panics
    /// When no port or thread is to be had.
    #[must_use]
    pub fn start(config: Config) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let addr = listener.local_addr().expect("the port just bound");
        let shared = Arc::new(Shared { config, journal: Journal::default(), plan: Mutex::new(None) });
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("mock-vendor".into())
            .spawn(move || serve::run(listener, theirs, stopped))
            .expect("a thread for the vendor");
        Self { addr, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The base URL that an SDK or a provider is given.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The first key that it accepts.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.shared.config.keys[0]
    }

    /// All calls so far, in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.journal.all()
    }

    /// The calls whose script carried `tag`.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|c| c.tag.as_deref() == Some(tag)).collect()
    }

    /// Forgets all calls. Only sensible while none is in flight.
    pub fn forget(&self) {
        self.shared.journal.clear();
    }

    /// Sets who meets which fault from now on; `None` takes the plan away.
    pub fn set_plan(&self, plan: Option<Plan>) {
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Every request meets this fault from now on; `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.set_plan(fault.map(|f| Box::new(move |_: &Call| Some(f.clone())) as Plan));
    }

    /// Waits until `done` holds for the calls, or panics with what it saw after `limit`.
    ///
    /// # Panics
    /// When `limit` passes first.
    pub async fn until(&self, what: &str, limit: Duration, done: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let start = Instant::now();
        loop {
            let calls = self.calls();
            if done(&calls) {
                return calls;
            }
            assert!(start.elapsed() < limit, "vendor never saw: {what}; calls: {:#?}", Brief(&calls));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The last calls without their bodies.
struct Brief<'a>(&'a [Call]);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().rev().take(5).map(|c| (c.id, &c.path, c.served, c.end))).finish()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
