//! A good and a bad sample of every CEL rule: evaluated here without an API server, and by one in `e2e`.

use serde_json::{Value, json};

/// A spec that a rule accepts, and one that it alone refuses, with where the fault is reported.
pub(crate) struct Pair {
    /// Its kind.
    pub(crate) kind: &'static str,
    /// Where the rule stands, as a path in the schema.
    pub(crate) node: &'static str,
    /// Part of the expression, to tell rules of one node apart.
    pub(crate) about: &'static str,
    /// What the rule accepts.
    pub(crate) good: Value,
    /// What it refuses, and no other rule.
    pub(crate) bad: Value,
    /// The field that the fault is reported at.
    pub(crate) reported: &'static str,
}

fn pairs() -> Vec<Pair> {
    let provider = |rest: Value| merged(json!({ "provider": "openai" }), rest);
    let simulated = |rest: Value| merged(json!({ "provider": "simulated" }), rest);
    let key = json!({ "secretRef": { "name": "openai", "key": "key" } });
    let shared = |limits: Value| json!({ "limits": limits });
    [
        Pair {
            kind: "LLMProvider",
            node: "spec",
            about: "'simulated' || !has(self.baseURL)",
            good: provider(json!({ "baseURL": "https://example.com/v1" })),
            bad: simulated(json!({ "baseURL": "https://example.com/v1" })),
            reported: "spec.baseURL",
        },
        Pair {
            kind: "LLMProvider",
            node: "spec",
            about: "has(self.simulation)",
            good: simulated(json!({ "simulation": { "cutPercent": 5 } })),
            bad: provider(json!({ "simulation": { "cutPercent": 5 } })),
            reported: "spec.simulation",
        },
        Pair {
            kind: "LLMProvider",
            node: "spec.auth",
            about: "has(self.passthrough)",
            good: provider(json!({ "auth": { "apiKey": key } })),
            bad: provider(json!({ "auth": { "apiKey": key, "none": {} } })),
            reported: "spec.auth",
        },
        Pair {
            kind: "LLMProvider",
            node: "spec.access.namespaces",
            about: "self.from",
            good: provider(json!({ "access": { "namespaces": {
                "from": "Selector", "selector": { "matchLabels": { "team": "a" } } } } })),
            bad: provider(json!({ "access": { "namespaces": {
                "from": "All", "selector": { "matchLabels": { "team": "a" } } } } })),
            reported: "spec.access.namespaces.selector",
        },
        Pair {
            kind: "VirtualKey",
            node: "spec",
            about: "has(self.sha256)",
            good: json!({ "secretName": "mine" }),
            bad: json!({ "secretName": "mine", "sha256": "0".repeat(64) }),
            reported: "spec",
        },
        Pair {
            kind: "VirtualKey",
            node: "spec.limits",
            about: "has(self.maxParallel)",
            good: shared(json!({ "maxParallel": 4 })),
            bad: shared(json!({})),
            reported: "spec.limits",
        },
    ]
    .into_iter()
    .chain(policy_pairs())
    .collect()
}

fn policy_pairs() -> [Pair; 5] {
    let shared = |limits: Value| json!({ "limits": limits });
    [
        Pair {
            kind: "Policy",
            node: "spec.limits",
            about: "has(self.maxParallel)",
            good: shared(json!({ "per": "User", "tokensPerDay": 4 })),
            bad: shared(json!({ "per": "User" })),
            reported: "spec.limits",
        },
        Pair {
            kind: "Policy",
            node: "spec.access",
            about: "has(self.groups)",
            good: json!({ "access": { "models": { "allow": ["gpt*"] } } }),
            bad: json!({ "access": {} }),
            reported: "spec.access",
        },
        Pair {
            kind: "Policy",
            node: "spec.access.groups",
            about: "has(self.deny)",
            good: json!({ "access": { "groups": { "allow": ["staff"] } } }),
            bad: json!({ "access": { "groups": {} } }),
            reported: "spec.access.groups",
        },
        Pair {
            kind: "Policy",
            node: "spec.access.models",
            about: "has(self.deny)",
            good: json!({ "access": { "models": { "deny": ["gpt*"] } } }),
            bad: json!({ "access": { "models": {} } }),
            reported: "spec.access.models",
        },
        Pair {
            kind: "Policy",
            node: "spec",
            about: "has(self.access)",
            good: json!({ "access": { "groups": { "deny": ["guests"] } } }),
            bad: json!({ "enforcement": "DryRun" }),
            reported: "spec",
        },
    ]
}

/// All of them.
pub(crate) fn all_pairs() -> Vec<Pair> {
    pairs().into_iter().chain(pairs_of_places()).chain(pairs_of_chains()).collect()
}

fn pairs_of_chains() -> [Pair; 1] {
    let target = json!({ "name": "a", "providerRef": { "name": "openai" }, "model": "gpt-5" });
    let chain = |rest: Value| merged(json!({ "models": ["gpt"], "targets": [target] }), rest);
    [Pair {
        kind: "FallbackChain",
        node: "spec.retry",
        about: "duration(self.backoff)",
        good: chain(json!({ "retry": { "backoff": "900ms", "maxBackoff": "1s" } })),
        bad: chain(json!({ "retry": { "backoff": "10s" } })),
        reported: "spec.retry.backoff",
    }]
}

fn pairs_of_places() -> [Pair; 3] {
    let endpoints = json!([{ "url": "https://eu.example.com/v1" }]);
    let provider = |rest: Value| merged(json!({ "provider": "openai" }), rest);
    [
        Pair {
            kind: "LLMProvider",
            node: "spec",
            about: "!has(self.baseURL) || !has(self.endpoints)",
            good: provider(json!({ "endpoints": endpoints })),
            bad: provider(json!({ "baseURL": "https://example.com/v1", "endpoints": endpoints })),
            reported: "spec.baseURL",
        },
        Pair {
            kind: "LLMProvider",
            node: "spec",
            about: "'simulated' || !has(self.endpoints)",
            good: provider(json!({ "endpoints": endpoints })),
            bad: json!({ "provider": "simulated", "endpoints": endpoints }),
            reported: "spec.endpoints",
        },
        Pair {
            kind: "LLMProvider",
            node: "spec",
            about: "has(self.maxConcurrency)",
            good: provider(json!({ "maxConcurrency": 4, "queue": { "length": 0 } })),
            bad: provider(json!({ "queue": { "length": 0 } })),
            reported: "spec.queue",
        },
    ]
}

fn merged(mut base: Value, rest: Value) -> Value {
    for (name, field) in rest.as_object().unwrap() {
        base[name] = field.clone();
    }
    base
}
