//! What a call reserves before anything is sent: an upper bound (L16 to L20). Pure.

use super::price::Dearest;
use smartflow_snapshot::{Model, WhenShort};

/// Output tokens of one slice of a stream (L18).
pub const SLICE: u64 = 1024;
/// Fewer output tokens than this are no answer (L20).
const LEAST: u64 = 256;
/// A cap that had to be lowered is never lowered below this while the money is there (L20).
const LOWERED: u64 = 1024;
/// Output cap where neither the caller, the resource nor the catalog names one.
const UNKNOWN_CAP: u64 = 16_384;

/// What is known of a request before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// No more input tokens than this.
    pub input_bound: u64,
    /// The caller's own output cap.
    pub cap: Option<u64>,
    /// Answers asked for; each may use the whole cap.
    pub n: u64,
    /// Tokens that the caller wants the model to think at most, of its output.
    pub thinking: u64,
    /// The caller reads a stream.
    pub stream: bool,
    /// It makes embeddings: no output.
    pub embeds: bool,
    /// The request can be sent as a stream and put together again.
    pub streamable: bool,
}

impl Wish {
    /// Nothing is produced that is billed by the token.
    #[must_use]
    pub fn input_only(input_bound: u64) -> Self {
        Self { input_bound, cap: None, n: 1, thinking: 0, stream: false, embeds: true, streamable: false }
    }

    /// No more input tokens than this are billed: a prompt that does not fit into the model is refused by the provider,
    /// and free. Not so with embeddings, where each of many inputs has the window to itself.
    #[must_use]
    pub fn billable_input(&self, model: &Model) -> u64 {
        let window = model.context_window.filter(|_| !self.embeds).map_or(u64::MAX, u64::from);
        self.input_bound.min(window)
    }
}

/// How a budgeted call is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Output cap of the request upstream, for each of the `n` answers. `None`: no output.
    pub cap: Option<u64>,
    /// The budget made the cap smaller than what the caller would have had.
    pub lowered: bool,
    /// Nobody named a cap, so that it is ours.
    pub by_default: bool,
    /// Nano-USD held from the start.
    pub first: i64,
    /// Output tokens (over all answers) that `first` pays for.
    pub output: u64,
    /// Further output is paid slice by slice while it streams.
    pub sliced: bool,
    /// The request goes upstream as a stream, whatever the caller asked for.
    pub as_stream: bool,
}

impl Plan {
    /// Why the cap is the gateway's and not the caller's or the model's own, for `x-smartflow-max-tokens`.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match (self.lowered, self.by_default) {
            (true, _) => Some("budget"),
            (false, true) => Some("default"),
            (false, false) => None,
        }
    }
}

/// Too little is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Nano-USD that the smallest useful answer would need.
    pub needed: i64,
}

