//! Budgets and limits, as declared; the ledger makes accounts of them.

use crate::NanoUsd;
use serde::Serialize;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A promise about money over a period.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Budget {
    /// The cap. Zero = nothing may be spent.
    pub limit: NanoUsd,
    /// When it starts anew.
    pub period: Period,
    /// IANA time zone in which the period's days begin.
    pub timezone: Arc<str>,
    /// Warn (usage log, metrics) at this share of the cap, in percent.
    pub soft_limit_percent: Option<u8>,
    /// What happens when little is left (L20).
    pub when_short: WhenShort,
}

/// How long a budget lasts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum Period {
    /// A calendar day.
    Daily,
    /// Monday to Monday.
    Weekly,
    /// A calendar month.
    Monthly,
    /// For ever, until an administrator purges it.
    Lifetime,
}

/// What a budget does to a call whose worst case does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub enum WhenShort {
    /// Lower its output cap, and say so in a header.
    #[default]
    Shorten,
    /// Refuse it.
    Reject,
}

/// Rates. `None` = unlimited.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub struct Limits {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens, in and out, in any 60 seconds.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Calls in flight at once.
    pub max_parallel: Option<NonZeroU32>,
    /// Tokens in a calendar day (UTC).
    pub tokens_per_day: Option<std::num::NonZeroU64>,
}

impl Limits {
    /// True when nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
