//! A call through a chain: targets are tried as the plan says, until one answers, none is left, or the time is over.
//! What an attempt owes is settled before the next one begins (L22), which reserves anew, at its own target's price.
//! Nothing of an answer has reached the caller before it is sure to be the answer.

use crate::asked::Asked;
use crate::budget::hold;
use crate::edge::body::Body;
use crate::edge::fault::Fault;
use crate::exchange::{Bill, Exchange};
use crate::pipeline::{Lost, authorise, give_up, judge, send, tell, translation};
use crate::posed::Posed;
use crate::reply;
use crate::routing::Route;
use crate::routing::failure::failure;
use crate::routing::health::Permit;
use crate::routing::plan::{Failure, Plan, Step};
use crate::routing::way::Legs;
use crate::routing::wishes::Wishes;
use http::Response;
use smartflow_snapshot::Timeouts;
use std::rc::Rc;
use std::time::Instant;

/// Runs a call, whose body was read, to the head of its answer.
///
/// # Errors
/// [`Fault`], already counted and billed.
pub async fn run(
    mut exchange: Box<Exchange>,
    asked: &Asked,
    legs: &Legs,
    wishes: Option<&Wishes>,
) -> Result<Response<Body>, Fault> {
    exchange.enter(&legs.chain);
    asked.note(&mut exchange);
    let (mut plan, mut step) = match begin(&exchange, asked, legs, wishes) {
        Ok(begun) => begun,
        Err(fault) => return give_up(exchange, fault, None),
    };
    // What the caller is told where nothing else answers, and whether all that was tried had too much to do.
    let (mut last, mut passed, mut overloaded) = (None, None, true);
    loop {
        let target = step.target;
        if !step.wait.is_zero() {
            let since = Instant::now();
            tokio::time::sleep(step.wait).await;
            exchange.waited(since);
        }
        let Some(route) = legs.route(target) else {
            let why = format!("chain {} has no route to its target {target}", legs.chain.name);
            return give_up(exchange, Fault::Internal { why }, None);
        };
        let time = Time { plan: &plan, hurries: legs.hurries(wishes) };
        let lost = match attempt(exchange, asked, route, step.permit, time).await {
            Ok(response) => return Ok(response),
            Err(Failed::Before(exchange, fault)) => {
                // No room for another attempt: the fault of the one before is what the caller is told (L22).
                let fault = told(last.unwrap_or(fault), overloaded);
                return give_up(exchange, fault, Some(Bill::Nothing));
            }
            Err(Failed::Passed(back, fault)) => match plan.pass(&legs.healths, now(&back)) {
                Some(found) => {
                    (exchange, step) = (back, found);
                    passed = passed.or(Some(fault));
                    continue;
                }
                None => {
                    let fault = told(last.or(passed).unwrap_or(fault), overloaded);
                    return give_up(back, fault, Some(Bill::Nothing));
                }
            },
            Err(Failed::At(lost)) => lost,
        };
        let Lost { exchange: back, fault, served } = lost;
        exchange = back;
        overloaded &= fault.is_overload();
        match next(&mut exchange, legs, &mut plan, target, &fault, served) {
            Some(found) => (step, last) = (found, Some(fault)),
            None => {
                let fault = told(fault, overloaded);
                return Lost { exchange, fault, served }.finish();
            }
        }
    }
}

/// The last fault, for the caller: that there is too much to do is said only where all that was tried said so.
fn told(fault: Fault, overloaded: bool) -> Fault {
    if overloaded { fault } else { fault.without_overload() }
}

/// Monotonic nanoseconds.
fn now(exchange: &Exchange) -> u64 {
    exchange.worker().shared.clock.now().mono
}

/// How long an attempt may take.
struct Time<'a> {
    plan: &'a Plan,
    /// The caller wishes for less time than the chain gives.
    hurries: bool,
}

impl Time<'_> {
    /// Deadlines of an attempt at `route`, which begins now, and whether they are shorter than what its target may take
    /// by no fault of its own.
    fn of(&self, exchange: &Exchange, route: &Route) -> (Timeouts, bool) {
        let left = self.plan.left(now(exchange));
        let own = &route.timeouts;
        let hurried = left < own.total && (self.hurries || !exchange.legs().is_empty());
        (Timeouts { total: own.total.min(left), ..*own }, hurried)
    }
}

