//! The snapshot that serves, made ready: one atomic swap, calls in flight keep theirs.

use crate::upstream::Upstream;
use crate::upstream::prepared::Network;
use arc_swap::{ArcSwap, Guard};
use smartflow_ledger::Revision;
use smartflow_snapshot::{ObjectName, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A snapshot and what was prepared of it.
pub struct Live {
    /// What was told.
    pub snapshot: Snapshot,
    /// Counts activations.
    pub generation: u64,
    /// Age of the limits in it, where an operator numbers them for all gateways.
    pub revision: Option<Revision>,
    /// When it was activated, unix milliseconds: the age of its limits for gateways that share a ledger without an
    /// operator.
    pub loaded: u64,
    /// Counts activations that changed more than keys: what runtimes derived from providers, names and policies is
    /// stale when this differs.
    pub structure: u64,
    /// Providers, ready to be called; one that cannot be made ready is absent.
    pub upstreams: Arc<HashMap<ObjectName, Arc<Upstream>>>,
    /// Providers that cannot be made ready, with the reason.
    pub unusable: Arc<Vec<(ObjectName, String)>>,
}

/// The current [`Live`].
pub struct Current {
    live: ArcSwap<Live>,
    network: Network,
}

/// What an activation did.
#[derive(Debug)]
pub struct Activated {
    /// Of the new [`Live`].
    pub generation: u64,
    /// Preparing and swapping.
    pub took: Duration,
    /// Providers that cannot be made ready.
    pub unusable: Arc<Vec<(ObjectName, String)>>,
}

impl Current {
    /// Nothing yet: every call is refused, readiness is false.
    #[must_use]
    pub fn empty(network: Network) -> Self {
        let (snapshot, upstreams, unusable) = Default::default();
        let live =
            Live { snapshot, generation: 0, revision: None, loaded: 0, structure: 0, upstreams, unusable };
        Self { live: ArcSwap::from_pointee(live), network }
    }

    /// What serves now. Cheap, without a lock; do not hold it across an await.
    pub fn load(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// What serves now, for the whole of a call.
    pub fn load_full(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Prepares `snapshot` beside what serves and swaps it in. Providers that did not change are carried over, with
    /// their connections. `revision` is the operator's, where there is one.
    pub fn activate(&self, snapshot: Snapshot, revision: Option<Revision>) -> Activated {
        let began = Instant::now();
        let old = self.live.load_full();
        let same_providers = Arc::ptr_eq(&snapshot.providers, &old.snapshot.providers);
        let same = same_providers
            && Arc::ptr_eq(&snapshot.names, &old.snapshot.names)
            && Arc::ptr_eq(&snapshot.policies, &old.snapshot.policies);
        let (upstreams, unusable) = if same_providers {
            (old.upstreams.clone(), old.unusable.clone())
        } else {
            self.prepare(&snapshot, &old)
        };
        let generation = old.generation + 1;
        let structure = if same { old.structure } else { generation };
        let loaded = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let loaded = u64::try_from(loaded).unwrap_or(0);
        let unusable_too = unusable.clone();
        let live =
            Live { snapshot, generation, revision, loaded, structure, upstreams, unusable: unusable_too };
        self.live.store(Arc::new(live));
        Activated { generation, took: began.elapsed(), unusable }
    }

    #[allow(clippy::type_complexity)]
    fn prepare(
        &self,
        snapshot: &Snapshot,
        old: &Live,
    ) -> (Arc<HashMap<ObjectName, Arc<Upstream>>>, Arc<Vec<(ObjectName, String)>>) {
        let (mut ready, mut unusable) = (HashMap::new(), Vec::new());
        for (name, provider) in snapshot.providers.iter() {
            let known = old.upstreams.get(name);
            let kept = known.filter(|u| *u.provider == **provider).cloned();
            let fresh = || Upstream::prepare(provider, &self.network, known.map(|u| &**u)).map(Arc::new);
            match kept.map_or_else(fresh, Ok) {
                Ok(upstream) => {
                    ready.insert(name.clone(), upstream);
                }
                Err(error) => unusable.push((name.clone(), error.to_string())),
            }
        }
        (Arc::new(ready), Arc::new(unusable))
    }
}
