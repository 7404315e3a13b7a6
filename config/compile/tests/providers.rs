//! Providers: catalog, credentials, addresses, headers, models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{name, namespace, object, provider, report, said, secret, world};
use serde_json::{Value, json};
use smartflow_compile::{Kind, Object, Reason, Serving, catalog};
use smartflow_snapshot::{Auth, PicoUsd, Protocol, Provider, Thinking};
use std::sync::Arc;

fn compatible(change: Value) -> Value {
    let mut spec = json!({
        "provider": "openai-compatible", "baseURL": "https://llm.example.com/v1/", "auth": { "none": {} },
        "models": [{ "name": "m", "price": { "input": "0.0375", "output": "0.60" } }],
    });
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    spec
}

fn compiled(objects: Vec<Object>) -> Option<Arc<Provider>> {
    world(objects).snapshot.providers.get(&name("a", "p")).cloned()
}

/// Reason and field of the first finding of a provider by itself.
fn fault(spec: Value) -> (Reason, String) {
    let object = object(Kind::LLMProvider, "a", "p", spec);
    assert!(!object.is_valid(), "{:?}", object.findings());
    let finding = object.findings().iter().find(|f| f.is_error()).unwrap();
    assert!(!finding.fix.is_empty() && !finding.message.is_empty());
    (finding.reason, finding.path.to_string())
}

fn keyed() -> Value {
    compatible(json!({ "auth": { "apiKey": { "secretRef": { "name": "s", "key": "k" } } } }))
}

#[test]
fn a_credential_is_opened_only_from_a_labelled_secret_of_the_namespace() {
    let with = |s: Object| world([provider("a", "p", keyed()), s]);
    let good = with(secret("a", "s", true, json!({ "k": "sk-upstream\n" })));
    let served = good.snapshot.providers.get(&name("a", "p")).unwrap();
    let Auth::ApiKey { header, prefix, secret: key } = &served.auth else { panic!("{:?}", served.auth) };
    assert_eq!((&**header, &**prefix, key.open()), ("authorization", "Bearer ", "sk-upstream"));
    for (bad, reason) in [
        (secret("b", "s", true, json!({ "k": "sk" })), Reason::SecretNotFound),
        (secret("a", "s", false, json!({ "k": "sk" })), Reason::SecretNotLabelled),
        (secret("a", "s", true, json!({ "other": "sk" })), Reason::SecretKeyNotFound),
        (secret("a", "s", true, json!({ "k": "" })), Reason::SecretInvalid),
        (secret("a", "s", true, json!({ "k": "a\nb" })), Reason::SecretInvalid),
    ] {
        let compiled = with(bad);
        assert!(compiled.snapshot.providers.is_empty(), "absent: {reason}");
        assert_eq!(said(&compiled, Kind::LLMProvider, "a", "p")[0].0, reason);
        assert_eq!(report(&compiled, Kind::LLMProvider, "a", "p").serving, Serving::Nothing);
    }
}

#[test]
fn secrets_show_nowhere() {
    let canary = "sk-canary-7f3a9c";
    let objects = [provider("a", "p", keyed()), secret("a", "s", true, json!({ "k": canary }))];
    let shown = format!("{objects:?}");
    let compiled = world(objects);
    let text = serde_json::to_string(&compiled.snapshot).unwrap()
        + &format!("{:?} {:?}", compiled.snapshot, compiled.reports);
    assert!(!shown.contains(canary) && !text.contains(canary));
}

#[test]
fn a_credential_in_the_wrong_place_is_not_repeated() {
    let canary = "sk-canary-7f3a9c7f3a9c";
    for spec in [
        compatible(json!({ "auth": { "apiKey": canary } })),
        compatible(json!({ "baseURL": canary })),
        compatible(json!({ "baseURL": format!("https://user:{canary}@example.com") })),
        compatible(json!({ "models": canary })),
        compatible(json!({ "access": { "namespaces": { "from": canary } } })),
        compatible(json!({ "headers": [{ "name": "x-key", "value": format!("{canary}\u{7f}") }] })),
    ] {
        let object = object(Kind::LLMProvider, "a", "p", spec);
        assert!(!object.is_valid());
        assert!(!format!("{:?}", object.findings()).contains(canary), "{:?}", object.findings());
    }
    let key = object(Kind::VirtualKey, "a", "k", json!({ "sha256": canary }));
    assert!(!key.is_valid() && !format!("{:?}", key.findings()).contains(canary));
}

