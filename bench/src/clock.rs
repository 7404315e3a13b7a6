//! Waits of microsecond precision on one thread. Tokio's own timer ticks once a millisecond: events would leave in
//! clumps, and a gateway that is woken once for ten events looks cheaper than it is.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// A deadline; the number keeps two waits for the same instant apart.
type Due = (Instant, u64);

/// The clock of one thread.
pub struct Clock {
    alarm: AsyncFd<OwnedFd>,
    waiting: RefCell<BTreeMap<Due, Waker>>,
    issued: Cell<u64>,
}

impl Clock {
    /// Makes a clock and starts its task on the current `LocalSet`.
    ///
    /// # Errors
    /// When the kernel has no timer to give.
    pub fn start() -> io::Result<Rc<Self>> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let clock = Rc::new(Self { alarm: register(fd)?, waiting: RefCell::default(), issued: Cell::new(0) });
        let task = Rc::clone(&clock);
        tokio::task::spawn_local(async move { task.tick().await });
        Ok(clock)
    }

    /// Waits until `at`.
    pub fn until(self: &Rc<Self>, at: Instant) -> Wait {
        let serial = self.issued.get();
        self.issued.set(serial + 1);
        Wait { clock: Rc::clone(self), due: (at, serial) }
    }

    /// Waits for `span`.
    pub fn after(self: &Rc<Self>, span: Duration) -> Wait {
        self.until(Instant::now() + span)
    }

    async fn tick(&self) {
        loop {
            let Ok(mut ready) = self.alarm.readable().await else { return };
            let mut count = [0u8; 8];
            let _ = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut count)?));
            let now = Instant::now();
            let mut waiting = self.waiting.borrow_mut();
            let later = waiting.split_off(&(now, u64::MAX));
            for waker in std::mem::replace(&mut *waiting, later).into_values() {
                waker.wake();
            }
            if let Some((first, _)) = waiting.first_key_value() {
                self.arm(first.0, now);
            }
        }
    }

    fn arm(&self, at: Instant, now: Instant) {
        // A zero would disarm the timer.
        let span = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(span.subsec_nanos()),
            },
        };
        let _ = timerfd_settime(self.alarm.get_ref(), TimerfdTimerFlags::empty(), &spec);
    }
}

#[expect(
    deprecated,
    reason = "the new constructor is unsafe; an OwnedFd that nobody else holds meets its demand"
)]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// A wait for one instant.
pub struct Wait {
    clock: Rc<Clock>,
    due: Due,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let mut waiting = self.clock.waiting.borrow_mut();
        if now >= self.due.0 {
            waiting.remove(&self.due);
            return Poll::Ready(());
        }
        let first = waiting.first_key_value().is_none_or(|(other, _)| self.due < *other);
        waiting.insert(self.due, cx.waker().clone());
        if first {
            self.clock.arm(self.due.0, now);
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.clock.waiting.borrow_mut().remove(&self.due);
    }
}
