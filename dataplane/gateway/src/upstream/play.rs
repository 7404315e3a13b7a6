//! Plays the simulated provider's answers in real time.

use super::Unreachable;
use super::attempt::{Answer, Source};
use super::deadline::Deadline;
use super::gate::Place;
use super::simulated::{Pieces, answer};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use smartflow_snapshot::Simulation;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The body of a simulated answer, each piece in its time.
pub struct Play {
    pieces: Pieces,
    next: Option<(Pin<Box<Sleep>>, Bytes)>,
    _place: Option<Place>,
}

/// Answers the `call`-th request to `path`, after the simulated delay. `place` is held until the body is read.
///
/// # Errors
/// The provider's own deadline is shorter than the simulated delay.
pub async fn play(
    settings: &Simulation,
    path: &str,
    body: &[u8],
    call: u64,
    deadline: &mut Deadline,
    place: Option<Place>,
) -> Result<Answer, Unreachable> {
    let simulated = answer(path, body, settings, call);
    if !simulated.first_byte_delay.is_zero() {
        deadline.guard(pin!(sleep(simulated.first_byte_delay))).await?;
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(simulated.content_type));
    if let Some(seconds) = simulated.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let status = StatusCode::from_u16(simulated.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Source::Simulated(Box::new(Play { pieces: simulated.body, next: None, _place: place }));
    Ok(Answer { status, headers, body })
}

impl Play {
    /// The next piece, when its time has come.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.next.is_none() {
            match self.pieces.next() {
                None => return Poll::Ready(None),
                Some((Duration::ZERO, bytes)) => return Poll::Ready(Some(bytes)),
                Some((delay, bytes)) => self.next = Some((Box::pin(sleep(delay)), bytes)),
            }
        }
        if let Some((timer, _)) = &mut self.next {
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(self.next.take().map(|(_, bytes)| bytes))
    }
}
