//! Budgets and rates, which VirtualKey and Policy have alike.

use crate::finding::{Finding, Reason};
use crate::value::{timezone, usd};
use smartflow_crds as crds;
use smartflow_snapshot::{Budget, Grant, Grants, Limits, Period, WhenShort};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

/// A budget's values; `path` is where it is.
pub(crate) fn budget(spec: &crds::Budget, path: &str, findings: &mut Vec<Finding>) -> Option<Budget> {
    let limit = usd(&spec.limit_usd);
    if limit.is_none() {
        let fix = "Write US dollars as a decimal in quotes, such as \"100.50\".";
        let path = format!("{path}.limitUSD");
        findings.push(Finding::error(Reason::Invalid, &path, "This is not an amount of money.", fix));
    }
    let zone = if spec.timezone == "UTC" { Some("UTC".to_owned()) } else { timezone(&spec.timezone) };
    if zone.is_none() {
        let message = format!("There is no time zone {}.", spec.timezone);
        let fix = "Write a name of the IANA database, such as UTC or Europe/Berlin.";
        findings.push(Finding::error(Reason::Invalid, &format!("{path}.timezone"), message, fix));
    }
    Some(Budget {
        limit: limit?,
        period: match spec.period {
            crds::Period::Daily => Period::Daily,
            crds::Period::Weekly => Period::Weekly,
            crds::Period::Monthly => Period::Monthly,
            crds::Period::Lifetime => Period::Lifetime,
        },
        timezone: zone?.into(),
        soft_limit_percent: spec.soft_limit_percent.and_then(|p| u8::try_from(p).ok()),
        when_short: match spec.when_short {
            crds::WhenShort::Shorten => WhenShort::Shorten,
            crds::WhenShort::Reject => WhenShort::Reject,
        },
    })
}

/// Rates; the schema lets only positive ones pass.
pub(crate) fn limits(spec: &crds::Limits) -> Limits {
    let rate = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).and_then(NonZeroU32::new);
    Limits {
        requests_per_minute: rate(spec.requests_per_minute),
        tokens_per_minute: rate(spec.tokens_per_minute),
        max_parallel: rate(spec.max_parallel),
        tokens_per_day: spec.tokens_per_day.and_then(|n| u64::try_from(n).ok()).and_then(NonZeroU64::new),
    }
}

/// Patterns in order, so that equal sets are equal values.
pub(crate) fn grants(patterns: &[String]) -> Grants {
    let mut sorted: Vec<&str> = patterns.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    Grants(sorted.into_iter().map(Grant::parse).collect::<Arc<[Grant]>>())
}

/// Words in order.
pub(crate) fn words(list: &[String]) -> Box<[Box<str>]> {
    let mut sorted: Vec<Box<str>> = list.iter().map(|w| w.as_str().into()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into()
}
