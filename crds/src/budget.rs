//! Money over time.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much may be spent in a period. A hard cap: it is never exceeded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// The cap in US dollars, as a decimal string such as `"100.50"`. `"0"` = nothing may be spent.
    #[serde(rename = "limitUSD")]
    #[schemars(length(max = 19), regex(pattern = r"^\d{1,9}(\.\d{1,9})?$"))]
    pub limit_usd: String,
    /// When it starts anew: each calendar day, week (Monday) or month of `timezone`, or never.
    pub period: Period,
    /// IANA time zone in which the period's days begin.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub timezone: String,
    /// Warn in usage log and metrics once this share of the cap is spent, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub soft_limit_percent: Option<i32>,
    /// When a call's worst case no longer fits: lower its output cap and say so in a header, or refuse it.
    #[serde(default)]
    pub when_short: WhenShort,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// How long a budget lasts.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A calendar day.
    Daily,
    /// Monday to Monday.
    Weekly,
    /// A calendar month.
    Monthly,
    /// For ever.
    Lifetime,
}

/// What happens to a call whose worst case does not fit.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenShort {
    /// Its output cap is lowered.
    #[default]
    Shorten,
    /// It is refused.
    Reject,
}
