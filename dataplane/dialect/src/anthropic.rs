//! Anthropic's Messages, token counting and models, as Anthropic and those compatible with it speak them.

mod bound;
mod count;
mod decode;
mod encode;
mod error;
mod messages;
mod models;
mod reply;
#[cfg(test)]
mod round;
mod stream;
mod token_usage;

pub use bound::{IMAGE_TOKENS_UNKNOWN, input_bound, input_estimate};
pub use count::{count_tokens_body, scan_count};
pub(crate) use decode::{DeltaReader, decode_reply, decode_request};
pub(crate) use encode::{DeltaWriter, encode_reply, encode_request};
pub use error::{classify, error_body, error_kind};
pub use messages::{CountTokensRequest, Edits, MessagesRequest, MessagesScan};
pub use models::{model_body, models_body};
pub use reply::scan_reply;
pub use stream::{Assembler, MESSAGE_STOP, StreamScan, StreamSettings, error_event, final_events};
