//! Which accounts and rates a call must find room in: those of its key, of the keys above it, and of the policies that
//! concern it.

use crate::identity::Caller;
use crate::routing::restrict::Restrictions;
use smartflow_ledger::rate::{RateDesk, RateLimits, Rates, rate_account, tokens_per_day};
use smartflow_ledger::{
    Account, AccountSpec, Ledger, Now, OWN_BUDGET, Revision, UnknownTimeZone, key_account,
};
use smartflow_snapshot::{
    Budget, BudgetPer, Effect, Enforcement, Key, Limits, Model, ObjectName, Period, Policy, Provider,
    Snapshot, WhenShort,
};
use std::collections::BTreeSet;
use std::sync::Arc;

pub use smartflow_ledger::INSTALL;

/// Most shares of policies that one statement shows.
const MOST_SHOWN: usize = 100;

/// What an account counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nano-USD.
    Money,
    /// Tokens.
    Tokens,
}

/// One account that a call spends from.
pub struct Leg {
    /// The account.
    pub account: Arc<Account>,
    /// What it counts.
    pub unit: Unit,
    /// In words for the caller: `The budget of this key`.
    pub whose: Box<str>,
    /// What happens when little is left.
    pub when_short: WhenShort,
    /// Share of the limit, in percent, at which its administrator wants to hear of it.
    pub soft_percent: Option<u8>,
}

/// Accounts and rates that are taken all or none.
#[derive(Default)]
pub struct Room {
    /// Accounts, in the order in which refusals name them.
    pub legs: Box<[Leg]>,
    /// Rates, each with its owner in words.
    pub rates: Box<[(Rates, Box<str>)]>,
}

impl Room {
    /// Nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty() && self.rates.is_empty()
    }

    /// Least that is left over all accounts of a unit; `None` when there is none.
    #[must_use]
    pub fn left(&self, ledger: &Ledger, unit: Unit, now: Now) -> Option<i64> {
        self.legs.iter().filter(|l| l.unit == unit).map(|l| ledger.left(now, &l.account)).min()
    }

    /// Accounts that are at or above their soft limit.
    pub fn above_soft<'a>(&'a self, ledger: &'a Ledger, now: Now) -> impl Iterator<Item = &'a Leg> {
        self.legs.iter().filter(move |leg| {
            leg.soft_percent.is_some_and(|percent| {
                let view = ledger.view(now, &leg.account);
                i128::from(view.spent) * 100 >= i128::from(view.limit) * i128::from(percent)
            })
        })
    }

    /// True when any budget rather refuses than shortens.
    #[must_use]
    pub fn when_short(&self) -> WhenShort {
        let rejects = self.legs.iter().any(|l| l.when_short == WhenShort::Reject);
        if rejects { WhenShort::Reject } else { WhenShort::Shorten }
    }
}

/// All rooms of a route.
#[derive(Default)]
pub struct Guards {
    /// Must have room.
    pub enforced: Room,
    /// Policies in dry run: are told when they have none.
    pub dry: Box<[(ObjectName, Room)]>,
}

/// Where accounts come from.
pub struct Books<'a> {
    /// Money.
    pub ledger: &'a Ledger,
    /// Rates.
    pub desk: &'a RateDesk,
    /// Age of the limits that are declared now.
    pub revision: Revision,
    /// When that is.
    pub now: Now,
}

/// Accounts under way to a [`Room`].
#[derive(Default)]
struct Making {
    legs: Vec<Leg>,
    rates: Vec<(Rates, Box<str>)>,
}

impl From<Making> for Room {
    fn from(making: Making) -> Self {
        Self { legs: making.legs.into(), rates: making.rates.into() }
    }
}

