//! Amounts as pods write them.

/// Nano-USD of a decimal number of dollars; `None` when the text is none, or finer than a nano-USD.
#[must_use]
pub fn nano(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::nano;

    #[test]
    fn decimals_are_exact_and_anything_else_is_refused() {
        assert_eq!(nano("1"), Some(1_000_000_000));
        assert_eq!(nano("0.000004001"), Some(4_001));
        assert_eq!(nano("12.5"), Some(12_500_000_000));
        for bad in ["", ".5", "1e3", "-1", "0.0000000001", "1,5"] {
            assert_eq!(nano(bad), None, "{bad}");
        }
    }
}
