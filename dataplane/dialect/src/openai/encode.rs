//! The canonical chat, its answers and streams, written as OpenAI writes them.

mod message;
mod part;
mod reply;
mod request;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod tool;

pub(crate) use reply::encode_reply;
pub(crate) use request::encode_request;
pub(crate) use stream::DeltaWriter;