/// Plans a call with `left` nano-USD.
///
/// # Errors
/// [`Short`] when not even the smallest useful answer fits.
pub fn plan(wish: &Wish, model: &Model, price: &Dearest, left: i64, short: WhenShort) -> Result<Plan, Short> {
    let wish = &Wish { input_bound: wish.billable_input(model), ..*wish };
    let fits = |needed: i64| if needed <= left { Ok(()) } else { Err(Short { needed }) };
    if wish.embeds {
        let first = price.of_tokens(wish.input_bound, 0);
        fits(first)?;
        let (lowered, by_default, sliced, as_stream) = Default::default();
        return Ok(Plan { cap: None, lowered, by_default, first, output: 0, sliced, as_stream });
    }
    let n = wish.n.max(1);
    // Providers refuse a cap that does not fit into the window beside the prompt, of which bytes / 3 is a fair measure.
    let window = model.context_window.map_or(u64::MAX, u64::from);
    let beside = window.saturating_sub(wish.input_bound / 3).max(LEAST);
    let full = wish.cap.unwrap_or_else(|| model.max_output.map_or(UNKNOWN_CAP, u64::from).min(beside));
    let by_default = wish.cap.is_none() && model.max_output.is_none();
    let at = |cap: u64| price.of_tokens(wish.input_bound, cap.saturating_mul(n));
    let whole = |cap: u64, lowered: bool| Plan {
        cap: Some(cap),
        lowered,
        by_default,
        first: at(cap),
        output: cap.saturating_mul(n),
        sliced: false,
        as_stream: wish.stream,
    };
    if short == WhenShort::Reject {
        fits(at(full))?;
        return Ok(whole(full, false));
    }
    let least = full.min(LEAST);
    fits(at(least))?;
    let modest = at(full) <= left / 8;
    if modest && !wish.stream {
        return Ok(whole(full, false));
    }
    if !model.hidden_output && (wish.stream || wish.streamable) {
        // The first slice takes what it can get; the next one is asked for while this one streams.
        let slice = full.saturating_mul(n).min(SLICE.max(least * n));
        let spare = price.affordable(left.saturating_sub(price.of_tokens(wish.input_bound, 0)));
        let output = slice.min(spare).max(least * n);
        let first = price.of_tokens(wish.input_bound, output);
        fits(first)?;
        // A provider that is faster than our cancel would serve what nobody can pay. One that is told to think refuses a
        // cap below that.
        let cap = full.min((spare / n).max(wish.thinking.saturating_add(LEAST)));
        let (sliced, lowered) = (output < cap.saturating_mul(n), cap < full);
        return Ok(Plan { cap: Some(cap), lowered, by_default, first, output, sliced, as_stream: true });
    }
    if modest {
        return Ok(whole(full, false));
    }
    // Output that cannot be followed while it is made: hold all of it, and make "all of it" smaller (L19, L20).
    let base = price.of_tokens(wish.input_bound, 0);
    let eighth = price.affordable((left / 8).saturating_sub(base)) / n;
    let all = price.affordable(left.saturating_sub(base)) / n;
    let floor = full.min(wish.thinking.saturating_add(LEAST));
    let cap = full.min(eighth.max(LOWERED)).min(all).max(floor);
    fits(at(cap))?;
    Ok(whole(cap, cap < full))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::budget::price::Extras;
    use smartflow_snapshot::{PicoUsd, Price};

    const USD: i64 = 1_000_000_000;

    fn model(max_output: Option<u32>, hidden_output: bool) -> Model {
        Model {
            name: "m".into(),
            upstream_name: "m".into(),
            aliases: Box::default(),
            price: Price {
                input: Some(PicoUsd(2_500_000)),
                output: Some(PicoUsd(10_000_000)),
                ..Price::default()
            },
            context_window: None,
            max_output,
            hidden_output,
            image_tokens: None,
            embedding: false,
            legacy_max_tokens: false,
            thinking: None,
            structured_output: false,
            refuses: Box::default(),
        }
    }

    fn wish(stream: bool, cap: Option<u64>) -> Wish {
        Wish { input_bound: 1000, cap, n: 1, thinking: 0, stream, embeds: false, streamable: true }
    }

    fn planned(wish: Wish, model: &Model, left: i64, short: WhenShort) -> Result<Plan, Short> {
        let price = Dearest::of(&model.price, wish.input_bound, wish.embeds, Extras::default()).unwrap();
        plan(&wish, model, &price, left, short)
    }

    #[test]
    fn a_modest_call_holds_its_worst_case_and_changes_nothing_for_the_caller() {
        let p = planned(wish(false, Some(100)), &model(None, false), USD, WhenShort::Shorten).unwrap();
        assert_eq!(
            p,
            Plan {
                cap: Some(100),
                lowered: false,
                by_default: false,
                first: 3_500_000,
                output: 100,
                sliced: false,
                as_stream: false
            }
        );
    }

    #[test]
    fn a_call_without_a_cap_is_followed_as_a_stream() {
        // 128k × $10/M = $1.28: more than the dollar that is left, yet answered.
        let p = planned(wish(false, None), &model(Some(128_000), false), USD, WhenShort::Shorten).unwrap();
        assert_eq!((p.output, p.sliced, p.as_stream), (SLICE, true, true));
        assert_eq!(p.first, 2_500_000 + 10_240_000);
    }

    #[test]
    fn l18_the_cap_upstream_is_never_more_than_what_is_left_pays_for() {
        let plan =
            |wish, left| planned(wish, &model(Some(128_000), false), left, WhenShort::Shorten).unwrap();
        for stream in [false, true] {
            // $1 less the input pays for 99,750 tokens.
            let p = plan(wish(stream, None), USD);
            assert_eq!((p.cap, p.lowered, p.sliced, p.reason()), (Some(99_750), true, true, Some("budget")));
            // $0.01 for 750: less than a slice, so that nothing is left to be asked for.
            let p = plan(wish(stream, Some(4_000)), 10_000_000);
            assert_eq!((p.cap, p.output, p.sliced, p.reason()), (Some(750), 750, false, Some("budget")));
        }
        let p = plan(wish(true, Some(4_000)), USD);
        assert_eq!(
            (p.cap, p.lowered, p.reason()),
            (Some(4_000), false, None),
            "what is affordable is as it was asked"
        );
        let p = plan(Wish { n: 3, ..wish(true, Some(4_000)) }, 20_000_000);
        assert_eq!((p.cap, p.output), (Some(583), 1_024), "each answer has its own cap");
        let thinks = Wish { thinking: 2_000, ..wish(true, Some(4_000)) };
        assert_eq!(
            plan(thinks, 10_000_000).cap,
            Some(2_256),
            "a provider refuses a cap below what it is to think"
        );
    }

    #[test]
    fn a_cap_that_is_nobodys_wish_is_told() {
        let why = |cap, max, hidden, left| {
            let model = model(max, hidden);
            planned(wish(false, cap), &model, left, WhenShort::Shorten).unwrap().reason()
        };
        for hidden in [false, true] {
            assert_eq!(why(None, None, hidden, 100 * USD), Some("default"));
            assert_eq!(why(Some(50), None, hidden, 100 * USD), None);
            assert_eq!(why(None, Some(4096), hidden, 100 * USD), None, "the model's own");
        }
        assert_eq!(why(None, None, true, USD / 20), Some("budget"));
    }

    #[test]
    fn streams_hold_a_slice() {
        let p = planned(wish(true, Some(32_000)), &model(None, false), 5 * USD, WhenShort::Shorten).unwrap();
        assert!(p.sliced && p.first < USD / 50);
        let p = planned(wish(true, Some(50)), &model(None, false), 5 * USD, WhenShort::Shorten).unwrap();
        assert_eq!((p.sliced, p.output), (false, 50));
    }

    #[test]
    fn hidden_output_is_held_whole_and_lowered() {
        let m = model(Some(32_000), true);
        let p = planned(wish(true, None), &m, USD, WhenShort::Shorten).unwrap();
        // 1/8 of $1 less the input pays for 12,250 tokens.
        assert_eq!((p.cap, p.lowered, p.sliced), (Some(12_250), true, false));
        let p = planned(wish(true, None), &m, 20_000_000, WhenShort::Shorten).unwrap();
        assert_eq!(p.cap, Some(LOWERED));
        let p = planned(wish(true, None), &m, 8_000_000, WhenShort::Shorten).unwrap();
        assert_eq!(p.cap, Some(550), "all that is left");
        assert!(p.first <= 8_000_000);
    }

    #[test]
    fn a_lowered_cap_leaves_room_to_think_and_to_answer() {
        let m = model(Some(32_000), true);
        let thinks = Wish { thinking: 4000, ..wish(true, None) };
        let p = planned(thinks, &m, 60_000_000, WhenShort::Shorten).unwrap();
        assert_eq!((p.cap, p.lowered), (Some(4256), true));
        // $0.04 pays for 3,750 tokens: the model would think and say nothing.
        let short = planned(thinks, &m, 40_000_000, WhenShort::Shorten);
        assert_eq!(short, Err(Short { needed: 2_500_000 + 42_560_000 }));
    }

    #[test]
    fn below_a_useful_answer_nothing_is_spent() {
        let m = model(Some(32_000), false);
        for stream in [false, true] {
            assert!(planned(wish(stream, None), &m, 5_000_000, WhenShort::Shorten).is_err());
            // The caller's own smaller wish is a useful answer.
            assert!(planned(wish(stream, Some(10)), &m, 2_600_000, WhenShort::Shorten).is_ok());
        }
        assert_eq!(planned(wish(false, None), &m, 0, WhenShort::Shorten), Err(Short { needed: 5_060_000 }));
    }

    #[test]
    fn reject_never_shortens() {
        let m = model(Some(128_000), false);
        assert!(planned(wish(true, None), &m, USD, WhenShort::Reject).is_err());
        let p = planned(wish(true, None), &m, 2 * USD, WhenShort::Reject).unwrap();
        assert_eq!((p.cap, p.sliced, p.lowered), (Some(128_000), false, false));
    }

    #[test]
    fn several_answers_cost_several_times() {
        let m = model(Some(1000), false);
        let four = Wish { n: 4, ..wish(false, Some(100)) };
        assert_eq!(planned(four, &m, USD, WhenShort::Shorten).unwrap().first, 2_500_000 + 4_000_000);
    }

    #[test]
    fn a_prompt_never_costs_more_than_the_window_holds() {
        let small = Model { context_window: Some(2000), ..model(None, false) };
        let long = Wish { input_bound: 1_000_000, ..wish(false, Some(100)) };
        let p = planned(long, &small, USD, WhenShort::Shorten).unwrap();
        assert_eq!(p.first, 2000 * 2500 + 1_000_000);
        let p = planned(wish(true, None), &small, USD, WhenShort::Shorten).unwrap();
        assert_eq!(p.cap, Some(1667), "no answer is longer than what the prompt leaves of the window");
        let p = planned(wish(true, Some(1900)), &small, USD, WhenShort::Shorten).unwrap();
        assert_eq!(p.cap, Some(1900), "what the caller asks for is between it and the provider");
        let gpt4 = Model { max_output: Some(8192), context_window: Some(8192), ..small };
        let long = Wish { input_bound: 100_000, ..wish(false, None) };
        let p = planned(long, &gpt4, USD, WhenShort::Shorten).unwrap();
        assert!(p.cap.unwrap() < 8192, "the prompt needs room as well");
    }

    #[test]
    fn each_input_of_embeddings_has_the_window_to_itself() {
        let small = Model { context_window: Some(8192), ..model(None, false) };
        let many = Wish { input_bound: 100_000, embeds: true, ..wish(false, None) };
        assert_eq!(planned(many, &small, USD, WhenShort::Shorten).unwrap().first, 250_000_000);
    }

    #[test]
    fn embeddings_hold_their_input() {
        let p =
            planned(Wish { embeds: true, ..wish(false, None) }, &model(None, false), USD, WhenShort::Reject)
                .unwrap();
        assert_eq!((p.cap, p.first), (None, 2_500_000));
    }
}
