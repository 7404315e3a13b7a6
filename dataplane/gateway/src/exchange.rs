//! One governed call in flight. It is finished exactly once on every path: success, fault, timeout, a caller that
//! leaves, a panic. Its drop is the last resort for the paths that nobody wrote down.

use crate::budget::hold::Hold;
use crate::budget::price;
use crate::edge::fault::Fault;
use crate::edge::routes::Call;
use crate::identity::Caller;
use crate::pipeline::Endpoint;
use crate::routing::health::Permit;
use crate::routing::plan::breaker;
use crate::routing::wishes::Wishes;
use crate::routing::{Route, failure::failure};
use crate::telemetry::emit;
use crate::telemetry::event::{PolicyViolated, SoftLimitReached, TargetLeftAlone};
use crate::telemetry::trace::trace_id;
use crate::telemetry::{leg::Leg, line::UsageLine, usage::Outcome};
use crate::upstream::Unreachable;
use crate::worker::Worker;
use http::HeaderMap;
use smartflow_dialect::Usage;
use smartflow_ledger::Now;
use smartflow_snapshot::{Auth, Chain, FaultClass, ObjectName, Unsupported};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Status that the usage line shows for a caller that left; nobody gets it.
const CLIENT_GONE: u16 = 499;

/// What a call owes.
#[derive(Clone, Copy, Debug)]
pub enum Bill {
    /// Nothing was served.
    Nothing,
    /// What the provider reported.
    Reported(Usage),
    /// The provider reported nothing: what was counted, at most what is held (L21).
    Counted(Usage),
    /// Sent, and nothing is known of it: all that is held (L22).
    Held,
}

impl Bill {
    /// Tokens, where they are known.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match self {
            Self::Reported(usage) | Self::Counted(usage) => *usage,
            Self::Nothing | Self::Held => Usage::default(),
        }
    }
}

/// How a call ended.
pub struct End {
    /// For the usage line and metrics.
    pub outcome: Outcome,
    /// Status that the caller got.
    pub status: u16,
    /// Error code that the caller got.
    pub code: Option<Box<str>>,
    /// What it owes.
    pub bill: Bill,
}

/// What was settled.
#[derive(Clone, Copy, Default)]
struct Billed {
    usage: Usage,
    /// Nano-USD.
    cost: i64,
    estimated: bool,
}

/// What only a call through a chain has.
struct Chained {
    chain: Arc<Chain>,
    /// Of the present attempt.
    permit: Option<Permit>,
    /// The present attempt has less time than its target may take.
    hurried: bool,
    /// Those before.
    legs: Vec<Leg>,
}

impl Chained {
    /// What all attempts cost, of which `last` is the last.
    fn total(&self, last: Billed) -> Billed {
        self.legs.iter().fold(last, |all, leg| Billed {
            usage: all.usage.plus(&leg.usage),
            cost: all.cost.saturating_add(leg.cost),
            estimated: all.estimated || leg.estimated,
        })
    }
}

/// A call in flight.
pub struct Exchange {
    worker: Rc<Worker>,
    call: Box<Call>,
    /// W3C trace id of the caller.
    trace: Option<[u8; 32]>,
    endpoint: Endpoint,
    caller: Rc<Caller>,
    requested: Box<str>,
    /// Set once the model is resolved.
    pub route: Option<Rc<Route>>,
    /// Money and rates held.
    pub hold: Option<Hold>,
    /// Set for a call through a chain.
    chained: Option<Box<Chained>>,
    /// `user` of the request.
    pub user: Option<Box<str>>,
    /// `metadata` of the call, or of the request.
    pub metadata: Option<Box<str>>,
    /// Tags of the call.
    pub tags: Option<Box<str>>,
    /// What is done about fields that the provider's format does not have.
    pub unsupported: Unsupported,
    /// The caller asked for a stream.
    pub stream: bool,
    /// Estimated input tokens, for the running average.
    pub estimated_input: u64,
    /// Calls to providers.
    pub attempts: u32,
    /// The request may have reached the provider, which has not refused it.
    pub sent: Cell<bool>,
    /// Time spent waiting for the provider.
    upstream: Duration,
    heard: Instant,
    /// When the head of the caller's answer was ready, and the time inside the gateway until then. What follows of a
    /// stream is at the pace of provider and caller.
    answered: Option<(Instant, Duration)>,
    pub(crate) would_block: Vec<ObjectName>,
    above_soft_limit: bool,
    finished: bool,
}

