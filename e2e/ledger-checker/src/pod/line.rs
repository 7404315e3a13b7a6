//! Usage lines.

use super::money::nano;
use crate::evidence::Line;
use serde_json::Value;

/// Reads a pod's usage line; `None` when a field is missing, or when no tag was given with the call.
#[must_use]
pub fn read(pod: usize, line: &Value) -> Option<Line> {
    // Anthropic's format carries the caller's tag in its metadata.
    let tag = line["user"].as_str().or_else(|| line["metadata"]["user_id"].as_str())?;
    let time: jiff::Timestamp = line["time"].as_str()?.parse().ok()?;
    Some(Line {
        pod,
        tag: tag.to_owned(),
        key: line["key"].as_str()?.to_owned(),
        cost: nano(line["cost_usd"].as_str()?)?,
        estimated: line["estimated"].as_bool()?,
        attempts: line["attempts"].as_u64()?,
        time: time.as_millisecond(),
        took: line["latency_us"].as_u64()?,
    })
}
