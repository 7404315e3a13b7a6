//! Units (L1): nano-USD for amounts, pico-USD for unit prices, exact sums rounded up once. No floats.

/// Nano-USD in one US dollar.
pub const NANOS_PER_USD: i64 = 1_000_000_000;

/// The exact cost of a call: a sum of units times prices, in pico-USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(i128);

impl Cost {
    /// Adds `units` (tokens, images, seconds, characters, requests) at `price` pico-USD each.
    #[must_use]
    pub fn plus(self, units: u64, price: u64) -> Self {
        // u64 × u64 < 2^128 does not fit i128 at the very top: saturate rather than wrap.
        let part = i128::try_from(u128::from(units) * u128::from(price)).unwrap_or(i128::MAX);
        Self(self.0.saturating_add(part))
    }

    /// The exact sum in pico-USD.
    pub fn picos(self) -> i128 {
        self.0
    }

    /// In nano-USD, rounded up; `i64::MAX` when it is larger than that.
    pub fn nanos(self) -> i64 {
        let up = self.0 / 1_000 + i128::from(self.0 % 1_000 > 0);
        i64::try_from(up).unwrap_or(i64::MAX)
    }
}

/// Reads an amount in US dollars, `^\d{1,9}(\.\d{1,9})?$`, as nano-USD.
pub fn parse_usd(text: &str) -> Option<i64> {
    decimal(text, 9, 9)
}

/// Reads a price per million units, at most 6 decimals, as pico-USD per unit.
pub fn parse_price_per_million(text: &str) -> Option<u64> {
    u64::try_from(decimal(text, 9, 6)?).ok()
}

/// `text` × 10^`decimals` as an integer.
fn decimal(text: &str, whole_digits: usize, decimals: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let digits = |s: &str, most: usize| {
        (!s.is_empty() && s.len() <= most && s.bytes().all(|b| b.is_ascii_digit())).then_some(())
    };
    digits(whole, whole_digits)?;
    let part = part.map_or(Some(""), |part| digits(part, decimals).map(|()| part))?;
    let mut value: i64 = whole.parse().ok()?;
    for at in 0..decimals {
        let digit = part.as_bytes().get(at).map_or(0, |b| i64::from(b - b'0'));
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some(value)
}

/// An amount as text: US dollars without loss and without needless zeros: `1`, `0.0375`, `-0.000000001`. Written more
/// than once for every call, so nothing is allocated.
#[derive(Clone, Copy)]
pub struct UsdText {
    text: [u8; LONGEST_USD],
    start: usize,
    end: usize,
}

/// A sign, ten digits, a point, nine digits.
const LONGEST_USD: usize = 21;
/// Where the point stands; the whole part ends there.
const POINT: usize = 11;

impl UsdText {
    /// The text of `nanos` nano-USD.
    #[must_use]
    pub fn new(nanos: i64) -> Self {
        let mut text = [b'0'; LONGEST_USD];
        text[POINT] = b'.';
        let amount = nanos.unsigned_abs();
        let dollar = NANOS_PER_USD.unsigned_abs();
        let part = u32::try_from(amount % dollar).unwrap_or_default();
        let mut start = digits(&mut text[..POINT], amount / dollar).min(POINT - 1);
        if nanos < 0 {
            start -= 1;
            text[start] = b'-';
        }
        let mut end = POINT;
        if part > 0 {
            digits(&mut text[POINT + 1..], u64::from(part));
            end = text.iter().rposition(|digit| *digit != b'0').map_or(POINT, |last| last + 1);
        }
        Self { text, start, end }
    }

    /// Its digits and signs, all ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Writes `n` at the end of `place`. Returns where its first digit stands.
fn digits(place: &mut [u8], mut n: u64) -> usize {
    let mut at = place.len();
    while n > 0 && at > 0 {
        at -= 1;
        place[at] = b'0' + u8::try_from(n % 10).unwrap_or_default();
        n /= 10;
    }
    at
}

impl std::ops::Deref for UsdText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl std::fmt::Display for UsdText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self)
    }
}

/// Writes nano-USD as US dollars, as [`UsdText`] does.
#[must_use]
pub fn format_usd(nanos: i64) -> String {
    UsdText::new(nanos).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_price_of_the_contract() {
        assert_eq!(parse_price_per_million("0.0375"), Some(37_500));
        assert_eq!(parse_price_per_million("0"), Some(0));
        assert_eq!(parse_price_per_million("0.0000001"), None, "seven decimals");
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        assert_eq!(parse_usd("1"), Some(NANOS_PER_USD));
        assert_eq!(parse_usd("999999999.999999999"), Some(999_999_999_999_999_999));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1234567890", "0.1234567890", " 1", "1,5", "١"] {
            assert_eq!(parse_usd(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_call_is_rounded_up_once() {
        // 3 × 0.5 nano + 1 × 0.1 nano = 1.6 nano: rounded part by part it would be 3.
        assert_eq!(Cost::default().plus(3, 500).plus(1, 100).nanos(), 2);
        assert_eq!(Cost::default().plus(2, 500).nanos(), 1);
        assert_eq!(Cost::default().nanos(), 0);
        assert_eq!(Cost::default().plus(u64::MAX, u64::MAX).plus(u64::MAX, u64::MAX).nanos(), i64::MAX);
    }

    #[test]
    fn amounts_are_written_as_they_are_read() {
        for text in ["0", "1", "0.0375", "12.000000001", "999999999.999999999"] {
            assert_eq!(format_usd(parse_usd(text).unwrap()), text);
        }
        assert_eq!(format_usd(-1), "-0.000000001");
        assert_eq!(format_usd(i64::MIN), "-9223372036.854775808");
        assert_eq!(format_usd(i64::MAX), "9223372036.854775807");
        assert_eq!(format_usd(100 * NANOS_PER_USD), "100");
        assert_eq!(format_usd(-NANOS_PER_USD / 2), "-0.5");
    }
}
