//! Which path leads where.

use super::body::Body;
use super::fault::Fault;
use super::framing::Framing;
use super::rescue::respond;
use crate::pipeline::{self, Endpoint};
use crate::telemetry::{emit, event::InternalError};
use crate::worker::Worker;
use crate::{listing, statement};
use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

/// `x-smartflow-request-id`
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-smartflow-request-id");

const SDK_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

/// Answers one request. Never fails: what goes wrong becomes an answer.
///
/// # Errors
/// None.
pub async fn handle(
    request: Request<Incoming>,
    worker: Rc<Worker>,
    framing: Rc<Framing>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let call = Call { head, id: worker.request_id(), started: Instant::now() };
    let id = HeaderValue::from_bytes(&call.id);
    let unread = !body.is_end_stream();
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
    let mut response = answered.unwrap_or_else(Fault::into_response);
    if closes {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.headers().contains_key(CONNECTION) {
        framing.leave_unread();
    }
    if let Body::Stream(_, answering) = response.body_mut() {
        *answering = Some(framing.stream());
    }
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id.clone());
        // Where OpenAI's SDKs look for it.
        response.headers_mut().insert(SDK_REQUEST_ID, id);
    }
    Ok(response)
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

async fn route(call: Call, body: Incoming, worker: &Rc<Worker>) -> Result<Response<Body>, Fault> {
    let path = call.head.uri.path();
    match (&call.head.method, path) {
        (&Method::POST, "/v1/chat/completions") => pipeline::run(Endpoint::Chat, call, body, worker).await,
        (&Method::POST, "/v1/embeddings") => pipeline::run(Endpoint::Embeddings, call, body, worker).await,
        (&Method::GET, "/v1/models") => listing::all(&call, worker),
        (&Method::GET, "/v1/usage") => statement::own(&call, worker),
        (&Method::GET | &Method::HEAD, "/healthz" | "/livez") => Ok(health(200, "ok")),
        (&Method::GET | &Method::HEAD, "/readyz") => Ok(ready(worker)),
        (_, "/v1/chat/completions" | "/v1/embeddings") => Err(Fault::WrongMethod { allow: "POST" }),
        (_, "/v1/models" | "/v1/usage" | "/healthz" | "/livez" | "/readyz") => {
            Err(Fault::WrongMethod { allow: "GET" })
        }
        (&Method::GET, path) if path.starts_with("/v1/models/") => listing::one(&call, worker),
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