#[test]
fn the_catalog_completes_what_a_resource_leaves_out() {
    let entry = &catalog()["openai"];
    let known = &entry.models[0];
    let spec = json!({
        "provider": "openai", "auth": { "passthrough": {} },
        "models": [
            { "name": known.name },
            { "name": "fast", "upstreamName": known.name, "maxOutput": 7 },
            { "name": "own", "price": { "input": "1", "output": "2" } },
        ],
    });
    let served = compiled(vec![provider("a", "p", spec)]).unwrap();
    assert_eq!(Some(&*served.base_url), entry.base_url.as_deref());
    assert_eq!(served.auth, Auth::Passthrough);
    let [plain, fast, own] = &served.models[..] else { panic!("{:?}", served.models) };
    assert_eq!((&*fast.name, &fast.upstream_name, fast.max_output), ("fast", &plain.name, Some(7)));
    assert_eq!((&fast.price, fast.context_window), (&plain.price, plain.context_window));
    assert!(plain.price.input.is_some());
    assert_eq!((own.price.input, own.context_window), (Some(PicoUsd(1_000_000)), None));
    let all = json!({ "provider": "openai", "auth": { "passthrough": {} } });
    assert_eq!(compiled(vec![provider("a", "p", all)]).unwrap().models.len(), entry.models.len());
}

#[test]
fn every_provider_of_the_catalog_can_be_used() {
    for (id, entry) in catalog() {
        let mut spec =
            json!({ "provider": id, "auth": { "passthrough": {} }, "network": { "allowPrivate": true } });
        if entry.base_url.is_none() {
            spec["baseURL"] = json!("https://llm.example.com/v1");
        }
        if entry.models.is_empty() {
            spec["models"] = json!([{ "name": "m" }]);
        }
        assert!(object(Kind::LLMProvider, "a", "p", spec.clone()).is_valid(), "{id}");
        assert!(compiled(vec![provider("a", "p", spec)]).is_some(), "{id}");
    }
}

#[test]
fn money_and_deadlines_are_exact() {
    let served =
        compiled(vec![provider("a", "p", compatible(json!({ "timeouts": { "idle": "1500ms" } })))]).unwrap();
    assert_eq!(served.models[0].price.input, Some(PicoUsd(37_500)));
    assert_eq!((served.timeouts.idle.as_millis(), served.timeouts.total.as_secs()), (1500, 600));
    assert_eq!(&*served.base_url, "https://llm.example.com/v1");
}

