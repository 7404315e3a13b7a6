//! The pod's side: money that was lent to this process, spent without asking.
//!
//! Any number of threads share one [`Ledger`]. Each account has one `std::sync::Mutex`, held for a few loads and stores
//! (well below a microsecond) and never across a wait or I/O; calls on different accounts never meet. With a local lender
//! a second lock orders the exchanges, which write the journal; an ordinary call takes it once in some hundred.

mod account;
mod exchange;
mod holding;
mod open;
mod predecessor;
mod reservation;
mod reserve;
mod settle;
mod shutdown;
mod sweep;
mod sync;
mod view;
mod waiting;
mod waits;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

pub use self::{
    account::Account,
    exchange::Outgoing,
    open::OpenError,
    reservation::{Extension, Reservation, Settled},
    reserve::{Outcome, Refusal, Why},
    view::View,
    waiting::Waiting,
};
use self::{account::Identity, exchange::Outbox, predecessor::Predecessor};
use crate::{
    account::{AccountId, Incarnation, PodId},
    clock::{MS, Now},
    lender::{Finding, Lender},
    spend_file::SpendFile,
};

/// Accounts are spread over this many maps.
const SHARDS: usize = 16;

/// How a process keeps its ledger.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the install; part of every account's id.
    pub install: String,
    /// Where the spend files are; belongs to one process at a time, survives its restart.
    pub data_dir: PathBuf,
    /// This start of this process: [`Incarnation::random`].
    pub incarnation: Incarnation,
    /// The pod: its UID; standalone any fixed value.
    pub pod: PodId,
    /// How long a pod may spend without hearing from its lender (L9), milliseconds. A local lender never leaves.
    pub lease_millis: u64,
}

/// The purse of this process. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    lender: Arc<dyn Lender>,
    local: bool,
    shards: [RwLock<HashMap<AccountId, Arc<Account>>>; SHARDS],
    spend: Mutex<SpendFile>,
    predecessors: Mutex<Vec<Predecessor>>,
    outbox: Mutex<Outbox>,
    /// Orders the exchanges with a local lender, from reading totals to taking the answer.
    trade: Mutex<()>,
    number: AtomicU64,
    generation: AtomicU64,
    /// The last generation that an earlier process on this data directory heard.
    heard_before: AtomicU64,
    recalls_upto: AtomicU64,
    /// No new reservation from here on, on the monotonic clock (L9).
    deadline: AtomicU64,
    /// Local: the lender's clock when it last answered. Remote: that less the monotonic clock, milliseconds.
    lender_clock: AtomicI64,
    /// The last clock reading of a tick, for reservations that are dropped.
    last_mono: AtomicU64,
    last_wall: AtomicI64,
    swept: AtomicU64,
    closed: AtomicBool,
    /// Money moved since the spend file was last brought to the disk.
    unsynced: AtomicBool,
    findings: Vec<Finding>,
    wake: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
    _lock: File,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mono_millis(now: Now) -> i64 {
    i64::try_from(now.mono / MS).unwrap_or(i64::MAX)
}

impl Ledger {
    /// Whether the lender lives in this process: then nothing needs to be driven but [`Ledger::tick`].
    pub fn is_local(&self) -> bool {
        self.inner.local
    }

    /// What was repaired when the ledger was opened; say it loudly.
    pub fn findings(&self) -> &[Finding] {
        &self.inner.findings
    }

    /// The lender's clock, as far as is known, unix milliseconds: it decides in which window a call falls (L3).
    pub(crate) fn wall(&self, now: Now) -> i64 {
        let clock = self.inner.lender_clock.load(Ordering::Relaxed);
        if self.inner.local { clock.max(now.wall) } else { clock.saturating_add(mono_millis(now)) }
    }

    fn hear_clock(&self, now: Now, wall: i64) {
        let clock = if self.inner.local { wall } else { wall.saturating_sub(mono_millis(now)) };
        self.inner.lender_clock.store(clock, Ordering::Relaxed);
    }

    fn last_now(&self) -> Now {
        let (mono, wall) = (&self.inner.last_mono, &self.inner.last_wall);
        Now { mono: mono.load(Ordering::Relaxed), wall: wall.load(Ordering::Relaxed) }
    }

    fn remember_now(&self, now: Now) {
        self.inner.last_mono.fetch_max(now.mono, Ordering::Relaxed);
        self.inner.last_wall.store(now.wall, Ordering::Relaxed);
    }

    /// Whether the lease still runs (L9) and the ledger is open.
    fn may_spend(&self, now: Now) -> bool {
        now.mono < self.inner.deadline.load(Ordering::Relaxed) && !self.inner.closed.load(Ordering::Relaxed)
    }

    fn identity(&self) -> Identity {
        let number = self.inner.number.fetch_add(1, Ordering::Relaxed) + 1;
        Identity { incarnation: self.inner.options.incarnation, pod: self.inner.options.pod, number }
    }

    fn shard(&self, id: AccountId) -> &RwLock<HashMap<AccountId, Arc<Account>>> {
        &self.inner.shards[usize::from(id.0.to_le_bytes()[0]) % SHARDS]
    }

    fn find(&self, id: AccountId) -> Option<Arc<Account>> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// How many accounts are in memory: those in use by callers, and those used in a window that has not ended.
    pub fn known_accounts(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Drops accounts that nobody holds and that have nothing to remember.
    fn forget_idle(&self, shard: usize) {
        let mut shard = self.inner.shards[shard % SHARDS].write().unwrap_or_else(PoisonError::into_inner);
        shard.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle());
    }

    /// Those accounts of one shard that are wanted.
    fn shard_accounts(&self, shard: usize, wanted: impl Fn(&Account) -> bool) -> Vec<Arc<Account>> {
        let shard = &self.inner.shards[shard % SHARDS];
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        shard.values().filter(|account| wanted(account)).cloned().collect()
    }

    /// Gives the account a record in the spend file; whether it has one now.
    fn ensure_slot(&self, now: Now, account: &Account) -> bool {
        let wall = self.wall(now);
        let window = {
            let state = account.lock_at(wall);
            if state.current.slot.is_some() {
                return true;
            }
            state.current.window
        };
        let Ok(slot) = lock(&self.inner.spend).take(account.id(), window) else { return false };
        let mut state = account.lock_at(wall);
        let fits = state.current.slot.is_none() && state.current.window == window;
        if fits {
            state.current.slot = Some(slot);
        } else {
            drop(state);
            lock(&self.inner.spend).give(slot);
        }
        true
    }
}
