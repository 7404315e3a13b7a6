//! Connections of one runtime to one provider. Nothing here is shared between threads.

use super::attempt::{Answer, Source};
use super::connect::{Stream, connect};
use super::{Unreachable, Upstream};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::{Cell, RefCell};
use std::error::Error as _;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often a pool is swept.
pub const SWEEP: Duration = Duration::from_secs(5);
/// An idle connection is used again within this many sweeps, 55 s; most servers close theirs after 60 to 100 seconds.
const IDLE_SWEEPS: u32 = 11;
/// Idle connections kept per runtime and provider.
const MOST_IDLE: usize = 256;
/// Streams on one HTTP/2 connection before another is opened; servers commonly allow 100.
const MOST_STREAMS: usize = 90;
/// Header maps kept per runtime and provider, and the largest that is.
const MOST_SPARE: usize = 64;
const MOST_HEADERS: usize = 64;
/// Connections that may turn out to be stale before a fresh one is opened.
pub(super) const STALE_TRIES: usize = 3;

type Sender1 = http1::SendRequest<Full<Bytes>>;
type Sender2 = http2::SendRequest<Full<Bytes>>;

/// Connections to one provider.
pub struct Pool {
    /// Whom they lead to.
    pub upstream: Arc<Upstream>,
    /// Each with the sweep after which it came back.
    idle: RefCell<Vec<(Sender1, u32)>>,
    sweeps: Cell<u32>,
    multiplexed: RefCell<Vec<Rc<Multiplexed>>>,
    /// Header maps of answers, emptied: their memory serves the next request.
    spare: RefCell<Vec<HeaderMap>>,
    /// Connections to further places of the same provider; empty for most.
    pub beside: Box<[Rc<Pool>]>,
}

struct Multiplexed {
    sender: Sender2,
    streams: Cell<usize>,
}

/// What a call holds of the pool while its answer is read.
pub struct Lease {
    pool: Rc<Pool>,
    held: Held,
}

enum Held {
    One(Option<Sender1>),
    Shared(Rc<Multiplexed>),
}

