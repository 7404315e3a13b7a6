//! How long a certificate is valid: the one thing that is read of it here, for the metric and the log.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub begins: Timestamp,
    /// Until.
    pub ends: Timestamp,
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Reads it from a certificate (RFC 5280, 4.1): the fifth field of its first part, of which the first may be missing.
pub(super) fn read(certificate: &[u8]) -> Option<Validity> {
    let (outer, _) = inside(certificate, SEQUENCE)?;
    let (mut fields, _) = inside(outer, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = after(fields)?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        fields = after(fields)?;
    }
    let (validity, _) = inside(fields, SEQUENCE)?;
    let (begins, rest) = time(validity)?;
    let (ends, _) = time(rest)?;
    Some(Validity { begins, ends })
}

/// Tag, content and what follows of the first value (DER: lengths are definite).
fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), rest)
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

fn inside(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = value(bytes)?;
    (tag == wanted).then_some((content, rest))
}

fn after(bytes: &[u8]) -> Option<&[u8]> {
    value(bytes).map(|(_, _, rest)| rest)
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, content, rest) = value(bytes)?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    Some((at.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate(begins: (i32, u8, u8), ends: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(begins.0, begins.1, begins.2);
        params.not_after = date_time_ymd(ends.0, ends.1, ends.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let of = |ends| read(&certificate((1999, 12, 31), ends)).unwrap();
        assert_eq!(of((2031, 2, 28)).begins, "1999-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(of((2031, 2, 28)).ends, "2031-02-28T00:00:00Z".parse().unwrap());
        assert_eq!(of((2049, 12, 31)).ends, "2049-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(of((2050, 1, 1)).ends, "2050-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_certificate_that_is_cut_or_garbled_says_nothing_and_harms_nothing() {
        let whole = certificate((2025, 1, 1), (2031, 2, 28));
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), None, "cut at {len}");
        }
        for at in 0..whole.len() {
            let mut garbled = whole.clone();
            garbled[at] ^= 0xff;
            let _ = read(&garbled);
        }
    }
}
