//! HTTP/2 frame by frame, for what no client would send.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, 6).
pub const DATA: u8 = 0;
/// Heads of requests and answers.
pub const HEADERS: u8 = 1;
/// One stream is over.
pub const RST_STREAM: u8 = 3;
/// What a side takes.
pub const SETTINGS: u8 = 4;
/// The connection will be over.
pub const GOAWAY: u8 = 7;
/// More may be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// The rest of a head.
pub const CONTINUATION: u8 = 9;

/// Flags: the stream's last frame, the head's last frame.
pub const END_STREAM: u8 = 1;
/// The head's last frame.
pub const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its kind.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of a reset or of a GOAWAY.
    #[must_use]
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        self.payload.get(at..at + 4).map_or(0, |c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
    }
}

/// A frame as bytes.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block, without any compression.
#[must_use]
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            length(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// HPACK's integers, with a prefix of seven bits.
fn length(bytes: &mut Vec<u8>, n: usize) {
    if n < 127 {
        bytes.push(u8::try_from(n).expect("seven bits"));
        return;
    }
    bytes.push(127);
    let mut rest = n - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
}

/// The settings frame for `(identifier, value)` pairs.
#[must_use]
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, &values.iter().flat_map(pair).collect::<Vec<_>>())
}

/// A connection, raw.
pub struct Raw<S = TcpStream> {
    stream: S,
}

impl Raw {
    /// Connects in the clear, and sends the preface and these settings.
    ///
    /// # Panics
    /// When there is no connection.
    pub async fn connect(addr: SocketAddr, values: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(addr).await.expect("a connection");
        Self::over(stream, values).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// The same over a stream that is there.
    ///
    /// # Panics
    /// When it breaks.
    pub async fn over(stream: S, values: &[(u16, u32)]) -> Self {
        let mut raw = Self { stream };
        raw.send(PREFACE).await.expect("the preface");
        raw.send(&settings(values)).await.expect("settings");
        raw
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame; `None` once the other side has closed.
    ///
    /// # Panics
    /// When neither happens within `limit`.
    pub async fn next(&mut self, limit: Duration) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(len).expect("24 bits")];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5] & 127, head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        tokio::time::timeout(limit, read).await.unwrap_or_else(|_| panic!("no frame within {limit:?}"))
    }

    /// All frames until the other side closes.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn rest(&mut self, limit: Duration) -> Vec<Frame> {
        let due = tokio::time::Instant::now() + limit;
        let mut frames = Vec::new();
        while let Some(frame) = self.next(due.saturating_duration_since(tokio::time::Instant::now())).await {
            frames.push(frame);
        }
        frames
    }
}
