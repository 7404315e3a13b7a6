//! Anthropic's Messages, token counting and models, as Anthropic and those compatible with it speak them.

mod bound;
mod count;
mod error;
mod messages;
mod models;
mod reply;
mod stream;
mod token_usage;

pub use bound::{IMAGE_TOKENS_UNKNOWN, input_bound, input_estimate};
pub use count::{count_tokens_body, scan_count};
pub use error::{classify, error_body, error_kind};
pub use messages::{CountTokensRequest, Edits, MessagesRequest, MessagesScan};
pub use models::{model_body, models_body};
pub use reply::scan_reply;
pub use stream::{Assembler, MESSAGE_STOP, StreamScan, StreamSettings, error_event, final_events};
