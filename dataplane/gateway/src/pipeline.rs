//! The steps of a call, in order. Each is a call into a room; what a step refuses costs nothing.

use crate::asked::Asked;
use crate::budget::hold;
use crate::budget::hold::Reserved;
use crate::edge::body::{self, Body};
use crate::edge::fault::Fault;
use crate::edge::routes::Call;
use crate::exchange::{Bill, End, Exchange};
use crate::failover;
use crate::identity::Caller;
use crate::identity::virtual_key;
use crate::live::Live;
use crate::posed::{Posed, Translation};
use crate::reply;
use crate::routing::Route;
use crate::routing::way::{Legs, Way};
use crate::routing::wishes::Wishes;
use crate::telemetry::usage::Outcome;
use crate::telemetry::{emit, event};
use crate::upstream::Unreachable;
use crate::upstream::attempt::{Answer, CHAT, COUNT, EMBEDDINGS, MESSAGES, attempt};
use crate::upstream::deadline::Deadline;
use crate::worker::Worker;
use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use smartflow_dialect::Dialect;
use smartflow_snapshot::Timeouts;
use std::borrow::Cow;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

/// What a caller wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    CountTokens,
}

impl Endpoint {
    /// As in metrics and usage lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// What it goes to at a provider; the path there depends on what the provider speaks.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => CHAT,
            Self::Messages => MESSAGES,
            Self::Embeddings => EMBEDDINGS,
            Self::CountTokens => COUNT,
        }
    }

    /// The format of its callers.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Embeddings => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
        }
    }
}

/// Runs a call from its head to the head of its answer; a stream goes on in [`crate::relay`].
///
/// # Errors
/// [`Fault`], already counted and billed.
pub async fn run(
    endpoint: Endpoint,
    call: Box<Call>,
    body: Incoming,
    worker: &Rc<Worker>,
) -> Result<Response<Body>, Fault> {
    let live = worker.shared.current.load_full();
    // 1 identify
    let token = virtual_key::presented(&call.head.headers)?;
    let caller = worker.caller(&live, &token)?;
    let mut exchange = Exchange::begin(worker, call, endpoint, caller.clone());
    // Pinned where they are made, here and below: an await moves the future that it is given.
    let ran = pin!(async {
        caller.admit(|| worker.shared.clock.now().wall / 1000)?;
        let settings = &worker.shared.settings;
        let headers = &exchange.call().head.headers;
        let body = pin!(body::read(headers, body, settings.max_body, settings.client_timeout)).await?;
        let asked = Asked::scan(endpoint, body)?;
        // 2 authorise
        let wishes = Wishes::read(&exchange.call().head.headers, &caller.key)?;
        wishes.iter().for_each(|w| exchange.wish(w));
        let route = match way(worker, &live, &caller, &asked, wishes.as_deref(), &mut exchange)? {
            Way::Model(route) => route,
            Way::Chain(legs) => return Ok(Ran::Chain(asked, legs, wishes)),
        };
        exchange.route = Some(route.clone());
        authorise(&asked, &route, &exchange)?;
        asked.note(&mut exchange);
        let translation = translation(&asked, &route, &exchange)?;
        let form = translation.as_ref().map_or(&asked, |t| &t.asked);
        // 3 reserve
        let reserved = pin!(hold::reserve(&mut exchange, form, &route)).await?;
        if let Some(tokens) = asked.counted_here(&route) {
            return Ok(Ran::Counted(tokens, route));
        }
        // 4 attempt
        let upstream_body = form.upstream_body(&route, &reserved);
        let timeouts = wishes.map_or(route.timeouts, |w| w.within(&route.timeouts));
        let sent = pin!(send(&mut exchange, &route, endpoint, upstream_body, &timeouts)).await?;
        Ok(Ran::Model(asked, translation, route, reserved, sent))
    })
    .await;
    // 5 answer
    match ran {
        Ok(Ran::Model(asked, translation, route, reserved, (answer, deadline))) => {
            let posed = Posed { caller: &asked, translation };
            let answered = pin!(reply::answer(exchange, posed, &route, reserved, answer, deadline)).await;
            answered.or_else(Lost::finish)
        }
        Ok(Ran::Counted(tokens, route)) => Ok(reply::counted(exchange, tokens, &route)),
        Ok(Ran::Chain(asked, legs, wishes)) => {
            Box::pin(failover::run(exchange, &asked, &legs, wishes.as_deref())).await
        }
        Err(fault) => give_up(exchange, fault, None),
    }
}

/// How far a call came without an answer.
enum Ran {
    Model(Asked, Option<Box<Translation>>, Rc<Route>, Reserved, (Box<Answer>, Deadline)),
    Counted(u64, Rc<Route>),
    Chain(Asked, Rc<Legs>, Option<Box<Wishes>>),
}

/// `asked` in the target's format, where the target speaks another one than the caller.
///
/// # Errors
/// [`Fault::Bad`] for what cannot be carried over.
pub fn translation(
    asked: &Asked,
    route: &Route,
    exchange: &Exchange,
) -> Result<Option<Box<Translation>>, Fault> {
    let now = || exchange.worker().shared.clock.now().wall / 1000;
    Translation::of(asked, route, exchange.unsupported, now)
}

