//! Decimals, without floats (ledger.md L1).

use smartflow_snapshot::{NanoUsd, PicoUsd};

/// US dollars with at most 9 decimals.
pub(crate) fn usd(text: &str) -> Option<NanoUsd> {
    i64::try_from(scaled(text, 9)?).ok().map(NanoUsd)
}

/// US dollars per million tokens with at most 6 decimals: 10^12 pico-USD over 10^6 tokens.
pub(crate) fn per_million(text: &str) -> Option<PicoUsd> {
    u64::try_from(scaled(text, 6)?).ok().map(PicoUsd)
}

/// US dollars per request with at most 6 decimals.
pub(crate) fn per_request(text: &str) -> Option<PicoUsd> {
    u64::try_from(scaled(text, 6)?.checked_mul(1_000_000)?).ok().map(PicoUsd)
}

/// `text` times 10^places, exactly.
fn scaled(text: &str, places: usize) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let proper = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let bare_dot = text.contains('.') && fraction.is_empty();
    if whole.is_empty()
        || whole.len() > 20
        || fraction.len() > places
        || !proper(whole)
        || !proper(fraction)
        || bare_dot
    {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_to_the_last_place() {
        assert_eq!(usd("100.50"), Some(NanoUsd(100_500_000_000)));
        assert_eq!(usd("0.000000001"), Some(NanoUsd(1)));
        assert_eq!(usd("999999999.999999999"), Some(NanoUsd(999_999_999_999_999_999)));
        assert_eq!(per_million("0.0375"), Some(PicoUsd(37_500)));
        assert_eq!(per_million("0.000001"), Some(PicoUsd(1)));
        assert_eq!(per_request("0.005"), Some(PicoUsd(5_000_000_000)));
        assert_eq!(per_request("999999999"), None);
        for wrong in ["", ".5", "1.", "-1", "+1", "1e3", "1,5", "٣", "0.0000001"] {
            assert_eq!(per_million(wrong), None, "{wrong}");
        }
    }
}
