//! Bodies: reading the caller's within limits, and what goes back.

use super::fault::Fault;
use super::framing::Answering;
use crate::relay::Relay;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The body of an answer.
pub enum Body {
    /// All of it, or nothing more of it.
    Whole(Option<Bytes>),
    /// A stream from a provider, governed while it flows; and what its connection knows of it.
    Stream(Box<Relay>, Option<Answering>),
}

impl Body {
    /// A body that is there already.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Stream(relay, _) => relay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(relay, _) => relay.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(..) => SizeHint::default(),
        }
    }
}

/// A pace that a body must keep: this many bytes within each `--client-timeout`.
const PACE: usize = 64 * 1024;

/// Reads a request body whole, at most `limit` bytes, at least [`PACE`] bytes per `patience`. A body that arrives in
/// one piece is not copied.
///
/// # Errors
/// [`Fault::BodyTooLarge`] before anything is buffered when the length is announced, else once the limit is passed;
/// [`Fault::BodyTooSlow`]; [`Fault::BodyCut`].
pub async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Fault> {
    let announced: Option<usize> =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if announced.is_some_and(|n| n > limit) {
        return Err(Fault::BodyTooLarge { limit });
    }
    // The whole body is usually there already: no timer then.
    let mut first = match poll_once(&mut body).await {
        Some(frame) => frame?,
        None => timed(&mut body, patience).await?,
    };
    let Some(head) = first.take() else { return Ok(Bytes::new()) };
    if announced == Some(head.len()) || HttpBody::is_end_stream(&body) {
        return if head.len() > limit { Err(Fault::BodyTooLarge { limit }) } else { Ok(head) };
    }
    let mut all = BytesMut::with_capacity(announced.unwrap_or(head.len() * 2).min(limit));
    all.extend_from_slice(&head);
    let mut due = tokio::time::Instant::now() + patience;
    let mut paid = PACE;
    while let Some(data) = by(&mut body, due).await? {
        if all.len() + data.len() > limit {
            return Err(Fault::BodyTooLarge { limit });
        }
        all.extend_from_slice(&data);
        if all.len() >= paid {
            due = tokio::time::Instant::now() + patience;
            paid = all.len() + PACE;
        }
    }
    Ok(all.freeze())
}

type Piece = Result<Option<Bytes>, Fault>;

fn piece(frame: Option<Result<Frame<Bytes>, hyper::Error>>) -> Option<Piece> {
    match frame {
        None => Some(Ok(None)),
        Some(Err(_)) => Some(Err(Fault::BodyCut)),
        // Trailers end the body; they carry nothing that is used.
        Some(Ok(frame)) => frame.into_data().ok().map(|d| Ok(Some(d))),
    }
}

async fn poll_once(body: &mut Incoming) -> Option<Piece> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(frame) => piece(frame),
            Poll::Pending => None,
        })
    })
    .await
}

async fn next(body: &mut Incoming) -> Piece {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        if let Some(piece) = piece(frame) {
            return piece;
        }
    }
}

async fn timed(body: &mut Incoming, patience: Duration) -> Piece {
    by(body, tokio::time::Instant::now() + patience).await
}

async fn by(body: &mut Incoming, due: tokio::time::Instant) -> Piece {
    tokio::time::timeout_at(due, next(body)).await.unwrap_or(Err(Fault::BodyTooSlow))
}
