//! A virtual key, made ready for its calls on one runtime.

use crate::edge::fault::Fault;
use crate::live::Live;
use crate::routing::Way;
use crate::worker::Worker;
use smartflow_snapshot::{Key, TokenHash};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Ways that a caller keeps; one that writes ever new model names starts anew.
const MOST_WAYS: usize = 256;

/// A key and what was derived of it. Lives on one runtime, as long as the snapshot says the same.
pub struct Caller {
    /// The key.
    pub key: Arc<Key>,
    /// Keys that also pay, nearest first.
    pub parents: Box<[Arc<Key>]>,
    generation: Cell<u64>,
    structure: u64,
    ways: RefCell<HashMap<Box<str>, Way>>,
}

impl Caller {
    /// The caller with this token under `live`.
    #[must_use]
    pub fn find(live: &Live, token: &TokenHash) -> Option<Rc<Self>> {
        Self::of(live, live.snapshot.keys.get(token)?)
    }

    /// The caller that `key` makes under `live`.
    #[must_use]
    pub fn of(live: &Live, key: &Arc<Key>) -> Option<Rc<Self>> {
        let key = key.clone();
        // A parent that is gone leaves its children absent from the snapshot, so that none is missing here.
        let parents: Option<Box<[_]>> =
            key.parents.iter().map(|p| live.snapshot.keys_by_name.get(p).cloned()).collect();
        let (generation, ways) = (Cell::new(live.generation), RefCell::default());
        Some(Rc::new(Self { key, parents: parents?, generation, structure: live.structure, ways }))
    }

    /// True when `live` still says what this was made of.
    #[must_use]
    pub fn is_current(&self, live: &Live, token: &TokenHash) -> bool {
        if self.generation.get() == live.generation {
            return true;
        }
        let same = |found: Option<&Arc<Key>>, mine: &Arc<Key>| found.is_some_and(|k| Arc::ptr_eq(k, mine));
        let current = self.structure == live.structure
            && same(live.snapshot.keys.get(token), &self.key)
            && self.parents.iter().all(|p| same(live.snapshot.keys_by_name.get(&p.name), p));
        if current {
            self.generation.set(live.generation);
        }
        current
    }

    /// Whether this key may call at all, at `now` (Unix seconds; asked for only where something expires).
    ///
    /// # Errors
    /// [`Fault::KeyDisabled`], [`Fault::KeyExpired`]; a parent's count like the key's own, because it pays.
    pub fn admit(&self, now: impl Fn() -> i64) -> Result<(), Fault> {
        for key in std::iter::once(&self.key).chain(&self.parents) {
            if key.disabled {
                return Err(Fault::KeyDisabled);
            }
            if key.expires_at.is_some_and(|at| now() >= at) {
                return Err(Fault::KeyExpired);
            }
        }
        Ok(())
    }

    /// Whether `live` still lets this caller go on: a key that was deleted, revoked, disabled or expired while its stream
    /// runs gets no further slice (L4), and neither does one whose parent was.
    #[must_use]
    pub fn is_still_admitted(&self, live: &Live, now: i64) -> bool {
        std::iter::once(&self.key).chain(&self.parents).all(|key| {
            let newest = live.snapshot.keys_by_name.get(&key.name);
            let revoked = |k: &Key| k.token.is_none() && key.token.is_some();
            newest.is_some_and(|k| !k.disabled && !revoked(k) && k.expires_at.is_none_or(|at| now < at))
        })
    }

    /// Where `model`, as this caller wrote it, leads; made on first use.
    ///
    /// # Errors
    /// [`Fault::ModelNotFound`] when it does not exist or was not granted.
    pub fn way(&self, worker: &Worker, live: &Live, model: &str) -> Result<Way, Fault> {
        if let Some(way) = self.ways.borrow().get(model) {
            return Ok(way.clone());
        }
        let way = Way::prepare(worker, live, self, model)?;
        let mut ways = self.ways.borrow_mut();
        if ways.len() >= MOST_WAYS {
            ways.clear();
        }
        ways.insert(model.into(), way.clone());
        Ok(way)
    }
}
