//! The body of an answer: one buffer, or frames with a wait between them.

use crate::clock::{Clock, Wait};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What the mock sends.
pub(super) enum Reply {
    /// All at once; `None` once it was sent.
    Whole(Option<Bytes>),
    /// Frame by frame.
    Paced(Pace),
}

/// A sequence of frames under way.
pub(super) struct Pace {
    pub(super) frames: Rc<[Bytes]>,
    pub(super) sent: usize,
    pub(super) gap: Duration,
    pub(super) clock: Rc<Clock>,
    pub(super) wait: Option<Wait>,
}

impl Pace {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(frame) = self.frames.get(self.sent) else { return Poll::Ready(None) };
        if self.sent > 0 && !self.gap.is_zero() {
            let wait = self.wait.get_or_insert_with(|| self.clock.after(self.gap));
            ready!(Pin::new(wait).poll(cx));
            self.wait = None;
        }
        self.sent += 1;
        Poll::Ready(Some(frame.clone()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(bytes) => bytes.take(),
            Self::Paced(pace) => ready!(pace.next(cx)),
        };
        Poll::Ready(data.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Paced(pace) => pace.sent >= pace.frames.len(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Paced(_) => SizeHint::default(),
        }
    }
}
