//! `GET /v1/usage`: what the calling key has spent, and what it has left, also of the budgets that it shares.

use crate::budget::guards::{Room, Unit, of_calls};
use crate::budget::usd;
use crate::edge::body::Body;
use crate::edge::fault::Fault;
use crate::edge::rescue::respond;
use crate::edge::routes::Call;
use crate::identity::{Caller, virtual_key};
use crate::live::Live;
use crate::routing::restrict::restrictions;
use crate::worker::{Shared, Worker};
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use smartflow_snapshot::{Effect, Meaning, Model, Policy, Provider, Target};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The caller's own statement.
///
/// # Errors
/// [`Fault`] of the key.
pub fn own(call: &Call, worker: &Rc<Worker>) -> Result<Response<Body>, Fault> {
    let live = worker.shared.current.load_full();
    let token = virtual_key::presented(&call.head.headers)?;
    let caller = worker.caller(&live, &token)?;
    caller.admit(|| worker.shared.clock.now().wall / 1000)?;
    let room = of_calls(&worker.books(&live), &caller, policies(&live, &caller));
    let room = room.map_err(|why| Fault::Internal { why: why.to_string() })?;
    let key = &caller.key;
    let statement = json!({
        "object": "usage",
        "key": key.name,
        "budgets": budgets(&worker.shared, &room, Unit::Money),
        "tokens_per_day": budgets(&worker.shared, &room, Unit::Tokens),
        "limits": limits(&worker.shared, &room),
        "expires_at": key.expires_at.and_then(|s| Timestamp::from_second(s).ok()).map(|t| t.to_string()),
    });
    Ok(respond(200, statement.to_string().into()))
}

/// Policies with budgets or limits that concern what this caller may name, each with what it would be served by.
fn policies<'a>(
    live: &'a Live,
    caller: &Caller,
) -> impl Iterator<Item = (Arc<Policy>, &'a Provider, &'a Model)> {
    let key = &caller.key;
    let namespace = &key.name.namespace;
    let targets = |meaning: Meaning<'a>| -> Vec<&'a Target> {
        match meaning {
            Meaning::Model(target) => vec![target],
            Meaning::Chain(chain) => {
                let mine = chain.targets.iter().filter(|t| t.serves(&chain.name.namespace, namespace));
                mine.map(|t| &t.target).collect()
            }
        }
    };
    let meters = |p: &Arc<Policy>| matches!(&p.effect, Effect::Restrict { limits, budget, .. } if limits.is_some() || budget.is_some());
    let any = live.snapshot.policies.iter().any(meters);
    let visible = if any { live.snapshot.names.visible(namespace) } else { BTreeMap::new() };
    let mut all = Vec::new();
    for (name, meaning) in visible.into_iter().filter(|(name, _)| key.models.allows(name)) {
        for target in targets(meaning) {
            let (provider, model) = (&*target.provider, &*target.model);
            let metered = restrictions(&live.snapshot.policies, key, name, provider, model).metered;
            all.extend(metered.into_iter().map(|policy| (policy, provider, model)));
        }
    }
    all.into_iter()
}

/// Accounts of one unit, tightest facts first: what is left.
#[must_use]
pub fn budgets(shared: &Shared, room: &Room, unit: Unit) -> Vec<Value> {
    let now = shared.clock.now();
    let shown = room.legs.iter().filter(|l| l.unit == unit).map(|leg| {
        let v = shared.ledger.view(now, &leg.account);
        let resets = v.resets_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|t| t.to_string());
        match unit {
            Unit::Money => json!({
                "budget": leg.whose,
                "limit_usd": &*usd(v.limit),
                "spent_usd": &*usd(v.spent),
                "reserved_usd": &*usd(v.reserved),
                "remaining_usd": &*usd(v.remaining),
                "unattributed_usd": &*usd(v.unattributed),
                "resets_at": resets,
            }),
            Unit::Tokens => json!({
                "budget": leg.whose,
                "limit": v.limit,
                "used": v.spent,
                "reserved": v.reserved,
                "remaining": v.remaining,
                "resets_at": resets,
            }),
        }
    });
    shown.collect()
}

fn limits(shared: &Shared, room: &Room) -> Vec<Value> {
    let now = shared.clock.now();
    let level = |l: smartflow_ledger::rate::Level| json!({"limit": l.limit, "remaining": l.remaining, "reset_ms": l.reset.div_ceil(1_000_000)});
    let shown = room.rates.iter().map(|(rates, whose)| {
        let levels = rates.levels(now);
        json!({
            "of": whose,
            "requests_per_minute": levels.requests.map(level),
            "tokens_per_minute": levels.tokens.map(level),
        })
    });
    shown.collect()
}
