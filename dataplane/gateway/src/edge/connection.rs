//! One connection of a caller: HTTP/1.1, until its first bytes say HTTP/2.

use super::drain::Open;
use super::framing::Watched;
use super::linger::Lingering;
use super::{multiplexed, routes};
use crate::worker::Worker;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

/// Longest head of a request: request line and all headers.
pub const LONGEST_HEAD: usize = 64 * 1024;

/// A request may be on its way while the gateway begins to end: so long a connection without one is kept for it.
pub const GRACE: Duration = Duration::from_secs(1);

/// What connections are made of: TCP, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Stream for S {}

/// Serves a connection to its end.
pub async fn serve<S: Stream>(stream: S, worker: Rc<Worker>, _open: Open) {
    let framing = worker.patience.watch();
    let io = TokioIo::new(Watched::new(Lingering::new(stream, framing.clone()), framing.clone()));
    let (told, serving) = (framing.clone(), worker.clone());
    let service = service_fn(move |request| routes::handle(request, serving.clone(), told.clone()));
    let mut served = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD * 2)
        .max_header_size(LONGEST_HEAD)
        .serve_connection(io, service);
    let drain = worker.shared.drain.clone();
    let mut begun = pin!(drain.begun());
    let (mut draining, mut listens, mut grace) = (false, false, None::<Pin<Box<Sleep>>>);
    std::future::poll_fn(|cx| {
        // Asked once, which is enough to be woken; then only when the flag, which is set first, says that it is so.
        if !draining && (!listens || drain.is_draining()) && begun.as_mut().poll(cx).is_ready() {
            draining = true;
            // The next answer says that it is the last. Only who asks nothing any more is closed without a word.
            framing.end();
            grace = Some(Box::pin(sleep(GRACE)));
        }
        if draining && grace.as_mut().is_some_and(|g| g.as_mut().poll(cx).is_ready()) {
            grace = None;
            Pin::new(&mut served).graceful_shutdown();
        }
        if !std::mem::replace(&mut listens, true) {
            framing.owing().wake(cx.waker());
        }
        if framing.owing().is_over() {
            return Poll::Ready(());
        }
        // Errors of a connection (resets, bad heads) are its caller's own; hyper has answered what can be answered.
        Pin::new(&mut served).poll(cx).map(|_| ())
    })
    .await;
    if framing.is_multiplexed() {
        let io = served.into_parts().io.into_inner();
        Box::pin(multiplexed::serve(Box::new(io), framing, worker)).await;
    }
}

/// Serves a connection that both sides know to be HTTP/2.
pub async fn serve_multiplexed<S: Stream>(stream: S, worker: Rc<Worker>, _open: Open) {
    let framing = worker.patience.watch();
    framing.multiplex();
    let io = Watched::new(Lingering::new(stream, framing.clone()), framing.clone());
    multiplexed::serve(Box::new(io), framing, worker).await;
}
