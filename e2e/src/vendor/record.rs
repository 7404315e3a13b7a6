//! What a vendor saw and did, call by call, counted as it happens.

use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Tokens as a vendor bills them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub prompt: u64,
    /// Input tokens read from the vendor's cache.
    pub cached: u64,
    /// Input tokens written to the vendor's cache.
    pub written: u64,
    /// All output tokens, reasoning included.
    pub completion: u64,
    /// Output tokens that were not shown.
    pub reasoning: u64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Open,
    /// Answered to the last byte.
    Complete,
    /// Refused with this status before any token.
    Refused(u16),
    /// The other side closed the connection first.
    Left,
    /// The vendor broke it off, as its fault said.
    Broken,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Position in the journal.
    pub id: usize,
    /// When its body had arrived.
    pub at: Instant,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as received.
    pub body: Bytes,
    /// `tag` of its script.
    pub tag: Option<String>,
    /// Model it named, once known to exist.
    pub model: Option<String>,
    /// It asked for a stream.
    pub stream: bool,
    /// Images given as URL and as base64.
    pub images: (u64, u64),
    /// What the prompt counts.
    pub prompt: u64,
    /// Part of the prompt billed as cached.
    pub cached: u64,
    /// Part of the prompt billed as written to the cache.
    pub written: u64,
    /// Blocks of thinking that came back with good signatures.
    pub thoughts: u64,
    /// Marks of `cache_control`.
    pub marks: u64,
    /// Output tokens written to the socket so far, reasoning included.
    pub served: u64,
    /// Usage that was written to the socket.
    pub reported: Option<Usage>,
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub ended: Option<Instant>,
}

impl Call {
    /// First value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What scripts in other languages are told.
    pub(super) fn brief(&self) -> Value {
        let end = match self.end {
            End::Open => "open".into(),
            End::Complete => "complete".into(),
            End::Refused(status) => format!("refused {status}"),
            End::Left => "left".into(),
            End::Broken => "broken".into(),
        };
        let after_ms = self.ended.map(|t| u64::try_from((t - self.at).as_millis()).unwrap_or(u64::MAX));
        json!({
            "id": self.id, "path": self.path, "tag": self.tag, "model": self.model, "stream": self.stream,
            "images_url": self.images.0, "images_base64": self.images.1, "prompt": self.prompt,
            "served": self.served, "thoughts": self.thoughts, "marks": self.marks, "body_bytes": self.body.len(), "end": end, "ended_after_ms": after_ms,
        })
    }
}

/// All calls, in order.
#[derive(Default)]
pub(super) struct Journal(Mutex<Vec<Call>>);

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call and returns its id.
    pub(super) fn add(&self, mut call: Call) -> usize {
        let mut calls = self.lock();
        call.id = calls.len();
        calls.push(call);
        calls.len() - 1
    }

    /// Changes a call; one that was forgotten meanwhile is left alone.
    pub(super) fn change(&self, id: usize, change: impl FnOnce(&mut Call)) {
        if let Some(call) = self.lock().get_mut(id) {
            change(call);
        }
    }

    /// Notes how a call ended, once.
    pub(super) fn end(&self, id: usize, end: End) {
        self.change(id, |call| {
            if call.end == End::Open {
                call.end = end;
                call.ended = Some(Instant::now());
            }
        });
    }

    pub(super) fn get(&self, id: usize) -> Option<Call> {
        self.lock().get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Call> {
        self.lock().clone()
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }
}
