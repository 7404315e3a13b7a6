//! HTTP/2 by prior knowledge on the plaintext port. Such a connection begins with a fixed text that is no HTTP/1
//! request. It is looked for in the first bytes that HTTP/1 reads anyway: an HTTP/1 connection pays one comparison for
//! it, no read, copy or buffer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// RFC 9113, 3.4.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum First {
    /// Not the preface; they are in the reader's buffer.
    Other,
    /// The preface, and these bytes with it. Nothing was put into the reader's buffer.
    Preface(Vec<u8>),
    /// The stream ended, or broke, before it could be told.
    End,
}

/// The first bytes of a connection, until it is known what they are.
#[derive(Default)]
pub struct Opening {
    /// Bytes of the preface that have come, and nothing else.
    seen: usize,
}

impl Opening {
    /// Reads until it is known what the connection is. A caller may send the preface in pieces: they are held back, because
    /// an HTTP/1 parser would refuse them.
    ///
    /// # Errors
    /// The stream's own.
    pub fn poll_tell<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<First>> {
        let before = buf.filled().len();
        while self.seen == 0 {
            ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
            let fresh = buf.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(First::End));
            }
            let same = fresh.iter().zip(PREFACE).take_while(|(a, b)| a == b).count();
            if same == PREFACE.len() {
                let all = fresh.to_vec();
                buf.set_filled(before);
                return Poll::Ready(Ok(First::Preface(all)));
            }
            if same < fresh.len() {
                return Poll::Ready(Ok(First::Other));
            }
            buf.set_filled(before);
            self.seen = same;
        }
        self.poll_rest(cx, stream, buf)
    }

    fn poll_rest<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<First>> {
        while let Some(missing) = PREFACE.get(self.seen..).filter(|m| !m.is_empty()) {
            let mut room = [0; PREFACE.len()];
            let mut piece = ReadBuf::new(&mut room[..missing.len()]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece))?;
            let fresh = piece.filled();
            if fresh.is_empty() || !missing.starts_with(fresh) {
                // A reader's buffer has room for a head, and this is less than its first line.
                let held = &PREFACE[..self.seen.min(buf.remaining().saturating_sub(fresh.len()))];
                buf.put_slice(held);
                buf.put_slice(&fresh[..fresh.len().min(buf.remaining())]);
                return Poll::Ready(Ok(First::Other));
            }
            self.seen += fresh.len();
        }
        Poll::Ready(Ok(First::Preface(PREFACE.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::VecDeque;
    use std::io;

    /// Gives one piece a read, then ends.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            if let Some(mut piece) = this.0.pop_front() {
                let n = piece.len().min(buf.remaining());
                buf.put_slice(&piece[..n]);
                if n < piece.len() {
                    this.0.push_front(piece.split_off(n));
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    /// What is told, what the reader got, and what is still to be read.
    fn tell(pieces: &[&[u8]]) -> (First, Vec<u8>, Vec<u8>) {
        let mut stream = Pieces(pieces.iter().map(|p| p.to_vec()).collect());
        let mut room = [0; 256];
        let mut buf = ReadBuf::new(&mut room);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Ok(first)) = Opening::default().poll_tell(&mut cx, &mut stream, &mut buf) else {
            unreachable!()
        };
        (first, buf.filled().to_vec(), stream.0.into_iter().flatten().collect())
    }

    #[test]
    fn the_preface_is_told_however_it_is_split_and_nothing_of_the_connection_is_lost() {
        let mut sent = PREFACE.to_vec();
        sent.extend_from_slice(b"\0\0\0\x04\0\0\0\0\0");
        for at in 1..sent.len() {
            let (first, got, rest) = tell(&[&sent[..at], &sent[at..]]);
            let First::Preface(mut all) = first else { panic!("split at {at}") };
            assert!(got.is_empty(), "split at {at}");
            all.extend(rest);
            assert_eq!(all, sent, "split at {at}");
        }
        let single: Vec<&[u8]> = sent.chunks(1).collect();
        assert!(matches!(tell(&single).0, First::Preface(_)));
    }

    #[test]
    fn whatever_else_comes_reaches_the_reader_as_it_was_sent() {
        for sent in [
            &b"POST /v1 HTTP/1.1\r\n\r\n"[..],
            b"PRI * HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r!",
            b"\x16\x03\x01",
        ] {
            for at in 1..sent.len() {
                let (first, got, rest) = tell(&[&sent[..at], &sent[at..]]);
                assert_eq!(first, First::Other, "split at {at}");
                assert_eq!([got, rest].concat(), sent, "split at {at}");
            }
        }
    }

    #[test]
    fn an_end_within_the_preface_is_handed_on() {
        assert_eq!(tell(&[]).0, First::End);
        let (first, got, _) = tell(&[b"PRI * "]);
        assert_eq!(
            (first, &got[..]),
            (First::Other, &b"PRI * "[..]),
            "the parser says what is wrong with it"
        );
    }
}
