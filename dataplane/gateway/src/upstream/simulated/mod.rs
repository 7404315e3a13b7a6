//! The simulated provider: answers in OpenAI's format that no model made, for demos and tests without an account.
//!
//! Everything says so: the model's name, the fingerprint and the text. The same request always gets the same answer;
//! which calls fail follows from a count of calls. Nothing here waits: an answer says how long its caller is to wait.

mod arguments;
mod chat;
mod embeddings;
mod faults;
mod plan;
mod render;
mod request;
mod schema;
mod seed;
mod text;
mod vector;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use smartflow_dialect::openai::error_body;
use smartflow_snapshot::Simulation;
use std::time::Duration;

/// An answer.
pub struct Simulated {
    /// HTTP status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'static str,
    /// `retry-after`, in seconds.
    pub retry_after: Option<u64>,
    /// To be waited before the head of the answer.
    pub first_byte_delay: Duration,
    /// The body.
    pub body: Pieces,
}

/// The body of an answer, piece by piece: each with the time to be waited before it. A stream that is cut ends early.
pub struct Pieces {
    inner: Inner,
    delay: Duration,
    first: bool,
}

enum Inner {
    Whole(Option<Bytes>),
    Stream(Box<render::Events>),
}

impl Iterator for Pieces {
    type Item = (Duration, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = match &mut self.inner {
            Inner::Whole(body) => body.take(),
            Inner::Stream(events) => events.next(),
        }?;
        let delay = if std::mem::take(&mut self.first) { Duration::ZERO } else { self.delay };
        Some((delay, bytes))
    }
}

/// Answers one call. `path` is `/chat/completions` or `/embeddings`, `call` the number of the call to this provider,
/// from 0.
#[must_use]
pub fn answer(path: &str, body: &[u8], settings: &Simulation, call: u64) -> Simulated {
    let failure = faults::failure(settings, call);
    let inner = match failure {
        Some(faults::Failure::RateLimited) => Err(refusal(429)),
        Some(faults::Failure::ServerError) => Err(refusal(500)),
        Some(faults::Failure::Cut) | None => {
            let cut = failure.is_some();
            match path {
                "/chat/completions" => chat::answer(body, cut),
                "/embeddings" => embeddings::answer(body).map(|body| Inner::Whole(Some(body))),
                _ => {
                    Err(bad_request(404, "The simulated provider has chat completions and embeddings only."))
                }
            }
        }
    };
    let (status, inner) = match inner {
        Ok(inner) => (200, inner),
        Err((status, body)) => (status, Inner::Whole(Some(body))),
    };
    Simulated {
        status,
        content_type: if matches!(inner, Inner::Stream(_)) {
            "text/event-stream"
        } else {
            "application/json"
        },
        retry_after: (status == 429).then_some(1),
        first_byte_delay: settings.first_byte_delay,
        body: Pieces { inner, delay: settings.chunk_delay, first: true },
    }
}

/// A status and its body.
type Refusal = (u16, Bytes);

fn refusal(status: u16) -> Refusal {
    let (message, kind, code) = match status {
        429 => ("Simulated: rate limit reached.", "requests", "rate_limit_exceeded"),
        _ => ("Simulated: the server had an error.", "server_error", "server_error"),
    };
    (status, error_body(message, kind, None, Some(code)))
}

fn bad_request(status: u16, message: &str) -> Refusal {
    (status, error_body(message, "invalid_request_error", None, Some("invalid_value")))
}

/// The model's name in answers: labelled, whatever the resource calls it.
fn label(model: &str) -> String {
    if model.starts_with("simulated") { model.to_owned() } else { format!("simulated-{model}") }
}
