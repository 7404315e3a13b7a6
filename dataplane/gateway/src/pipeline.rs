//! The steps of a call, in order. Each is a call into a room; what a step refuses costs nothing.

use crate::asked::Asked;
use crate::budget::hold;
use crate::edge::body::{self, Body};
use crate::edge::fault::Fault;
use crate::edge::routes::Call;
use crate::exchange::{Bill, End, Exchange};
use crate::identity::virtual_key;
use crate::reply;
use crate::routing::Route;
use crate::telemetry::usage::Outcome;
use crate::telemetry::{emit, event};
use crate::upstream::Unreachable;
use crate::upstream::attempt::{Answer, EMBEDDINGS, attempt};
use crate::upstream::deadline::Deadline;
use crate::worker::Worker;
use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
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
}

impl Endpoint {
    /// As in metrics and usage lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
        }
    }

    /// Path below a provider's base URL.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Embeddings => EMBEDDINGS,
        }
    }
}

/// Runs a call from its head to the head of its answer; a stream goes on in [`crate::relay`].
///
/// # Errors
/// [`Fault`], already counted and billed.
pub async fn run(
    endpoint: Endpoint,
    call: Call,
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
        let model = asked.model();
        exchange.request(&model);
        let route = caller.route(worker, &live, &model)?;
        exchange.route = Some(route.clone());
        authorise(&asked, &route, &exchange)?;
        asked.note(&mut exchange);
        // 3 reserve
        let reserved = pin!(hold::reserve(&mut exchange, &asked, &route)).await?;
        // 4 attempt
        let upstream_body = asked.upstream_body(&route, &reserved);
        let sent = pin!(send(&mut exchange, &route, endpoint, upstream_body)).await?;
        Ok((asked, route, reserved, sent))
    })
    .await;
    // 5 answer
    match ran {
        Ok((asked, route, reserved, (answer, deadline))) => {
            pin!(reply::answer(exchange, &asked, &route, reserved, answer, deadline)).await
        }
        Err(fault) => Err(failed(exchange, fault, None)),
    }
}

/// What policies and the model's kind say.
fn authorise(asked: &Asked, route: &Route, exchange: &Exchange) -> Result<(), Fault> {
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

async fn send(
    exchange: &mut Exchange,
    route: &Route,
    endpoint: Endpoint,
    body: Bytes,
) -> Result<(Answer, Deadline), Fault> {
    let waited = Instant::now();
    let mut deadline = Deadline::start(&route.provider.timeouts, waited.into());
    exchange.attempts += 1;
    let headers = &exchange.call().head.headers;
    let answer =
        pin!(attempt(&route.pool, endpoint.path(), headers, body, &mut deadline, &exchange.sent)).await;
    exchange.waited(waited);
    Ok((answer?, deadline))
}

/// Finishes an exchange that has no (or no whole) answer to give. `served`: what a broken stream owes.
#[must_use]
pub fn failed(mut exchange: Box<Exchange>, fault: Fault, served: Option<Bill>) -> Fault {
    let (outcome, owes) = judge(&exchange, &fault);
    let bill = served.unwrap_or(owes);
    tell(&exchange, &fault);
    let (status, code) = (fault.status(), Some(fault.code().into()));
    exchange.finish(End { outcome, status, code, bill });
    fault
}

/// What a call owes that ended with `fault`: refused before any token is free, fully sent but unanswered is not (L22).
fn judge(exchange: &Exchange, fault: &Fault) -> (Outcome, Bill) {
    match fault {
        Fault::Rejected { .. } => (Outcome::Rejected, Bill::Nothing),
        Fault::Failed { .. } => (Outcome::UpstreamFailed, Bill::Nothing),
        Fault::Unreachable(Unreachable::Timeout { .. }) => (Outcome::Timeout, exchange.owes()),
        Fault::Unreachable(_) => (Outcome::UpstreamFailed, exchange.owes()),
        Fault::Garbled { .. } => (Outcome::UpstreamFailed, Bill::Held),
        Fault::Internal { .. } => (Outcome::InternalError, exchange.owes()),
        _ => (Outcome::Refused, Bill::Nothing),
    }
}

fn tell(exchange: &Exchange, fault: &Fault) {
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
