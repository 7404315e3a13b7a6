//! A look at request heads before hyper sees them, and at the answers that hyper gives by itself.
//!
//! hyper answers a head that is not HTTP, or too long, with a bare status. Callers get the reason in their own format
//! instead.
//!
//! hyper takes `Transfer-Encoding` and silently drops a `Content-Length` beside it. A proxy in front that believes the
//! length instead would see other requests than we do (request smuggling), so such a request is refused, and so is one
//! with two lengths, of which hyper takes equal ones. Only the bytes of heads are looked at.

use super::patience::{Debt, Owing};
use super::preface::{First, Opening};
use super::streams::Streams;
use bytes::Bytes;
use smartflow_dialect::openai::error_body;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
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
    /// The last head had both headers, or one length twice.
    ambiguous: Cell<bool>,
    /// The connection is closed although its caller may still be sending.
    unread: Cell<bool>,
    owing: Owing,
    /// A request is being answered. Its head may have come pipelined, so that `at_head` does not tell.
    serving: Cell<bool>,
    /// A stream is under way: its pauses are the provider's.
    streaming: Cell<bool>,
    /// An answer waits for its caller to read on.
    writing: Cell<bool>,
    /// It speaks HTTP/2: many requests at a time, and none of the above but `owing`.
    multiplexed: Cell<bool>,
    streams: Streams,
    /// The gateway is ending: the next answer is the connection's last.
    ending: Cell<bool>,
}

/// A stream under way, until dropped.
pub struct Answering(Rc<Framing>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.streaming.set(false);
        self.0.owing.begin();
    }
}

impl Framing {
    /// At the start of a connection.
    #[must_use]
    pub fn new(owing: Owing) -> Rc<Self> {
        let framing = Self { at_head: Cell::new(true), owing, ..Self::default() };
        framing.owing.begin();
        Rc::new(framing)
    }

    /// Since when it owes a head, when it does.
    pub fn owing(&self) -> &Owing {
        &self.owing
    }

    /// What the caller owes while nothing is owed to him.
    pub fn debt(&self) -> Option<Debt> {
        if self.multiplexed.get() {
            return self.streams.debt();
        }
        if self.writing.get() {
            return Some(Debt::Reading);
        }
        let owes_head = self.at_head.get() && !self.serving.get() && !self.streaming.get();
        owes_head.then_some(Debt::Head)
    }

    /// Something was written, or (`pending`) waits to be.
    fn written(&self, pending: bool) {
        if !(self.writing.replace(pending) && pending) {
            self.owing.begin();
        }
    }

    /// From now on it speaks HTTP/2.
    pub fn multiplex(&self) {
        self.at_head.set(false);
        self.multiplexed.set(true);
    }

    /// True once it speaks HTTP/2.
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.get()
    }

    /// What is under way on it, when it speaks HTTP/2.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// The gateway is ending.
    pub fn end(&self) {
        self.ending.set(true);
    }

    /// True when the answer to come is the connection's last.
    pub fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// The answer is a stream.
    #[must_use]
    pub fn stream(self: &Rc<Self>) -> Answering {
        self.streaming.set(true);
        Answering(self.clone())
    }

    /// A head was looked at whole.
    pub fn head_seen(&self) {
        self.heads.set(self.begun.get() + 1);
        self.at_head.set(false);
    }

    /// Called for each request; true when its framing cannot be trusted.
    pub fn begin(&self, chunked: bool) -> bool {
        self.begun.set(self.begun.get() + 1);
        self.serving.set(true);
        // A chunked request whose head came pipelined behind a body was not looked at: refuse what was not checked.
        self.ambiguous.get() || (chunked && self.heads.get() < self.begun.get())
    }

    /// Called when the connection will be closed before all that its caller sends was read.
    pub fn leave_unread(&self) {
        self.unread.set(true);
    }

    /// True after [`Framing::leave_unread`].
    pub fn is_unread(&self) -> bool {
        self.unread.get()
    }

    /// Called when a request's body was read: what follows is a head.
    pub fn body_done(&self) {
        self.heads.set(self.begun.get());
        self.at_head.set(true);
        self.serving.set(false);
        self.owing.begin();
    }
}

/// A stream whose heads are looked at.
pub struct Watched<S> {
    stream: S,
    framing: Rc<Framing>,
    line: Vec<u8>,
    length: bool,
    repeated: bool,
    encoding: bool,
    /// What is written in place of hyper's bare answer, and how much of it is out.
    instead: Option<(Bytes, usize)>,
    /// Until the first bytes tell what it speaks.
    opening: Option<Opening>,
    /// What was read of HTTP/2 before that was known.
    early: Vec<u8>,
}

/// Enough of a line to recognise its name.
const LONGEST_NAME: usize = 18;

