//! Requests, answers and streams, as OpenAI and those compatible with it write them, read into the canonical chat.

mod call;
mod message;
mod part;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod tool;

pub(crate) use reply::decode_reply;
pub(crate) use request::decode_request;
pub(crate) use stream::DeltaReader;
