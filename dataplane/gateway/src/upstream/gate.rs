//! How many calls a provider gets at once, over all runtimes, and the bounded queue of those that wait for room. Only of
//! providers that say so; the others know nothing of it.

use super::Unreachable;
use smartflow_snapshot::Concurrency;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The way in to one provider. It outlives the snapshot that declared it, so that a change of the bound counts the calls
/// that are under way.
#[derive(Debug)]
pub struct Gate {
    room: Arc<Semaphore>,
    bounds: Mutex<Concurrency>,
    waiting: AtomicUsize,
    /// Calls under way beyond a bound that was lowered: the next so many that end leave no room behind.
    debt: AtomicUsize,
}

/// One call's place at a provider, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it makes room for the next call"]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    gate: Arc<Gate>,
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Gate {
    /// A gate with nobody behind it.
    #[must_use]
    pub fn new(bounds: Concurrency) -> Arc<Self> {
        let (waiting, debt) = Default::default();
        let room = Arc::new(Semaphore::new(size(bounds.most.get())));
        Arc::new(Self { room, bounds: Mutex::new(bounds), waiting, debt })
    }

    /// Another bound, from now on.
    pub fn resize(&self, bounds: Concurrency) {
        let mut old = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let (was, is) = (size(old.most.get()), size(bounds.most.get()));
        *old = bounds;
        if is < was {
            let excess = was - is;
            self.debt.fetch_add(excess - self.room.forget_permits(excess), Ordering::Relaxed);
        }
        for _ in was..is {
            if !self.pay() {
                self.room.add_permits(1);
            }
        }
    }

    /// Takes one off the debt, if there is any.
    fn pay(&self) -> bool {
        self.debt.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |d| d.checked_sub(1)).is_ok()
    }

    /// A place at the provider: at once, or after those who wait already.
    ///
    /// # Errors
    /// [`Unreachable::Busy`] when the queue is full, or its wait over.
    pub async fn enter(self: &Arc<Self>) -> Result<Place, Unreachable> {
        let place = |permit| Place { permit: Some(permit), gate: self.clone() };
        if let Ok(permit) = self.room.clone().try_acquire_owned() {
            return Ok(place(permit));
        }
        let bounds = *self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = Seat(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= size(bounds.queue) {
            drop(seat);
            return Err(Unreachable::Busy { most: bounds.most, waited: None });
        }
        let entered = tokio::time::timeout(bounds.wait, self.room.clone().acquire_owned()).await;
        drop(seat);
        match entered {
            Ok(Ok(permit)) => Ok(place(permit)),
            // Nobody closes it; a wait that is over is the only other way.
            _ => Err(Unreachable::Busy { most: bounds.most, waited: Some(bounds.wait) }),
        }
    }
}

/// Leaves the queue, also when its caller does.
struct Seat<'a>(&'a AtomicUsize);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take().filter(|_| self.gate.pay()) {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn bounds(most: u32, queue: u32) -> Concurrency {
        Concurrency { most: NonZeroU32::new(most).unwrap(), queue, wait: Duration::from_secs(10) }
    }

    fn is_full(gate: &Arc<Gate>) -> bool {
        gate.room.available_permits() == 0
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_bound_are_inside_and_the_others_come_in_order() {
        let gate = Gate::new(bounds(2, 2));
        let (first, second) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        let mut third = Box::pin(gate.enter());
        let mut fourth = Box::pin(gate.enter());
        assert!(futures_pending(&mut third).await && futures_pending(&mut fourth).await);
        let fifth = gate.enter().await;
        assert!(matches!(fifth, Err(Unreachable::Busy { waited: None, .. })), "the queue is full");
        drop(first);
        assert!(futures_pending(&mut fourth).await, "it came later");
        let third = third.await.unwrap();
        drop((second, third));
        drop(fourth.await.unwrap());
        assert_eq!((gate.room.available_permits(), gate.waiting.load(Ordering::Relaxed)), (2, 0));
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_and_one_who_leaves_frees_his_seat() {
        let gate = Gate::new(bounds(1, 1));
        let inside = gate.enter().await.unwrap();
        let began = tokio::time::Instant::now();
        let waited = gate.enter().await;
        assert!(matches!(waited, Err(Unreachable::Busy { waited: Some(_), .. })));
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        let mut left = Box::pin(gate.enter());
        assert!(futures_pending(&mut left).await);
        drop(left);
        let mut next = Box::pin(gate.enter());
        assert!(futures_pending(&mut next).await, "the seat is free again");
        drop(inside);
        drop(next.await.unwrap());
    }

    #[tokio::test]
    async fn a_bound_that_is_lowered_counts_who_is_inside() {
        let gate = Gate::new(bounds(3, 0));
        let inside = [gate.enter().await.unwrap(), gate.enter().await.unwrap(), gate.enter().await.unwrap()];
        gate.resize(bounds(1, 0));
        let [a, b, c] = inside;
        drop((a, b));
        assert!(is_full(&gate), "one is still inside, and one is all that may be");
        drop(c);
        let only = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_err());
        gate.resize(bounds(2, 0));
        let second = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_err());
        drop((only, second));
        assert_eq!(gate.room.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_bound_that_is_raised_again_before_the_debt_is_paid() {
        let gate = Gate::new(bounds(2, 0));
        let (a, b) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        gate.resize(bounds(1, 0));
        gate.resize(bounds(2, 0));
        assert!(is_full(&gate));
        drop((a, b));
        assert_eq!(gate.room.available_permits(), 2);
    }
}