impl<S> Watched<S> {
    /// `stream`, watched for `framing`.
    pub fn new(stream: S, framing: Rc<Framing>) -> Self {
        Self {
            stream,
            framing,
            line: Vec::with_capacity(LONGEST_NAME),
            length: false,
            repeated: false,
            encoding: false,
            instead: None,
            opening: Some(Opening::default()),
            early: Vec::new(),
        }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let room = LONGEST_NAME.saturating_sub(self.line.len());
            self.line.extend_from_slice(&bytes[..end.min(room)]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let ended = line.is_empty() || line == b"\r";
            if is(&line, b"content-length") {
                self.repeated |= self.length;
                self.length = true;
            }
            self.encoding |= is(&line, b"transfer-encoding");
            self.line = line;
            self.line.clear();
            if ended {
                self.framing.ambiguous.set(self.repeated || (self.length && self.encoding));
                self.framing.head_seen();
                (self.length, self.repeated, self.encoding) = (false, false, false);
                return;
            }
        }
        let room = LONGEST_NAME.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// The answer in place of a bare one of hyper's: a head without a body and nothing behind it. Ours always have a body.
fn explained(data: &[u8]) -> Option<Bytes> {
    if !data.starts_with(b"HTTP/1.1 4") || !data.ends_with(b"\r\n\r\n") {
        return None;
    }
    memchr::memmem::find(data, b"content-length: 0\r\n")?;
    let (status, code, message) = match data.get(9..12)? {
        b"400" => {
            ("400 Bad Request", "invalid_http", "The request's line or headers are not valid HTTP/1.1.")
        }
        b"431" => (
            "431 Request Header Fields Too Large",
            "headers_too_large",
            "The request's headers are too long.",
        ),
        b"414" => ("414 URI Too Long", "uri_too_long", "The request's path is too long."),
        _ => return None,
    };
    let body = error_body(message, "invalid_request_error", None, Some(code));
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    Some(answer.into())
}

fn is(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t'))
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads heads, or what turns out to be HTTP/2.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Some(opening) = &mut self.opening {
            let first = ready!(opening.poll_tell(cx, &mut self.stream, buf))?;
            self.opening = None;
            if let First::Preface(early) = first {
                // HTTP/1 sees a caller who left without a word, and ends.
                self.early = early;
                self.framing.multiplex();
                return Poll::Ready(Ok(()));
            }
        } else {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        }
        if let Some(fresh) = buf.filled().get(before..).filter(|f| !f.is_empty()) {
            self.look(fresh);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads HTTP/2.
    fn poll_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let rest = self.early.split_off(buf.remaining().min(self.early.len()));
        buf.put_slice(&self.early);
        self.early = rest;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.framing.at_head.get() {
            return this.poll_head(cx, buf);
        }
        if this.framing.multiplexed.get() {
            return this.poll_frames(cx, buf);
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn replaces(&mut self, data: &[u8]) -> bool {
        if self.instead.is_none() {
            // What a provider says may look like anything, and frames carry it as it is.
            let answer = explained(data).filter(|_| !self.framing.is_multiplexed());
            self.instead = answer.map(|answer| (answer, 0));
            if self.instead.is_some() {
                self.framing.leave_unread();
            }
        }
        self.instead.is_some()
    }

    /// Writes what replaces `len` bytes of hyper's.
    fn poll_instead(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        while let Some((answer, written)) = &mut self.instead {
            let rest = answer.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                return Poll::Ready(Ok(len));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => *written += n,
            }
        }
        Poll::Ready(Ok(len))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.replaces(data) {
            return this.poll_instead(cx, data.len());
        }
        let polled = Pin::new(&mut this.stream).poll_write(cx, data);
        this.framing.written(polled.is_pending());
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.early.is_empty() {
            // HTTP/1 is done with it; HTTP/2 has not begun.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let [only] = data
            && this.replaces(only)
        {
            return this.poll_instead(cx, only.len());
        }
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, data);
        this.framing.written(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous(pieces: &[&[u8]]) -> bool {
        let framing = Framing::new(Owing::default());
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
    fn two_lengths_are_one_too_many() {
        let framing = Framing::new(Owing::default());
        let mut watched = Watched::new((), framing.clone());
        watched.look(b"POST / HTTP/1.1\r\ncontent-length: 2\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
        assert!(framing.begin(false));
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
    fn who_takes_nothing_of_an_answer_is_given_up_and_who_takes_a_little_is_not() {
        let patience = crate::edge::patience::Patience::default();
        let framing = patience.watch();
        framing.head_seen();
        framing.begin(false);
        let looks = |n: u32| (0..n).for_each(|_| patience.look());
        looks(100);
        assert!(!framing.owing().is_over(), "the provider may take its time");
        framing.written(true);
        assert_eq!(framing.debt(), Some(Debt::Reading));
        looks(20);
        framing.written(false);
        framing.written(true);
        looks(20);
        assert!(!framing.owing().is_over(), "he took something in between");
        framing.written(true);
        looks(4);
        assert!(!framing.owing().is_over());
        looks(1);
        assert!(framing.owing().is_over(), "trying to write is no progress");
    }

    #[test]
    fn a_chunked_head_that_was_not_looked_at_is_refused() {
        let framing = Framing::new(Owing::default());
        let mut watched = Watched::new((), framing.clone());
        watched.look(b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\n");
        assert!(!framing.begin(false));
        // A second request came in the same read as the first one's body.
        assert!(framing.begin(true));
    }
}
