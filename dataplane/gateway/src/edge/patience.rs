//! Slow callers: a connection that owes the head of a request for longer than `--client-timeout` is closed, be it silent
//! or trickling; so is one that takes nothing of its answer for six times as long. All connections of a runtime are looked at a few times per timeout; a timer for each request would
//! cost more than reading its head.

use super::framing::Framing;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Duration;

/// Looks per timeout. A connection is closed after one timeout, at most a quarter later.
const LOOKS: u32 = 4;
/// Timeouts within which a caller must take something of an answer that waits for it.
const READING: u32 = 6;

/// What a caller owes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Debt {
    /// The head of a request.
    Head,
    /// To read on: an answer waits.
    Reading,
}

impl Debt {
    fn looks(self) -> u32 {
        match self {
            Self::Head => LOOKS,
            Self::Reading => LOOKS * READING,
        }
    }
}

/// The connections of one runtime that may owe something.
#[derive(Default)]
pub struct Patience {
    connections: RefCell<Vec<Weak<Framing>>>,
    looks: Rc<Cell<u32>>,
}

impl Patience {
    /// A new connection, which owes a head from now on.
    #[must_use]
    pub fn watch(&self) -> Rc<Framing> {
        let framing = Framing::new(Owing { looks: self.looks.clone(), ..Owing::default() });
        self.connections.borrow_mut().push(Rc::downgrade(&framing));
        framing
    }

    /// Looks at all connections; to be called every [`Patience::period`].
    pub fn look(&self) {
        let now = self.looks.get().wrapping_add(1);
        self.looks.set(now);
        self.connections.borrow_mut().retain(|connection| {
            let Some(framing) = connection.upgrade() else { return false };
            if let Some(debt) = framing.debt() {
                framing.owing().judge(now, debt);
            }
            true
        });
    }

    /// How often to look, where a head may take `timeout`.
    #[must_use]
    pub fn period(timeout: Duration) -> Duration {
        (timeout / LOOKS).max(Duration::from_millis(1))
    }
}

/// Since when a connection owes something.
#[derive(Default)]
pub struct Owing {
    looks: Rc<Cell<u32>>,
    since: Cell<u32>,
    over: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

impl Owing {
    /// It owes what it owes from now on.
    pub fn begin(&self) {
        self.since.set(self.looks.get());
    }

    /// Once more after it was over.
    pub fn renew(&self) {
        self.over.set(false);
        self.begin();
    }

    /// `task` is woken when the patience is over.
    pub fn wake(&self, task: &Waker) {
        *self.task.borrow_mut() = Some(task.clone());
    }

    /// The patience is over: the connection is to be closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Its task is to look again.
    pub fn call(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }

    fn judge(&self, now: u32, debt: Debt) {
        if now.wrapping_sub(self.since.get()) > debt.looks() {
            self.over.set(true);
            self.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owes_a_head_for_too_long_is_over_and_who_is_served_is_not() {
        let patience = Patience::default();
        let (silent, served) = (patience.watch(), patience.watch());
        served.head_seen();
        for look in 1..=LOOKS {
            patience.look();
            assert!(!silent.owing().is_over(), "after {look} looks");
        }
        patience.look();
        assert!(silent.owing().is_over());
        assert!(!served.owing().is_over(), "a call that takes long is not a slow caller");
        served.body_done();
        for _ in 0..LOOKS {
            patience.look();
        }
        assert!(!served.owing().is_over(), "the wait for the next head begins when the last body was read");
        patience.look();
        assert!(served.owing().is_over());
        let pipelined = patience.watch();
        // Its head came behind another request's body, and nobody looked at it.
        pipelined.begin(false);
        for _ in 0..=LOOKS {
            patience.look();
        }
        assert!(
            !pipelined.owing().is_over(),
            "a call that takes long is not a slow caller, pipelined or not"
        );
        drop(pipelined);
        let streaming = patience.watch();
        let stream = streaming.stream();
        for _ in 0..=LOOKS {
            patience.look();
        }
        assert!(!streaming.owing().is_over(), "a provider may pause for longer than a caller");
        drop(stream);
        for _ in 0..=LOOKS {
            patience.look();
        }
        assert!(streaming.owing().is_over());
        drop(silent);
        patience.look();
        assert_eq!(patience.connections.borrow().len(), 2, "closed connections are forgotten");
    }
}
