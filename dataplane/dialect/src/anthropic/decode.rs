//! Requests, answers and streams, as Anthropic and those compatible with it write them, read into the canonical chat.

mod block;
mod message;
mod options;
mod reply;
mod request;
mod source;
mod stream;
mod tool;

pub(crate) use reply::decode_reply;
pub(crate) use request::decode_request;
pub(crate) use stream::DeltaReader;
