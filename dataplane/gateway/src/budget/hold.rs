//! Holding what a call may cost until it is known what it did cost.

use super::clock::Clock;
use super::dry::Dry;
use super::guards::{Leg, Room, Unit};
use super::plan::{Plan, Short, Wish, plan};
use super::price::Dearest;
use super::tokens::Vocabulary;
use crate::asked::{Asked, no_price};
use crate::edge::fault::Fault;
use crate::exchange::Exchange;
use crate::routing::Route;
use jiff::Timestamp;
use smartflow_dialect::Usage;
use smartflow_ledger::rate::{Admission, RateTickets, Refusal as RateRefusal, Which, admit_all};
use smartflow_ledger::{Account, Extension, Ledger, Now, Outcome, Refusal, Reservation, Waiting, Why};
use smartflow_snapshot::ObjectName;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Output tokens that a call without a cap counts as in a token rate, until it is settled; also the most that a cap
/// counts as: most answers are far shorter than their caps.
const RATE_OUTPUT: u64 = 1024;
/// One nano per token: what a token budget "costs".
const TOKEN_PRICE: Dearest = Dearest { input: 1000, output: 1000, request: 0 };

/// What the steps after the reservation need to know of it.
pub struct Reserved {
    /// How the call is paid for; `None` without any budget.
    pub plan: Option<Plan>,
}

impl Reserved {
    /// Output cap of the request upstream, where a budget needs one.
    #[must_use]
    pub fn cap(&self) -> Option<u64> {
        self.plan.and_then(|p| p.cap)
    }

    /// The request goes upstream as a stream, whatever the caller asked for.
    #[must_use]
    pub fn as_stream(&self) -> bool {
        self.plan.is_some_and(|p| p.as_stream)
    }
}

/// What settling a call showed.
pub struct Settled {
    /// Budgets that it brought to their soft limit.
    pub reached: Vec<Box<str>>,
    /// Whether any is at or above it.
    pub above_soft_limit: bool,
    /// Policies in dry run that would have refused the call, as is known only now.
    pub would_block: Vec<ObjectName>,
}

/// Money, tokens and permits of one call.
pub struct Hold {
    route: Rc<Route>,
    money: Option<Reservation>,
    waiting: Option<(Waiting, u64)>,
    tickets: RateTickets,
    dry: Vec<Dry>,
    price: Dearest,
    input: u64,
    output: u64,
}

/// Takes rates and money for a call, or says why not; nothing is spent then.
///
/// # Errors
/// [`Fault`] of limits, budgets and prices.
pub async fn reserve(exchange: &mut Exchange, asked: &Asked, route: &Rc<Route>) -> Result<Reserved, Fault> {
    let mut wish = asked.wish(route);
    let reserved = |plan| Reserved { plan };
    let guards = &route.guards;
    exchange.estimated_input = asked.estimate(route);
    if guards.enforced.is_empty() && guards.dry.is_empty() {
        return Ok(reserved(None));
    }
    let worker = exchange.worker().clone();
    let (ledger, clock) = (&worker.shared.ledger, &worker.shared.clock);
    let corrected = exchange.estimated_input * u64::from(route.input_ratio.get()) / 1024;
    let output = if wish.embeds { 0 } else { wish.cap.unwrap_or(RATE_OUTPUT).min(RATE_OUTPUT) * wish.n };
    let tokens = corrected.max(1) + output;
    let mut now = clock.now();
    let mut tickets =
        Unused { tickets: Some(admit(&guards.enforced, clock, tokens, &mut now).await?), clock };
    if asked.is_free() {
        // It counts as a request, and as nothing else.
        let tickets = tickets.tickets.take().unwrap_or_default();
        exchange.hold = Some(Hold::nothing(route.clone(), tickets));
        return Ok(reserved(None));
    }
    let (mut price, mut plan) = planned(ledger, clock, &mut now, asked, &mut wish, route).await?;
    let mut money = None;
    if let Some(first) = plan {
        let held = pay(ledger, clock, now, asked, &mut wish, route, (price, first)).await?;
        (price, plan, money) = (held.0, Some(held.1), Some(held.2));
    }
    let (input, output) = (wish.billable_input(&route.model), plan.map_or(0, |p| p.output));
    let tickets = tickets.tickets.take().unwrap_or_default();
    let (waiting, dry) = Default::default();
    let mut hold = Hold { route: route.clone(), money, waiting, tickets, dry, price, input, output };
    hold.try_dry(exchange, asked, &wish, tokens);
    exchange.hold = Some(hold);
    Ok(reserved(plan))
}

