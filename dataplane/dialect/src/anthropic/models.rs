//! The answer to `GET /v1/models`.

use crate::json::push_string;
use crate::openai::ModelEntry;
use bytes::Bytes;
use std::io::Write as _;

/// The list, in the order given, on one page.
#[must_use]
pub fn models_body<'a>(models: impl IntoIterator<Item = ModelEntry<'a>>) -> Bytes {
    let mut out = b"{\"data\":[".to_vec();
    let mut ends: Option<(&str, &str)> = None;
    for model in models {
        if ends.is_some() {
            out.push(b',');
        }
        model_object(&mut out, model);
        ends = Some((ends.map_or(model.id, |(first, _)| first), model.id));
    }
    out.extend_from_slice(b"],\"has_more\":false,\"first_id\":");
    push_id(&mut out, ends.map(|(first, _)| first));
    out.extend_from_slice(b",\"last_id\":");
    push_id(&mut out, ends.map(|(_, last)| last));
    out.push(b'}');
    out.into()
}

fn push_id(out: &mut Vec<u8>, id: Option<&str>) {
    match id {
        Some(id) => push_string(out, id),
        None => out.extend_from_slice(b"null"),
    }
}

/// The answer to `GET /v1/models/{id}`.
#[must_use]
pub fn model_body(model: ModelEntry<'_>) -> Bytes {
    let mut out = Vec::with_capacity(128);
    model_object(&mut out, model);
    out.into()
}

fn model_object(out: &mut Vec<u8>, model: ModelEntry<'_>) {
    out.extend_from_slice(b"{\"type\":\"model\",\"id\":");
    push_string(out, model.id);
    out.extend_from_slice(b",\"display_name\":");
    push_string(out, model.id);
    out.extend_from_slice(b",\"created_at\":\"");
    push_time(out, model.created);
    out.extend_from_slice(b"\",\"lifecycle\":\"active\"}");
}

/// Latest second that is written with a year of four digits.
const LAST_SECOND: u64 = 253_402_300_799;

/// Appends Unix seconds as RFC 3339, by the proleptic Gregorian calendar with years that begin in March.
fn push_time(out: &mut Vec<u8>, seconds: u64) {
    let seconds = seconds.min(LAST_SECOND);
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
}

#[cfg(test)]
mod tests {
    use super::{ModelEntry, models_body, push_time};

    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_760_521_445, "2025-10-15T09:44:05Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            let mut out = Vec::new();
            push_time(&mut out, seconds);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn lists() {
        let entry = |id| ModelEntry { id, created: 0, owned_by: "p" };
        let one = |id: &str| {
            format!(
                r#"{{"type":"model","id":"{id}","display_name":"{id}","created_at":"1970-01-01T00:00:00Z","lifecycle":"active"}}"#
            )
        };
        let list = models_body([entry("a"), entry("b")]);
        let expected = format!(
            r#"{{"data":[{},{}],"has_more":false,"first_id":"a","last_id":"b"}}"#,
            one("a"),
            one("b")
        );
        assert_eq!(&list[..], expected.as_bytes());
        assert_eq!(&models_body([])[..], br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }
}
