//! Units of money. No floats: see ledger.md L1.

use serde::Serialize;

/// Money in nano-USD (10^-9 USD).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

/// A unit price in pico-USD (10^-12 USD) per token, image or request. $0.0375 per million tokens is 37,500.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize)]
#[serde(transparent)]
pub struct PicoUsd(pub u64);

/// What a model costs. `None` = no price is known for that class, which is not the same as free (`Some(PicoUsd(0))`):
/// on a budgeted key a request that can trigger an unknown price is refused (L16).
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Price {
    /// Per input token.
    pub input: Option<PicoUsd>,
    /// Per output token.
    pub output: Option<PicoUsd>,
    /// Per input token that was read from the vendor's cache; `input` when not given.
    pub cached_input: Option<PicoUsd>,
    /// Per input token that was written to the vendor's cache; `input` when not given.
    pub cache_write: Option<PicoUsd>,
    /// Per input token that was written to the vendor's cache to be kept for an hour; `cache_write` when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<PicoUsd>,
    /// Per reasoning token; `output` when not given.
    pub reasoning: Option<PicoUsd>,
    /// Per input token of audio.
    pub audio_input: Option<PicoUsd>,
    /// Per output token of audio.
    pub audio_output: Option<PicoUsd>,
    /// Per search of the web that the vendor makes; nothing when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<PicoUsd>,
    /// Per request, on top of tokens.
    pub request: Option<PicoUsd>,
    /// Prices of the whole request once its input exceeds a number of tokens.
    pub long_context: Option<Box<LongContext>>,
}

/// The dearer tier of a model with long-context pricing.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct LongContext {
    /// Input tokens above which this tier holds for the whole request.
    pub above_tokens: u32,
    /// Per input token.
    pub input: PicoUsd,
    /// Per output token.
    pub output: PicoUsd,
    /// Per cached input token; `input` of this tier when not given.
    pub cached_input: Option<PicoUsd>,
}
