//! The canonical chat, its answers and streams, written as Anthropic writes them.

mod cache;
mod message;
mod part;
mod reply;
mod request;
mod schema;
mod stream;
mod thinking;
mod tool;

pub(crate) use reply::encode_reply;
pub(crate) use request::encode_request;
pub(crate) use stream::DeltaWriter;
