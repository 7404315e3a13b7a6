//! HTTP/2: many requests at a time on one connection, each as bounded as one over HTTP/1.1, and the connection as well.

use super::connection::{LONGEST_HEAD, Stream};
use super::framing::Framing;
use super::routes;
use super::streams::Shared;
use crate::telemetry::{door::ConnectionCut, emit};
use crate::upstream::pool::LocalExecutor;
use crate::worker::Worker;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// What a caller may have sent of one body that nobody has read yet, and of all bodies of a connection together.
const UNREAD: u32 = 256 * 1024;
const ALL_UNREAD: u32 = 1024 * 1024;
/// What lies ready of one answer for a caller who reads slowly, beside the piece that a provider sent last.
const UNSENT: usize = 64 * 1024;
/// Requests that were taken back before they were looked at; more of them end the connection.
const MOST_TAKEN_BACK: usize = 20;
/// Errors in requests of one connection; more of them end it.
const MOST_ERRORS: usize = 256;

fn builder(most_streams: u32) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .max_concurrent_streams(most_streams)
        .max_header_list_size(u32::try_from(LONGEST_HEAD).unwrap_or(u32::MAX))
        .initial_stream_window_size(UNREAD)
        .initial_connection_window_size(ALL_UNREAD)
        .max_send_buf_size(UNSENT)
        .max_pending_accept_reset_streams(MOST_TAKEN_BACK)
        .max_local_error_reset_streams(MOST_ERRORS);
    builder
}

/// Serves a connection to its end. Its caller is told (GOAWAY) when it is to be the end, and what is under way then
/// finishes; but a connection that never carried a request, whose caller takes nothing, or takes back too much, is cut.
pub async fn serve(io: Box<dyn Stream>, framing: Rc<Framing>, worker: Rc<Worker>) {
    let shared = worker.shared.clone();
    let (told, most) = (framing.clone(), shared.settings.max_streams);
    let service =
        service_fn(move |request| routes::handle_shared(request, worker.clone(), Shared::begin(&told)));
    let mut served = pin!(builder(most).serve_connection(TokioIo::new(io), service));
    let mut begun = pin!(shared.drain.begun());
    let (mut listens, mut draining) = (false, false);
    std::future::poll_fn(|cx| {
        if !std::mem::replace(&mut listens, true) {
            framing.owing().wake(cx.waker());
        }
        if !draining && begun.as_mut().poll(cx).is_ready() {
            draining = true;
            served.as_mut().graceful_shutdown();
        }
        let streams = framing.streams();
        if streams.is_flooded() {
            emit(&shared.metrics, ConnectionCut { reason: "resets" });
            return Poll::Ready(());
        }
        if framing.owing().is_over() {
            if streams.open() > 0 {
                emit(&shared.metrics, ConnectionCut { reason: "stalled" });
            }
            if streams.open() > 0 || !streams.begun() || streams.leave() {
                return Poll::Ready(());
            }
            framing.owing().renew();
            served.as_mut().graceful_shutdown();
        }
        // Errors of a connection are its caller's own.
        served.as_mut().poll(cx).map(|_| ())
    })
    .await;
}
