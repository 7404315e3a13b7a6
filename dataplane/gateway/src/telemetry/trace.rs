//! W3C trace context: what the caller sent goes to the provider unchanged, and into the usage line.

use crate::heading::find;
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace id of a `traceparent`, 32 lower-case hex digits; `None` when it is not one.
#[must_use]
pub fn trace_id(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = find(headers, &TRACEPARENT).map(HeaderValue::as_bytes)?;
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (version, rest) = value.split_at_checked(3)?;
    let (id, rest) = rest.split_at_checked(32)?;
    let (parent, rest) = rest.split_at_checked(18)?;
    let sound = version.ends_with(b"-")
        && hex(version.get(..2)?)
        && version != b"ff-"
        && hex(id)
        && id != [b'0'; 32]
        && parent.starts_with(b"-")
        && parent.ends_with(b"-")
        && hex(parent.get(1..17)?)
        && rest.len() >= 2
        && hex(rest.get(..2)?);
    if sound { id.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Option<[u8; 32]> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(text));
        trace_id(&headers)
    }

    #[test]
    fn only_a_sound_traceparent_has_an_id() {
        let id = *b"4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), Some(id));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
