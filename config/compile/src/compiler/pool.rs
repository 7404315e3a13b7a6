//! What many entries have alike, stored once.

use smartflow_snapshot::{Budget, Grant, Grants, Key, Limits};
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

/// Values in use, and for a while those that were.
#[derive(Debug, Default)]
pub(super) struct Pool {
    texts: Shared<str>,
    grants: Shared<[Grant]>,
    budgets: Shared<Budget>,
    limits: Shared<Limits>,
    groups: Shared<[Box<str>]>,
    labels: Shared<BTreeMap<Box<str>, Box<str>>>,
}

#[derive(Debug)]
struct Shared<T: ?Sized + Hash + Eq> {
    values: HashSet<Arc<T>>,
    /// Size after the last sweep.
    swept: usize,
}

impl Pool {
    pub(super) fn text(&mut self, text: Arc<str>) -> Arc<str> {
        self.texts.share(text)
    }

    /// Replaces what `key` has of its own by what others already have.
    pub(super) fn key(&mut self, key: &mut Key) {
        key.models = Grants(self.grants.share(key.models.0.clone()));
        if let Some(budget) = &mut key.budget {
            let timezone = self.texts.share(budget.timezone.clone());
            if let Some(own) = Arc::get_mut(budget) {
                own.timezone = timezone;
            }
            *budget = self.budgets.share(budget.clone());
        }
        if let Some(limits) = &mut key.limits {
            *limits = self.limits.share(limits.clone());
        }
        if let Some(owner) = &mut key.owner {
            owner.team = owner.team.take().map(|team| self.texts.share(team));
            owner.groups = self.groups.share(owner.groups.clone());
            owner.labels = self.labels.share(owner.labels.clone());
        }
    }

    /// Forgets what nobody uses any more, once in a while.
    pub(super) fn sweep(&mut self) {
        self.texts.sweep();
        self.grants.sweep();
        self.budgets.sweep();
        self.limits.sweep();
        self.groups.sweep();
        self.labels.sweep();
    }
}

impl<T: ?Sized + Hash + Eq> Default for Shared<T> {
    fn default() -> Self {
        Self { values: HashSet::new(), swept: 0 }
    }
}

impl<T: ?Sized + Hash + Eq> Shared<T> {
    fn share(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(same) = self.values.get(&value) {
            return same.clone();
        }
        self.values.insert(value.clone());
        value
    }

    fn sweep(&mut self) {
        if self.values.len() > 2 * self.swept + 64 {
            self.values.retain(|v| Arc::strong_count(v) > 1);
            self.swept = self.values.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_is_shared_and_what_nobody_uses_is_forgotten() {
        let mut pool = Pool::default();
        let kept = pool.text("kept".into());
        assert!(Arc::ptr_eq(&kept, &pool.text("kept".into())));
        for i in 0..1000 {
            pool.text(i.to_string().into());
        }
        pool.sweep();
        assert_eq!(pool.texts.values.len(), 1);
    }
}
