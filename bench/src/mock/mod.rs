//! The mock vendor, on one thread: chat (whole and streamed), embeddings and models in OpenAI's format, messages (whole
//! and streamed) in Anthropic's.
//!
//! `GET /counts` tells what was served. `POST /settings` with a JSON object of [`Settings`] replaces the settings;
//! what the object leaves out returns to its default.

mod answers;
mod body;
mod settings;

pub use settings::Settings;

use crate::clock::Clock;
use crate::listen::{self, Listening};
use answers::Answers;
use body::{Pace, Reply};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

/// The largest request that is read.
const LARGEST: usize = 64 << 20;

/// Arguments of `mock`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; port 0 picks a free one. The address is printed once it is open
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Settings to begin with.
    #[command(flatten)]
    pub settings: Settings,
}

/// Requests read in full, by kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    chat: u64,
    chat_stream: u64,
    embeddings: u64,
    messages: u64,
    messages_stream: u64,
    models: u64,
    unknown: u64,
    request_bytes: u64,
}

/// What can go wrong with one request.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("reading the request: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

struct Mock {
    settings: Cell<Settings>,
    answers: RefCell<Rc<Answers>>,
    counts: Cell<Counts>,
    clock: Rc<Clock>,
}

/// Serves until the process ends.
///
/// # Errors
/// When the address cannot be listened on or the kernel has no timer.
pub async fn serve(args: Args) -> io::Result<()> {
    let settings = args.settings.bounded();
    let mock = Rc::new(Mock {
        settings: Cell::new(settings),
        answers: RefCell::new(Rc::new(Answers::new(&settings))),
        counts: Cell::default(),
        clock: Clock::start()?,
    });
    let listening = Listening::open(args.listen).await?;
    listen::run(listening, move |request| Rc::clone(&mock).answer(request)).await
}

impl Mock {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Reply>, Fault> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(Fault::Body)?.to_bytes();
        let answers = Rc::clone(&self.answers.borrow());
        let mut counts = self.counts.get();
        counts.request_bytes += body.len() as u64;
        let (counter, reply) = match head.uri.path() {
            "/v1/chat/completions" if streams(&body) => {
                (&mut counts.chat_stream, self.paced(&answers.stream))
            }
            "/v1/chat/completions" => (&mut counts.chat, whole(&answers.chat)),
            "/v1/embeddings" => (&mut counts.embeddings, whole(&answers.embeddings)),
            "/v1/messages" if streams(&body) => {
                (&mut counts.messages_stream, self.paced(&answers.message_stream))
            }
            "/v1/messages" => (&mut counts.messages, whole(&answers.message)),
            "/v1/models" => (&mut counts.models, whole(&answers.models)),
            "/counts" => return Ok(self.counted()),
            "/settings" => return Ok(self.change(&body)),
            _ => {
                counts.unknown += 1;
                self.counts.set(counts);
                return Ok(refused(StatusCode::NOT_FOUND, "no such path"));
            }
        };
        *counter += 1;
        self.counts.set(counts);
        let wait = self.settings.get().first_byte();
        if !wait.is_zero() {
            self.clock.after(wait).await;
        }
        Ok(respond(StatusCode::OK, reply))
    }

    fn paced(&self, frames: &Rc<[Bytes]>) -> Reply {
        Reply::Paced(Pace {
            frames: Rc::clone(frames),
            sent: 0,
            gap: self.settings.get().gap(),
            clock: Rc::clone(&self.clock),
            wait: None,
        })
    }

    fn counted(&self) -> Response<Reply> {
        let text = serde_json::to_vec(&self.counts.get()).unwrap_or_default();
        respond(StatusCode::OK, whole(&text.into()))
    }

    fn change(&self, body: &[u8]) -> Response<Reply> {
        let settings = match serde_json::from_slice::<Settings>(body) {
            Ok(settings) => settings.bounded(),
            Err(fault) => return refused(StatusCode::BAD_REQUEST, &fault.to_string()),
        };
        self.settings.set(settings);
        *self.answers.borrow_mut() = Rc::new(Answers::new(&settings));
        let text = serde_json::to_vec(&settings).unwrap_or_default();
        respond(StatusCode::OK, whole(&text.into()))
    }
}

fn whole(bytes: &Bytes) -> Reply {
    Reply::Whole(Some(bytes.clone()))
}

fn respond(status: StatusCode, reply: Reply) -> Response<Reply> {
    let kind = match &reply {
        Reply::Whole(_) => "application/json",
        Reply::Paced(_) => "text/event-stream",
    };
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn refused(status: StatusCode, message: &str) -> Response<Reply> {
    let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error"}});
    respond(status, whole(&body.to_string().into()))
}

/// Whether the body asks for a stream. Searched, not parsed: the mock shares a core with the load.
fn streams(body: &[u8]) -> bool {
    const FIELD: &[u8] = b"\"stream\"";
    memchr::memmem::find_iter(body, FIELD).any(|at| {
        let after = body.get(at + FIELD.len()..).unwrap_or_default().trim_ascii_start();
        after.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::streams;

    #[test]
    fn a_stream_is_asked_for_by_the_field_alone() {
        for yes in
            [r#"{"stream":true}"#, r#"{"a":1, "stream" : true}"#, r#"{"x":"\"stream\"","stream": true}"#]
        {
            assert!(streams(yes.as_bytes()), "{yes}");
        }
        for no in [r#"{"stream":false}"#, "{}", r#"{"stream_options":{},"stream":null}"#, r#""stream""#] {
            assert!(!streams(no.as_bytes()), "{no}");
        }
    }
}
