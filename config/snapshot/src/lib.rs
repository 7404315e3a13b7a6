//! Everything the gateway was told, as one immutable, content-hashed value.
//!
//! `smartflow-compile` is the only maker of a [`Snapshot`]; the gateway only reads it. Nothing here knows
//! Kubernetes, waits, or opens a file. What a call needs is one look-up away: a token hash leads to a [`Key`], a
//! model name written by the caller leads through [`Names`] to a [`Target`], or to a [`Chain`] of them.

mod chain;
mod hash;
mod key;
mod limit;
mod money;
mod name;
mod names;
mod overrides;
mod policy;
mod provider;
mod secret;
mod shards;

pub use chain::{Chain, ChainTarget, FaultClass, Params, Retry, Strategy};
pub use hash::{ContentHash, TokenHash};
pub use key::{Grant, Grants, Key, Owner};
pub use limit::{Budget, Limits, Period, WhenShort};
pub use money::{LongContext, NanoUsd, PicoUsd, Price};
pub use name::ObjectName;
pub use names::{Meaning, Names, Offered, Target};
pub use overrides::{Override, Overrides, Unsupported};
pub use policy::{Access, BudgetPer, Effect, Enforcement, Policy, PolicyBudget, PolicyLimits, Targets};
pub use provider::{
    Auth, Concurrency, Endpoint, Habit, Model, Namespaces, Protocol, Provider, Refused, Simulation, Thinking,
    Timeouts,
};
pub use secret::Secret;
pub use shards::{Keyed, Shards};

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One compiled world. Cheap to clone; two snapshots share every entry that did not change.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Sum of the entries' hashes (modulo 2^256): equal content, equal hash, whatever the order it came in.
    pub hash: ContentHash,
    /// Virtual keys by the SHA-256 of their token. A disabled or expired key stays here: its caller is told so.
    pub keys: Shards<TokenHash, Arc<Key>>,
    /// All valid keys by name, also those without a usable token: parents pay for their children.
    pub keys_by_name: Shards<ObjectName, Arc<Key>>,
    /// Providers by name.
    pub providers: Arc<BTreeMap<ObjectName, Arc<Provider>>>,
    /// Chains by name.
    pub chains: Arc<BTreeMap<ObjectName, Arc<Chain>>>,
    /// Which model name leads where, for each namespace.
    pub names: Arc<Names>,
    /// All policies, in name order; every one that matches a call applies.
    pub policies: Arc<[Arc<Policy>]>,
}
