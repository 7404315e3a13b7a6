//! OpenAI's chat completions, embeddings and models, as OpenAI and those compatible with it speak them.

pub(crate) mod bound;
mod chat;
mod decode;
mod embeddings;
mod encode;
pub(crate) mod error;
mod fault;
pub(crate) mod field;
mod models;
mod reply;
#[cfg(test)]
mod round;
mod splice;
mod stream;
pub(crate) mod token_usage;

pub use bound::{
    IMAGE_TOKENS_UNKNOWN, embeddings_estimate, embeddings_input_bound, input_bound, input_estimate,
};
pub(crate) use chat::string_pairs;
pub use chat::{ChatRequest, ChatScan, Counts, PromptBytes, ScanLimits, StreamOptions};
pub(crate) use decode::{DeltaReader, decode_reply, decode_request};
pub use embeddings::{EmbeddingsRequest, EmbeddingsScan};
pub(crate) use encode::{DeltaWriter, encode_reply, encode_request};
pub use error::{ErrorClass, UpstreamError, classify, error_body, retry_after, upstream_error};
pub use fault::BadRequest;
pub use field::{Field, Member};
pub use models::{ModelEntry, model_body, models_body};
pub use reply::{ReplyFacts, scan_reply};
pub use splice::{CapName, Edits, OutputCap};
pub use stream::{
    AssembleFault, Assembler, DONE, StreamEnd, StreamFault, StreamHead, StreamScan, StreamSettings,
    error_event, final_chunk, usage_chunk,
};
