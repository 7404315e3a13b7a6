//! A map of which one entry can be changed without copying the others.

use serde::{Serialize, Serializer};
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;

/// Number of shards: at 100,000 entries a shard holds about 100.
const SHARDS: usize = 1024;

/// A value that holds the key under which it is found, so that a map need not hold it again.
pub trait Keyed<K> {
    /// The key.
    fn key(&self) -> &K;
}

type Shard<K, V> = Arc<HashSet<Entry<K, V>, RandomState>>;

/// Hashes and compares as its key.
#[derive(Clone)]
struct Entry<K, V> {
    value: V,
    key: PhantomData<K>,
}

impl<K, V: Keyed<K>> Borrow<K> for Entry<K, V> {
    fn borrow(&self) -> &K {
        self.value.key()
    }
}

impl<K: Hash, V: Keyed<K>> Hash for Entry<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.key().hash(state);
    }
}

impl<K: Eq, V: Keyed<K>> PartialEq for Entry<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.value.key() == other.value.key()
    }
}

impl<K: Eq, V: Keyed<K>> Eq for Entry<K, V> {}

/// A persistent map from the key that each value holds to the value: a clone shares every shard, a change copies one
/// shard (about 100 entries among 100,000) and the list of shards (8 KiB). Reading is two hash look-ups without a lock.
#[derive(Clone)]
pub struct Shards<K, V> {
    shards: Arc<Vec<Shard<K, V>>>,
    hasher: RandomState,
    len: usize,
}

impl<K: Hash + Eq + Clone, V: Keyed<K> + Clone> Shards<K, V> {
    fn slot(&self, key: &K) -> usize {
        // The remainder is below SHARDS, so that the cast loses nothing.
        #[allow(clippy::cast_possible_truncation)]
        let slot = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        slot
    }

    /// Value of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.shards.get(self.slot(key))?.get(key).map(|e| &e.value)
    }

    /// Sets the value of its key; returns what it replaced.
    pub fn insert(&mut self, value: V) -> Option<V> {
        let slot = self.slot(value.key());
        let shards = Arc::make_mut(&mut self.shards);
        if shards.is_empty() {
            shards.resize_with(SHARDS, || Arc::new(HashSet::with_hasher(self.hasher.clone())));
        }
        let old = Arc::make_mut(shards.get_mut(slot)?).replace(Entry { value, key: PhantomData });
        self.len += usize::from(old.is_none());
        old.map(|e| e.value)
    }

    /// Takes `key` out; returns what it was.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.slot(key);
        self.get(key)?;
        let old = Arc::make_mut(Arc::make_mut(&mut self.shards).get_mut(slot)?).take(key);
        self.len -= usize::from(old.is_some());
        old.map(|e| e.value)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|s| s.iter()).map(|e| (e.value.key(), &e.value))
    }

    /// Keys of every entry that differs from `before`, an earlier state of the same map, and of some that do not: what to
    /// look at after a change. Costs what changed, not what there is.
    pub fn touched<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a K> {
        let shard = |of: &'a Self, at: usize| of.shards.get(at);
        let same = move |at: &usize| match (shard(self, *at), shard(before, *at)) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            _ => false,
        };
        let shards = (0..SHARDS).filter(move |at| !same(at));
        let both = shards.flat_map(move |at| shard(before, at).into_iter().chain(shard(self, at)));
        both.flat_map(|shard| shard.iter()).map(|e| e.value.key())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { shards: Arc::default(), hasher: RandomState::new(), len: 0 }
    }
}

impl<K: Hash + Eq + Clone + std::fmt::Debug, V: Keyed<K> + Clone + std::fmt::Debug> std::fmt::Debug
    for Shards<K, V>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Hash + Eq + Clone + Ord + Serialize, V: Keyed<K> + Clone + Serialize> Serialize for Shards<K, V> {
    /// In key order, so that equal maps give equal text.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_by(|a, b| a.0.cmp(b.0));
        s.collect_map(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed<u32> for (u32, u32) {
        fn key(&self) -> &u32 {
            &self.0
        }
    }

    #[test]
    fn a_clone_is_not_changed_by_its_original() {
        let mut map = Shards::default();
        for i in 0..5000u32 {
            assert_eq!(map.insert((i, i * 2)), None);
        }
        let before = map.clone();
        assert_eq!(map.insert((7, 0)), Some((7, 14)));
        assert_eq!(map.remove(&8), Some((8, 16)));
        assert_eq!(map.remove(&8), None);
        assert_eq!((map.len(), before.len()), (4999, 5000));
        assert_eq!((before.get(&7), before.get(&8)), (Some(&(7, 14)), Some(&(8, 16))));
        assert_eq!((map.get(&7), map.get(&8)), (Some(&(7, 0)), None));
        assert_eq!(map.iter().filter(|(k, v)| **k == v.0).count(), 4999);
    }

    #[test]
    fn what_was_touched_is_found_without_looking_at_everything() {
        let mut map = Shards::default();
        let empty = map.clone();
        for i in 0..5000u32 {
            map.insert((i, i));
        }
        assert_eq!(map.touched(&empty).count(), 5000);
        assert_eq!(map.touched(&map.clone()).count(), 0);
        let before = map.clone();
        map.insert((7, 0));
        map.remove(&8);
        map.insert((9999, 1));
        let touched: Vec<u32> = map.touched(&before).copied().collect();
        assert!(
            [7, 8, 9999].iter().all(|key| touched.contains(key)) && touched.len() < 100,
            "{}",
            touched.len()
        );
        assert_eq!(empty.touched(&map).count(), map.len());
    }
}