/// Plans a call, with a closer look at its input where that decides.
async fn planned(
    ledger: &Ledger,
    clock: &Clock,
    now: &mut Now,
    asked: &Asked,
    wish: &mut Wish,
    route: &Route,
) -> Result<(Dearest, Option<Plan>), Fault> {
    let room = &route.guards.enforced;
    let planned = priced_plan(room, ledger, *now, asked, wish, route);
    if !planned.as_ref().is_err_and(is_short) {
        return planned;
    }
    let Some(counted) = Box::pin(counted(asked, wish, route)).await else { return planned };
    wish.input_bound = counted;
    *now = clock.now();
    priced_plan(room, ledger, *now, asked, wish, route)
}

/// Holds what a plan costs. What is left may not have been known when it was made: to a pod that never used the account, in
/// a window that has just begun, or because others spent since. Who is refused plans once more, with what is known then.
async fn pay(
    ledger: &Ledger,
    clock: &Clock,
    mut now: Now,
    asked: &Asked,
    wish: &mut Wish,
    route: &Route,
    (mut price, mut plan): (Dearest, Plan),
) -> Result<(Dearest, Plan, Reservation), Fault> {
    let room = &route.guards.enforced;
    for again in [true, false] {
        let amounts = amounts(room, &price, wish.billable_input(&route.model), plan.output);
        let refused = match decided(ledger.reserve(now, &amounts), clock).await {
            Ok(money) => return Ok((price, plan, money)),
            Err(refused) => refused,
        };
        now = clock.now();
        let exhausted = matches!(&refused, Refused::No(refusal) if refusal.why == Why::Exhausted);
        let next = if again && exhausted {
            planned(ledger, clock, &mut now, asked, wish, route).await
        } else {
            Ok((price, None))
        };
        match next {
            Ok((dearest, Some(smaller))) if smaller.first < plan.first => (price, plan) = (dearest, smaller),
            _ => return Err(told(refused, room, now)),
        }
    }
    Err(Fault::BudgetUnavailable)
}

/// Rates of a call that is not decided: they come back when it is refused, and when its caller leaves meanwhile.
struct Unused<'a> {
    tickets: Option<RateTickets>,
    clock: &'a Clock,
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if let Some(tickets) = self.tickets.take() {
            tickets.undo(self.clock.now());
        }
    }
}

fn is_short(fault: &Fault) -> bool {
    matches!(fault, Fault::BudgetExceeded { .. } | Fault::RateLimited { .. })
}

/// A closer bound of the input than its bytes, where the model's vocabulary is known.
async fn counted(asked: &Asked, wish: &Wish, route: &Route) -> Option<u64> {
    let vocabulary = Vocabulary::of(&route.provider, &route.model)?;
    let (body, bytes) = asked.countable()?;
    let tokens = vocabulary.count(body.clone()).await?;
    Some(wish.input_bound.min(wish.input_bound.saturating_sub(bytes).saturating_add(tokens)))
}

