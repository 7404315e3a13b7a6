//! Prices: of what was used, and of the dearest that a request can trigger (L1, L16).

use smartflow_dialect::Usage;
use smartflow_ledger::money::Cost;
use smartflow_snapshot::{LongContext, PicoUsd, Price};

/// Cost of a reported usage, in nano-USD, rounded up once. Classes without a price of their own count as `input` or
/// `output`.
#[must_use]
pub fn cost(price: &Price, usage: &Usage) -> i64 {
    let long = price.long_context.as_deref().filter(|l| usage.input > u64::from(l.above_tokens));
    let input = long.map_or(price.input, |l| Some(l.input));
    let output = long.map_or(price.output, |l| Some(l.output));
    let cached = long.map_or(price.cached_input, |l| l.cached_input).or(input);
    let write = in_tier(price.cache_write, price, long).or(input);
    let hour = in_tier(price.cache_write_hour, price, long).or(write);
    let part = |sum: Cost, units: u64, price: Option<PicoUsd>| sum.plus(units, price.map_or(0, |p| p.0));
    // A vendor that reports more of a class than of the whole is billed for the whole, once.
    let cached_input = usage.cached_input.min(usage.input);
    let cache_write = usage.cache_write.min(usage.input - cached_input);
    let write_hour = usage.cache_write_hour.min(cache_write);
    let audio_input = usage.audio_input.min(usage.input - cached_input - cache_write);
    let reasoning = usage.reasoning.min(usage.output);
    let audio_output = usage.audio_output.min(usage.output - reasoning);
    let mut sum = part(Cost::default(), usage.input - cached_input - cache_write - audio_input, input);
    sum = part(sum, cached_input, cached);
    sum = part(sum, cache_write - write_hour, write);
    sum = part(sum, write_hour, hour);
    sum = part(sum, audio_input, price.audio_input.or(input));
    sum = part(sum, usage.output - reasoning - audio_output, output);
    sum = part(sum, reasoning, price.reasoning.or(output));
    sum = part(sum, audio_output, price.audio_output.or(output));
    sum = part(sum, usage.web_searches, price.web_search);
    part(sum, 1, price.request).nanos()
}

/// A class of input in the dearer tier, for which vendors give no figure of its own: it is dearer by as much as input is.
fn in_tier(class: Option<PicoUsd>, price: &Price, long: Option<&LongContext>) -> Option<PicoUsd> {
    let (class, long) = match (class, long) {
        (Some(class), Some(long)) => (class, long),
        (class, _) => return class,
    };
    let input = u128::from(price.input.map_or(0, |p| p.0));
    let scaled = (u128::from(class.0) * u128::from(long.input.0)).checked_div(input);
    Some(PicoUsd(scaled.map_or(class.0, |picos| u64::try_from(picos).unwrap_or(u64::MAX))))
}

/// What a request can trigger beside ordinary tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extras {
    /// Audio.
    pub audio: bool,
    /// Prompts that the vendor keeps for an hour.
    pub hour: bool,
}

/// The dearest prices that a request of at most `input_bound` input tokens can trigger.
pub struct Dearest {
    /// Pico-USD per input token.
    pub input: u64,
    /// Pico-USD per output token.
    pub output: u64,
    /// Pico-USD once.
    pub request: u64,
}

impl Dearest {
    /// `None` when the model has no price for what the request uses: `input`, and `output` unless it `embeds`.
    #[must_use]
    pub fn of(price: &Price, input_bound: u64, embeds: bool, extras: Extras) -> Option<Self> {
        let long = price.long_context.as_deref().filter(|l| input_bound > u64::from(l.above_tokens));
        let most = |list: &[Option<PicoUsd>]| list.iter().flatten().map(|p| p.0).max().unwrap_or(0);
        price.input?;
        let mut input = most(&[price.input, price.cached_input, price.cache_write]);
        if extras.hour {
            input = input.max(price.cache_write_hour?.0);
        }
        let mut output = 0;
        if !embeds {
            price.output?;
            output = most(&[price.output, price.reasoning]);
        }
        if let Some(l) = long {
            let write = in_tier(price.cache_write, price, Some(l));
            let hour = in_tier(price.cache_write_hour.filter(|_| extras.hour), price, Some(l));
            input = input.max(most(&[Some(l.input), l.cached_input, write, hour]));
            output = output.max(l.output.0);
        }
        if extras.audio {
            input = input.max(price.audio_input?.0);
            output = output.max(price.audio_output?.0);
        }
        if embeds {
            output = 0;
        }
        Some(Self { input, output, request: price.request.map_or(0, |p| p.0) })
    }

    /// Nano-USD of `input` and `output` tokens, rounded up.
    #[must_use]
    pub fn of_tokens(&self, input: u64, output: u64) -> i64 {
        Cost::default().plus(input, self.input).plus(output, self.output).plus(1, self.request).nanos()
    }

    /// Nano-USD of `output` further tokens, rounded up.
    #[must_use]
    pub fn of_output(&self, output: u64) -> i64 {
        Cost::default().plus(output, self.output).nanos()
    }

