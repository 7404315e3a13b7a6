//! One call to one provider: request built, sent, head of the answer awaited.

use super::deadline::Deadline;
use super::play::{Play, play};
use super::pool::{Lease, Pool};
use super::{Unreachable, Upstream};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use smartflow_snapshot::{Auth, Protocol};
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

/// Headers of the caller that providers get. All others stay here: they are the caller's credential, cookies, proxy
/// traces, would change how the answer is encoded, or (`idempotency-key`) would be shared with other callers under the
/// provider's one credential.
const FORWARDED: [HeaderName; 5] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("x-client-request-id"),
    USER_AGENT,
];

/// The caller's own credential for the provider, where the provider's `auth` is `passthrough`.
const PASSED_CREDENTIAL: HeaderName = HeaderName::from_static("x-smartflow-upstream-authorization");

/// Path of embeddings below a provider's URL; the other one is that of chat completions.
pub const EMBEDDINGS: &str = "/embeddings";

/// An answer whose body is still to be read.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Source,
}

/// Where an answer's body comes from.
pub enum Source {
    /// A provider, with the connection it occupies.
    Http(Incoming, Option<Lease>),
    /// The simulated provider.
    Simulated(Box<Play>),
}

impl Source {
    /// The next piece of the body.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unreachable>>> {
        match self {
            Self::Simulated(simulated) => simulated.poll_data(cx).map(|d| d.map(Ok)),
            Self::Http(incoming, lease) => loop {
                return match std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    None => {
                        if let Some(lease) = lease.take() {
                            lease.give_back();
                        }
                        Poll::Ready(None)
                    }
                    Some(Err(source)) => Poll::Ready(Some(Err(Unreachable::Broken { source }))),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => Poll::Ready(Some(Ok(data))),
                        // Trailers are not used.
                        Err(_) => continue,
                    },
                };
            },
        }
    }
}

/// Sends `body` to `path` below the provider's URL. `sent` becomes true once it may have reached the provider.
///
/// # Errors
/// [`Unreachable`]; statuses are not errors here.
pub async fn attempt(
    pool: &Rc<Pool>,
    path: &'static str,
    caller: &HeaderMap,
    body: Bytes,
    deadline: &mut Deadline,
    sent: &Cell<bool>,
) -> Result<Answer, Unreachable> {
    let upstream = &pool.upstream;
    if let Protocol::Simulated(settings) = &upstream.provider.protocol {
        sent.set(true);
        return Box::pin(play(settings, path, &body, upstream.next_call(), deadline)).await;
    }
    let request = request(upstream, path, caller, body, pool.spare());
    let (response, lease) = deadline.guard(pin!(pool.send(request, sent))).await??;
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body: Source::Http(body, Some(lease)) })
}

fn request(
    upstream: &Upstream,
    path: &str,
    caller: &HeaderMap,
    body: Bytes,
    spare: HeaderMap,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = if path == EMBEDDINGS { upstream.embeddings.clone() } else { upstream.chat.clone() };
    *request.headers_mut() = spare;
    let headers = request.headers_mut();
    headers.insert(HOST, upstream.authority.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in caller {
        if FORWARDED.contains(name) {
            headers.append(name, value.clone());
        }
    }
    for (name, value) in &upstream.headers {
        headers.insert(name, value.clone());
    }
    if matches!(upstream.provider.auth, Auth::Passthrough)
        && let Some(value) = caller.get(PASSED_CREDENTIAL)
    {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.insert(http::header::AUTHORIZATION, value);
    }
    request
}