impl Guards {
    /// Those of `caller`'s calls to `model` of `provider`.
    ///
    /// # Errors
    /// A time zone that compile let through is not known to the ledger.
    pub fn new(
        books: &Books<'_>,
        caller: &Caller,
        restrictions: &Restrictions,
        provider: &Provider,
        model: &Model,
    ) -> Result<Self, UnknownTimeZone> {
        let mut enforced = Making::default();
        let mut dry = Vec::new();
        enforced.keys(books, caller)?;
        for policy in &restrictions.metered {
            if policy.enforcement == Enforcement::DryRun {
                let mut making = Making::default();
                making.policy(books, caller, policy, provider, model)?;
                dry.push((policy.name.clone(), making.into()));
            } else {
                enforced.policy(books, caller, policy, provider, model)?;
            }
        }
        Ok(Self { enforced: enforced.into(), dry: dry.into() })
    }
}

/// Accounts and rates of a key and of the keys above it, without policies: what its owner may see.
///
/// # Errors
/// A time zone that compile let through is not known to the ledger.
pub fn of_keys(books: &Books<'_>, caller: &Caller) -> Result<Room, UnknownTimeZone> {
    let mut making = Making::default();
    making.keys(books, caller)?;
    Ok(making.into())
}

/// The same and those of enforced policies over `calls`: what a call of this key may have to find room in. At most
/// [`MOST_SHOWN`] of policies, each once.
///
/// # Errors
/// As [`of_keys`].
pub fn of_calls<'a>(
    books: &Books<'_>,
    caller: &Caller,
    calls: impl Iterator<Item = (Arc<Policy>, &'a Provider, &'a Model)>,
) -> Result<Room, UnknownTimeZone> {
    let mut making = Making::default();
    making.keys(books, caller)?;
    let mut seen = BTreeSet::new();
    for (policy, provider, model) in calls.filter(|(p, ..)| p.enforcement == Enforcement::Enforce) {
        let Effect::Restrict { limits, budget, .. } = &policy.effect else { continue };
        let share = |per: BudgetPer| share(per, caller, provider, model);
        let accounts = (
            budget.as_ref().map(|b| share(b.per)),
            limits.as_ref().map(|l| share(l.per)),
            policy.name.clone(),
        );
        if seen.len() < MOST_SHOWN && seen.insert(accounts) {
            making.policy(books, caller, &policy, provider, model)?;
        }
    }
    Ok(making.into())
}

/// Keys that `after` does not have any more, or has disabled, give back what none of their calls has reserved (L4).
pub fn withdraw(ledger: &Ledger, now: Now, before: &Snapshot, after: &Snapshot) {
    let gone = |key: &Key| !key.disabled && after.keys_by_name.get(&key.name).is_none_or(|key| key.disabled);
    for (_, key) in before.keys_by_name.iter().filter(|(_, key)| gone(key)) {
        let (namespace, name) = (&key.name.namespace, key_account(&key.name.name));
        let money = key.budget.as_ref().map(|budget| {
            let spec = AccountSpec {
                namespace,
                name: &name,
                budget: OWN_BUDGET,
                period: period(budget.period),
                timezone: &budget.timezone,
                limit: budget.limit.0,
                revision: Revision::default(),
            };
            spec.id(INSTALL)
        });
        let limit = key.limits.as_ref().and_then(|limits| limits.tokens_per_day);
        let tokens =
            limit.map(|limit| tokens_per_day(namespace, &name, limit, Revision::default()).id(INSTALL));
        for account in money.into_iter().chain(tokens).filter_map(|id| ledger.known(id)) {
            ledger.disable(now, &account);
        }
    }
}

/// Which share of a shared budget or limit a call counts in.
fn share(per: BudgetPer, caller: &Caller, provider: &Provider, model: &Model) -> String {
    let key = || format!("/key/{}", caller.key.name);
    let owner = caller.key.owner.as_deref();
    match per {
        BudgetPer::Policy => String::new(),
        BudgetPer::Key => key(),
        BudgetPer::User => owner.and_then(|o| o.user.as_deref()).map_or_else(key, |u| format!("/user/{u}")),
        BudgetPer::Team => owner.and_then(|o| o.team.as_deref()).map_or_else(key, |t| format!("/team/{t}")),
        BudgetPer::Model => format!("/model/{}/{}", provider.name, model.name),
    }
}