impl Lease {
    /// Gives the connection back: the answer was read to its end. A lease that is dropped instead closes an HTTP/1
    /// connection, and resets an HTTP/2 stream, which is how a provider is told to stop.
    pub fn give_back(mut self) {
        if let Held::One(sender) = &mut self.held
            && let Some(sender) = sender.take()
        {
            let mut idle = self.pool.idle.borrow_mut();
            if idle.len() < MOST_IDLE {
                idle.push((sender, self.pool.sweeps.get()));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Held::Shared(connection) = &self.held {
            connection.streams.set(connection.streams.get().saturating_sub(1));
        }
    }
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>) -> Rc<Self> {
        let (idle, sweeps, multiplexed, spare) = Default::default();
        let beside = upstream.beside.iter().map(|place| Self::new(place.clone())).collect();
        Rc::new(Self { upstream, idle, sweeps, multiplexed, spare, beside })
    }

    /// Sends `request` (with a path as its URI) and waits for the head of the answer. The caller bounds the wait.
    /// A pooled connection that turns out to be closed is replaced, as long as nothing of the request was sent. `sent` is
    /// true while the request may have reached the provider, also after the call was dropped. The request is taken from
    /// where it is, and the answer is boxed: both are large, and would be copied at each step.
    ///
    /// # Errors
    /// [`Unreachable`]; nothing is retried that may have reached the provider. After [`Unreachable::Unprocessed`] the same
    /// request may be sent again, by another connection.
    pub async fn send(
        self: &Rc<Self>,
        request: &mut Request<Full<Bytes>>,
        sent: &Cell<bool>,
    ) -> Result<Box<Answer>, Unreachable> {
        for _ in 0..STALE_TRIES {
            let Some(sender) = self.pooled() else { break };
            match pin!(self.send_one(sender, request, sent)).await {
                Err(_) if !sent.get() => {}
                answered => return answered,
            }
        }
        if let Some(connection) = self.shared() {
            let (connection, kept) = (connection.clone(), connection);
            let answered = Box::pin(self.send_shared(connection, request, sent)).await;
            if let Err(Unreachable::Unprocessed { .. }) = &answered {
                self.multiplexed.borrow_mut().retain(|c| !Rc::ptr_eq(c, &kept));
            }
            return answered;
        }
        // Boxed: the future of an ordinary call should not carry the state of a connection under way.
        Box::pin(self.send_fresh(request, sent)).await
    }

    async fn send_fresh(
        self: &Rc<Self>,
        request: &mut Request<Full<Bytes>>,
        sent: &Cell<bool>,
    ) -> Result<Box<Answer>, Unreachable> {
        let stream = connect(&self.upstream).await?;
        if stream.is_h2() {
            let connection = self.open_shared(stream).await?;
            return self.send_shared(connection, request, sent).await;
        }
        let broken = |source| Unreachable::Broken { source };
        let (sender, task) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::task::spawn_local(task);
        self.send_one(sender, request, sent).await
    }

    fn is_fresh(&self, since: u32) -> bool {
        self.sweeps.get().wrapping_sub(since) < IDLE_SWEEPS
    }

    /// An empty header map, with memory where there is some.
    pub fn spare(&self) -> HeaderMap {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes back the memory of headers that nobody needs any more.
    pub fn give_back(&self, mut headers: HeaderMap) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MOST_SPARE && headers.capacity() <= MOST_HEADERS {
            headers.clear();
            spare.push(headers);
        }
    }

    /// A pooled HTTP/1 connection that looks alive.
    fn pooled(&self) -> Option<Sender1> {
        let mut idle = self.idle.borrow_mut();
        while let Some((sender, since)) = idle.pop() {
            if sender.is_ready() && self.is_fresh(since) {
                return Some(sender);
            }
        }
        None
    }

    /// Sends by `sender`. After an error `sent` says whether `request` is gone; otherwise it is where it was.
    async fn send_one(
        self: &Rc<Self>,
        mut sender: Sender1,
        request: &mut Request<Full<Bytes>>,
        sent: &Cell<bool>,
    ) -> Result<Box<Answer>, Unreachable> {
        sent.set(true);
        match sender.try_send_request(std::mem::take(request)).await {
            Ok(response) => {
                let held = Held::One(Some(sender));
                Ok(answer(response, Lease { pool: self.clone(), held }))
            }
            Err(mut failed) => {
                if let Some(unsent) = failed.take_message() {
                    *request = unsent;
                    sent.set(false);
                }
                Err(Unreachable::Broken { source: failed.into_error() })
            }
        }
    }

    /// True while there are connections that several calls share.
    pub fn shares(&self) -> bool {
        !self.multiplexed.borrow().is_empty()
    }

    fn shared(&self) -> Option<Rc<Multiplexed>> {
        let mut all = self.multiplexed.borrow_mut();
        all.retain(|c| !c.sender.is_closed());
        all.iter().find(|c| c.streams.get() < MOST_STREAMS).cloned()
    }

    async fn open_shared(&self, stream: Stream) -> Result<Rc<Multiplexed>, Unreachable> {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
        let opened = builder.handshake(TokioIo::new(stream)).await;
        let (sender, task) = opened.map_err(|source| Unreachable::Broken { source })?;
        tokio::task::spawn_local(task);
        let connection = Rc::new(Multiplexed { sender, streams: Cell::new(0) });
        self.multiplexed.borrow_mut().push(connection.clone());
        Ok(connection)
    }

    async fn send_shared(
        self: &Rc<Self>,
        connection: Rc<Multiplexed>,
        request: &mut Request<Full<Bytes>>,
        sent: &Cell<bool>,
    ) -> Result<Box<Answer>, Unreachable> {
        // HTTP/2 carries scheme and authority in the URI, and knows no host header.
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(http::uri::Scheme::HTTPS);
        parts.authority = self.upstream.authority.to_str().ok().and_then(|a| a.parse().ok());
        parts.path_and_query = path;
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request.headers_mut().remove(http::header::HOST);
        connection.streams.set(connection.streams.get() + 1);
        let lease = Lease { pool: self.clone(), held: Held::Shared(connection.clone()) };
        let mut sender = connection.sender.clone();
        sender.ready().await.map_err(|source| Unreachable::Unprocessed { source })?;
        sent.set(true);
        match sender.try_send_request(std::mem::take(request)).await {
            Ok(response) => Ok(answer(response, lease)),
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                let source = failed.into_error();
                if unsent || was_refused(&source) {
                    sent.set(false);
                    return Err(Unreachable::Unprocessed { source });
                }
                Err(Unreachable::Broken { source })
            }
        }
    }

    /// Closes connections that were idle for too long.
    pub fn sweep(&self) {
        self.sweeps.set(self.sweeps.get().wrapping_add(1));
        self.idle.borrow_mut().retain(|(sender, since)| !sender.is_closed() && self.is_fresh(*since));
        self.multiplexed.borrow_mut().retain(|c| !c.sender.is_closed());
        self.beside.iter().for_each(|p| p.sweep());
    }
}

fn answer(response: Response<Incoming>, lease: Lease) -> Box<Answer> {
    let (head, body) = response.into_parts();
    let body = Source::Http(body, Some((lease, None)));
    Box::new(Answer { status: head.status, headers: head.headers, body })
}

/// True when the other side says that it did not look at the request (RFC 9113, 8.7): its stream is above the last one of
/// a GOAWAY, or was reset as refused.
fn was_refused(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|e| e.downcast_ref::<h2::Error>()) else { return false };
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || refused)
}

/// Runs HTTP/2's background tasks on the runtime's own thread; they end with their connection.
#[derive(Clone)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
