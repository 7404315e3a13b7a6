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

/// Writes nano-USD as US dollars without loss and without needless zeros: `1`, `0.0375`, `-0.000000001`.
pub fn format_usd(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, part) = (
        nanos.unsigned_abs() / NANOS_PER_USD.unsigned_abs(),
        nanos.unsigned_abs() % NANOS_PER_USD.unsigned_abs(),
    );
    let text = format!("{sign}{whole}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    }
}
