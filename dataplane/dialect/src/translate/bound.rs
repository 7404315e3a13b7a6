//! How many input tokens a translated request can be at most.

use crate::openai::{BadRequest, ChatRequest, ScanLimits};
use crate::{Dialect, anthropic, openai};

/// Upper bound of the input tokens of `body`, a request in the target's format `to`. `image_tokens` is the model's figure
/// for one image. It is the target's template that counts: a tool that stands for the answer's form, an image without a
/// figure and the like cost there what they cost nowhere else.
///
/// # Errors
/// It is no such request.
pub fn input_bound(to: Dialect, body: &[u8], image_tokens: Option<u32>) -> Result<u64, BadRequest> {
    let limits = ScanLimits::default();
    Ok(match to {
        Dialect::OpenAi => openai::input_bound(&ChatRequest::scan(body, &limits)?, image_tokens),
        Dialect::Anthropic => {
            anthropic::input_bound(&anthropic::MessagesRequest::scan(body, &limits)?, image_tokens)
        }
    })
}