/// The plan and its first step.
fn begin(
    exchange: &Exchange,
    asked: &Asked,
    legs: &Legs,
    wishes: Option<&Wishes>,
) -> Result<(Plan, Step), Fault> {
    let wished = |route: &Route| wishes.is_none_or(|w| w.allow(route));
    let fits =
        |route: &Route| route.restrictions.blocked.is_none() && asked.embeds() == route.model.embedding;
    let open = |route: &Route| wished(route) && fits(route);
    if !legs.routes().any(|route| open(route)) {
        // Where policies and kinds of models leave nobody, the first is told; where the wish does, nothing is there.
        let first = legs.routes().find(|route| wished(route));
        let first = first.ok_or_else(|| Fault::ModelNotFound { model: exchange.requested().to_owned() })?;
        authorise(asked, first, exchange)?;
    }
    let now = exchange.worker().shared.clock.now().mono;
    let mut plan = legs.plan(open, wishes, now, exchange.worker().random());
    let step = plan.first(&legs.healths, now);
    let step = step.map_err(|alone| Fault::NoHealthyTarget { retry_after: alone.retry_after })?;
    Ok((plan, step))
}

/// Why an attempt gave no answer.
enum Failed {
    /// Nothing was sent.
    Before(Box<Exchange>, Fault),
    /// What is asked has no price at this target, or cannot be said in its format: nothing was sent, and another one may
    /// do. It is no failure of the target's, and no fault of the caller's.
    Passed(Box<Exchange>, Fault),
    /// The target failed, or we did.
    At(Lost),
}

/// One attempt, from its reservation to the head of an answer that is sure.
async fn attempt(
    mut exchange: Box<Exchange>,
    asked: &Asked,
    route: &Rc<Route>,
    permit: Permit,
    time: Time<'_>,
) -> Result<Response<Body>, Failed> {
    if let Err(fault) = authorise(asked, route, &exchange) {
        return Err(Failed::Before(exchange, fault));
    }
    let posed = match translation(asked, route, &exchange) {
        Ok(translation) => Posed { caller: asked, translation },
        Err(fault) => return Err(Failed::Passed(exchange, fault)),
    };
    let reserved = match hold::reserve(&mut exchange, posed.form(), route).await {
        Ok(reserved) => reserved,
        Err(fault @ Fault::PriceUnknown { .. }) => return Err(Failed::Passed(exchange, fault)),
        Err(fault) => return Err(Failed::Before(exchange, fault)),
    };
    if let Some(tokens) = asked.counted_here(route) {
        exchange.begin_leg(route.clone(), None, false);
        return Ok(reply::counted(exchange, tokens, route));
    }
    // The wait for money was the call's: what is left of its time is known now.
    let (timeouts, hurried) = time.of(&exchange, route);
    exchange.begin_leg(route.clone(), Some(permit), hurried);
    // The one place where a target's body is made: what must differ between targets is done here.
    let body = posed.form().upstream_body(route, &reserved);
    let endpoint = exchange.endpoint();
    match send(&mut exchange, route, endpoint, body, &timeouts).await {
        Ok((answer, deadline)) => {
            reply::answer(exchange, posed, route, reserved, answer, deadline).await.map_err(Failed::At)
        }
        Err(fault) => Err(Failed::At(Lost { exchange, fault, served: None })),
    }
}

/// Takes note of how `target` failed, and asks the plan. Where there is a next step, the failed attempt is settled.
fn next(
    exchange: &mut Exchange,
    legs: &Legs,
    plan: &mut Plan,
    target: usize,
    fault: &Fault,
    served: Option<Bill>,
) -> Option<Step> {
    let failure: Failure = failure(fault)?;
    let worker = exchange.worker().clone();
    let now = worker.shared.clock.now();
    exchange.blame(fault);
    let step = plan.after(&legs.chain, &legs.healths, target, failure, now.mono, worker.random())?;
    tell(exchange, fault);
    let bill = served.unwrap_or_else(|| judge(exchange, fault).1);
    let name = legs.chain.targets.get(target).map_or("", |t| &t.name);
    exchange.end_leg(name, failure.class, bill, now);
    Some(step)
}
