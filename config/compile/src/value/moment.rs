//! Moments and time zones. Zones come from the data that is built in, so that every machine agrees.

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use std::sync::OnceLock;

/// One for all: it keeps the zones that were asked for.
static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();

/// Unix seconds of an RFC 3339 moment.
pub(crate) fn time(text: &str) -> Option<i64> {
    // jiff also takes wider forms (a space, a zone in brackets, no colon in the offset).
    let shape: String = text
        .chars()
        .map(|c| match c {
            '0'..='9' => '0',
            other => other.to_ascii_uppercase(),
        })
        .collect();
    let rest = shape.strip_prefix("0000-00-00T00:00:00")?;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return None,
        None => rest,
    };
    if !matches!(rest, "Z" | "+00:00" | "-00:00") {
        return None;
    }
    text.to_ascii_uppercase().parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// The proper name of an IANA time zone, when it exists.
pub(crate) fn timezone(name: &str) -> Option<String> {
    let zone = ZONES.get_or_init(TimeZoneDatabase::bundled).get(name).ok()?;
    zone.iana_name().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(time("1970-01-01T00:00:10Z"), Some(10));
        assert_eq!(time("1970-01-01t01:00:00.5+01:00"), Some(0));
        for wrong in [
            "2027-01-31",
            "2027-01-31 00:00:00Z",
            "2027-01-31T00:00:00",
            "2027-02-30T00:00:00Z",
            "2027-01-31T00:00:00+0100",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zones() {
        assert_eq!(timezone("europe/berlin").as_deref(), Some("Europe/Berlin"));
        assert_eq!(timezone("UTC").as_deref(), Some("UTC"));
        assert_eq!(timezone("Europe/Atlantis"), None);
    }
}
