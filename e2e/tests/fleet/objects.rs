//! What the people of the story apply.

use serde_json::{Value, json};
use smartflow_e2e::vendor::Vendor;

/// An object without a namespace: it goes where kubectl is.
fn object(kind: &str, name: &str, spec: Value) -> String {
    let object = json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    format!("{object}\n---\n")
}

/// The vendor's models, with its credential in a Secret. Prices are those of `smartflow_e2e::money`.
pub(crate) fn provider(vendor: &Vendor) -> String {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "vendor", "labels": {"smartflow.dev/credential": "true"}},
        "stringData": {"token": vendor.key()},
    });
    let model = json!({"name": "mock-small", "price": {"input": "1", "cachedInput": "0.25", "output": "4"},
        "contextWindow": 2_000_000, "maxOutput": 16_384});
    let spec = json!({
        "provider": "openai-compatible",
        "baseURL": vendor.base_url(),
        "auth": {"apiKey": {"secretRef": {"name": "vendor", "key": "token"}}},
        "network": {"allowPrivate": true},
        "models": [model],
    });
    format!("{secret}\n---\n{}", object("LLMProvider", "vendor", spec))
}

/// `best` is whatever serves it.
pub(crate) fn chain() -> String {
    let target = json!({"name": "one", "providerRef": {"name": "vendor"}, "model": "mock-small"});
    object("FallbackChain", "best", json!({"models": ["best"], "targets": [target]}))
}

/// A key of a team with a budget for ever, whose token the operator makes.
pub(crate) fn key(name: &str, team: &str, dollars: &str) -> String {
    let budget = json!({"limitUSD": dollars, "period": "Lifetime", "whenShort": "Reject"});
    let spec = json!({"models": ["*"], "owner": {"team": team}, "budget": budget, "secretName": format!("{name}-token")});
    object("VirtualKey", name, spec)
}

/// All calls of a team together, a minute.
pub(crate) fn rate(team: &str, requests: u32) -> String {
    let spec = json!({"targets": {"teams": [team]}, "limits": {"requestsPerMinute": requests}});
    object("Policy", &format!("{team}-rate"), spec)
}

/// A team that may not call this model.
pub(crate) fn denied(team: &str, model: &str) -> String {
    let spec = json!({"targets": {"teams": [team]}, "access": {"models": {"deny": [model]}}});
    object("Policy", &format!("{team}-denied"), spec)
}