    /// How many output tokens `nanos` pay for.
    #[must_use]
    pub fn affordable(&self, nanos: i64) -> u64 {
        let picos = u128::try_from(nanos).unwrap_or(0) * 1000;
        if self.output == 0 {
            u64::MAX
        } else {
            u64::try_from(picos / u128::from(self.output)).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use smartflow_snapshot::LongContext;

    fn price() -> Price {
        Price {
            input: Some(PicoUsd(2_500_000)),
            output: Some(PicoUsd(10_000_000)),
            cached_input: Some(PicoUsd(1_250_000)),
            ..Price::default()
        }
    }

    fn usage(input: u64, cached_input: u64, output: u64, reasoning: u64) -> Usage {
        Usage { input, cached_input, output, reasoning, ..Usage::default() }
    }

    #[test]
    fn each_class_is_billed_once() {
        // 600 × 2.5 + 400 × 1.25 + 100 × 10 micro-USD
        assert_eq!(cost(&price(), &usage(1000, 400, 100, 0)), 3_000_000);
        assert_eq!(cost(&price(), &usage(1000, 400, 100, 60)), 3_000_000, "reasoning is part of output");
        let dear = Price { reasoning: Some(PicoUsd(20_000_000)), ..price() };
        assert_eq!(cost(&dear, &usage(0, 0, 100, 60)), 1_600_000);
        assert_eq!(
            cost(&price(), &usage(10, 50, 0, 0)),
            12_500,
            "more cached than there is counts as all cached"
        );
    }

    #[test]
    fn what_is_written_to_the_cache_is_billed_by_how_long_it_stays_and_searches_by_the_piece() {
        let p = Price {
            cache_write: Some(PicoUsd(3_000_000)),
            cache_write_hour: Some(PicoUsd(5_000_000)),
            web_search: Some(PicoUsd(10_000_000_000)),
            ..price()
        };
        let written =
            Usage { cache_write: 600, cache_write_hour: 200, web_searches: 3, ..usage(1000, 0, 0, 0) };
        // 400 × 2.5 + 400 × 3 + 200 × 5 micro-USD, and 3 × $0.01
        assert_eq!(cost(&p, &written), 1_000_000 + 1_200_000 + 1_000_000 + 30_000_000);
        let nothing = Price { cache_write_hour: None, web_search: None, ..p };
        assert_eq!(cost(&nothing, &written), 1_000_000 + 1_800_000);
    }

    #[test]
    fn fractions_are_rounded_up_once() {
        let cheap = Price { input: Some(PicoUsd(37_500)), output: Some(PicoUsd(1)), ..Price::default() };
        assert_eq!(cost(&cheap, &usage(1, 0, 1, 0)), 38);
        assert_eq!(cost(&cheap, &usage(2, 0, 0, 0)), 75);
    }

    #[test]
    fn long_context_changes_the_whole_request() {
        let tier = LongContext {
            above_tokens: 1000,
            input: PicoUsd(5_000_000),
            output: PicoUsd(15_000_000),
            cached_input: None,
        };
        let long = Price { long_context: Some(Box::new(tier)), ..price() };
        assert_eq!(cost(&long, &usage(1000, 0, 10, 0)), 2_600_000);
        assert_eq!(cost(&long, &usage(1001, 0, 10, 0)), 1001 * 5_000 + 150_000);
        let none = Extras::default();
        assert_eq!(Dearest::of(&long, 1000, false, none).unwrap().input, 2_500_000);
        assert_eq!(Dearest::of(&long, 1001, false, none).unwrap().output, 15_000_000);
    }

    #[test]
    fn a_missing_price_is_not_a_free_one() {
        let none = Extras::default();
        assert!(Dearest::of(&Price::default(), 1, false, none).is_none());
        let only_input = Price { input: Some(PicoUsd(0)), ..Price::default() };
        assert!(Dearest::of(&only_input, 1, false, none).is_none());
        assert!(Dearest::of(&only_input, 1, true, none).is_some());
        let audio = Extras { audio: true, ..none };
        assert!(Dearest::of(&price(), 1, false, audio).is_none(), "audio has no price");
        let hour = Extras { hour: true, ..none };
        assert!(Dearest::of(&price(), 1, false, hour).is_none(), "an hour in the cache has no price");
    }

    #[test]
    fn the_dearest_bounds_every_usage() {
        let tier = LongContext {
            above_tokens: 4000,
            input: PicoUsd(5_000_000),
            output: PicoUsd(15_000_000),
            cached_input: None,
        };
        let p = Price {
            cache_write: Some(PicoUsd(3_125_000)),
            cache_write_hour: Some(PicoUsd(5_000_000)),
            long_context: Some(Box::new(tier)),
            ..price()
        };
        let hour = Extras { hour: true, ..Extras::default() };
        let d = Dearest::of(&p, 5000, false, hour).unwrap();
        assert_eq!(d.input, 10_000_000, "an hour in the cache, of a long prompt");
        for u in [
            Usage { cache_write: 5000, cache_write_hour: 5000, ..usage(5000, 0, 300, 0) },
            usage(5000, 0, 300, 0),
            usage(5000, 5000, 300, 300),
            Usage { cache_write: 5000, ..usage(5000, 0, 300, 0) },
        ] {
            assert!(cost(&p, &u) <= d.of_tokens(5000, 300));
        }
    }
}
