//! Where a name leads for one caller: to one model, or through a chain.

use super::Route;
use super::health::Health;
use super::plan::Plan;
use super::strategy::Draw;
use super::wishes::Wishes;
use crate::edge::fault::Fault;
use crate::identity::Caller;
use crate::live::Live;
use crate::worker::Worker;
use smartflow_snapshot::{Chain, Meaning};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a name leads. Cheap to clone.
#[derive(Clone)]
pub enum Way {
    /// To one model of one provider.
    Model(Rc<Route>),
    /// Through a chain.
    Chain(Rc<Legs>),
}

/// A chain, ready for one caller.
pub struct Legs {
    /// The chain.
    pub chain: Arc<Chain>,
    /// By target; `None` = not for this caller, or not ready to be called.
    routes: Box<[Option<Rc<Route>>]>,
    /// By target.
    pub healths: Box<[Arc<Health>]>,
    turns: Arc<AtomicU64>,
}

impl Way {
    /// Resolves `written` for `caller`.
    ///
    /// # Errors
    /// [`Fault::ModelNotFound`] for all that is not there, not granted, or not ready.
    pub fn prepare(worker: &Worker, live: &Live, caller: &Caller, written: &str) -> Result<Self, Fault> {
        let absent = || Fault::ModelNotFound { model: written.to_owned() };
        let key = &caller.key;
        if !key.models.allows(written) {
            return Err(absent());
        }
        match live.snapshot.names.resolve(&key.name.namespace, written).ok_or_else(absent)? {
            Meaning::Model(target) => {
                let route = Route::prepare(worker, live, caller, written, target)?;
                Ok(Self::Model(Rc::new(route.ok_or_else(absent)?)))
            }
            Meaning::Chain(chain) => {
                let legs = Legs::prepare(worker, live, caller, written, chain)?;
                let any = legs.routes.iter().any(Option::is_some);
                any.then(|| Self::Chain(Rc::new(legs))).ok_or_else(absent)
            }
        }
    }
}

impl Legs {
    fn prepare(
        worker: &Worker,
        live: &Live,
        caller: &Caller,
        written: &str,
        chain: &Arc<Chain>,
    ) -> Result<Self, Fault> {
        let namespace = &caller.key.name.namespace;
        let route = |t: &smartflow_snapshot::ChainTarget| match t.serves(&chain.name.namespace, namespace) {
            true => {
                let route = Route::prepare(worker, live, caller, written, &t.target)?;
                Ok(route.map(|route| Rc::new(route.of_target(t))))
            }
            false => Ok(None),
        };
        let wards = &worker.shared.wards;
        let health =
            |t: &smartflow_snapshot::ChainTarget| wards.health(&t.target.provider.name, &t.target.model.name);
        Ok(Self {
            routes: chain.targets.iter().map(route).collect::<Result<_, Fault>>()?,
            healths: chain.targets.iter().map(health).collect(),
            turns: wards.turns(&chain.name),
            chain: chain.clone(),
        })
    }

    /// The route of a target, where there is one.
    #[must_use]
    pub fn route(&self, target: usize) -> Option<&Rc<Route>> {
        self.routes.get(target)?.as_ref()
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = &Rc<Route>> {
        self.routes.iter().flatten()
    }

    /// True when the caller wishes for less time than the chain gives.
    #[must_use]
    pub fn hurries(&self, wishes: Option<&Wishes>) -> bool {
        wishes.and_then(|w| w.timeout).is_some_and(|t| t < self.chain.timeout)
    }

    /// The plan of one call, which begins at `now` (monotonic nanoseconds), through those targets that `may` serve it.
    #[must_use]
    pub fn plan(&self, may: impl Fn(&Route) -> bool, wishes: Option<&Wishes>, now: u64, random: u64) -> Plan {
        let within = wishes.and_then(|w| w.timeout).map_or(self.chain.timeout, |t| t.min(self.chain.timeout));
        let further = wishes.and_then(|w| w.further).unwrap_or(u32::MAX);
        let may = |target| self.route(target).is_some_and(|route| may(route));
        let draw = Draw { turn: self.turns.fetch_add(1, Ordering::Relaxed), random };
        Plan::new(&self.chain, &self.healths, may, draw, now, within, further)
    }
}
