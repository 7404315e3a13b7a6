//! One timer per exchange, moved lazily: a deadline that moves away costs nothing, only one that comes nearer, or a
//! timer that fires too early, touches the timer wheel.

use super::Unreachable;
use smartflow_snapshot::Timeouts;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Deadlines of one call to a provider.
pub struct Deadline {
    timer: Pin<Box<Sleep>>,
    total: Instant,
    total_after: Duration,
    /// `None`: entered, and nothing was waited for since; the clock is read when something is.
    phase: Option<Instant>,
    phase_after: Duration,
    phase_name: &'static str,
}

impl Deadline {
    /// Starts the total deadline and the wait for the first byte, both from `now` on.
    #[must_use]
    pub fn start(timeouts: &Timeouts, now: Instant) -> Self {
        let (total, phase) = (now + timeouts.total, now + timeouts.first_byte);
        Self {
            timer: Box::pin(sleep_until(total.min(phase))),
            total,
            total_after: timeouts.total,
            phase: Some(phase),
            phase_after: timeouts.first_byte,
            phase_name: "first byte",
        }
    }

    /// Enters another phase, or the same one anew: `after` from when it is first waited in. Costs no look at a clock.
    pub fn phase(&mut self, name: &'static str, after: Duration) {
        self.phase = None;
        self.phase_after = after;
        self.phase_name = name;
    }

    /// The nearer deadline. A phase begins when it is first waited in.
    fn due(&mut self) -> Instant {
        let phase = match self.phase {
            Some(phase) => phase,
            None => {
                let phase = Instant::now() + self.phase_after;
                self.phase = Some(phase);
                if phase < self.timer.deadline() {
                    self.timer.as_mut().reset(phase.min(self.total));
                }
                phase
            }
        };
        self.total.min(phase)
    }

    /// Ready once a deadline has passed; registers the task otherwise.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Unreachable> {
        let due = self.due();
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                let (step, after) = if self.total <= due {
                    ("total", self.total_after)
                } else {
                    (self.phase_name, self.phase_after)
                };
                return Poll::Ready(Unreachable::Timeout { step, after });
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// `future`, unless a deadline passes first. It stays where it is pinned: the futures of a call are some KiB, and would
    /// be copied from one into the next.
    ///
    /// # Errors
    /// [`Unreachable::Timeout`]
    pub async fn guard<F: Future>(&mut self, mut future: Pin<&mut F>) -> Result<F::Output, Unreachable> {
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            self.poll(cx).map(Err)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::pin::pin;

    fn timeouts(first: u64, idle: u64, total: u64) -> Timeouts {
        let s = Duration::from_secs;
        Timeouts { connect: s(1), first_byte: s(first), idle: s(idle), total: s(total) }
    }

    async fn never(deadline: &mut Deadline) -> (&'static str, Duration) {
        match deadline.guard(pin!(std::future::pending::<()>())).await {
            Err(Unreachable::Timeout { step, after }) => (step, after),
            other => unreachable!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_nearest_deadline_wins_and_names_itself() {
        let begin = Instant::now();
        let mut d = Deadline::start(&timeouts(5, 3, 60), begin);
        assert_eq!(never(&mut d).await, ("first byte", Duration::from_secs(5)));
        assert_eq!(begin.elapsed().as_secs(), 5);
        d.phase("idle", Duration::from_secs(3));
        assert_eq!(never(&mut d).await, ("idle", Duration::from_secs(3)));
        assert_eq!(begin.elapsed().as_secs(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn activity_moves_the_idle_deadline_but_not_the_total() {
        let begin = Instant::now();
        let mut d = Deadline::start(&timeouts(5, 3, 10), begin);
        for _ in 0..4 {
            d.phase("idle", Duration::from_secs(3));
            d.guard(pin!(tokio::time::sleep(Duration::from_secs(2)))).await.unwrap();
        }
        d.phase("idle", Duration::from_secs(3));
        assert_eq!(never(&mut d).await, ("total", Duration::from_secs(10)));
        assert_eq!(begin.elapsed().as_secs(), 10);
    }
}
