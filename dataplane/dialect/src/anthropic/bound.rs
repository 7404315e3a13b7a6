//! How many input tokens a Messages request can be at most, and about how many it will be. See the bound of OpenAI's
//! chat requests for what it rests on.

use super::MessagesScan;
use crate::openai::bound::{bound, estimate};

/// Once a tool that Anthropic defines and the caller runs: the dearest that is published, `computer_…`, is 735 tokens.
const PER_VENDOR_TOOL: u64 = 1024;

/// Once a set of such tools, which has up to some thirty members. No figure is published.
const PER_TOOLSET: u64 = 16 * 1024;

/// Tokens of an image when the model has no figure: the most that any Claude takes (long edge of 2,576 pixels in patches
/// of 28; Anthropic's vision page).
pub const IMAGE_TOKENS_UNKNOWN: u32 = 4_784;

/// Upper bound of the input tokens of a Messages request. `image_tokens` is the model's figure for one image.
///
/// Documents that are not text, and what the vendor's own tools fetch, are not in it: they are
/// [`Features`](crate::Features) that need a price of their own.
#[must_use]
pub fn input_bound(scan: &MessagesScan, image_tokens: Option<u32>) -> u64 {
    let own = PER_VENDOR_TOOL * u64::from(scan.vendor_tools) + PER_TOOLSET * u64::from(scan.toolsets);
    bound(&scan.bytes, &scan.counts, image_tokens.unwrap_or(IMAGE_TOKENS_UNKNOWN)).saturating_add(own)
}

/// About how many input tokens a Messages request will be: a token for four bytes of text.
#[must_use]
pub fn input_estimate(scan: &MessagesScan, image_tokens: Option<u32>) -> u64 {
    estimate(&scan.bytes, &scan.counts, image_tokens.unwrap_or(IMAGE_TOKENS_UNKNOWN))
}
