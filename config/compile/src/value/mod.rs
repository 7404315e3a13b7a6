//! Text in resources as values: money, durations, moments, zones, URLs. Exact, or nothing.

mod duration;
mod moment;
mod money;
mod url;

pub(crate) use duration::duration;
pub(crate) use moment::{time, timezone};
pub(crate) use money::{per_million, per_request, usd};
pub(crate) use url::{UrlFault, base_url};
