//! What a gateway says of the configuration that it gets from Redis.

use arc_swap::ArcSwap;
use smartflow_snapshot::ContentHash;
use smartflow_transport::{KeyId, Revision};
use std::sync::Arc;
use std::time::Instant;

/// How it stands with the configuration. All empty for a gateway that serves a folder.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What runs.
    pub at: Option<Revision>,
    /// The sealing key of its head: whoever published it can open what is sealed with it.
    pub key: Option<KeyId>,
    /// Hash of what the operator compiled of the same.
    pub content: Option<ContentHash>,
    /// When it was last known to be what is published; `None` = never.
    pub confirmed: Option<Instant>,
    /// Why nothing newer is taken, in words.
    pub why: Option<String>,
    /// Sealing keys that are known, oldest first.
    pub keys: Vec<KeyId>,
    /// Entries that cannot be used: which, and why.
    pub unusable: Arc<Vec<(String, String)>>,
    /// Entries and heads that were refused since the start.
    pub refused: u64,
    /// It comes from the file that was kept, as Redis could not be had.
    pub from_last_good: bool,
}

/// The current [`Standing`]; written by one thread.
#[derive(Debug, Default)]
pub struct Stands(ArcSwap<Standing>);

impl Stands {
    /// As it is now.
    #[must_use]
    pub fn load(&self) -> Arc<Standing> {
        self.0.load_full()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = Standing::clone(&self.0.load());
        change(&mut standing);
        self.0.store(Arc::new(standing));
    }
}
