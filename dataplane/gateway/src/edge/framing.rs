//! A look at request heads before hyper sees them.
//!
//! hyper takes `Transfer-Encoding` and silently drops a `Content-Length` beside it. A proxy in front that believes the
//! length instead would see other requests than we do (request smuggling), so such a request is refused. Only the
//! bytes of heads are looked at.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection's guard tells its service.
#[derive(Default)]
pub struct Framing {
    /// Heads that were looked at whole.
    heads: Cell<u64>,
    /// Requests that the service has begun.
    begun: Cell<u64>,
    /// The next bytes begin a head.
    at_head: Cell<bool>,
    /// The last head had both headers.
    ambiguous: Cell<bool>,
}

impl Framing {
    /// At the start of a connection.
    #[must_use]
    pub fn new() -> Rc<Self> {
        let framing = Self::default();
        framing.at_head.set(true);
        Rc::new(framing)
    }

    /// Called for each request; true when its framing cannot be trusted.
    pub fn begin(&self, chunked: bool) -> bool {
        self.begun.set(self.begun.get() + 1);
        // A chunked request whose head came pipelined behind a body was not looked at: refuse what was not checked.
        self.ambiguous.get() || (chunked && self.heads.get() < self.begun.get())
    }

    /// Called when a request's body was read: what follows is a head.
    pub fn body_done(&self) {
        self.heads.set(self.begun.get());
        self.at_head.set(true);
    }
}

/// A stream whose heads are looked at.
pub struct Watched<S> {
    stream: S,
    framing: Rc<Framing>,
    line: Vec<u8>,
    length: bool,
    encoding: bool,
}

/// Enough of a line to recognise its name.
const LONGEST_NAME: usize = 18;

impl<S> Watched<S> {
    /// `stream`, watched for `framing`.
    pub fn new(stream: S, framing: Rc<Framing>) -> Self {
        Self { stream, framing, line: Vec::with_capacity(LONGEST_NAME), length: false, encoding: false }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let room = LONGEST_NAME.saturating_sub(self.line.len());
            self.line.extend_from_slice(&bytes[..end.min(room)]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let ended = line.is_empty() || line == b"\r";
            self.length |= is(&line, b"content-length");
            self.encoding |= is(&line, b"transfer-encoding");
            self.line = line;
            self.line.clear();
            if ended {
                self.framing.ambiguous.set(self.length && self.encoding);
                self.framing.heads.set(self.framing.begun.get() + 1);
                self.framing.at_head.set(false);
                (self.length, self.encoding) = (false, false);
                return;
            }
        }
        let room = LONGEST_NAME.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn is(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t'))
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if this.framing.at_head.get()
            && let Some(fresh) = buf.filled().get(before..).filter(|f| !f.is_empty())
        {
            this.look(fresh);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous(pieces: &[&[u8]]) -> bool {
        let framing = Framing::new();
        let mut watched = Watched::new((), framing.clone());
        for piece in pieces {
            if framing.at_head.get() {
                watched.look(piece);
            }
        }
        framing.begin(true)
    }

    #[test]
    fn both_headers_are_seen_however_they_are_split() {
        let head =
            b"POST / HTTP/1.1\r\nHost: x\r\ncOntent-Length: 5\r\nTransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n";
        for at in 1..head.len() {
            assert!(ambiguous(&[&head[..at], &head[at..]]), "split at {at}");
        }
        let single: Vec<&[u8]> = head.chunks(1).collect();
        assert!(ambiguous(&single));
    }

    #[test]
    fn one_of_them_is_fine_and_bodies_are_not_looked_at() {
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncontent-length: 3\n\r\n";
        assert!(!ambiguous(&[chunked]));
        assert!(!ambiguous(&[
            b"POST / HTTP/1.1\r\nx-content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
        ]));
    }

    #[test]
    fn a_chunked_head_that_was_not_looked_at_is_refused() {
        let framing = Framing::new();
        let mut watched = Watched::new((), framing.clone());
        watched.look(b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\n");
        assert!(!framing.begin(false));
        // A second request came in the same read as the first one's body.
        assert!(framing.begin(true));
    }
}