/// Where the call goes: by its body, or by what it wishes.
fn way(
    worker: &Worker,
    live: &Live,
    caller: &Caller,
    asked: &Asked,
    wishes: Option<&Wishes>,
    exchange: &mut Exchange,
) -> Result<Way, Fault> {
    let wished = wishes.and_then(|w| w.model.as_deref()).map(Cow::Borrowed);
    let model = wished.unwrap_or_else(|| asked.model());
    exchange.request(&model);
    let way = caller.way(worker, live, &model)?;
    match (&way, wishes) {
        // Another provider's model of this name goes by its long name, which must be granted as such.
        (Way::Model(route), Some(wishes)) if !wishes.allow(route) => {
            let long = format!("{}/{model}", wishes.provider.as_deref().unwrap_or_default());
            caller.way(worker, live, &long)
        }
        _ => Ok(way),
    }
}

/// A call without its answer, not finished yet.
pub struct Lost {
    /// The call.
    pub exchange: Box<Exchange>,
    /// Why.
    pub fault: Fault,
    /// What it owes, where that is known better than by the fault alone.
    pub served: Option<Bill>,
}

impl Lost {
    /// Gives up: the caller is told.
    ///
    /// # Errors
    /// As [`give_up`].
    pub fn finish(mut self) -> Result<Response<Body>, Fault> {
        self.exchange.unanswered();
        give_up(self.exchange, self.fault, self.served)
    }
}

/// What policies and the model's kind say.
///
/// # Errors
/// [`Fault::Policy`], [`Fault::Bad`]
pub fn authorise(asked: &Asked, route: &Route, exchange: &Exchange) -> Result<(), Fault> {
    let metrics = &exchange.worker().shared.metrics;
    for policy in &route.restrictions.would_block {
        emit(metrics, event::PolicyViolated { policy, dry_run: true });
    }
    if let Some(policy) = &route.restrictions.blocked {
        emit(metrics, event::PolicyViolated { policy, dry_run: false });
        return Err(Fault::Policy { policy: policy.to_string() });
    }
    if asked.embeds() != route.model.embedding {
        let (has, wants) =
            if asked.embeds() { ("chat", "chat completions") } else { ("embedding", "embeddings") };
        return Err(Fault::Bad {
            code: "invalid_value",
            param: Some("model".to_owned()),
            message: format!("`{}` is a {has} model: use it for {wants}.", route.model.name),
        });
    }
    Ok(())
}

/// Sends `body` to the route's provider and waits for the head of its answer.
///
/// # Errors
/// [`Fault::Unreachable`]
pub async fn send(
    exchange: &mut Exchange,
    route: &Route,
    endpoint: Endpoint,
    body: Bytes,
    timeouts: &Timeouts,
) -> Result<(Box<Answer>, Deadline), Fault> {
    let waited = Instant::now();
    let mut deadline = Deadline::start(timeouts, waited.into());
    exchange.attempts += 1;
    let headers = &exchange.call().head.headers;
    let answer =
        pin!(attempt(&route.pool, endpoint.path(), headers, body, &mut deadline, &exchange.sent)).await;
    exchange.waited(waited);
    Ok((answer?, deadline))
}

/// Finishes an exchange that has no answer to give. Once a provider was called, what the caller is told says which.
///
/// # Errors
/// The fault, when none was.
pub fn give_up(exchange: Box<Exchange>, fault: Fault, served: Option<Bill>) -> Result<Response<Body>, Fault> {
    let Some(route) = exchange.route.clone().filter(|_| exchange.attempts > 0) else {
        return Err(failed(exchange, fault, served));
    };
    let (mut headers, dialect) = (HeaderMap::new(), exchange.endpoint().dialect());
    reply::attempted(&mut headers, &exchange, &route);
    let mut response = failed(exchange, fault, served).into_response(dialect);
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Finishes an exchange that has no (or no whole) answer to give. `served`: what a broken stream owes.
#[must_use]
pub fn failed(mut exchange: Box<Exchange>, fault: Fault, served: Option<Bill>) -> Fault {
    let (outcome, owes) = judge(&exchange, &fault);
    let bill = served.unwrap_or(owes);
    tell(&exchange, &fault);
    let (status, code) = (fault.status(exchange.endpoint().dialect()), Some(fault.code().into()));
    exchange.finish(End { outcome, status, code, bill });
    fault
}

/// How a call (or an attempt) ended with `fault`, and what it owes: refused before any token is free, fully sent but unanswered is not (L22).
pub fn judge(exchange: &Exchange, fault: &Fault) -> (Outcome, Bill) {
    match fault {
        Fault::Rejected { .. } => (Outcome::Rejected, Bill::Nothing),
        Fault::Failed { .. } | Fault::NoHealthyTarget { .. } => (Outcome::UpstreamFailed, Bill::Nothing),
        Fault::Unreachable(Unreachable::Timeout { .. }) => (Outcome::Timeout, exchange.owes()),
        Fault::Unreachable(_) => (Outcome::UpstreamFailed, exchange.owes()),
        Fault::Garbled { .. } => (Outcome::UpstreamFailed, Bill::Held),
        Fault::Internal { .. } => (Outcome::InternalError, exchange.owes()),
        _ => (Outcome::Refused, Bill::Nothing),
    }
}

/// Logs a fault of the provider's or ours.
pub fn tell(exchange: &Exchange, fault: &Fault) {
    let metrics = &exchange.worker().shared.metrics;
    let request_id = exchange.call().id();
    let why: &dyn std::fmt::Display = match fault {
        Fault::Unreachable(reason) => reason,
        Fault::Failed { status, .. } => status,
        Fault::Garbled { why } => why,
        Fault::Internal { why } => return emit(metrics, event::InternalError { request_id, why }),
        _ => return,
    };
    if let Some(route) = &exchange.route {
        emit(metrics, event::UpstreamFailed { request_id, provider: &route.provider.name, why });
    }
}
