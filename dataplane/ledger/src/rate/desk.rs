//! Rates as the gateway uses them: one [`RateDesk`] per process, one [`Rates`] per account.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use super::{
    headers::RateLevels,
    message::{RateAnswer, RateAsk, RateLimits},
    pod::{Names, PodRates, Refusal, Step},
    ticket::RateTicket,
};
use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    clock::Now,
    lender::{Lender, at_once},
    message::Batch,
};

/// Waiting calls look again after this long, nanoseconds (L8).
pub const POLL: u64 = 25_000_000;
/// Messages kept for a driver that does not fetch them; older ones are dropped, which is the same as lost on the way.
const OUTBOX: usize = 16_384;

/// What became of a call.
#[derive(Debug)]
pub enum Admission<T> {
    /// It may go.
    Admitted(T),
    /// The lender is being asked: try again after `poll` nanoseconds. Only with a remote lender; ends within 300 ms.
    Wait {
        /// Nanoseconds.
        poll: u64,
    },
    /// Not now.
    Refused(Refusal),
    /// The estimate is above the whole limit of tokens per minute: never.
    TooLarge {
        /// Tokens per minute.
        limit: u32,
    },
}

/// All rate accounts of a process.
#[derive(Clone)]
pub struct RateDesk(Arc<Desk>);

pub(super) struct Desk {
    /// A lender in this process is asked inline; none: asks go out through [`RateDesk::outgoing`].
    lender: Option<Arc<dyn Lender>>,
    incarnation: Incarnation,
    pod: PodId,
    numbers: AtomicU64,
    /// Pods by the last answer, for accounts that have heard none.
    fleet: AtomicU32,
    meters: Mutex<Meters>,
    busy: Mutex<Vec<Arc<Meter>>>,
    outbox: Mutex<Vec<RateAsk>>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Meters {
    by_account: HashMap<AccountId, Weak<Meter>>,
    /// Accounts that nobody uses are dropped when this many are known.
    prune_at: usize,
}

/// One account. Without traffic it holds its limits and nothing else.
pub(super) struct Meter {
    desk: Arc<Desk>,
    account: AccountId,
    state: Mutex<State>,
}

struct State {
    limits: RateLimits,
    revision: Revision,
    used: Option<Box<PodRates>>,
}

/// A handle to the rates of one account; clones share it.
#[derive(Clone)]
pub struct Rates(Arc<Meter>);

impl RateDesk {
    /// A desk before `lender`. One that lives in this process is asked inline and no call ever waits.
    #[must_use]
    pub fn new(lender: &Arc<dyn Lender>, incarnation: Incarnation, pod: PodId) -> Self {
        Self::before(lender.is_local().then(|| Arc::clone(lender)), incarnation, pod)
    }

    /// A desk before a remote lender: the owner carries [`RateDesk::outgoing`] to it (as [`Batch::rates`]) and brings
    /// the answers to [`RateDesk::incoming`].
    #[must_use]
    pub fn remote(incarnation: Incarnation, pod: PodId) -> Self {
        Self::before(None, incarnation, pod)
    }

    fn before(lender: Option<Arc<dyn Lender>>, incarnation: Incarnation, pod: PodId) -> Self {
        Self(Arc::new(Desk {
            lender,
            incarnation,
            pod,
            numbers: AtomicU64::new(1),
            fleet: AtomicU32::new(1),
            meters: Mutex::default(),
            busy: Mutex::default(),
            outbox: Mutex::default(),
            wake: OnceLock::new(),
        }))
    }

    /// The rates of `account`. Known ones are shared; the limits with the newest revision hold.
    #[must_use]
    pub fn account(&self, account: AccountId, limits: RateLimits, revision: Revision) -> Rates {
        let mut meters = lock(&self.0.meters);
        if let Some(meter) = meters.by_account.get(&account).and_then(Weak::upgrade) {
            drop(meters);
            meter.learn(limits, revision);
            return Rates(meter);
        }
        if meters.by_account.len() >= meters.prune_at.max(1024) {
            meters.by_account.retain(|_, meter| meter.strong_count() > 0);
            meters.prune_at = meters.by_account.len() * 2;
        }
        let state = Mutex::new(State { limits, revision, used: None });
        let meter = Arc::new(Meter { desk: Arc::clone(&self.0), account, state });
        meters.by_account.insert(account, Arc::downgrade(&meter));
        Rates(meter)
    }

    /// Lets go of what idle accounts hold and, with a remote lender, prepares returns, heartbeats and retries. To be
    /// called about once a second, more often with a remote lender; costs nothing for accounts without traffic.
    pub fn tend(&self, now: Now) {
        let mut busy = std::mem::take(&mut *lock(&self.0.busy));
        busy.retain(|meter| meter.tend(now));
        lock(&self.0.busy).append(&mut busy);
    }

    /// Accounts with traffic in the last minute, for a metric.
    #[must_use]
    pub fn in_use(&self) -> usize {
        lock(&self.0.busy).len()
    }

    /// Messages for a remote lender, at most one per account; each is given once.
    #[must_use]
    pub fn outgoing(&self) -> Vec<RateAsk> {
        std::mem::take(&mut *lock(&self.0.outbox))
    }

    /// Calls `wake` whenever the driver of a remote lender should look at [`RateDesk::outgoing`]. Only the first call
    /// of this counts.
    pub fn on_outgoing(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.wake.set(Box::new(wake));
    }

