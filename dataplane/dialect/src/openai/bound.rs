//! How many input tokens a request can be at most, from its bytes (ledger rule L17), and about how many it will be.
//!
//! The bound rests on this: tokenizers of chat models work on bytes, and a token stands for at least one of them.
//! What a chat template adds around the caller's words is covered by constants. They are several times what the
//! templates known to us need, because nobody publishes all of them.

use super::{ChatScan, Counts, EmbeddingsScan, PromptBytes};

/// Once a request: begin-of-text, the opening of the answer (3 tokens with OpenAI), and the preambles that some
/// templates write by themselves (gpt-oss's system message and Llama 3's dates are below 100 tokens).
const PER_REQUEST: u64 = 128;

/// Once a message: OpenAI counts 3, and 1 for a name; Llama 3 and ChatML need 5 to 6. The role's own bytes are counted
/// as text beside it.
const PER_MESSAGE: u64 = 8;

/// Once a content part: separators.
const PER_PART: u64 = 2;

/// Once when there are tools: instructions how to call them. The longest published ones are below 530 tokens
/// (Anthropic's table, for a forced choice).
const TOOL_PREAMBLE: u64 = 640;

/// Once a tool: separators, and the white space of templates that print the schema indented. Templates that rewrite
/// the schema (OpenAI's) make it shorter than its JSON.
const PER_TOOL: u64 = 32;

/// Once when the answer's format is given: instructions how to keep to it.
const FORMAT_PREAMBLE: u64 = 128;

/// Once an input of an embedding request: begin and end of text.
const PER_INPUT: u64 = 4;

/// Tokens of an image when the model has no figure: the dearest that we know, gpt-4o-mini with an image of eight tiles
/// (2,833 + 8 × 5,667; OpenAI's pricing page).
pub const IMAGE_TOKENS_UNKNOWN: u32 = 48_169;

fn images(counts: &Counts, image_tokens: u32) -> u64 {
    u64::from(counts.images) * u64::from(image_tokens)
}

/// Upper bound of the input tokens of a chat request. `image_tokens` is the model's figure for one image.
///
/// Audio, video and files are not in it: they are [`Features`](crate::Features) that need a price of their own.
#[must_use]
pub fn input_bound(scan: &ChatScan, image_tokens: Option<u32>) -> u64 {
    bound(&scan.bytes, &scan.counts, image_tokens.unwrap_or(IMAGE_TOKENS_UNKNOWN))
}

/// The same of what any dialect counted.
pub(crate) fn bound(bytes: &PromptBytes, counts: &Counts, image_tokens: u32) -> u64 {
    let text = bytes.text + bytes.tools + bytes.schema + bytes.prediction + bytes.other;
    let tools = if counts.tools > 0 { TOOL_PREAMBLE + PER_TOOL * u64::from(counts.tools) } else { 0 };
    let format = if bytes.schema > 0 { FORMAT_PREAMBLE } else { 0 };
    let frame = PER_REQUEST + PER_MESSAGE * u64::from(counts.messages) + PER_PART * u64::from(counts.parts);
    (text + tools + format + frame).saturating_add(images(counts, image_tokens))
}

/// About how many input tokens a chat request will be: a token for four bytes of text. For token rates, where the
/// running average of real usage corrects it.
#[must_use]
pub fn input_estimate(scan: &ChatScan, image_tokens: Option<u32>) -> u64 {
    estimate(&scan.bytes, &scan.counts, image_tokens.unwrap_or(IMAGE_TOKENS_UNKNOWN))
}

/// The same of what any dialect counted.
pub(crate) fn estimate(bytes: &PromptBytes, counts: &Counts, image_tokens: u32) -> u64 {
    let text = (bytes.text + bytes.tools + bytes.schema).div_ceil(4);
    (text + 4 * u64::from(counts.messages)).saturating_add(images(counts, image_tokens))
}

/// Upper bound of the tokens of a request for embeddings.
#[must_use]
pub fn embeddings_input_bound(scan: &EmbeddingsScan) -> u64 {
    scan.text_bytes + scan.tokens + PER_INPUT * u64::from(scan.inputs)
}

/// About how many tokens a request for embeddings will be.
#[must_use]
pub fn embeddings_estimate(scan: &EmbeddingsScan) -> u64 {
    scan.text_bytes.div_ceil(4) + scan.tokens + u64::from(scan.inputs)
}