/// Whose account it is.
struct Owner<'a> {
    name: &'a ObjectName,
    account: String,
    whose: String,
}

impl Making {
    /// What `policy` shares out of a call to `model` of `provider`.
    fn policy(
        &mut self,
        books: &Books<'_>,
        caller: &Caller,
        policy: &Policy,
        provider: &Provider,
        model: &Model,
    ) -> Result<(), UnknownTimeZone> {
        let Effect::Restrict { limits, budget, .. } = &policy.effect else { return Ok(()) };
        let whose = format!("policy {}", policy.name);
        let owner = Owner { name: &policy.name, account: format!("policy/{}", policy.name.name), whose };
        if let Some(shared) = budget {
            let share = share(shared.per, caller, provider, model);
            self.budget(books, &owner, &format!("budget{share}"), &shared.budget)?;
        }
        if let Some(shared) = limits {
            let share = share(shared.per, caller, provider, model);
            self.limits(books, &owner, &share, &shared.limits)?;
        }
        Ok(())
    }

    fn keys(&mut self, books: &Books<'_>, caller: &Caller) -> Result<(), UnknownTimeZone> {
        for (above, key) in std::iter::once(&caller.key).chain(&caller.parents).enumerate() {
            let whose =
                if above == 0 { "this key".to_owned() } else { format!("the parent key {}", key.name) };
            let owner = Owner { name: &key.name, account: key_account(&key.name.name), whose };
            if let Some(budget) = &key.budget {
                self.budget(books, &owner, OWN_BUDGET, budget)?;
            }
            if let Some(limits) = &key.limits {
                self.limits(books, &owner, "", limits)?;
            }
        }
        Ok(())
    }

    fn budget(
        &mut self,
        books: &Books<'_>,
        owner: &Owner<'_>,
        name: &str,
        budget: &Budget,
    ) -> Result<(), UnknownTimeZone> {
        let spec = AccountSpec {
            namespace: &owner.name.namespace,
            name: &owner.account,
            budget: name,
            period: period(budget.period),
            timezone: &budget.timezone,
            limit: budget.limit.0,
            revision: books.revision,
        };
        self.legs.push(Leg {
            account: books.ledger.account(books.now, &spec)?,
            unit: Unit::Money,
            whose: format!("The budget of {}", owner.whose).into(),
            when_short: budget.when_short,
            soft_percent: budget.soft_limit_percent,
        });
        Ok(())
    }

    fn limits(
        &mut self,
        books: &Books<'_>,
        owner: &Owner<'_>,
        share: &str,
        limits: &Limits,
    ) -> Result<(), UnknownTimeZone> {
        let name = format!("{}{share}", owner.account);
        let namespace = &owner.name.namespace;
        let rates = RateLimits {
            requests: limits.requests_per_minute,
            tokens: limits.tokens_per_minute,
            parallel: limits.max_parallel,
        };
        if rates != RateLimits::default() {
            let account = rate_account(INSTALL, namespace, &name);
            self.rates
                .push((books.desk.account(account, rates, books.revision), owner.whose.as_str().into()));
        }
        if let Some(limit) = limits.tokens_per_day {
            self.legs.push(Leg {
                account: books
                    .ledger
                    .account(books.now, &tokens_per_day(namespace, &name, limit, books.revision))?,
                unit: Unit::Tokens,
                whose: format!("The daily token limit of {}", owner.whose).into(),
                when_short: WhenShort::Shorten,
                soft_percent: None,
            });
        }
        Ok(())
    }
}

fn period(period: Period) -> smartflow_ledger::Period {
    match period {
        Period::Daily => smartflow_ledger::Period::Daily,
        Period::Weekly => smartflow_ledger::Period::Weekly,
        Period::Monthly => smartflow_ledger::Period::Monthly,
        Period::Lifetime => smartflow_ledger::Period::Lifetime,
    }
}
