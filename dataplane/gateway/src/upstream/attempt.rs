//! One call to one provider: request built, sent, head of the answer awaited.

use super::deadline::Deadline;
use super::gate;
use super::places::Places;
use super::play::{Play, play};
use super::pool::{Lease, Pool, STALE_TRIES};
use super::{Unreachable, Upstream};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use smartflow_snapshot::{Auth, Protocol};
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Headers of the caller that providers get. All others stay here: they are the caller's credential, cookies, proxy
/// traces, would change how the answer is encoded, or (`idempotency-key`) would be shared with other callers under the
/// provider's one credential.
const FORWARDED: [HeaderName; 4] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-client-request-id"),
    USER_AGENT,
];

/// For those that speak OpenAI's API.
const OPENAI_BETA: HeaderName = HeaderName::from_static("openai-beta");

/// For those that speak Anthropic's API, which demands a version.
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const THE_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The caller's own credential for the provider, where the provider's `auth` is `passthrough`.
const PASSED_CREDENTIAL: HeaderName = HeaderName::from_static("x-smartflow-upstream-authorization");

/// The queue's own bound ends a wait; this much later the deadline would.
const A_LITTLE: Duration = Duration::from_secs(1);

/// Chat of a caller who speaks OpenAI's API: `/chat/completions` below a provider's URL, or `/v1/messages`.
pub const CHAT: &str = "/chat/completions";
/// Chat of a caller who speaks Anthropic's API, at the same places.
pub const MESSAGES: &str = "/messages";
/// Embeddings.
pub const EMBEDDINGS: &str = "/embeddings";
/// Counting tokens, of those that speak Anthropic's API.
pub const COUNT: &str = "/messages/count_tokens";

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
    /// A provider, with what the call occupies there.
    Http(Incoming, Option<(Lease, Option<gate::Place>)>),
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
                        if let Some((lease, _)) = lease.take() {
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
) -> Result<Box<Answer>, Unreachable> {
    let upstream = &pool.upstream;
    let place = match &upstream.gate {
        None => None,
        Some(gate) => {
            // Boxed: only few providers have a gate, and its wait is not a small future.
            deadline
                .phase("queue", upstream.provider.concurrency.map_or(Duration::ZERO, |c| c.wait) + A_LITTLE);
            let place = Box::pin(async { deadline.guard(pin!(gate.enter())).await }).await??;
            // The wait before it was not the provider's.
            deadline.phase("first byte", upstream.provider.timeouts.first_byte);
            Some(place)
        }
    };
    if let Protocol::Simulated(settings) = &upstream.provider.protocol {
        sent.set(true);
        let path = if path == MESSAGES { CHAT } else { path };
        let played = Box::pin(play(settings, path, &body, upstream.next_call(), deadline, place));
        return played.await.map(Box::new);
    }
    let mut answer = if pool.beside.is_empty() {
        deadline.guard(pin!(send(pool, path, caller, body, sent))).await??
    } else {
        Box::pin(anywhere(pool, path, caller, body, deadline, sent)).await?
    };
    if let Source::Http(_, Some((_, held))) = &mut answer.body {
        *held = place;
    }
    Ok(answer)
}

/// Sends, and again by another connection where the one before ended without the request having been looked at.
async fn send(
    pool: &Rc<Pool>,
    path: &str,
    caller: &HeaderMap,
    body: Bytes,
    sent: &Cell<bool>,
) -> Result<Box<Answer>, Unreachable> {
    // Only connections that several calls share take a request with them when they end.
    let mut kept = pool.shares().then(|| body.clone());
    let mut request = request(&pool.upstream, path, caller, body, pool.spare());
    for _ in 0..STALE_TRIES {
        let answered = pin!(pool.send(&mut request, sent)).await;
        match (answered, kept.take()) {
            (Err(Unreachable::Unprocessed { .. }), Some(body)) => {
                kept = Some(body.clone());
                request = self::request(&pool.upstream, path, caller, body, pool.spare());
            }
            (answered, _) => return answered,
        }
    }
    pin!(pool.send(&mut request, sent)).await
}

/// Sends to one of the provider's places: the next one where nothing could be sent to the one before.
async fn anywhere(
    pool: &Rc<Pool>,
    path: &str,
    caller: &HeaderMap,
    body: Bytes,
    deadline: &mut Deadline,
    sent: &Cell<bool>,
) -> Result<Box<Answer>, Unreachable> {
    let mut places = Places::of(pool);
    let mut last = None;
    while let Some(place) = places.advance() {
        let at = place.pool;
        match deadline.guard(pin!(send(at, path, caller, body.clone(), sent))).await? {
            Err(error) if error.is_of_place() => {
                place.unreachable();
                last = Some(error);
            }
            other => {
                place.reached();
                return other;
            }
        }
    }
    // A provider has at least one place.
    Err(last.unwrap_or(Unreachable::Timeout { step: "connect", after: Duration::ZERO }))
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
    *request.uri_mut() = upstream.uri(path).clone();
    *request.headers_mut() = spare;
    let headers = request.headers_mut();
    headers.insert(HOST, upstream.authority.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let anthropic = matches!(upstream.provider.protocol, Protocol::Anthropic);
    for (name, value) in caller {
        let of_dialect = match anthropic {
            // What is translated is written for the one version that we know.
            true => *name == ANTHROPIC_BETA || (*name == ANTHROPIC_VERSION && path != CHAT),
            false => *name == OPENAI_BETA,
        };
        if of_dialect || FORWARDED.contains(name) {
            headers.append(name, value.clone());
        }
    }
    if anthropic {
        headers.entry(ANTHROPIC_VERSION).or_insert(THE_VERSION);
    }
    for (name, value) in &upstream.headers {
        if *name == ANTHROPIC_BETA {
            // The resource's betas come on top of the caller's.
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
    }
    if matches!(upstream.provider.auth, Auth::Passthrough)
        && let Some(value) = caller.get(PASSED_CREDENTIAL)
    {
        let mut value = value.clone();
        value.set_sensitive(true);
        let bare = !value.as_bytes().contains(&b' ');
        headers.insert(if anthropic && bare { API_KEY } else { AUTHORIZATION }, value);
    }
    request
}
