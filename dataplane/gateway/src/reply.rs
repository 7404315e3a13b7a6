//! From a provider's answer to the caller's: whole, streamed, or put together from a stream.

use crate::budget::hold::Reserved;
use crate::budget::slices::Slices;
use crate::discretion::clean;
use crate::edge::body::Body;
use crate::edge::fault::Fault;
use crate::exchange::{Bill, End, Exchange};
use crate::heading::Values;
use crate::pipeline::Lost;
use crate::posed::{Posed, Translation};
use crate::reading::{Broken, Gathering, Reading};
use crate::relay::{Ended, Parts, Relay};
use crate::routing::Route;
use crate::routing::failure::class_of;
use crate::telemetry::leg::reasons;
use crate::telemetry::usage::Outcome;
use crate::upstream::Unreachable;
use crate::upstream::attempt::{Answer, Source};
use crate::upstream::deadline::Deadline;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use smartflow_dialect::openai::{ErrorClass, ReplyFacts, UpstreamError, scan_reply, upstream_error};
use smartflow_dialect::translate::{self, Garbled, Memory, TranslatedReply, classify};
use smartflow_dialect::{Dialect, Usage, anthropic};
use smartflow_ledger::Now;
use smartflow_ledger::money::UsdText;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-smartflow-provider");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-smartflow-model");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-smartflow-attempts");
const FAILED: HeaderName = HeaderName::from_static("x-smartflow-failed-attempts");
pub(crate) const OVERHEAD: HeaderName = HeaderName::from_static("x-smartflow-overhead-us");
const DROPPED: HeaderName = HeaderName::from_static("x-smartflow-dropped");
/// A count of tokens that is ours, not the vendor's.
const ESTIMATED: HeaderName = HeaderName::from_static("x-smartflow-estimated");
const MAX_TOKENS: HeaderName = HeaderName::from_static("x-smartflow-max-tokens");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-smartflow-cost-usd");
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("x-smartflow-budget-remaining-usd");
pub(crate) const RESET: HeaderName = HeaderName::from_static("x-smartflow-budget-reset");
/// What a stream tells in trailers.
const TOLD_AT_END: &str = "x-smartflow-cost-usd, x-smartflow-budget-remaining-usd, x-smartflow-budget-reset";
const EVENTS: &str = "text/event-stream";
/// What cannot be written, which none of ours is.
const UNKNOWN: HeaderValue = HeaderValue::from_static("?");
const NOT_JSON: &str = "it is not JSON";
const CREDENTIAL: &str =
    "it refused the gateway's credential; its administrator must look at the provider's Secret";
/// Most bytes of an error answer that are read.
const LONGEST_ERROR: usize = 64 * 1024;