    /// A remote lender's answer. Late and doubled ones are harmless.
    pub fn incoming(&self, now: Now, answer: &RateAnswer) {
        let meter = lock(&self.0.meters).by_account.get(&answer.account).and_then(Weak::upgrade);
        if let Some(used) =
            meter.as_ref().map(|meter| lock(&meter.state)).as_mut().and_then(|s| s.used.as_mut())
        {
            used.answer(now.mono, answer);
            self.0.fleet.store(used.fleet(), Ordering::Relaxed);
        }
    }
}

impl Rates {
    /// Admits a call that will use about `tokens` tokens, input and output, or says why not. Requests, tokens and the
    /// permit are taken together or not at all.
    pub fn try_admit(&self, now: Now, tokens: u64) -> Admission<RateTicket> {
        let meter = &self.0;
        let mut state = lock(&meter.state);
        let estimate = u32::try_from(tokens).unwrap_or(u32::MAX);
        if let Some(limit) = state.limits.tokens.filter(|limit| u64::from(limit.get()) < tokens) {
            return Admission::TooLarge { limit: limit.get() };
        }
        let fresh = state.used.is_none();
        let admission = meter.admit(&mut state, now, estimate);
        drop(state);
        if fresh {
            lock(&meter.desk.busy).push(Arc::clone(meter));
        }
        admission
    }

    /// What the `x-ratelimit-*` headers of a call at this moment say.
    #[must_use]
    pub fn levels(&self, now: Now) -> RateLevels {
        let state = lock(&self.0.state);
        match &state.used {
            Some(used) => used.levels(now.mono),
            None => PodRates::new(state.limits, 1).levels(now.mono),
        }
    }

    /// The lender is away or lost its ring: this pod admits from its share of the limits alone (L25).
    #[must_use]
    pub fn is_local(&self, now: Now) -> bool {
        lock(&self.0.state).used.as_ref().is_some_and(|used| used.is_local(now.mono))
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.0.account
    }
}

impl Meter {
    fn admit(self: &Arc<Self>, state: &mut State, now: Now, tokens: u32) -> Admission<RateTicket> {
        let State { limits, revision, used } = state;
        let used = used
            .get_or_insert_with(|| Box::new(PodRates::new(*limits, self.desk.fleet.load(Ordering::Relaxed))));
        if self.desk.lender.is_some() && used.retries(now.mono) {
            self.ask(used, *revision, now, false);
        }
        // The second try follows an answer or the lender's silence; the third one a ledger that began anew.
        for _ in 0..3 {
            match used.admit(now.mono, tokens) {
                Step::Admitted(taken) => {
                    if self.desk.lender.is_none() && used.wants_next(now.mono) {
                        self.ask(used, *revision, now, true);
                    }
                    return Admission::Admitted(RateTicket::new(Arc::clone(self), taken));
                }
                Step::Refused(refusal) => return Admission::Refused(refusal),
                Step::Short if self.desk.lender.is_some() => self.ask(used, *revision, now, false),
                Step::Short if used.is_asking(now.mono) => return Admission::Wait { poll: POLL },
                Step::Short if used.is_local(now.mono) => {}
                Step::Short => {
                    self.ask(used, *revision, now, false);
                    return Admission::Wait { poll: POLL };
                }
            }
        }
        Admission::Wait { poll: POLL }
    }

    /// Sends the account's next message; a lender in this process has answered when this returns.
    fn ask(&self, used: &mut PodRates, revision: Revision, now: Now, ahead: bool) {
        let desk = &self.desk;
        let number = desk.numbers.fetch_add(1, Ordering::Relaxed);
        let names = Names { account: self.account, incarnation: desk.incarnation, revision, number };
        let ask = used.ask(now.mono, ahead, names);
        let Some(lender) = &desk.lender else {
            let mut outbox = lock(&desk.outbox);
            if outbox.len() >= OUTBOX {
                outbox.clear();
            }
            outbox.push(ask);
            drop(outbox);
            if let Some(wake) = desk.wake.get() {
                wake();
            }
            return;
        };
        let batch = Batch {
            incarnation: desk.incarnation,
            pod: desk.pod,
            recalls_after: u64::MAX,
            money: Vec::new(),
            rates: vec![ask],
        };
        match at_once(lender.exchange(now, &batch)).ok().and_then(|answers| answers.rates.into_iter().next())
        {
            Some(answer) => {
                used.answer(now.mono, &answer);
                desk.fleet.store(used.fleet(), Ordering::Relaxed);
            }
            None => used.unanswered(),
        }
    }

    fn learn(&self, limits: RateLimits, revision: Revision) {
        let mut state = lock(&self.state);
        if revision < state.revision {
            return;
        }
        state.revision = revision;
        if state.limits != limits {
            state.limits = limits;
            if let Some(used) = &mut state.used {
                used.set_limits(limits);
            }
        }
    }

    /// Whether the account is still in use.
    fn tend(&self, now: Now) -> bool {
        let mut state = lock(&self.state);
        let State { revision, used: slot, .. } = &mut *state;
        let Some(used) = slot else { return false };
        // A lender in this process is told of the rest with the next ask, before it lends.
        let remote = self.desk.lender.is_none();
        let due = if remote { used.is_due(now.mono) } else { used.owes_over() };
        if due {
            self.ask(used, *revision, now, false);
        }
        if used.is_idle(now.mono, remote) {
            *slot = None;
        }
        slot.is_some()
    }

    /// Runs `change` on the account's state; it exists while a call is in flight.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut PodRates) -> T) -> Option<T> {
        lock(&self.state).used.as_mut().map(|used| change(used))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