/// Plans with what is left in money and in tokens; the tighter of the two holds.
fn priced_plan(
    room: &Room,
    ledger: &Ledger,
    now: Now,
    asked: &Asked,
    wish: &Wish,
    route: &Route,
) -> Result<(Dearest, Option<Plan>), Fault> {
    let short = room.when_short();
    let exceeded = |unit: Unit, needed: Short| -> Fault {
        let tightest =
            room.legs.iter().filter(|l| l.unit == unit).min_by_key(|l| ledger.left(now, &l.account));
        tightest.map_or_else(
            || Fault::BudgetUnavailable,
            |leg| {
                let view = ledger.view(now, &leg.account);
                exhausted(leg, view.remaining, view.resets_at, now, needed.needed)
            },
        )
    };
    let mut price = Dearest { input: 0, output: 0, request: 0 };
    let mut merged: Option<Plan> = None;
    if !room.legs.is_empty() {
        asked.sized(route)?;
    }
    if let Some(left) = room.left(ledger, Unit::Money, now) {
        let extras = asked.priced(route)?;
        let Some(dearest) = Dearest::of(&route.model.price, wish.input_bound, wish.embeds, extras) else {
            let input_known = route.model.price.input.is_some();
            let (what, field) =
                if input_known { ("output", "price.output") } else { ("input", "price.input") };
            return Err(no_price(route, what, field));
        };
        price = dearest;
        merged = Some(plan(wish, &route.model, &price, left, short).map_err(|s| exceeded(Unit::Money, s))?);
    }
    if let Some(left) = room.left(ledger, Unit::Tokens, now) {
        // A budget that rather refuses than shortens wants the whole call paid for from the start.
        let tokens =
            plan(wish, &route.model, &TOKEN_PRICE, left, short).map_err(|s| exceeded(Unit::Tokens, s))?;
        merged = Some(merged.map_or(tokens, |money| tighter(money, tokens)));
    }
    Ok((price, merged))
}

/// The plan that satisfies both.
fn tighter(a: Plan, b: Plan) -> Plan {
    let cap = a.cap.into_iter().chain(b.cap).min();
    Plan {
        cap,
        lowered: a.lowered || b.lowered,
        by_default: a.by_default && b.by_default,
        first: a.first,
        output: a.output.min(b.output),
        sliced: a.sliced || b.sliced,
        as_stream: a.as_stream || b.as_stream,
    }
}

/// `now` is that of the admission afterwards.
async fn admit(room: &Room, clock: &Clock, tokens: u64, now: &mut Now) -> Result<RateTickets, Fault> {
    loop {
        match admit_all(room.rates.iter().map(|(rates, _)| rates), *now, tokens) {
            Admission::Admitted(tickets) => return Ok(tickets),
            Admission::Wait { poll } => {
                sleep(Duration::from_nanos(poll)).await;
                *now = clock.now();
            }
            Admission::Refused(refusal) => return Err(rate_limited(&refusal)),
            Admission::TooLarge { limit } => {
                return Err(Fault::RequestTooLarge { wanted: tokens, limit: u64::from(limit) });
            }
        }
    }
}

fn rate_limited(refusal: &RateRefusal) -> Fault {
    let (kind, what) = match refusal.which {
        Which::Requests => ("requests", "requests per minute"),
        Which::Tokens => ("tokens", "tokens per minute"),
        Which::Parallel => ("requests", "calls at once"),
    };
    let retry_after = Duration::from_nanos(refusal.retry_after);
    Fault::RateLimited {
        kind,
        message: format!("Rate limit reached: {what}. Try again in {} ms.", retry_after.as_millis().max(1)),
        retry_after,
        headers: refusal.levels.headers().collect(),
    }
}

/// Why money was not to be had.
enum Refused {
    No(Refusal),
    Away,
}

/// Waits until a reservation is decided: woken when money comes back, polled by the ledger's own rhythm otherwise.
async fn decided(outcome: Outcome, clock: &Clock) -> Result<Reservation, Refused> {
    match outcome {
        Outcome::Reserved(money) => Ok(money),
        Outcome::Refused(refusal) => Err(Refused::No(refusal)),
        Outcome::Away => Err(Refused::Away),
        Outcome::Wait(waiting) => Box::pin(wait(waiting, clock)).await,
    }
}