impl Exchange {
    /// Begins. Boxed, because it is handed from room to room.
    #[must_use]
    pub fn begin(worker: &Rc<Worker>, call: Box<Call>, endpoint: Endpoint, caller: Rc<Caller>) -> Box<Self> {
        worker.shared.metrics.in_flight.inc();
        let trace = trace_id(&call.head.headers);
        Box::new(Self {
            trace,
            worker: worker.clone(),
            endpoint,
            unsupported: caller.key.unsupported,
            caller,
            requested: "".into(),
            route: None,
            hold: None,
            chained: None,
            user: None,
            metadata: None,
            tags: None,
            stream: false,
            estimated_input: 0,
            attempts: 0,
            sent: Cell::new(false),
            upstream: Duration::ZERO,
            heard: call.started,
            answered: None,
            would_block: Vec::new(),
            above_soft_limit: false,
            finished: false,
            call,
        })
    }

    /// The call goes through `chain`.
    pub fn enter(&mut self, chain: &Arc<Chain>) {
        let (permit, hurried, legs) = Default::default();
        self.chained = Some(Box::new(Chained { chain: chain.clone(), permit, hurried, legs }));
    }

    /// An attempt at `route` begins; what it may cost is held. `permit`: `None` where the target is not called. `hurried`:
    /// it has less time than the target may take.
    pub fn begin_leg(&mut self, route: Rc<Route>, permit: Option<Permit>, hurried: bool) {
        self.sent.set(false);
        self.route = Some(route);
        if let Some(chained) = &mut self.chained {
            (chained.permit, chained.hurried) = (permit, hurried);
        }
    }

    fn permit(&mut self) -> Option<&mut Permit> {
        self.chained.as_mut().and_then(|c| c.permit.as_mut())
    }

    /// The target of the present attempt answers, and the answer goes to the caller.
    pub fn began(&mut self) {
        self.permit().into_iter().for_each(Permit::began);
    }

    /// The target of the present attempt answers as it should.
    pub fn served(&mut self) {
        self.permit().into_iter().for_each(Permit::succeeded);
    }

    /// Takes note of what `fault` says of the target of the present attempt. Nothing where no target was called, where
    /// the call's own time was too short for it, and where the caller's own credential was refused.
    pub fn blame(&mut self, fault: &Fault) {
        let now = self.worker.shared.clock.now().mono;
        let own = self.route.as_ref().is_some_and(|r| matches!(r.provider.auth, Auth::Passthrough));
        let (Some(chained), Some(failure)) = (self.chained.as_mut(), failure(fault)) else { return };
        let Some(permit) = &mut chained.permit else { return };
        match fault {
            Fault::Unreachable(Unreachable::Busy { .. }) => {}
            // A long answer that comes steadily is nobody's fault.
            Fault::Unreachable(Unreachable::Timeout { step: "total", .. })
                if chained.hurried || permit.has_begun() => {}
            _ if !failure.class.is_of_target() || (own && failure.class.is_personal()) => permit.succeeded(),
            _ if permit.failed(now, &breaker(&chained.chain)) => {
                let Some(route) = &self.route else { return };
                let (provider, model) = (&route.provider.name, &*route.model.name);
                let cooldown = chained.chain.cooldown;
                emit(&self.worker.shared.metrics, TargetLeftAlone { provider, model, cooldown });
            }
            _ => {}
        }
    }

    /// The present attempt failed and another one follows: it is settled at `bill`.
    pub fn end_leg(&mut self, target: &str, class: FaultClass, bill: Bill, now: Now) {
        let billed = if let Bill::Nothing = bill {
            // Nothing was taken: not even a request counts.
            if let Some(hold) = self.hold.take() {
                hold.undo(now);
            }
            Billed::default()
        } else {
            self.settle(bill, now)
        };
        self.sent.set(false);
        self.unanswered();
        let (Some(chained), Some(route)) = (&mut self.chained, &self.route) else { return };
        chained.permit = None;
        let metrics = &self.worker.shared.metrics;
        let handles = route.metrics(metrics, self.endpoint);
        handles.spend(&billed.usage, billed.cost);
        handles.failed_attempt(metrics, class).inc();
        chained.legs.push(Leg {
            target: target.into(),
            provider: route.provider.clone(),
            model: route.model.clone(),
            class,
            usage: billed.usage,
            cost: billed.cost,
            estimated: billed.estimated,
        });
    }

    /// The head that was ready has not reached the caller, and will not.
    pub fn unanswered(&mut self) {
        self.answered = None;
    }

