//! Chains: one name, several targets.

use crate::{ObjectName, Target, Timeouts};
use serde::Serialize;
use std::num::NonZeroU32;
use std::time::Duration;

/// A chain, with those of its targets that can serve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Chain {
    /// The FallbackChain object.
    pub name: ObjectName,
    /// Who goes first.
    pub strategy: Strategy,
    /// By priority, then as declared. Empty = none of those that are declared is there: its names lead nowhere.
    pub targets: Box<[ChainTarget]>,
    /// After which failures the next target is tried; sorted.
    pub fallback_on: Box<[FaultClass]>,
    /// How one target is tried again.
    pub retry: Retry,
    /// Failures in a row after which a target is left alone.
    pub failure_threshold: NonZeroU32,
    /// For how long.
    pub cooldown: Duration,
    /// The whole call, over all attempts.
    pub timeout: Duration,
}

impl Chain {
    /// True when a failure of `class` leads to the next target.
    #[must_use]
    pub fn falls_back_on(&self, class: FaultClass) -> bool {
        self.fallback_on.contains(&class)
    }

    /// True when any of its targets may serve a key of `namespace`.
    #[must_use]
    pub fn serves(&self, namespace: &str) -> bool {
        self.targets.iter().any(|t| t.serves(&self.name.namespace, namespace))
    }
}

/// One target of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ChainTarget {
    /// Its name within the chain.
    pub name: Box<str>,
    /// Who serves.
    #[serde(flatten)]
    pub target: Target,
    /// Share of the calls, with strategy `Weighted`.
    pub weight: u32,
    /// Those with a lower number go first.
    pub priority: u32,
    /// What it sets in requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Params>,
    /// Its deadlines: its provider's, as far as the chain does not say otherwise.
    pub timeouts: Timeouts,
}

/// Parameters that a target sets, whatever the caller wrote.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Params {
    /// Top-level fields of the request, each with its JSON.
    pub fields: Box<[(Box<str>, Box<str>)]>,
    /// Most output tokens of one answer.
    pub max_output: Option<u32>,
}

impl ChainTarget {
    /// True when it may serve a key of `namespace` through a chain of `home`: a chain of the key's own namespace was
    /// allowed to use the provider when it was compiled; through another's chain nobody reaches more than by himself.
    #[must_use]
    pub fn serves(&self, home: &str, namespace: &str) -> bool {
        let provider = &self.target.provider;
        home == namespace || *provider.name.namespace == *namespace || provider.access.contains(namespace)
    }
}

/// Which target goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Strategy {
    /// The first.
    Priority,
    /// Each in turn.
    RoundRobin,
    /// By weight.
    Weighted,
    /// Any.
    Random,
    /// The one with the fewest calls in flight.
    LeastBusy,
}

/// How one target is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Retry {
    /// Further tries.
    pub attempts: u32,
    /// Longest first wait; doubles with each try.
    pub backoff: Duration,
    /// Longest wait.
    pub max_backoff: Duration,
}

/// A kind of failure of a target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum FaultClass {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider's account has no money or quota left.
    QuotaExhausted,
    /// It failed, or its answer cannot be used.
    ServerError,
    /// A deadline passed.
    Timeout,
    /// It cannot be connected to, or the connection broke.
    Connect,
    /// It refuses the credential.
    Auth,
    /// It does not know the model.
    NotFound,
    /// The prompt is too long for the model.
    ContextWindow,
    /// A filter refuses the prompt.
    ContentPolicy,
    /// It says that the request is wrong.
    BadRequest,
}

impl FaultClass {
    /// As in resources, metrics and usage lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "RateLimited",
            Self::QuotaExhausted => "QuotaExhausted",
            Self::ServerError => "ServerError",
            Self::Timeout => "Timeout",
            Self::Connect => "Connect",
            Self::Auth => "Auth",
            Self::NotFound => "NotFound",
            Self::ContextWindow => "ContextWindow",
            Self::ContentPolicy => "ContentPolicy",
            Self::BadRequest => "BadRequest",
        }
    }

    /// True when the same request may succeed at the same target a little later.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::RateLimited | Self::ServerError | Self::Timeout | Self::Connect)
    }

    /// True when it concerns the account whose credential was sent.
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Auth | Self::QuotaExhausted | Self::RateLimited)
    }

    /// True when it says something about the target, not about this one request.
    #[must_use]
    pub fn is_of_target(self) -> bool {
        !matches!(self, Self::ContextWindow | Self::ContentPolicy | Self::BadRequest)
    }
}