async fn wait(waiting: Waiting, clock: &Clock) -> Result<Reservation, Refused> {
    let mut waiting = Some(waiting);
    let mut timer = Box::pin(sleep(Duration::ZERO));
    std::future::poll_fn(|cx| {
        loop {
            let Some(wait) = waiting.take() else { return Poll::Ready(Err(Refused::Away)) };
            let now = clock.now();
            match wait.poll(now, Some(cx.waker())) {
                Outcome::Reserved(money) => return Poll::Ready(Ok(money)),
                Outcome::Refused(refusal) => return Poll::Ready(Err(Refused::No(refusal))),
                Outcome::Away => return Poll::Ready(Err(Refused::Away)),
                Outcome::Wait(again) => {
                    let after = Duration::from_nanos(again.next_poll().saturating_sub(now.mono));
                    waiting = Some(again);
                    timer.as_mut().reset(tokio::time::Instant::now() + after);
                }
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

fn told(refused: Refused, room: &Room, now: Now) -> Fault {
    let Refused::No(refusal) = refused else { return Fault::BudgetUnavailable };
    if refusal.why == Why::Disabled {
        return Fault::KeyDisabled;
    }
    match room.legs.get(refusal.leg) {
        Some(leg) => exhausted(leg, refusal.remaining, refusal.resets_at, now, 0),
        None => Fault::BudgetUnavailable,
    }
}

fn exhausted(leg: &Leg, remaining: i64, resets_at: Option<i64>, now: Now, needed: i64) -> Fault {
    let resets = resets_at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let remaining = remaining.max(0);
    match leg.unit {
        Unit::Money => Fault::BudgetExceeded { whose: leg.whose.to_string(), remaining, resets },
        Unit::Tokens => {
            let wait = resets_at.map_or(0, |at| at - now.wall).max(1000);
            let retry_after = Duration::from_millis(u64::try_from(wait).unwrap_or(1000));
            let more =
                if needed > 0 { format!(", and this request may need {needed}") } else { String::new() };
            Fault::RateLimited {
                kind: "tokens",
                message: format!("{} has {remaining} tokens left today{more}.", leg.whose),
                retry_after,
                headers: Vec::new(),
            }
        }
    }
}

/// What each account of `room` is billed.
pub(super) fn bills(room: &Room, cost: i64, tokens: u64) -> Vec<i64> {
    let count = i64::try_from(tokens).unwrap_or(i64::MAX);
    room.legs.iter().map(|l| if l.unit == Unit::Money { cost } else { count }).collect()
}

/// What each account of `room` is asked for.
fn amounts(room: &Room, price: &Dearest, input: u64, output: u64) -> Vec<(Arc<Account>, i64)> {
    let money = price.of_tokens(input, output);
    let tokens = i64::try_from(input.saturating_add(output)).unwrap_or(i64::MAX);
    let amount = |leg: &Leg| if leg.unit == Unit::Money { money } else { tokens };
    room.legs.iter().map(|leg| (leg.account.clone(), amount(leg))).collect()
}

impl Hold {
    /// Rates alone.
    fn nothing(route: Rc<Route>, tickets: RateTickets) -> Self {
        let (money, waiting, dry) = Default::default();
        let price = Dearest { input: 0, output: 0, request: 0 };
        Self { route, money, waiting, tickets, dry, price, input: 0, output: 0 }
    }

    /// Policies in dry run are asked like the others, but only told about. What each would hold is its own: where
    /// nothing is enforced there is no plan to borrow from. Nobody waits for a lender on their behalf: what it has not
    /// decided by then is looked at when the call ends.
    fn try_dry(&mut self, exchange: &mut Exchange, asked: &Asked, wish: &Wish, tokens: u64) {
        let (route, worker) = (self.route.clone(), exchange.worker().clone());
        let ledger = &worker.shared.ledger;
        for (index, (policy, room)) in route.guards.dry.iter().enumerate() {
            let now = worker.shared.clock.now();
            let dry = Dry::ask(index, room, now, tokens, |now| {
                match priced_plan(room, ledger, now, asked, wish, &route) {
                    Ok((price, Some(plan))) => {
                        Some(ledger.reserve(now, &amounts(room, &price, self.input, plan.output)))
                    }
                    _ => None,
                }
            });
            match dry {
                Some(dry) => self.dry.push(dry),
                None => exchange.would_block(policy),
            }
        }
    }

    /// Asks for `tokens` more output. Returns how many were paid for: none, these, or those of an earlier ask that was
    /// still waiting.
    pub fn extend(&mut self, now: Now, tokens: u64) -> u64 {
        let route = self.route.clone();
        let Some(money) = &mut self.money else { return tokens };
        let (outcome, tokens) = match self.waiting.take() {
            Some((waiting, earlier)) => (waiting.poll(now, None), earlier),
            None => {
                let price = self.price.of_output(tokens);
                let count = i64::try_from(tokens).unwrap_or(i64::MAX);
                let legs = &route.guards.enforced.legs;
                let amounts: Vec<i64> =
                    legs.iter().map(|l| if l.unit == Unit::Money { price } else { count }).collect();
                let outcome = match money.extend_each(now, &amounts) {
                    Extension::Done => {
                        self.output += tokens;
                        return tokens;
                    }
                    Extension::Wait(waiting) => Outcome::Wait(waiting),
                    Extension::Refused(refusal) => Outcome::Refused(refusal),
                    Extension::Away => Outcome::Away,
                };
                (outcome, tokens)
            }
        };
        match outcome {
            Outcome::Reserved(more) => {
                money.absorb(more);
                self.output += tokens;
                tokens
            }
            Outcome::Wait(waiting) => {
                self.waiting = Some((waiting, tokens));
                0
            }
            Outcome::Refused(_) | Outcome::Away => 0,
        }
    }

    /// True when a budget holds an amount; without one there is only a rate to settle.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.money.is_some()
    }

    /// True when a money budget holds an amount: what is billed without a report is at most that.
    #[must_use]
    pub fn holds_money(&self) -> bool {
        self.is_bounded() && self.route.guards.enforced.legs.iter().any(|l| l.unit == Unit::Money)
    }

    /// Nano-USD held.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.price.of_tokens(self.input, self.output)
    }

    /// The usage that all that is held would pay for.
    #[must_use]
    pub fn worst_usage(&self) -> Usage {
        Usage { input: self.input, output: self.output, ..Usage::default() }
    }

    /// Bills `cost` nano-USD and `tokens`, and gives the rest back.
    pub fn settle(self, ledger: &Ledger, now: Now, cost: i64, tokens: u64) -> Settled {
        let route = self.route.clone();
        let above = || -> Vec<Box<str>> {
            route.guards.enforced.above_soft(ledger, now).map(|leg| leg.whose.clone()).collect()
        };
        let before = above();
        let would_block = self.bill(ledger, now, cost, tokens);
        let after = above();
        let above_soft_limit = !after.is_empty();
        let reached = after.into_iter().filter(|leg| !before.contains(leg)).collect();
        Settled { reached, above_soft_limit, would_block }
    }

    /// Nothing was served: all of it comes back, also the request that was counted.
    pub fn undo(self, now: Now) {
        let route = self.route;
        self.tickets.undo(now);
        if let Some(money) = self.money {
            money.settle_each(now, &vec![0; route.guards.enforced.legs.len()]);
        }
        for dry in self.dry {
            dry.undo(now, &route);
        }
    }

    /// Bills; policies in dry run that would have refused the call, as is known only now.
    fn bill(self, ledger: &Ledger, now: Now, cost: i64, tokens: u64) -> Vec<ObjectName> {
        self.tickets.settle(now, tokens);
        if let Some(money) = self.money {
            money.settle_each(now, &bills(&self.route.guards.enforced, cost, tokens));
        }
        let mut would_block = Vec::new();
        for dry in self.dry {
            let Some((policy, room)) = self.route.guards.dry.get(dry.index) else { continue };
            if !dry.bill(ledger, now, room, cost, tokens) {
                would_block.push(policy.clone());
            }
        }
        would_block
    }
}