    /// Attempts that failed before the present one.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        self.chained.as_ref().map_or(&[], |c| &c.legs)
    }

    /// What the caller wants done.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The model as the caller wrote it.
    #[must_use]
    pub fn requested(&self) -> &str {
        &self.requested
    }

    /// Who calls.
    #[must_use]
    pub fn caller(&self) -> &Rc<Caller> {
        &self.caller
    }

    /// Line and headers of the request.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The call goes through a chain: nothing of an answer may reach the caller before it is sure to be the answer.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        self.chained.is_some()
    }

    /// An empty map with the memory of the request's headers, which nobody needs any more; of a call through a chain, which
    /// may need them again, a fresh one.
    pub fn spent_headers(&mut self) -> HeaderMap {
        if self.is_chained() {
            return HeaderMap::new();
        }
        let mut headers = std::mem::take(&mut self.call.head.headers);
        headers.clear();
        headers
    }

    /// The runtime it runs on.
    #[must_use]
    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Notes what the call says of itself.
    pub fn wish(&mut self, wishes: &Wishes) {
        self.tags.clone_from(&wishes.tags);
        self.metadata.clone_from(&wishes.metadata);
        self.unsupported = wishes.unsupported.unwrap_or(self.unsupported);
    }

    /// Notes the model as the caller wrote it.
    pub fn request(&mut self, model: &str) {
        self.requested = model.into();
    }

    /// A wait for the provider that began at `since` is over.
    pub fn waited(&mut self, since: Instant) {
        let now = Instant::now();
        self.upstream += now - since;
        self.heard = now;
    }

    /// When a wait for the provider was last over.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// The head of the answer is ready at `now`. Returns the time inside the gateway.
    pub fn answered(&mut self, now: Instant) -> Duration {
        let overhead = (now - self.call.started).saturating_sub(self.upstream);
        self.answered = Some((now, overhead));
        overhead
    }

    fn overhead(&self, latency: Duration) -> Duration {
        self.answered.map_or_else(|| latency.saturating_sub(self.upstream), |(_, overhead)| overhead)
    }

    /// Cost of `usage` at this call's model, nano-USD.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> i64 {
        self.route.as_ref().map_or(0, |r| price::cost(&r.model.price, usage))
    }

    /// About how many input tokens a provider counted that did not say: a third of the bytes, or a tenth more than this
    /// key's calls to this model usually are, whichever is more; never more than is held.
    #[must_use]
    pub fn input_ceiling(&self) -> u64 {
        let ratio = self.route.as_ref().map_or(1024, |r| u64::from(r.input_ratio.get()));
        let usual = self.estimated_input.saturating_mul(ratio) / 1024;
        let ceiling = (self.estimated_input * 4 / 3).max(usual.saturating_mul(11) / 10) + 1;
        self.hold.as_ref().map_or(ceiling, |h| ceiling.min(h.worst_usage().input))
    }

    /// `usage`, but no more than what is held for it (L21).
    #[must_use]
    pub fn at_most_held(&self, usage: Usage) -> Usage {
        let Some(hold) = self.hold.as_ref().filter(|h| h.is_bounded()) else { return usage };
        let held = hold.worst_usage();
        Usage { input: usage.input.min(held.input), output: usage.output.min(held.output), ..usage }
    }

    /// What an answer owes of which `counted` is known, because nobody reported its usage (L21). Of a model
    /// that also produces what it does not show nothing can be counted: it owes all that is held (L22).
    #[must_use]
    pub fn unreported(&self, counted: Usage) -> Bill {
        let hides = self.route.as_ref().is_some_and(|r| r.model.hidden_output);
        if hides && self.hold.as_ref().is_some_and(Hold::is_bounded) {
            Bill::Held
        } else {
            Bill::Counted(self.at_most_held(counted))
        }
    }

    /// What it owes while nothing is known of an answer (L22).
    #[must_use]
    pub fn owes(&self) -> Bill {
        if self.sent.get() { Bill::Held } else { Bill::Nothing }
    }

    /// The caller left a stream that owes `bill`.
    pub fn leave(&mut self, bill: Bill) {
        self.finish(End { outcome: Outcome::ClientGone, status: CLIENT_GONE, code: None, bill });
    }

    /// A policy in dry run would have refused this call; said once, however many attempts it concerns.
    pub fn would_block(&mut self, policy: &ObjectName) {
        if self.would_block.contains(policy) {
            return;
        }
        emit(&self.worker.shared.metrics, PolicyViolated { policy, dry_run: true });
        self.would_block.push(policy.clone());
    }

    /// Settles, counts, writes the usage line. The first call counts; further ones do nothing. Returns the cost in
    /// nano-USD.
    pub fn finish(&mut self, end: End) -> i64 {
        let instant = Instant::now();
        self.finish_at(end, instant, self.worker.shared.clock.at(instant))
    }

    /// [`Exchange::finish`], by who has just read the clocks.
    pub fn finish_at(&mut self, end: End, instant: Instant, now: Now) -> i64 {
        if std::mem::replace(&mut self.finished, true) {
            return 0;
        }
        self.worker.shared.metrics.in_flight.dec();
        if matches!(end.outcome, Outcome::Ok | Outcome::Shortened) {
            self.served();
        }
        let billed = self.settle(end.bill, now);
        let latency = instant - self.call.started;
        self.count(&end, &billed.usage, billed.cost, latency);
        let total = self.chained.as_ref().map_or(billed, |c| c.total(billed));
        self.tell(&end, total, latency, now.wall);
        total.cost
    }

    /// Bills what the present attempt owes and gives back what else it holds.
    fn settle(&mut self, bill: Bill, now: Now) -> Billed {
        let (usage, estimated) = match bill {
            Bill::Nothing => (Usage::default(), false),
            Bill::Reported(usage) => (usage, false),
            Bill::Counted(usage) => (usage, true),
            Bill::Held => (self.worst(), true),
        };
        let mut cost = if matches!(bill, Bill::Nothing) { 0 } else { self.cost(&usage) };
        if let Some(hold) = self.hold.take() {
            if estimated && hold.holds_money() {
                cost = if matches!(bill, Bill::Held) { hold.held() } else { cost.min(hold.held()) };
            }
            let tokens = usage.input.saturating_add(usage.output);
            let settled = hold.settle(&self.worker.shared.ledger, now, cost, tokens);
            self.above_soft_limit = settled.above_soft_limit;
            for policy in &settled.would_block {
                self.would_block(policy);
            }
            for budget in settled.reached {
                emit(
                    &self.worker.shared.metrics,
                    SoftLimitReached { key: &self.caller.key.name, budget: &budget },
                );
            }
        }
        Billed { usage, cost, estimated }
    }

    /// What is held; without a budget, where nothing is held, the estimate.
    fn worst(&self) -> Usage {
        let estimate = Usage { input: self.estimated_input, ..Usage::default() };
        self.hold.as_ref().filter(|h| h.is_bounded()).map_or(estimate, Hold::worst_usage)
    }

    fn count(&self, end: &End, usage: &Usage, cost: i64, latency: Duration) {
        let metrics = &self.worker.shared.metrics;
        metrics.overhead.observe(self.overhead(latency).as_secs_f64());
        let reached = self.route.as_ref().filter(|_| self.attempts > 0);
        let Some(route) = reached else {
            if end.outcome == Outcome::Ok {
                // Answered here: a count of tokens.
                return;
            }
            let code = end.code.as_deref().unwrap_or(end.outcome.as_str()).to_owned();
            metrics.refused.get_or_create(&crate::telemetry::metrics::RefusalLabels { code }).inc();
            return;
        };
        if matches!(end.bill, Bill::Reported(_)) {
            route.learn(self.estimated_input, usage.input);
        }
        let target = route.metrics(metrics, self.endpoint);
        if end.outcome == Outcome::Ok {
            target.ok.inc();
        } else {
            target.outcome(metrics, end.outcome.as_str()).inc();
        }
        target.duration.observe(latency.as_secs_f64());
        if let Some((first, _)) = self.answered {
            target.first_byte.observe((first - self.call.started).as_secs_f64());
        }
        target.spend(usage, cost);
    }

    fn tell(&self, end: &End, bill: Billed, latency: Duration, time: i64) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let of_route = self.route.as_ref().map_or(&[][..], |r| &r.restrictions.would_block);
        self.worker.usage.push(&UsageLine {
            time,
            request_id: self.call.id(),
            trace_id: self.trace.as_ref().and_then(|t| std::str::from_utf8(t).ok()),
            endpoint: self.endpoint.as_str(),
            key: &self.caller.key,
            requested_model: &self.requested,
            target: self.route.as_ref().map(|r| (&*r.provider, &*r.model)),
            chain: self.chained.as_ref().map(|c| &c.chain.name),
            legs: self.legs(),
            user: self.user.as_deref(),
            metadata: self.metadata.as_deref(),
            tags: self.tags.as_deref(),
            stream: self.stream,
            usage: bill.usage,
            cost: bill.cost,
            estimated: bill.estimated,
            status: end.status,
            outcome: end.outcome,
            code: end.code.as_deref(),
            attempts: self.attempts,
            latency_us: micros(latency),
            first_byte_us: self.answered.map_or(0, |(at, _)| micros(at - self.call.started)),
            overhead_us: micros(self.overhead(latency)),
            would_block: &[&self.would_block, of_route],
            above_soft_limit: self.above_soft_limit,
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let bill = self.owes();
        let outcome = if std::thread::panicking() { Outcome::InternalError } else { Outcome::ClientGone };
        self.finish(End { outcome, status: CLIENT_GONE, code: None, bill });
    }
}