#[test]
fn what_a_provider_may_not_say() {
    let path = |reason, path: &str| (reason, path.to_owned());
    assert_eq!(
        fault(compatible(json!({ "provider": "opnai" }))),
        path(Reason::UnknownProvider, "spec.provider")
    );
    assert_eq!(fault(compatible(json!({ "baseURL": null }))), path(Reason::Required, "spec.baseURL"));
    assert_eq!(fault(json!({ "provider": "openai" })), path(Reason::Required, "spec.auth"));
    assert_eq!(fault(compatible(json!({ "auth": null }))), path(Reason::Required, "spec.auth"));
    assert_eq!(fault(compatible(json!({ "models": [] }))), path(Reason::Required, "spec.models"));
    for near in
        ["http://127.0.0.1:1/v1", "https://localhost/v1", "http://10.0.0.7", "http://169.254.169.254/"]
    {
        assert_eq!(
            fault(compatible(json!({ "baseURL": near }))),
            path(Reason::PrivateAddress, "spec.baseURL")
        );
        let allowed = compatible(json!({ "baseURL": near, "network": { "allowPrivate": true } }));
        assert!(compiled(vec![provider("a", "p", allowed)]).is_some());
    }
    assert_eq!(
        fault(compatible(json!({ "baseURL": "https://x.example?key=1" }))),
        path(Reason::NotAllowed, "spec.baseURL")
    );
    assert_eq!(
        fault(compatible(json!({ "timeouts": { "total": "2h" } }))),
        path(Reason::Invalid, "spec.timeouts.total")
    );
    assert_eq!(
        fault(compatible(json!({ "timeouts": { "idle": "0s" } }))),
        path(Reason::Invalid, "spec.timeouts.idle")
    );
    for header in [
        "Authorization",
        "host",
        "Content-Length",
        "Transfer-Encoding",
        "connection",
        "X-Smartflow-User",
        "proxy-authorization",
    ] {
        let spec = compatible(json!({ "headers": [{ "name": header, "value": "x" }] }));
        assert_eq!(fault(spec), path(Reason::NotAllowed, "spec.headers[0].name"), "{header}");
    }
    let twice = json!({ "headers": [{ "name": "X-A", "value": "1" }, { "name": "x-a", "value": "2" }] });
    assert_eq!(fault(compatible(twice)), path(Reason::Duplicate, "spec.headers[1].name"));
    let host =
        json!({ "auth": { "apiKey": { "secretRef": { "name": "s", "key": "k" }, "header": "Host" } } });
    assert_eq!(fault(compatible(host)), path(Reason::NotAllowed, "spec.auth.apiKey.header"));
}

#[test]
fn simulated_cannot_be_mistaken_for_a_model() {
    let plain = compiled(vec![provider("a", "p", json!({ "provider": "simulated" }))]).unwrap();
    let names: Vec<&str> = plain.models.iter().map(|m| &*m.name).collect();
    assert_eq!(names, ["simulated-chat", "simulated-reasoner", "simulated-embedding"]);
    assert!(plain.models[1].hidden_output && plain.models[2].embedding);
    assert_eq!((&*plain.base_url, &plain.auth), ("", &Auth::None));
    let spec = json!({ "provider": "simulated", "models": [{ "name": "gpt-5" }] });
    assert_eq!(fault(spec), (Reason::NotAllowed, "spec.models[0].name".to_owned()));
    let spec =
        json!({ "provider": "simulated", "models": [{ "name": "simulated-x", "aliases": ["gpt-5"] }] });
    assert_eq!(fault(spec), (Reason::NotAllowed, "spec.models[0].aliases[0]".to_owned()));
    for idle in [
        json!({ "auth": { "passthrough": {} } }),
        json!({ "headers": [{ "name": "x-a", "value": "1" }] }),
        json!({ "network": { "allowPrivate": true } }),
        json!({ "tls": {} }),
    ] {
        let mut spec = json!({ "provider": "simulated" });
        spec.as_object_mut().unwrap().extend(idle.as_object().unwrap().clone());
        assert_eq!(fault(spec).0, Reason::NotAllowed, "{idle}");
    }
    let behaves = json!({ "provider": "simulated", "simulation": { "firstByteDelay": "150ms", "rateLimitedPercent": 5 } });
    let served = compiled(vec![provider("a", "p", behaves)]).unwrap();
    let Protocol::Simulated(simulation) = &served.protocol else { panic!("{:?}", served.protocol) };
    assert_eq!((simulation.first_byte_delay.as_millis(), simulation.rate_limited_per_10k), (150, 500));
}

#[test]
fn an_unknown_price_is_a_warning() {
    let spec = compatible(json!({ "models": [{ "name": "m" }] }));
    let compiled = world([provider("a", "p", spec)]);
    assert_eq!(
        said(&compiled, Kind::LLMProvider, "a", "p"),
        [(Reason::PriceUnknown, "spec.models[0].price".to_owned())]
    );
    assert!(report(&compiled, Kind::LLMProvider, "a", "p").is_ready());
}

