//! Which account in the ledger is whose.

use crate::spend::Figures;
use smartflow_ledger::book::Standing;
use smartflow_ledger::{
    AccountId, AccountSpec, Calendar, INSTALL, OWN_BUDGET, Revision, UnknownTimeZone, Window, key_account,
};
use smartflow_snapshot::{Budget, Key, ObjectName, Period, Shards};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The account of a key's own budget.
#[derive(Debug, Clone)]
pub struct Owned {
    /// Which.
    pub account: AccountId,
    /// When it starts anew.
    pub calendar: Calendar,
    budget: Arc<Budget>,
}

impl Owned {
    /// Of `key`, whose budget this is.
    ///
    /// # Errors
    /// The budget's time zone is not known.
    pub fn new(key: &ObjectName, budget: &Arc<Budget>) -> Result<Self, UnknownTimeZone> {
        let period = match budget.period {
            Period::Daily => smartflow_ledger::Period::Daily,
            Period::Weekly => smartflow_ledger::Period::Weekly,
            Period::Monthly => smartflow_ledger::Period::Monthly,
            Period::Lifetime => smartflow_ledger::Period::Lifetime,
        };
        let spec = AccountSpec {
            namespace: &key.namespace,
            name: &key_account(&key.name),
            budget: OWN_BUDGET,
            period,
            timezone: &budget.timezone,
            limit: budget.limit.0,
            revision: Revision::default(),
        };
        let calendar = Calendar::new(period, &budget.timezone)?;
        Ok(Self { account: spec.id(INSTALL), calendar, budget: budget.clone() })
    }

    /// What was spent in the period that `wall` (Unix milliseconds) is in, given the windows that are kept.
    #[must_use]
    pub fn figures(&self, windows: &[Standing], wall: i64) -> Figures {
        let window = self.calendar.at(wall);
        // Not compared as a whole: where the time zone's data differ, the window that the ledger keeps counts.
        let found = windows.iter().find(|s| s.window.contains(wall));
        let window = found.map_or(window, |s| s.window);
        let amounts = found.map_or((0, 0, 0), |s| (s.spent, s.forfeited, s.closed_total));
        Figures {
            spent: amounts.0,
            unattributed: amounts.1,
            closed: amounts.2,
            limit: self.budget.limit.0,
            soft_percent: self.budget.soft_limit_percent.map(i64::from),
            resets_at: ends_at(window),
        }
    }

    /// The period that ends then; `None` = never.
    #[must_use]
    pub fn window(&self, ends_at: Option<i64>) -> Window {
        ends_at.map_or(Window::LIFETIME, |end| self.calendar.at(end - 1))
    }
}

/// When a window ends, Unix milliseconds; `None` = never.
fn ends_at(window: Window) -> Option<i64> {
    (window.end < i64::MAX).then_some(window.end)
}

/// Accounts of all keys that have a budget.
#[derive(Debug, Default)]
pub struct Index {
    keys: Shards<ObjectName, Arc<Key>>,
    by_key: HashMap<ObjectName, Owned>,
    by_account: HashMap<AccountId, ObjectName>,
    /// When the period of an account ends.
    ends: BTreeSet<(i64, AccountId)>,
    end_of: HashMap<AccountId, i64>,
}

impl Index {
    /// Takes the keys as they are now; returns the accounts that are new, or whose budget is another.
    pub fn follow(&mut self, keys: &Shards<ObjectName, Arc<Key>>) -> Vec<AccountId> {
        let touched: BTreeSet<ObjectName> = keys.touched(&self.keys).cloned().collect();
        let mut new = Vec::new();
        for name in touched {
            let budget = keys.get(&name).and_then(|key| key.budget.as_ref());
            if self.by_key.get(&name).map(|owned| &owned.budget) == budget {
                continue;
            }
            if let Some(old) = self.by_key.remove(&name) {
                self.by_account.remove(&old.account);
                self.forget_end(old.account);
            }
            // Whoever compiled it knew the time zone.
            let Some(Ok(owned)) = budget.map(|budget| Owned::new(&name, budget)) else { continue };
            new.push(owned.account);
            self.by_account.insert(owned.account, name.clone());
            self.by_key.insert(name, owned);
        }
        self.keys = keys.clone();
        new
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.by_account.keys().copied()
    }

    /// The account of a key.
    #[must_use]
    pub fn of_key(&self, key: &ObjectName) -> Option<&Owned> {
        self.by_key.get(key)
    }

    /// The key that owns an account, and what it spent; remembers when its period ends.
    pub fn figures(
        &mut self,
        account: AccountId,
        windows: &[Standing],
        wall: i64,
    ) -> Option<(ObjectName, Figures)> {
        let name = self.by_account.get(&account)?.clone();
        let figures = self.by_key.get(&name)?.figures(windows, wall);
        self.forget_end(account);
        if let Some(end) = figures.resets_at {
            self.ends.insert((end, account));
            self.end_of.insert(account, end);
        }
        Some((name, figures))
    }

    /// Accounts whose period ended by `wall`, each once.
    pub fn ended(&mut self, wall: i64) -> Vec<AccountId> {
        let mut ended = Vec::new();
        while let Some((end, account)) = self.ends.first().copied().filter(|(end, _)| *end <= wall) {
            self.ends.remove(&(end, account));
            self.end_of.remove(&account);
            ended.push(account);
        }
        ended
    }

    fn forget_end(&mut self, account: AccountId) {
        if let Some(end) = self.end_of.remove(&account) {
            self.ends.remove(&(end, account));
        }
    }
}
