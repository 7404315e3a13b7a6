//! Names of rate accounts, and tokens per day, which are a budget counted in tokens (L24).

use std::num::NonZeroU64;

use crate::account::{AccountId, AccountSpec, Period, Revision};

/// The account of requests and tokens per minute and of calls in flight of one resource.
#[must_use]
pub fn rate_account(install: &str, namespace: &str, name: &str) -> AccountId {
    let budget = "rates";
    let (period, timezone, revision) = (Period::Lifetime, "UTC", Revision::default());
    AccountSpec { namespace, name, budget, period, timezone, limit: 0, revision }.id(install)
}

/// Tokens per day as a budget: the money side of the ledger keeps it, a unit being one token, a day being one in UTC.
/// Reserve the estimate (an upper bound keeps the limit hard) and settle what was used.
#[must_use]
pub fn tokens_per_day<'a>(
    namespace: &'a str,
    name: &'a str,
    limit: NonZeroU64,
    revision: Revision,
) -> AccountSpec<'a> {
    AccountSpec {
        namespace,
        name,
        budget: "tokens-per-day",
        period: Period::Daily,
        timezone: "UTC",
        limit: i64::try_from(limit.get()).unwrap_or(i64::MAX),
        revision,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_days_are_accounts_of_their_own() {
        let limit = NonZeroU64::new(1000).unwrap();
        let day = tokens_per_day("ns", "key/a", limit, Revision::default());
        assert_eq!(day.limit, 1000);
        assert_ne!(day.id("install"), rate_account("install", "ns", "key/a"));
        assert_ne!(rate_account("install", "ns", "key/a"), rate_account("install", "ns", "key/b"));
    }
}
