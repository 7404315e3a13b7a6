//! What is under way on a connection that carries many requests at a time (HTTP/2), and how many of them its caller
//! takes back. A request that is sent and reset costs a caller nothing and us a call (CVE-2023-44487), so only so many
//! are borne.

use super::body::Body;
use super::framing::Framing;
use super::patience::Debt;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

/// So many requests may be taken back at once,
const BURST: u32 = 200;
/// and so many each second.
const EACH_SECOND: u32 = 50;

/// The streams of one connection.
#[derive(Default)]
pub struct Streams {
    begun: Cell<bool>,
    open: Cell<usize>,
    /// Of those that are open: an answer waits for its caller to read on.
    waiting: Cell<usize>,
    taken_back: Cell<Option<(u32, Instant)>>,
    flooded: Cell<bool>,
    /// The caller was told to go; what lies ready for him may still be on its way.
    leaving: Cell<bool>,
}

impl Streams {
    /// What the caller owes while nothing is owed to him.
    pub fn debt(&self) -> Option<Debt> {
        match self.open.get() {
            0 => Some(if self.leaving.get() { Debt::Reading } else { Debt::Head }),
            open => (open == self.waiting.get()).then_some(Debt::Reading),
        }
    }

    /// True once a request has come.
    pub fn begun(&self) -> bool {
        self.begun.get()
    }

    /// Requests under way.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// The caller is told to go; true when he was already.
    pub fn leave(&self) -> bool {
        self.leaving.replace(true)
    }

    /// True when more requests were taken back than is borne.
    pub fn is_flooded(&self) -> bool {
        self.flooded.get()
    }

    fn take_back(&self, now: Instant) {
        let (count, since) = self.taken_back.get().unwrap_or((0, now));
        let forgiven = now.saturating_duration_since(since).as_secs();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX).saturating_mul(EACH_SECOND);
        let since = if forgiven > 0 { now } else { since };
        let count = count.saturating_sub(forgiven) + 1;
        self.taken_back.set(Some((count, since)));
        self.flooded.set(self.flooded.get() || count > BURST);
    }
}

/// One request under way, until dropped.
pub struct Shared {
    framing: Rc<Framing>,
    waiting: bool,
    done: bool,
}

impl Shared {
    /// A request has come.
    #[must_use]
    pub fn begin(framing: &Rc<Framing>) -> Self {
        let streams = framing.streams();
        streams.begun.set(true);
        streams.open.set(streams.open.get() + 1);
        framing.owing().begin();
        Self { framing: framing.clone(), waiting: false, done: false }
    }

    fn wait(&mut self, waits: bool) {
        if self.waiting != waits {
            self.waiting = waits;
            let waiting = &self.framing.streams().waiting;
            waiting.set(if waits { waiting.get() + 1 } else { waiting.get().saturating_sub(1) });
            self.framing.owing().begin();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wait(false);
        let streams = self.framing.streams();
        streams.open.set(streams.open.get().saturating_sub(1));
        self.framing.owing().begin();
        if !self.done {
            streams.take_back(Instant::now());
            if streams.is_flooded() {
                self.framing.owing().call();
            }
        }
    }
}

/// The body of an answer and its stream. It is asked for more only when what it gave has left.
pub struct Carried {
    body: Body,
    stream: Shared,
}

impl Carried {
    /// `body`, on `stream`.
    #[must_use]
    pub fn new(body: Body, mut stream: Shared) -> Self {
        stream.done = body.is_end_stream();
        Self { body, stream }
    }
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        this.stream.wait(false);
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            this.stream.done = frame.is_none() || this.body.is_end_stream();
            this.stream.wait(frame.is_some());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::patience::Owing;
    use std::time::Duration;

    #[test]
    fn who_takes_back_more_than_a_burst_is_a_flood_and_who_does_so_now_and_then_is_not() {
        let (streams, start) = (Streams::default(), Instant::now());
        for second in 0..100 {
            for _ in 0..EACH_SECOND {
                streams.take_back(start + Duration::from_secs(second));
            }
        }
        assert!(!streams.is_flooded());
        let streams = Streams::default();
        for _ in 0..BURST {
            streams.take_back(start);
        }
        assert!(!streams.is_flooded());
        streams.take_back(start);
        assert!(streams.is_flooded());
        streams.take_back(start + Duration::from_secs(3600));
        assert!(streams.is_flooded(), "the connection is not to be used again");
    }

    #[test]
    fn a_connection_owes_a_request_or_reading_on_or_nothing() {
        let framing = Framing::new(Owing::default());
        framing.multiplex();
        assert_eq!(framing.debt(), Some(Debt::Head));
        let (mut one, two) = (Shared::begin(&framing), Shared::begin(&framing));
        assert_eq!(framing.debt(), None, "both wait for a provider");
        one.wait(true);
        assert_eq!(framing.debt(), None, "one waits for a provider");
        drop(two);
        assert_eq!(framing.debt(), Some(Debt::Reading));
        one.done = true;
        drop(one);
        assert_eq!(framing.debt(), Some(Debt::Head));
        assert_eq!(framing.streams().taken_back.get().map(|(n, _)| n), Some(1), "one was taken back");
    }
}
