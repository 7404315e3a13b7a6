//! HTTP/1.1 by hand: a vendor must see exactly what was sent, and must be able to break off at any byte.

use bytes::{Buf, Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The other side has closed the connection, or reset it.
#[derive(Debug)]
pub(super) struct Gone;

/// A request with its whole body.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// Why no request could be read.
pub(super) enum NoRequest {
    /// The connection ended between requests.
    Gone,
    /// It broke HTTP's rules.
    Bad(&'static str),
}

impl From<Gone> for NoRequest {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// One connection.
pub(super) struct Wire {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    buf: BytesMut,
    /// Writes are cut into pieces of this size.
    pub(super) pieces: Option<usize>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self { reader, writer, buf: BytesMut::with_capacity(8192), pieces: None }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        match self.reader.read_buf(&mut self.buf).await {
            Ok(n) if n > 0 => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Returns once the other side has closed.
    pub(super) async fn gone(&mut self) -> Gone {
        while self.buf.len() <= MAX_HEAD {
            if self.fill().await.is_err() {
                return Gone;
            }
        }
        std::future::pending().await
    }

    /// Waits, but not longer than the other side does.
    pub(super) async fn pause(&mut self, time: Duration) -> Result<(), Gone> {
        if time.is_zero() {
            return self.still_there();
        }
        tokio::select! {
            gone = self.gone() => Err(gone),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    fn still_there(&mut self) -> Result<(), Gone> {
        match self.reader.try_read_buf(&mut self.buf) {
            Ok(0) => Err(Gone),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(Gone),
        }
    }

    /// Writes all of `bytes`, unless the other side has gone.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.still_there()?;
        for piece in bytes.chunks(self.pieces.unwrap_or(usize::MAX)) {
            self.writer.write_all(piece).await.map_err(|_| Gone)?;
            if self.pieces.is_some() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Writes one chunk of a chunked body.
    pub(super) async fn send_chunk(&mut self, data: &str) -> Result<(), Gone> {
        self.send(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await
    }

    /// From here on, closing the connection resets it.
    pub(super) fn reset_on_close(&self) {
        let _ = socket2::SockRef::from(self.writer.as_ref()).set_linger(Some(Duration::ZERO));
    }

    /// Reads the next request.
    pub(super) async fn request(&mut self) -> Result<Request, NoRequest> {
        let end = loop {
            if let Some(end) = self.buf.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if self.buf.len() > MAX_HEAD {
                return Err(NoRequest::Bad("head too large"));
            }
            self.fill().await?;
        };
        let head = self.buf.split_to(end);
        self.buf.advance(4);
        let head = std::str::from_utf8(&head).map_err(|_| NoRequest::Bad("head is not UTF-8"))?;
        let mut request = parse_head(head).map_err(NoRequest::Bad)?;
        let all = |name: &str| {
            request.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect::<Vec<_>>()
        };
        request.body = match (&*all("content-length"), &*all("transfer-encoding")) {
            ([], []) => Bytes::new(),
            ([length], []) => self.sized(length).await?,
            ([], [coding]) if coding == "chunked" => self.chunked().await?,
            _ => return Err(NoRequest::Bad("content-length and transfer-encoding contradict")),
        };
        Ok(request)
    }

    async fn sized(&mut self, length: &str) -> Result<Bytes, NoRequest> {
        let length: usize = length.parse().map_err(|_| NoRequest::Bad("content-length is no number"))?;
        if length > MAX_BODY {
            return Err(NoRequest::Bad("body too large"));
        }
        while self.buf.len() < length {
            self.fill().await?;
        }
        Ok(self.buf.split_to(length).freeze())
    }

    async fn chunked(&mut self) -> Result<Bytes, NoRequest> {
        let mut body = BytesMut::new();
        loop {
            let end = loop {
                if let Some(end) = self.buf.windows(2).position(|w| w == b"\r\n") {
                    break end;
                }
                self.fill().await?;
            };
            let line = self.buf.split_to(end);
            self.buf.advance(2);
            let size = std::str::from_utf8(&line).ok().and_then(|l| usize::from_str_radix(l, 16).ok());
            let size = size.filter(|s| body.len() + s <= MAX_BODY).ok_or(NoRequest::Bad("bad chunk size"))?;
            while self.buf.len() < size + 2 {
                self.fill().await?;
            }
            body.extend_from_slice(&self.buf.split_to(size));
            self.buf.advance(2);
            if size == 0 {
                return Ok(body.freeze());
            }
        }
    }
}

fn parse_head(head: &str) -> Result<Request, &'static str> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (first.next(), first.next(), first.next(), first.next())
    else {
        return Err("bad request line");
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':')?;
            let fine = !name.is_empty() && name.chars().all(token) && !value.contains(['\r', '\n', '\0']);
            fine.then(|| (name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or("bad header line")?;
    if headers.iter().filter(|(n, _)| n == "host").count() != 1 {
        return Err("exactly one host header is needed");
    }
    Ok(Request { method, path, headers, body: Bytes::new() })
}
