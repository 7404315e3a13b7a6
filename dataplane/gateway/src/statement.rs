//! `GET /v1/usage`: what the calling key has spent, and what it has left.

use crate::budget::guards::{Room, Unit};
use crate::budget::usd;
use crate::edge::body::Body;
use crate::edge::fault::Fault;
use crate::edge::rescue::respond;
use crate::edge::routes::Call;
use crate::identity::virtual_key;
use crate::worker::{Shared, Worker};
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::rc::Rc;

/// The caller's own statement.
///
/// # Errors
/// [`Fault`] of the key.
pub fn own(call: &Call, worker: &Rc<Worker>) -> Result<Response<Body>, Fault> {
    let live = worker.shared.current.load_full();
    let token = virtual_key::presented(&call.head.headers)?;
    let caller = worker.caller(&live, &token)?;
    caller.admit(|| worker.shared.clock.now().wall / 1000)?;
    let room = crate::budget::guards::of_keys(&worker.books(&live), &caller);
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
