//! Ending gracefully: stop accepting, finish what is in flight, then go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::watch;

/// Seen by every listener and by readiness.
#[derive(Clone)]
pub struct Drain {
    signal: watch::Sender<bool>,
    open: Arc<AtomicUsize>,
    listening: Arc<AtomicUsize>,
    draining: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

/// An open connection, or a listener that may still take one; counted until dropped.
pub struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            signal: watch::Sender::new(false),
            open: Arc::default(),
            listening: Arc::default(),
            draining: Arc::default(),
            over: Arc::default(),
        }
    }
}

impl Drain {
    /// Begins: readiness turns false, listeners close, idle connections end.
    pub fn begin(&self) {
        self.draining.store(true, Ordering::Release);
        self.signal.send_replace(true);
    }

    /// Ends it: calls that are still in flight are cut, and billed as if their callers had left.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// True once nothing is waited for any more: all is done, or the time is up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_done() || self.over.load(Ordering::Acquire)
    }

    /// True while there is no connection, and none can come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        // In this order: a listener counts a connection before it goes.
        self.listening.load(Ordering::Acquire) == 0 && self.connections() == 0
    }

    /// True once begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Ready once begun.
    pub async fn begun(&self) {
        let mut signal = self.signal.subscribe();
        // An error means that the sender is gone, which this value itself prevents.
        let _ = signal.wait_for(|begun| *begun).await;
    }

    /// Counts a connection.
    #[must_use]
    pub fn open(&self) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self.open.clone())
    }

    /// Counts a listener.
    #[must_use]
    pub fn listen(&self) -> Open {
        self.listening.fetch_add(1, Ordering::AcqRel);
        Open(self.listening.clone())
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}
