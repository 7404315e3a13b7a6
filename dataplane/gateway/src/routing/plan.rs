//! Which target next, given what failed how. Pure: time and chance are passed in, the targets' healths are looked at.

use super::backoff::backoff;
use super::breaker::Settings;
use super::health::{Health, Permit};
use super::strategy::{self, Candidate, Draw, MOST};
use smartflow_snapshot::{Chain, FaultClass};
use std::sync::Arc;
use std::time::Duration;

/// How a target failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: FaultClass,
    /// What it asked to wait.
    pub retry_after: Option<Duration>,
}

/// What to do next.
#[derive(Debug)]
pub struct Step {
    /// The target, by its place in the chain.
    pub target: usize,
    /// Leave to call it.
    pub permit: Permit,
    /// How long to wait before.
    pub wait: Duration,
}

/// No target may be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllLeftAlone {
    /// When the first of them may be called again.
    pub retry_after: Duration,
}

/// One call's way through a chain.
#[derive(Debug)]
pub struct Plan {
    order: [u8; MOST],
    len: usize,
    /// Position in `order` of the target that comes next.
    next: usize,
    /// Further tries of the present target.
    again: u32,
    /// Further calls that may be made, whichever target they go to.
    left: u32,
    /// Monotonic nanoseconds.
    deadline: u64,
}

/// When breakers of `chain`'s targets open.
#[must_use]
pub fn breaker(chain: &Chain) -> Settings {
    Settings { threshold: chain.failure_threshold, cooldown: chain.cooldown }
}

fn later(now: u64, after: Duration) -> u64 {
    now.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
}

impl Plan {
    /// Orders those targets of `chain` that `may` serve this call. It ends by `within` from `now`, and makes at most
    /// `further` calls after the first.
    #[must_use]
    pub fn new(
        chain: &Chain,
        healths: &[Arc<Health>],
        may: impl Fn(usize) -> bool,
        draw: Draw,
        now: u64,
        within: Duration,
        further: u32,
    ) -> Self {
        let mut candidates = [Candidate { index: 0, priority: 0, weight: 0, busy: 0 }; MOST];
        let mut len = 0;
        for (i, target) in chain.targets.iter().enumerate().filter(|(i, _)| may(*i)).take(MOST) {
            if let (Ok(index), Some(slot)) = (u8::try_from(i), candidates.get_mut(len)) {
                let busy = healths.get(i).map_or(0, |h| h.busy());
                *slot = Candidate { index, priority: target.priority, weight: target.weight, busy };
                len += 1;
            }
        }
        strategy::order(chain.strategy, candidates.get_mut(..len).unwrap_or_default(), draw);
        let order = candidates.map(|c| c.index);
        Self { order, len, next: 0, again: 0, left: further, deadline: later(now, within) }
    }

    /// Time that the call has left.
    #[must_use]
    pub fn left(&self, now: u64) -> Duration {
        Duration::from_nanos(self.deadline.saturating_sub(now))
    }

    /// The first target that may be called.
    ///
    /// # Errors
    /// [`AllLeftAlone`]
    pub fn first(&mut self, healths: &[Arc<Health>], now: u64) -> Result<Step, AllLeftAlone> {
        let mut soonest = Duration::MAX;
        self.advance(healths, now, &mut soonest).ok_or(AllLeftAlone { retry_after: soonest })
    }

    /// The next target, by those that may be called; the wait of one that may not shortens `soonest`.
    fn advance(&mut self, healths: &[Arc<Health>], now: u64, soonest: &mut Duration) -> Option<Step> {
        while self.next < self.len {
            let target = usize::from(*self.order.get(self.next)?);
            self.next += 1;
            self.again = 0;
            match healths.get(target)?.permit(now, self.left(now)) {
                Ok(permit) => return Some(Step { target, permit, wait: Duration::ZERO }),
                Err(wait) => *soonest = wait.min(*soonest),
            }
        }
        None
    }

    /// The next target, where the present one was passed over: it was not called, which uses up no try.
    pub fn pass(&mut self, healths: &[Arc<Health>], now: u64) -> Option<Step> {
        if now >= self.deadline { None } else { self.advance(healths, now, &mut Duration::MAX.clone()) }
    }

    /// True when a target behind the present one could be called.
    fn has_other(&self, healths: &[Arc<Health>], now: u64) -> bool {
        let rest = self.order.get(self.next..self.len).unwrap_or_default();
        rest.iter().any(|i| healths.get(usize::from(*i)).is_some_and(|h| h.open_for(now).is_none()))
    }

    /// What to do after `target` failed; `None` = tell the caller. A target that asks for a wait is not waited for while
    /// another one can be tried.
    pub fn after(
        &mut self,
        chain: &Chain,
        healths: &[Arc<Health>],
        target: usize,
        failure: Failure,
        now: u64,
        random: u64,
    ) -> Option<Step> {
        if self.left == 0 || now >= self.deadline {
            return None;
        }
        let falls = chain.falls_back_on(failure.class);
        let elsewhere = falls && self.has_other(healths, now);
        if failure.class.is_passing() && self.again < chain.retry.attempts {
            let own = backoff(&chain.retry, self.again + 1, random);
            let asked = failure.retry_after.unwrap_or_default();
            let wait = own.max(asked);
            let bearable = wait <= chain.retry.max_backoff && later(now, wait) < self.deadline;
            if bearable
                && (asked <= own || !elsewhere)
                && let Some(Ok(permit)) = healths.get(target).map(|h| h.permit(now, self.left(now)))
            {
                self.again += 1;
                self.left -= 1;
                return Some(Step { target, permit, wait });
            }
        }
        if !falls {
            return None;
        }
        let step = self.advance(healths, now, &mut Duration::MAX.clone());
        self.left -= u32::from(step.is_some());
        step
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
pub(crate) mod tests;
