//! One watch per kind (and namespace, where only some are served). What they see goes into one bounded queue as [`Note`]s,
//! in order per watch; a full queue makes the watches wait, it never drops.
//!
//! A watch that fails keeps what it saw: it goes on asking, with growing pauses and jitter, and tells why.

mod seen;
mod source;
mod synced;

pub use seen::{Body, Seen, TokenSecret, Unreadable};
pub use source::{Source, resource, sources};
pub use synced::Synced;

use futures::StreamExt;
use kube_client::api::DynamicObject;
use kube_client::{Api, Client};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use smartflow_compile::ObjectRef;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Notes that may wait to be taken.
pub const QUEUE: usize = 1024;
/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Seconds until a quiet watch is begun anew: a connection that died without a word is found out by then.
pub(crate) const WATCH_SECONDS: u32 = 60;
/// Value of [`smartflow_crds::CREDENTIAL_LABEL`] on Secrets that the operator made: they are watched, and open for nothing.
pub const GENERATED: &str = "generated";

/// What a watch saw. `source` is the index in [`sources`].
#[derive(Debug)]
pub enum Note {
    /// A list begins: what it does not name is gone once it is through.
    Listing {
        /// The watch.
        source: usize,
    },
    /// An object as it is now.
    Set {
        /// The watch.
        source: usize,
        /// The object.
        seen: Box<Seen>,
    },
    /// An object is gone.
    Gone {
        /// The watch.
        source: usize,
        /// The object.
        id: ObjectRef,
    },
    /// The list is through.
    Listed {
        /// The watch.
        source: usize,
    },
    /// The watch does not work at present; what it saw still counts.
    Failed {
        /// The watch.
        source: usize,
        /// What the API server said.
        why: String,
    },
}

/// Starts all watches; they end with the set.
pub fn start(client: &Client, sources: &[Source], notes: &mpsc::Sender<Note>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (index, source) in sources.iter().enumerate() {
        tasks.spawn(follow(source.api(client), source.clone(), index, notes.clone()));
    }
    tasks
}

async fn follow(api: Api<DynamicObject>, source: Source, index: usize, notes: mpsc::Sender<Note>) {
    let mut config = watcher::Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
    if let Some(labels) = source.selector() {
        config = config.labels(&labels);
    }
    let stream = watcher(api, config).default_backoff();
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let Some(note) = note(index, &source, event) else { continue };
        if notes.send(note).await.is_err() {
            return;
        }
    }
}

fn note(source: usize, from: &Source, event: watcher::Result<Event<DynamicObject>>) -> Option<Note> {
    let event = match event {
        Ok(event) => event,
        Err(error) => return Some(Note::Failed { source, why: error.to_string() }),
    };
    match event {
        Event::Init => Some(Note::Listing { source }),
        Event::InitDone => Some(Note::Listed { source }),
        Event::Apply(object) | Event::InitApply(object) => match Seen::of(from.kind, object) {
            Ok(seen) => Some(Note::Set { source, seen: Box::new(seen) }),
            Err(unreadable) => {
                tracing::warn!(%unreadable, "an object is left as it was");
                None
            }
        },
        Event::Delete(object) => seen::id(from.kind, &object).ok().map(|id| Note::Gone { source, id }),
    }
}
