//! What can go wrong with a call, by who is to blame. Statuses and texts are made of it in [`super::rescue`].

use crate::upstream::Unreachable;
use jiff::Timestamp;
use smartflow_dialect::openai::UpstreamError;
use smartflow_snapshot::FaultClass;
use std::time::Duration;

/// A call that gets no answer from a provider.
#[derive(Debug)]
pub enum Fault {
    /// No credential was presented.
    NoKey,
    /// A credential that no VirtualKey has.
    UnknownKey,
    /// `disabled: true`
    KeyDisabled,
    /// Past `expiresAt`.
    KeyExpired,
    /// No such path.
    NoSuchPath,
    /// The path exists, for another method.
    WrongMethod {
        /// The method it exists for.
        allow: &'static str,
    },
    /// Content type, framing or JSON that cannot be accepted.
    Bad {
        /// `invalid_json`, `invalid_value`, `too_deep`, ...
        code: &'static str,
        /// Field it is about.
        param: Option<String>,
        /// What is wrong, and the fix.
        message: String,
    },
    /// The body is longer than `--max-body`.
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body came too slowly.
    BodyTooSlow,
    /// The connection ended within the body.
    BodyCut,
    /// Not there, or not granted to this key: one answer for both.
    ModelNotFound {
        /// As the caller wrote it.
        model: String,
    },
    /// A policy says no.
    Policy {
        /// `namespace/name` of the policy.
        policy: String,
    },
    /// A budgeted key asked for something without a price.
    PriceUnknown {
        /// What has no price, and which field sets it.
        what: String,
    },
    /// A budget has no room for this call.
    BudgetExceeded {
        /// Which one, in words for the caller.
        whose: String,
        /// What is left, nano-USD.
        remaining: i64,
        /// When it starts anew; `None` = never.
        resets: Option<Timestamp>,
    },
    /// The store that lends money is not there.
    BudgetUnavailable,
    /// Too many requests, tokens or parallel calls.
    RateLimited {
        /// OpenAI's error type: `requests` or `tokens`.
        kind: &'static str,
        /// For the caller.
        message: String,
        /// When it is worth trying again.
        retry_after: Duration,
        /// `x-ratelimit-*`
        headers: Vec<(&'static str, String)>,
    },
    /// This one request is larger than its limit of tokens.
    RequestTooLarge {
        /// Estimated tokens of the request.
        wanted: u64,
        /// The limit.
        limit: u64,
    },
    /// The provider refused the request as the caller's own fault; passed on.
    Rejected {
        /// Its status.
        status: u16,
        /// Its error, without secrets.
        error: Box<UpstreamError>,
        /// What kind of refusal it is.
        class: FaultClass,
    },
    /// The provider failed.
    Failed {
        /// Its status.
        status: u16,
        /// Its message, without secrets.
        message: String,
        /// Its `retry-after`, passed on.
        retry_after: Option<http::HeaderValue>,
        /// What kind of failure it is.
        class: FaultClass,
        /// It has no capacity for now, and so has every other target of the call that was tried.
        overloaded: bool,
    },
    /// Every target of a chain is left alone for now, because it kept failing.
    NoHealthyTarget {
        /// When the first of them may be called again.
        retry_after: Duration,
    },
    /// The provider could not be reached, or broke off.
    Unreachable(Unreachable),
    /// The provider's answer is not what its format says, or too long.
    Garbled {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something that should not happen.
    Internal {
        /// For the log only.
        why: String,
    },
}

impl Fault {
    /// True when it says that the provider has no capacity for now.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Failed { overloaded: true, .. })
    }

    /// The same, of a call that failed for other reasons as well.
    #[must_use]
    pub fn without_overload(mut self) -> Self {
        if let Self::Failed { overloaded, .. } = &mut self {
            *overloaded = false;
        }
        self
    }
}

impl From<Unreachable> for Fault {
    fn from(source: Unreachable) -> Self {
        Self::Unreachable(source)
    }
}
