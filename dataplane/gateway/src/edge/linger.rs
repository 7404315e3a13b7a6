//! Closing without taking the answer back. When a connection is closed while its caller still sends, the kernel
//! answers with a reset, and the caller loses the answer that says what was wrong: a 413 would never be seen. So what
//! is still being sent is read and dropped for a moment.

use super::framing::Framing;
use crate::pieces;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long what is still being sent is read, at most.
const MOMENT: Duration = Duration::from_secs(1);
/// Reads in a row before others get their turn.
const TURN: usize = 32;

/// A stream that lingers when it is closed before all was read.
pub struct Lingering<S> {
    stream: S,
    framing: Rc<Framing>,
    closed: bool,
    due: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// `stream`, which lingers when `framing` says that something was left unread.
    pub fn new(stream: S, framing: Rc<Framing>) -> Self {
        Self { stream, framing, closed: false, due: None }
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    /// Ready once the caller has closed too, or the moment has passed.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due.get_or_insert_with(|| Box::pin(sleep(MOMENT)));
        if due.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scrap = [0; 16 * 1024];
        for _ in 0..TURN {
            let mut buf = ReadBuf::new(&mut scrap);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.closed = true;
        }
        if this.framing.is_unread() {
            ready!(this.poll_rest(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pieces::poll_write(Pin::new(&mut self.get_mut().stream), cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