/// Answers the caller; finishes the exchange, or hands it to the stream.
///
/// # Errors
/// [`Lost`]: nothing has reached the caller, and nothing is settled.
pub async fn answer(
    mut exchange: Box<Exchange>,
    posed: Posed<'_>,
    route: &Route,
    reserved: Reserved,
    answer: Box<Answer>,
    deadline: Deadline,
) -> Result<Response<Body>, Lost> {
    if !answer.status.is_success() {
        return Err(Box::pin(refused(exchange, route, answer, deadline)).await);
    }
    let kind = answer.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let streams = kind.get(..17).is_some_and(|k| k.eq_ignore_ascii_case(b"text/event-stream"));
    route.pool.give_back(answer.headers);
    if !streams {
        return pin!(whole(exchange, &posed, route, &reserved, answer.body, deadline)).await;
    }
    let (asked, form) = (posed.caller, posed.form());
    let trailers = asked.streams() && takes_trailers(&exchange.call().head.headers);
    let mut head = headers(&mut exchange, &posed, route, &reserved, Instant::now());
    if !form.may_stream() {
        return Err(lost(exchange, Fault::Garbled { why: "a stream came where none was asked for" }, None));
    }
    let slices = reserved.plan.filter(|p| p.sliced).map(|p| {
        let full = p.cap.unwrap_or(u64::MAX).saturating_mul(u64::from(form.choices()));
        Slices::new(p.output, full, Instant::now())
    });
    let limit = exchange.worker().shared.settings.max_reply;
    let held = !asked.streams() || exchange.is_chained();
    let parts = Parts {
        exchange,
        source: answer.body,
        scan: Reading::of(&posed),
        deadline,
        idle: route.timeouts.idle,
        slices,
        tells_usage: asked.wants_usage(),
        tells_end: trailers,
        held,
    };
    let mut relay = Relay::new(parts);
    if !asked.streams() {
        return Box::pin(put_together(relay, &posed, limit, head)).await;
    }
    if held && let Err(ended) = relay.begin().await {
        let Ended { exchange, how, bill } = *ended;
        let fault = how.err().unwrap_or(Fault::Garbled { why: "its stream had no answer" });
        return Err(lost(exchange, fault, Some(bill)));
    }
    head.insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    head.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if trailers {
        head.insert(http::header::TRAILER, HeaderValue::from_static(TOLD_AT_END));
    }
    Ok(respond(head, Body::Stream(Box::new(relay), None)))
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let te = headers.get(http::header::TE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    te.split(',').any(|t| t.trim().eq_ignore_ascii_case("trailers"))
}

fn respond(headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// Headers that are known before the answer's end. The request's are gone from here on: their memory is used again.
fn headers(
    exchange: &mut Exchange,
    posed: &Posed<'_>,
    route: &Route,
    reserved: &Reserved,
    now: Instant,
) -> HeaderMap {
    let mut headers = exchange.spent_headers();
    attempted(&mut headers, exchange, route);
    let micros = u64::try_from(exchange.answered(now).as_micros()).unwrap_or(u64::MAX);
    headers.insert(OVERHEAD, HeaderValue::from(micros));
    exceptions(&mut headers, posed, reserved);
    headers
}

/// Who was called, and how often.
pub fn attempted(headers: &mut HeaderMap, exchange: &Exchange, route: &Route) {
    headers.insert(PROVIDER, route.provider_header.clone());
    headers.insert(MODEL, route.model_header.clone());
    headers.insert(ATTEMPTS, attempts(exchange));
    failures(headers, exchange);
}

fn attempts(exchange: &Exchange) -> HeaderValue {
    match exchange.attempts {
        1 => HeaderValue::from_static("1"),
        n => HeaderValue::from(n),
    }
}

fn failures(headers: &mut HeaderMap, exchange: &Exchange) {
    if !exchange.legs().is_empty()
        && let Ok(reasons) = HeaderValue::try_from(reasons(exchange.legs()))
    {
        headers.insert(FAILED, reasons);
    }
}

/// Headers that not every answer has.
fn exceptions(headers: &mut HeaderMap, posed: &Posed<'_>, reserved: &Reserved) {
    if let Some(dropped) = posed.translation.as_ref().and_then(|t| t.dropped.clone()) {
        headers.insert(DROPPED, dropped);
    }
    let ours = reserved.plan.and_then(|p| Some((p.cap?, p.reason()?)));
    if let Some((cap, reason)) = ours
        && let Ok(value) = HeaderValue::try_from(format!("{cap}; reason={reason}"))
    {
        headers.insert(MAX_TOKENS, value);
    }
}

/// The head of an answer that is known whole: of one that cost `cost` nano-USD.
fn whole_head(exchange: &Exchange, route: &Route, overhead: Duration, cost: i64, now: Now) -> HeaderMap {
    let (worker, call) = (exchange.worker(), exchange.call());
    let micros = u64::try_from(overhead.as_micros()).unwrap_or(u64::MAX);
    let left = crate::budget::remaining(&worker.shared.ledger, now, &route.guards.enforced);
    let remaining = left.as_ref().map(|left| amount(left.nanos.max(0)));
    let reset = left.and_then(|left| left.resets).map(|reset| route.reset_header(reset));
    let values = Values {
        id: HeaderValue::from_bytes(&call.id).unwrap_or(UNKNOWN),
        provider: route.provider_header.clone(),
        model: route.model_header.clone(),
        attempts: attempts(exchange),
        overhead: HeaderValue::from(micros),
        cost: amount(cost),
        budget: remaining.clone().zip(reset),
    };
    let told = values.budget.is_some();
    let mut headers = worker.headings.of(exchange.endpoint().dialect(), values);
    // Of a budget that never starts anew.
    if let Some(remaining) = remaining.filter(|_| !told) {
        headers.insert(REMAINING, remaining);
    }
    failures(&mut headers, exchange);
    headers
}

fn amount(nanos: i64) -> HeaderValue {
    HeaderValue::from_bytes(crate::budget::usd(nanos).as_bytes()).unwrap_or(UNKNOWN)
}

/// Cost and what is left, once the call is settled.
pub fn settled(headers: &mut HeaderMap, exchange: &Exchange, cost: i64, now: Now) {
    let mut put = |name: HeaderName, value: UsdText| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    put(COST, crate::budget::usd(cost));
    let (shared, Some(route)) = (&exchange.worker().shared, &exchange.route) else { return };
    if let Some(left) = crate::budget::remaining(&shared.ledger, now, &route.guards.enforced) {
        put(REMAINING, crate::budget::usd(left.nanos.max(0)));
        if let Some(reset) = left.resets {
            headers.insert(RESET, route.reset_header(reset));
        }
    }
}

/// An answer that is read whole: its usage is known before its head is sent.
async fn whole(
    mut exchange: Box<Exchange>,
    posed: &Posed<'_>,
    route: &Route,
    reserved: &Reserved,
    source: Source,
    mut deadline: Deadline,
) -> Result<Response<Body>, Lost> {
    let limit = exchange.worker().shared.settings.max_reply;
    // The wait for the head has just ended: the one for the body goes on from there.
    let waited = exchange.heard();
    let read = pin!(collect(source, limit, route, &mut deadline)).await;
    exchange.waited(waited);
    let body = match read {
        Ok(body) => body,
        Err(fault) => return Err(lost(exchange, fault, None)),
    };
    let seconds = || exchange.worker().shared.clock.now().wall / 1000;
    let Heard { body, usage, content_bytes } = match hear(posed, body, seconds) {
        Ok(heard) => heard,
        Err(unheard) => {
            let (broken, usage) = *unheard;
            let fault = match broken {
                Broken::Upstream(error) => stream_error(Some(&exchange), &error),
                Broken::Garbled(why) => Fault::Garbled { why },
            };
            return Err(lost(exchange, fault, usage.map(Bill::Reported)));
        }
    };
    let bill = match usage {
        _ if posed.caller.is_free() => Bill::Nothing,
        Some(usage) => Bill::Reported(usage),
        None => {
            let output = content_bytes.div_ceil(3);
            let input = exchange.input_ceiling();
            exchange.unreported(Usage { input, output, ..Usage::default() })
        }
    };
    let instant = Instant::now();
    let now = exchange.worker().shared.clock.at(instant);
    let overhead = exchange.answered(instant);
    let end = End { outcome: Outcome::Ok, status: 200, code: None, bill };
    let cost = exchange.finish_at(end, instant, now);
    let mut headers = whole_head(&exchange, route, overhead, cost, now);
    exceptions(&mut headers, posed, reserved);
    if posed.caller.streams() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    }
    Ok(respond(headers, Body::whole(body)))
}

fn lost(exchange: Box<Exchange>, fault: Fault, served: Option<Bill>) -> Lost {
    Lost { exchange, fault, served }
}

/// An answer that was read whole, for the caller.
struct Heard {
    body: Bytes,
    usage: Option<Usage>,
    content_bytes: u64,
}

/// Reads `body`, in the target's format; where the caller speaks otherwise, it is translated, and where he reads a stream
/// it becomes one (case 61). `now`: Unix seconds.
fn hear(
    posed: &Posed<'_>,
    body: Bytes,
    now: impl FnOnce() -> i64,
) -> Result<Heard, Box<(Broken, Option<Usage>)>> {
    if posed.caller.streams() && posed.translation.is_none() {
        let (dialect, created) = (posed.caller.dialect(), u64::try_from(now()).unwrap_or(0));
        let memory = Memory::untranslated(created, posed.caller.wants_usage());
        let told = told(translate::replay(dialect, dialect, &body, &memory));
        return told.map_err(|broken| Box::new((broken, None)));
    }
    if let Some(translation) = &posed.translation {
        return translated(posed, translation, &body).map_err(|broken| Box::new((broken, None)));
    }
    let facts = match (posed.caller.is_free(), posed.caller.dialect()) {
        (true, _) => anthropic::scan_count(&body).map(|_| ReplyFacts::default()),
        (_, Dialect::OpenAi) => scan_reply(&body),
        (_, Dialect::Anthropic) => anthropic::scan_reply(&body),
    };
    let Ok(ReplyFacts { usage, content_bytes, error, .. }) = facts else {
        return Err(Box::new((Broken::Garbled(NOT_JSON), None)));
    };
    match error {
        Some(error) => Err(Box::new((Broken::Upstream(error), usage))),
        None => Ok(Heard { body, usage, content_bytes }),
    }
}

fn translated(posed: &Posed<'_>, translation: &Translation, body: &[u8]) -> Result<Heard, Broken> {
    let (from, to) = (translation.asked.dialect(), posed.caller.dialect());
    let translate = if posed.caller.streams() { translate::replay } else { translate::reply };
    told(translate(from, to, body, &translation.memory))
}

fn told(reply: Result<TranslatedReply, Garbled>) -> Result<Heard, Broken> {
    match reply {
        Ok(reply) => Ok(Heard { body: reply.body, usage: reply.usage, content_bytes: reply.content_bytes }),
        Err(Garbled::Upstream(error)) => Err(Broken::Upstream(error)),
        Err(Garbled::Json(_)) => Err(Broken::Garbled(NOT_JSON)),
        Err(Garbled::Shape { .. }) => Err(Broken::Garbled("it has not the form of an answer")),
    }
}

/// How many tokens a message would take, where the target cannot be asked (case 107): about one for four bytes.
#[must_use]
pub fn counted(mut exchange: Box<Exchange>, tokens: u64, route: &Route) -> Response<Body> {
    exchange.finish(End { outcome: Outcome::Ok, status: 200, code: None, bill: Bill::Nothing });
    let mut response = crate::edge::rescue::respond(200, anthropic::count_tokens_body(tokens));
    let headers = response.headers_mut();
    headers.insert(PROVIDER, route.provider_header.clone());
    headers.insert(MODEL, route.model_header.clone());
    headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    response
}

async fn collect(
    mut source: Source,
    limit: usize,
    route: &Route,
    deadline: &mut Deadline,
) -> Result<Bytes, Fault> {
    let idle = route.timeouts.idle;
    let too_long = Fault::Garbled { why: "it is longer than --max-reply" };
    deadline.phase("idle", idle);
    let mut next = async |source: &mut Source| -> Result<Option<Bytes>, Unreachable> {
        let piece = deadline.guard(pin!(poll_fn(|cx| source.poll_data(cx)))).await?;
        deadline.phase("idle", idle);
        piece.transpose()
    };
    let Some(first) = next(&mut source).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(&mut source).await? else {
        return if first.len() > limit { Err(too_long) } else { Ok(first) };
    };
    let mut all = BytesMut::with_capacity((first.len() + second.len()) * 2);
    all.extend_from_slice(&first);
    all.extend_from_slice(&second);
    while let Some(piece) = next(&mut source).await? {
        if all.len() + piece.len() > limit {
            return Err(too_long);
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// A stream that the caller did not ask for, put together again (L20).
async fn put_together(
    mut relay: Relay,
    posed: &Posed<'_>,
    limit: usize,
    mut headers: HeaderMap,
) -> Result<Response<Body>, Lost> {
    let mut gathering = Gathering::of(posed, limit);
    while let Some(bytes) = poll_fn(|cx| relay.poll_bytes(cx)).await {
        if let Err(error) = gathering.feed(&bytes) {
            tracing::warn!(%error, "a stream cannot be put together");
            relay.abandon(Fault::Garbled { why: "its stream cannot be put together" });
            break;
        }
    }
    // A held relay whose bytes are at an end has ended; the reverse would be a fault of ours.
    let Some(Ended { mut exchange, how, bill }) = relay.take_ended() else {
        let fault = Fault::Internal { why: "a held stream did not end".to_owned() };
        return Ok(fault.into_response(posed.caller.dialect()));
    };
    let body = gathering.finish(&bill.usage()).map_err(|_| Broken::Garbled("its stream had no answer"));
    let body = body.and_then(|body| match &posed.translation {
        Some(translation) => translated(posed, translation, &body).map(|heard| heard.body),
        None => Ok(body),
    });
    let fault = match (how, body) {
        (Ok(outcome), Ok(body)) => {
            let instant = Instant::now();
            let now = exchange.worker().shared.clock.at(instant);
            let end = End { outcome, status: 200, code: None, bill };
            let cost = exchange.finish_at(end, instant, now);
            settled(&mut headers, &exchange, cost, now);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok(respond(headers, Body::whole(body)));
        }
        (Ok(_), Err(Broken::Upstream(error))) => stream_error(Some(&exchange), &error),
        (Ok(_), Err(Broken::Garbled(why))) => Fault::Garbled { why },
        (Err(fault), _) => fault,
    };
    Err(lost(exchange, fault, Some(bill)))
}

/// An answer that is not a success.
async fn refused(
    mut exchange: Box<Exchange>,
    route: &Route,
    answer: Box<Answer>,
    mut deadline: Deadline,
) -> Lost {
    // Refused is free (L22), also when the caller leaves before the reason was read.
    exchange.sent.set(false);
    let status = answer.status;
    let retry_after = answer.headers.get(RETRY_AFTER).cloned();
    let waited = exchange.heard();
    let long = answer.headers.get(CONTENT_LENGTH).is_some_and(|v| v.len() > 6);
    let body =
        if long { Ok(Bytes::new()) } else { collect(answer.body, LONGEST_ERROR, route, &mut deadline).await };
    exchange.waited(waited);
    let error = upstream_error(&body.unwrap_or_default());
    let fault = fault(route, status, &error, retry_after);
    lost(exchange, fault, None)
}

fn fault(
    route: &Route,
    status: StatusCode,
    error: &UpstreamError,
    retry_after: Option<HeaderValue>,
) -> Fault {
    let class = classify(route.dialect(), status.as_u16(), error);
    match class {
        ErrorClass::BadRequest | ErrorClass::ContextWindow | ErrorClass::ContentPolicy => {
            // Those who speak OpenAI's API look for a code; not every vendor has one.
            let code = error.code.clone().or_else(|| match class {
                ErrorClass::ContextWindow => Some("context_length_exceeded".to_owned()),
                ErrorClass::ContentPolicy => Some("content_policy_violation".to_owned()),
                _ => None,
            });
            let message = clean(&route.provider, &error.message);
            let clean = |word: &Option<String>| word.as_deref().map(|w| clean(&route.provider, w));
            let (kind, param) = (clean(&error.kind), clean(&error.param));
            let error = Box::new(UpstreamError { message, code: clean(&code), kind, param });
            let status = if status.is_client_error() { status.as_u16() } else { 400 };
            Fault::Rejected { status, error, class: class_of(class) }
        }
        _ => failure(route, status.as_u16(), class, &error.message, retry_after),
    }
}

/// A failure of the provider's, of which `message` is the reason in its words.
fn failure(
    route: &Route,
    status: u16,
    class: ErrorClass,
    message: &str,
    retry_after: Option<HeaderValue>,
) -> Fault {
    let (message, retry_after) = match class {
        // What it says about our credential is not for callers: vendors quote it.
        ErrorClass::Auth => (CREDENTIAL.to_owned(), None),
        _ => (clean(&route.provider, message), retry_after),
    };
    let overloaded = class == ErrorClass::Overloaded;
    Fault::Failed { status, message, retry_after, class: class_of(class), overloaded }
}

/// An error within an answer that began as a success.
#[must_use]
pub fn stream_error(exchange: Option<&Exchange>, error: &UpstreamError) -> Fault {
    match exchange.and_then(|e| e.route.as_deref()) {
        Some(route) => failure(route, 200, classify(route.dialect(), 200, error), &error.message, None),
        None => Fault::Garbled { why: "its stream had an error" },
    }
}