#[test]
fn authorities_are_certificates() {
    let spec = compatible(json!({ "tls": { "caSecretRef": { "name": "ca", "key": "ca.crt" } } }));
    let pem = "-----BEGIN CERTIFICATE-----\nMIIBAQ==\n-----END CERTIFICATE-----\n";
    let with = |value: &str| {
        compiled(vec![provider("a", "p", spec.clone()), secret("a", "ca", true, json!({ "ca.crt": value }))])
    };
    assert_eq!(with(pem).unwrap().ca.as_deref(), Some(pem.trim_end()));
    for wrong in [
        "not a certificate",
        "-----BEGIN CERTIFICATE-----\nMIIBAQ==",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
    ] {
        assert!(with(wrong).is_none(), "{wrong}");
    }
}

/// Labels grant: a namespace that is declared twice, or a label that is there twice, grants what both say.
#[test]
fn labels_that_may_mean_either_grant_nothing() {
    let offer = json!({
        "provider": "simulated",
        "access": { "namespaces": { "from": "Selector", "selector": { "matchLabels": { "tier": "gold" } } } },
    });
    let granted = |team: Object| {
        let compiled = world([provider("platform", "p", offer.clone()), team]);
        compiled.snapshot.names.resolve("team", "simulated-chat").is_some()
    };
    let gold = || namespace("team", json!({ "tier": "gold", "x": "y" }));
    let why = || {
        smartflow_compile::Finding::error(Reason::DuplicateObject, "metadata.name", "Twice.", "Delete one.")
    };
    assert!(granted(gold()));
    assert!(granted(gold().restricted_by(&namespace("team", json!({ "tier": "gold" }))).refuse(why())));
    assert!(!granted(gold().restricted_by(&namespace("team", json!({ "tier": "tin" }))).refuse(why())));
    let text = |labels: &str| {
        let text = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n{labels}");
        smartflow_compile::load(&text).unwrap().objects.remove(0)
    };
    assert!(granted(text("  labels: {tier: gold}\n")));
    assert!(!granted(text("  labels:\n    tier: gold\n    tier: tin\n")));
    assert!(!granted(text("  labels: {tier: gold}\n  labels: {tier: tin}\n")));
}

#[test]
fn anthropic_is_known_by_name_and_what_speaks_like_it_by_its_format() {
    let auth = json!({ "apiKey": { "secretRef": { "name": "s", "key": "k" } } });
    let known = json!({ "provider": "anthropic", "auth": auth });
    let compatible = json!({
        "provider": "anthropic-compatible", "baseURL": "https://llm.example.com", "auth": auth,
        "models": [{ "name": "m", "price": { "input": "1", "output": "2", "cacheWriteHour": "3", "webSearch": "0.01" } }],
    });
    let served = |spec: &Value| {
        let objects =
            vec![provider("a", "p", spec.clone()), secret("a", "s", true, json!({ "k": "sk-ant-1" }))];
        compiled(objects).unwrap()
    };
    for spec in [&known, &compatible] {
        let p = served(spec);
        assert_eq!(p.protocol, Protocol::Anthropic);
        let Auth::ApiKey { header, prefix, .. } = &p.auth else { panic!("{:?}", p.auth) };
        assert_eq!((&**header, &**prefix), ("x-api-key", ""));
    }
    let p = served(&known);
    let model = |name: &str| p.models.iter().find(|m| *m.name == *name).unwrap().clone();
    let (opus, haiku) = (model("claude-opus-5-5"), model("claude-haiku-4-5"));
    assert_eq!((opus.thinking, haiku.thinking), (Some(Thinking::Effort), Some(Thinking::Budget)));
    assert!(opus.structured_output && opus.hidden_output && opus.max_output.is_some());
    for model in &p.models {
        let price = &model.price;
        let all = [price.input, price.output, price.cached_input, price.cache_write, price.cache_write_hour];
        assert!(all.iter().all(Option::is_some) && model.context_window.is_some(), "{}", model.name);
    }
    let other = served(&compatible).models[0].clone();
    let searches = PicoUsd(10_000_000_000);
    assert_eq!(
        (other.price.cache_write_hour, other.price.web_search),
        (Some(PicoUsd(3_000_000)), Some(searches))
    );
    assert_eq!((other.thinking, other.structured_output), (None, false));
    assert_eq!(fault(json!({ "provider": "anthropic-compatible", "auth": auth })).1, "spec.baseURL");
}
