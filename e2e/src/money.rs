//! What calls cost, computed anew here: nothing of the gateway's or the ledger's arithmetic is used.

use crate::vendor::{Call, Usage};

/// One US dollar in nano-USD.
pub const DOLLAR: i64 = 1_000_000_000;

/// Nano-USD a token, of a model of [`crate::world`]: input, input from the cache, input to the cache, output. A dollar
/// per million tokens is 1,000 of them.
fn prices(model: &str) -> (i64, i64, i64, i64) {
    match model {
        "mock-dear" => (3_000, 3_000, 3_000, 15_000),
        "mock-claude" => (3_000, 300, 3_750, 15_000),
        // 0.1 dollars.
        "mock-embed" => (100, 100, 100, 0),
        _ => (1_000, 250, 1_000, 4_000),
    }
}

fn tokens(count: u64) -> i64 {
    i64::try_from(count).expect("a count of tokens")
}

/// What a model name's tokens cost, nano-USD.
#[must_use]
pub fn cost(model: &str, usage: &Usage) -> i64 {
    let (input, cached, written, output) = prices(model);
    tokens(usage.prompt - usage.cached - usage.written) * input
        + tokens(usage.cached) * cached
        + tokens(usage.written) * written
        + tokens(usage.completion) * output
}

/// What the vendor has served in a call, at this model's price: its prompt, once anything was answered, and every
/// token that it wrote.
#[must_use]
pub fn served(model: &str, call: &Call) -> i64 {
    if call.served == 0 && call.reported.is_none() {
        return 0;
    }
    let (prompt, cached, written) = (call.prompt, call.cached, call.written);
    cost(model, &Usage { prompt, cached, written, completion: call.served, reasoning: 0 })
}

/// Nano-USD of a decimal number of dollars.
///
/// # Panics
/// When the text is none, or finer than a nano-USD.
#[must_use]
pub fn nano(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 9, "{text:?} is finer than a nano-USD");
    let digits = format!("{whole}{fraction:0<9}");
    digits.parse().unwrap_or_else(|e| panic!("{text:?} is no amount: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(nano("1"), DOLLAR);
        assert_eq!(nano("0.000004001"), 4_001);
        assert_eq!(nano("12.5"), 12_500_000_000);
    }
}
