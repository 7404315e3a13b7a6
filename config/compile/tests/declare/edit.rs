//! Edits of a world, for properties: small ranges, so that objects meet.

use super::{chain, key, namespace, object, policy, provider, secret};
use proptest::prelude::*;
use serde_json::{Value, json};
use smartflow_compile::{Change, Kind, Object, SecretValue};
use smartflow_snapshot::TokenHash;

const PLACES: [&str; 3] = ["platform", "team-a", "team-b"];

/// What is done to one object. Small ranges, so that objects meet.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) kind: u8,
    pub(crate) place: usize,
    pub(crate) name: u8,
    pub(crate) look: u8,
    pub(crate) detail: u8,
    pub(crate) broken: u8,
    pub(crate) remove: bool,
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    (0..15u8, 0..3usize, 0..5u8, 0..6u8, 0..6u8, 0..6u8, prop::bool::weighted(0.2)).prop_map(
        |(kind, place, name, look, detail, broken, remove)| Edit {
            kind,
            place,
            name,
            look,
            detail,
            broken,
            remove,
        },
    )
}

impl Edit {
    pub(crate) fn change(&self) -> Change {
        let object = self.object();
        if self.remove { Change::Remove(object.id().clone()) } else { Change::Set(Box::new(object)) }
    }

    pub(crate) fn object(&self) -> Object {
        let place = PLACES[self.place];
        match self.kind {
            0..=2 => {
                self.breaking(|spec| provider(place, &format!("p{}", self.name % 3), spec), self.provider())
            }
            3..=7 => self.key(place),
            8 => self.breaking(|spec| policy(place, &format!("l{}", self.name % 2), spec), self.policy()),
            9 | 10 => self.secret(place),
            11..=13 => {
                self.breaking(|spec| chain(place, &format!("c{}", self.name % 3), spec), self.chain(place))
            }
            _ => {
                let labels = [
                    json!({}),
                    json!({ "tier": "gold" }),
                    json!({ "tier": "tin", "kubernetes.io/metadata.name": "x" }),
                ];
                namespace(PLACES[self.place], labels[usize::from(self.look % 3)].clone())
            }
        }
    }

    /// Now and then an invalid spec, with or without a valid predecessor.
    fn breaking(&self, make: impl Fn(Value) -> Object, spec: Value) -> Object {
        let whole = make(spec.clone());
        let mut broken = spec;
        broken["disabled"] = json!(self.look == 0);
        broken["tpyo"] = json!(1);
        match (self.broken, whole.spec()) {
            (0, _) => make(broken),
            (1, Some(kept)) => make(broken).with_last_good(kept),
            _ => whole,
        }
    }

    fn provider(&self) -> Value {
        let all = ["simulated-a", "simulated-b", "simulated-c"];
        let models: Vec<Value> = all[..=usize::from(self.look % 3)]
            .iter()
            .map(|m| json!({ "name": m, "aliases": if self.detail == 5 { json!(["simulated-x"]) } else { json!([]) } }))
            .take(if self.detail == 5 { 1 } else { 3 })
            .collect();
        let access = match self.detail {
            0 => json!({ "from": "Same" }),
            1 => json!({ "from": "Selector", "selector": { "matchLabels": { "tier": "gold" } } }),
            2 => {
                json!({ "from": "Selector", "selector": { "matchLabels": { "kubernetes.io/metadata.name": "team-b" } } })
            }
            _ => json!({ "from": "All" }),
        };
        if self.look < 4 {
            return json!({ "provider": "simulated", "models": models, "access": { "namespaces": access } });
        }
        json!({
            "provider": "openai-compatible",
            "baseURL": "https://llm.example.com/v1",
            "auth": { "apiKey": { "secretRef": { "name": format!("s{}", self.detail % 2), "key": "api-key" } } },
            "models": models,
            "access": { "namespaces": access },
        })
    }

    fn chain(&self, place: &str) -> Value {
        let models = [
            json!(["simulated-a"]),
            json!(["simulated-a*", "fast"]),
            json!(["simulated-*", "p1/simulated-a"]),
            json!(["fast", "simulated-x"]),
            json!(["nothing"]),
            json!(["simulated-b", "simulated-*"]),
        ];
        let target = |n: u8, namespace: &str, model: &str| {
            json!({
                "name": format!("t{n}"), "model": model, "priority": n % 2,
                "providerRef": { "name": format!("p{}", n % 3), "namespace": namespace },
            })
        };
        let there = PLACES[usize::from(self.detail) % 3];
        json!({
            "models": models[usize::from(self.look)],
            "strategy": "RoundRobin",
            "targets": [
                target(self.detail, there, "simulated-a"),
                target(self.detail + 1, place, "simulated-x"),
            ],
        })
    }

    fn key(&self, place: &str) -> Object {
        let models = [
            json!([]),
            json!(["*"]),
            json!(["simulated-a"]),
            json!(["simulated-c*", "p1/*"]),
            json!(["fast", "nothing"]),
        ];
        let mut spec = json!({ "models": models[usize::from(self.look) % 5], "owner": { "team": "red" } });
        match self.detail {
            0 => spec["sha256"] = json!(TokenHash::of(b"shared").to_string()),
            1 => spec["existingSecretRef"] = json!({ "name": "s0", "key": "token" }),
            2 => spec["existingSecretRef"] = json!({ "name": "s1", "key": "token" }),
            _ => {}
        }
        if self.look > 2 {
            spec["parentRef"] = json!({ "name": format!("k{}", (self.name + self.detail) % 5) });
        }
        let name = format!("k{}", self.name);
        self.breaking(
            |spec| match self.broken {
                5 => object(Kind::VirtualKey, place, &name, spec),
                _ => key(place, &name, spec),
            },
            spec,
        )
        // Few times, so that the name decides now and then.
        .with_created(i64::from((self.look + self.name) % 3))
    }

    fn policy(&self) -> Value {
        let targets = [
            json!({}),
            json!({ "namespaces": ["team-a"] }),
            json!({ "namespaces": ["team-a", "team-b"] }),
            json!({ "teams": ["red"] }),
        ];
        let mode = ["Enforce", "DryRun", "Off"][usize::from(self.detail) % 3];
        json!({
            "targets": targets[usize::from(self.look) % 4],
            "enforcement": mode,
            "limits": { "requestsPerMinute": 5 },
        })
    }

    fn secret(&self, place: &str) -> Object {
        let token = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210\n", "short", ""];
        let token = token[usize::from(self.look) % 4];
        let mut secret = secret(
            place,
            &format!("s{}", self.name % 2),
            self.detail != 0,
            if self.detail == 1 { json!({}) } else { json!({ "token": token, "api-key": token }) },
        );
        if self.detail == 2 {
            let fault = smartflow_compile::Finding::error(
                smartflow_compile::Reason::SecretUnresolved,
                "stringData",
                "gone",
                "",
            );
            secret.secret_values().for_each(|(_, v)| *v = SecretValue::Missing(Box::new(fault.clone())));
        }
        secret
    }
}
