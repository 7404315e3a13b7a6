//! Which path leads where.

use super::body::Body;
use super::fault::Fault;
use super::framing::Framing;
use super::rescue::respond;
use super::streams::{Carried, Shared};
use crate::heading::{tells_id, their_id};
use crate::pipeline::{self, Endpoint};
use crate::telemetry::{emit, event::InternalError};
use crate::worker::Worker;
use crate::{listing, statement};
use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use smartflow_dialect::Dialect;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

/// `x-smartflow-request-id`
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-smartflow-request-id");

/// Where OpenAI's SDKs look for it.
pub const OPENAI_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's SDKs look for it.
pub const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

const COUNT_TOKENS: &str = "/v1/messages/count_tokens";

/// A request as the rooms behind see it.
pub struct Call {
    /// Line and headers.
    pub head: Parts,
    /// `x-smartflow-request-id`
    pub id: [u8; 36],
    /// When its head was read.
    pub started: Instant,
}

impl Call {
    /// The id as text.
    #[must_use]
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.id).unwrap_or_default()
    }
}

/// Answers one request over HTTP/1. Never fails: what goes wrong becomes an answer.
///
/// # Errors
/// None.
pub async fn handle(
    request: Request<Incoming>,
    worker: Rc<Worker>,
    framing: Rc<Framing>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    // Boxed: it is handed on from step to step.
    let call = Box::new(Call { head, id: worker.request_id(), started: Instant::now() });
    let id = call.id;
    let unread = !body.is_end_stream();
    let dialect = dialect(&call.head);
    let distrusted = framing.begin(call.head.headers.contains_key(TRANSFER_ENCODING));
    let answered = if distrusted {
        Err(Fault::Bad {
            code: "invalid_framing",
            param: None,
            message: "Send one Content-Length or one Transfer-Encoding, not more.".to_owned(),
        })
    } else {
        // Pinned here, so that the future of a call is not moved once more.
        unwinding(std::pin::pin!(route(call, body, &worker)), &worker).await
    };
    framing.body_done();
    let closes = distrusted || (unread && answered.as_ref().is_err_and(before_body));
    let mut response = answered.unwrap_or_else(|fault| fault.into_response(dialect));
    if closes || response.headers().contains_key(CONNECTION) {
        framing.leave_unread();
    }
    if closes || framing.is_ending() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Body::Stream(_, answering) = response.body_mut() {
        *answering = Some(framing.stream());
    }
    name(&mut response, id, dialect);
    Ok(response)
}

/// The same over HTTP/2, where framing is not in doubt, and only `stream` ends with what is wrong with a request.
///
/// # Errors
/// None.
pub async fn handle_shared(
    request: Request<Incoming>,
    worker: Rc<Worker>,
    stream: Shared,
) -> Result<Response<Carried>, Infallible> {
    let (head, body) = request.into_parts();
    let call = Box::new(Call { head, id: worker.request_id(), started: Instant::now() });
    let (id, dialect) = (call.id, dialect(&call.head));
    let answered = unwinding(std::pin::pin!(route(call, body, &worker)), &worker).await;
    let mut response = answered.unwrap_or_else(|fault| fault.into_response(dialect));
    response.headers_mut().remove(CONNECTION);
    name(&mut response, id, dialect);
    Ok(response.map(|body| Carried::new(body, stream)))
}

/// The request's id, where the answer does not have it yet.
fn name(response: &mut Response<Body>, id: [u8; 36], dialect: Dialect) {
    if !tells_id(response.headers())
        && let Ok(id) = HeaderValue::from_bytes(&id)
    {
        response.headers_mut().insert(REQUEST_ID, id.clone());
        response.headers_mut().insert(their_id(dialect), id);
    }
}

/// Faults that are told before the body is read: the connection cannot be used again then.
fn before_body(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::NoKey
            | Fault::UnknownKey
            | Fault::KeyDisabled
            | Fault::KeyExpired
            | Fault::NoSuchPath
            | Fault::WrongMethod { .. }
    )
}

/// What the caller speaks: by the path and, where that does not tell, by the version that Anthropic's callers name.
fn dialect(head: &Parts) -> Dialect {
    match head.uri.path() {
        "/v1/chat/completions" | "/v1/embeddings" => Dialect::OpenAi,
        path if path.starts_with("/v1/messages") => Dialect::Anthropic,
        _ if head.headers.contains_key("anthropic-version") => Dialect::Anthropic,
        _ => Dialect::OpenAi,
    }
}

async fn route(call: Box<Call>, body: Incoming, worker: &Rc<Worker>) -> Result<Response<Body>, Fault> {
    let path = call.head.uri.path();
    match (&call.head.method, path) {
        (&Method::POST, "/v1/chat/completions") => pipeline::run(Endpoint::Chat, call, body, worker).await,
        (&Method::POST, "/v1/embeddings") => pipeline::run(Endpoint::Embeddings, call, body, worker).await,
        (&Method::POST, "/v1/messages") => pipeline::run(Endpoint::Messages, call, body, worker).await,
        (&Method::POST, COUNT_TOKENS) => pipeline::run(Endpoint::CountTokens, call, body, worker).await,
        (&Method::GET, "/v1/models") => listing::all(&call, worker, dialect(&call.head)),
        (&Method::GET, "/v1/usage") => statement::own(&call, worker),
        (&Method::GET | &Method::HEAD, "/healthz" | "/livez") => Ok(health(200, "ok")),
        (&Method::GET | &Method::HEAD, "/readyz") => Ok(ready(worker)),
        (_, "/v1/chat/completions" | "/v1/embeddings" | "/v1/messages" | COUNT_TOKENS) => {
            Err(Fault::WrongMethod { allow: "POST" })
        }
        (_, "/v1/models" | "/v1/usage" | "/healthz" | "/livez" | "/readyz") => {
            Err(Fault::WrongMethod { allow: "GET" })
        }
        (&Method::GET, path) if path.starts_with("/v1/models/") => {
            listing::one(&call, worker, dialect(&call.head))
        }
        _ => Err(Fault::NoSuchPath),
    }
}

fn health(status: u16, text: &'static str) -> Response<Body> {
    respond(status, Bytes::from(format!("{{\"status\":\"{text}\"}}\n")))
}

fn ready(worker: &Worker) -> Response<Body> {
    if worker.shared.drain.is_draining() {
        health(503, "draining")
    } else if worker.shared.current.load().generation == 0 {
        health(503, "no configuration yet")
    } else {
        health(200, "ready")
    }
}

/// A panic is a fault of ours: the caller gets a 500, the exchange was finished by its drop, the connection lives.
async fn unwinding<F>(mut future: Pin<&mut F>, worker: &Worker) -> Result<Response<Body>, Fault>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled,
        Err(_) => {
            let why = "a panic; its place is on standard error";
            emit(&worker.shared.metrics, InternalError { request_id: "", why });
            std::task::Poll::Ready(Err(Fault::Internal { why: why.to_owned() }))
        }
    })
    .await
}
