//! One client connection: writes prepared bytes, reads heads and bodies.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes held between two reads; a head must fit.
const BUFFER: usize = 64 << 10;

/// A connection with its read buffer.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

/// How an answer's body ends.
#[derive(Clone, Copy)]
enum Extent {
    Sized(u64),
    Chunked,
    ToClose,
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    /// The server keeps the connection open.
    pub(super) stays: bool,
    extent: Extent,
}

impl Wire {
    pub(super) async fn open(target: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER].into_boxed_slice(), from: 0, to: 0 })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        (self.from, self.to) = (0, 0);
        self.stream.write_all(bytes).await
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    /// Reads more behind what is held; 0 at the end of the connection.
    async fn more(&mut self) -> io::Result<usize> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.buffer.len() {
            if self.from == 0 {
                return Err(io::Error::new(
                    ErrorKind::OutOfMemory,
                    "head or chunk line larger than the buffer",
                ));
            }
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let free = self.buffer.get_mut(self.to..).unwrap_or_default();
        let read = self.stream.read(free).await?;
        self.to += read;
        Ok(read)
    }

    async fn must_more(&mut self) -> io::Result<()> {
        if self.more().await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    pub(super) async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some((used, head)) = parse(self.held())? {
                self.from += used;
                return Ok(head);
            }
            self.must_more().await?;
        }
    }

    /// Reads the body and hands its payload on as it comes.
    pub(super) async fn body(&mut self, head: &Head, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        match head.extent {
            Extent::Sized(size) => self.sized(size, &mut take).await,
            Extent::Chunked => self.chunks(&mut take).await,
            Extent::ToClose => loop {
                take(self.held());
                self.from = self.to;
                if self.more().await? == 0 {
                    return Ok(());
                }
            },
        }
    }

    async fn sized(&mut self, mut left: u64, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while left > 0 {
            if self.from == self.to {
                self.must_more().await?;
            }
            let held = self.held();
            let part = held.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(held);
            take(part);
            let length = part.len();
            self.from += length;
            left -= length as u64;
        }
        Ok(())
    }

    async fn chunks(&mut self, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let broken = |_| io::Error::new(ErrorKind::InvalidData, "bad chunk size");
            let size = match httparse::parse_chunk_size(self.held()).map_err(broken)? {
                httparse::Status::Complete((line, size)) => {
                    self.from += line;
                    size
                }
                httparse::Status::Partial => {
                    self.must_more().await?;
                    continue;
                }
            };
            if size == 0 {
                return self.trailers().await;
            }
            self.sized(size, take).await?;
            self.sized(2, &mut |_| {}).await?;
        }
    }

    async fn trailers(&mut self) -> io::Result<()> {
        loop {
            let mut slots = [httparse::EMPTY_HEADER; 16];
            match httparse::parse_headers(self.held(), &mut slots).map_err(io::Error::other)? {
                httparse::Status::Complete((used, _)) => {
                    self.from += used;
                    return Ok(());
                }
                httparse::Status::Partial => self.must_more().await?,
            }
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<(usize, Head)>> {
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(used) = answer.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let mut head =
        Head { status: answer.code.unwrap_or(0), stays: answer.version == Some(1), extent: Extent::ToClose };
    for header in answer.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let size = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            head.extent = Extent::Sized(size.ok_or(io::Error::new(ErrorKind::InvalidData, "bad length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.extent = Extent::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.stays = !header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some((used, head)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Sends `parts` one by one from a server; what the client makes of them.
    async fn received(parts: &'static [&'static str]) -> io::Result<(u16, String)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            for part in parts {
                peer.set_nodelay(true).unwrap();
                peer.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut wire = Wire::open(address).await?;
        let head = wire.head().await?;
        let mut text = Vec::new();
        wire.body(&head, |part| text.extend_from_slice(part)).await?;
        server.await.unwrap();
        Ok((head.status, String::from_utf8(text).unwrap()))
    }

    #[tokio::test]
    async fn every_framing_is_read_wherever_it_is_cut() {
        let sized = ["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 5\r\n\r\nhe", "llo"];
        assert_eq!(received(sized.leak_copy()).await.unwrap(), (200, "hello".into()));
        let chunked = [
            "HTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\n\r\n5",
            "\r\nhel",
            "lo\r",
            "\n1\r\n!\r\n0\r\n",
            "\r\n",
        ];
        assert_eq!(received(chunked.leak_copy()).await.unwrap(), (429, "hello!".into()));
        let trailers =
            ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-cost: 1\r", "\n\r\n"];
        assert_eq!(received(trailers.leak_copy()).await.unwrap(), (200, "ok".into()));
        let closed = ["HTTP/1.0 200 OK\r\n\r\nto the", " end"];
        assert_eq!(received(closed.leak_copy()).await.unwrap(), (200, "to the end".into()));
    }

    #[tokio::test]
    async fn a_short_or_broken_body_is_an_error() {
        let short = ["HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello"];
        assert_eq!(received(short.leak_copy()).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let broken = ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"];
        assert_eq!(received(broken.leak_copy()).await.unwrap_err().kind(), ErrorKind::InvalidData);
    }

    trait LeakCopy {
        fn leak_copy(self) -> &'static [&'static str];
    }

    impl<const N: usize> LeakCopy for [&'static str; N] {
        fn leak_copy(self) -> &'static [&'static str] {
            self.to_vec().leak()
        }
    }
}
