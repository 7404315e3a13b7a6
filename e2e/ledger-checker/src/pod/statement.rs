//! `GET /v1/usage`.

use super::money::nano;
use crate::evidence::Statement;
use serde_json::Value;

/// The budgets of a key's statement; `None` when a field is missing.
#[must_use]
pub fn read(pod: usize, at: u64, told: &Value) -> Option<Vec<Statement>> {
    let budgets = told["budgets"].as_array()?.iter();
    budgets.map(|budget| one(pod, at, budget)).collect()
}

fn one(pod: usize, at: u64, budget: &Value) -> Option<Statement> {
    let amount = |field: &str| nano(budget[field].as_str()?);
    Some(Statement {
        pod,
        at,
        at_rest: false,
        limit: amount("limit_usd")?,
        spent: amount("spent_usd")?,
        reserved: amount("reserved_usd")?,
        unattributed: amount("unattributed_usd")?,
    })
}
