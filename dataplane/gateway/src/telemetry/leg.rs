//! An attempt of a call that was not its last.

use smartflow_dialect::Usage;
use smartflow_snapshot::{FaultClass, Model, Provider};
use std::sync::Arc;

/// A failed attempt, after which another one was made.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The target's name within the chain.
    pub target: Box<str>,
    /// Who failed.
    pub provider: Arc<Provider>,
    /// Which of its models.
    pub model: Arc<Model>,
    /// How.
    pub class: FaultClass,
    /// Tokens that are billed for it.
    pub usage: Usage,
    /// Nano-USD.
    pub cost: i64,
    /// The cost is an upper bound: it was sent, and nothing is known of an answer.
    pub estimated: bool,
}

/// `first=RateLimited, second=Timeout`: for a header.
#[must_use]
pub fn reasons(legs: &[Leg]) -> String {
    let mut text = String::new();
    for leg in legs {
        let comma = if text.is_empty() { "" } else { ", " };
        text.extend([comma, &*leg.target, "=", leg.class.as_str()]);
    }
    text
}
