//! What one runtime owns. Everything here is reached by one thread only: no locks, no atomics.

use crate::budget::clock::Clock;
use crate::budget::guards::Books;
use crate::edge::drain::Drain;
use crate::edge::fault::Fault;
use crate::edge::patience::Patience;
use crate::edge::tls::Terms;
use crate::heading::Headings;
use crate::identity::Caller;
use crate::live::{Current, Live};
use crate::routing::health::Wards;
use crate::state::Reported;
use crate::telemetry::Metrics;
use crate::telemetry::usage::Queue;
use crate::upstream::Upstream;
use crate::upstream::pool::Pool;
use smartflow_ledger::rate::RateDesk;
use smartflow_ledger::{Ledger, Revision};
use smartflow_snapshot::{ObjectName, TokenHash};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Callers kept ready; beyond it the runtime starts anew.
const MOST_CALLERS: usize = 20_000;

/// Settings that the path of a call reads.
pub struct Settings {
    /// Longest request body.
    pub max_body: usize,
    /// Longest answer that is read whole.
    pub max_reply: usize,
    /// Pace that callers must keep.
    pub client_timeout: Duration,
    /// Connections per runtime.
    pub max_connections: usize,
    /// Requests at a time per HTTP/2 connection.
    pub max_streams: u32,
    /// How callers are answered over TLS; none where the port is plaintext.
    pub tls: Option<Terms>,
}

/// What all runtimes share.
pub struct Shared {
    /// The snapshot that serves.
    pub current: Current,
    /// Money.
    pub ledger: Ledger,
    /// Rates.
    pub desk: RateDesk,
    /// Epoch of the limits that this process declares, where no operator numbers them.
    pub epoch: u64,
    /// What the source last said.
    pub reported: Reported,
    /// How targets of chains are doing.
    pub wards: Wards,
    /// Time, as the ledger wants it.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
    /// Graceful end.
    pub drain: Drain,
    /// Settings.
    pub settings: Settings,
}

/// Where accounts of `live` come from.
#[must_use]
pub fn books<'a>(shared: &'a Shared, live: &Live) -> Books<'a> {
    // With a lender of one's own every start is later than all before it, whatever the clock says. Gateways that share one
    // know nothing of each other's starts: whoever loaded a limit last has the newest.
    let epoch = if shared.ledger.is_local() { shared.epoch } else { live.loaded.max(1) };
    let own = Revision { epoch, number: live.generation };
    let revision = live.revision.unwrap_or(own);
    Books { ledger: &shared.ledger, desk: &shared.desk, revision, now: shared.clock.now() }
}

/// For keys that are hashes already: as good as hashing them again. Only tokens of keys that exist are kept, so nobody
/// can choose what collides.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// One runtime's state.
pub struct Worker {
    /// Shared with the other runtimes.
    pub shared: Arc<Shared>,
    /// Usage lines of this runtime.
    pub usage: Arc<Queue>,
    /// Heads of answers, made beforehand.
    pub headings: Headings,
    /// Connections of callers that may be slow.
    pub patience: Patience,
    /// TLS handshakes under way.
    pub handshakes: Rc<Cell<usize>>,
    callers: RefCell<HashMap<TokenHash, Rc<Caller>, BuildHasherDefault<Spread>>>,
    pools: RefCell<HashMap<ObjectName, Rc<Pool>>>,
    structure: Cell<u64>,
    seed: Cell<u64>,
}

impl Worker {
    /// A fresh runtime; `seed` makes its request ids its own.
    #[must_use]
    pub fn new(shared: Arc<Shared>, usage: Arc<Queue>, seed: u64) -> Rc<Self> {
        let (headings, patience, handshakes, callers, pools, structure) = Default::default();
        Rc::new(Self {
            shared,
            usage,
            headings,
            patience,
            handshakes,
            callers,
            pools,
            structure,
            seed: Cell::new(seed | 1),
        })
    }

    /// The caller with this token, ready.
    ///
    /// # Errors
    /// [`Fault::UnknownKey`]
    pub fn caller(&self, live: &Live, token: &TokenHash) -> Result<Rc<Caller>, Fault> {
        if self.structure.get() != live.structure {
            self.restructure(live);
        }
        let kept = self.callers.borrow().get(token).filter(|c| c.is_current(live, token)).cloned();
        if let Some(caller) = kept {
            return Ok(caller);
        }
        let Some(caller) = Caller::find(live, token) else {
            self.callers.borrow_mut().remove(token);
            return Err(Fault::UnknownKey);
        };
        let mut callers = self.callers.borrow_mut();
        if callers.len() >= MOST_CALLERS {
            callers.clear();
        }
        callers.insert(*token, caller.clone());
        Ok(caller)
    }

    /// Forgets what was derived from providers, names and policies that are no more; connections to providers that
    /// did not change are kept.
    fn restructure(&self, live: &Live) {
        self.structure.set(live.structure);
        self.callers.borrow_mut().clear();
        let serves = |p: &Rc<Pool>| live.upstreams.get(&p.upstream.provider.name);
        self.pools.borrow_mut().retain(|_, p| serves(p).is_some_and(|u| Arc::ptr_eq(u, &p.upstream)));
    }

    /// Connections of this runtime to `upstream`.
    #[must_use]
    pub fn pool(&self, upstream: &Arc<Upstream>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        match pools.get(&upstream.provider.name) {
            Some(pool) if Arc::ptr_eq(&pool.upstream, upstream) => pool.clone(),
            _ => {
                let pool = Pool::new(upstream.clone());
                pools.insert(upstream.provider.name.clone(), pool.clone());
                pool
            }
        }
    }

    /// Closes connections that were idle for too long, and lets go of a snapshot that no longer serves.
    pub fn sweep(&self) {
        let live = self.shared.current.load();
        if self.structure.get() != live.structure {
            self.restructure(&live);
        }
        self.pools.borrow().values().for_each(|p| p.sweep());
    }

    /// Where accounts of `live` come from.
    #[must_use]
    pub fn books(&self, live: &Live) -> Books<'_> {
        books(&self.shared, live)
    }

    /// A fresh request id: 128 random bits, enough to tell calls apart, not a secret.
    #[must_use]
    pub fn request_id(&self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut id = *b"req_00000000000000000000000000000000";
        for half in id[4..].chunks_exact_mut(16) {
            let mut bits = self.random();
            for digit in half {
                *digit = HEX[(bits & 15) as usize];
                bits >>= 4;
            }
        }
        id
    }

    /// splitmix64: fast, well mixed, not for secrets.
    #[must_use]
    pub fn random(&self) -> u64 {
        let state = self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.seed.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
