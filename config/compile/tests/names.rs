//! Names and grants as resources.md has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{key, name, namespace, provider, said, simulated, world};
use serde_json::json;
use smartflow_compile::{Change, Compiled, Compiler, Kind, Reason, Settings};

/// Which object offers `model` to keys of `place`.
fn serves(compiled: &Compiled, place: &str, model: &str) -> Option<String> {
    compiled.snapshot.names.resolve(place, model).map(|m| m.owner().to_string())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn own_namespace_then_platform_and_nothing_else() {
    let compiled = world([
        provider("team-a", "own", simulated(&["simulated-x"])),
        provider("platform", "shared", simulated(&["simulated-x", "simulated-y"])),
        provider("team-b", "stranger", simulated(&["simulated-z"])),
    ]);
    assert_eq!(serves(&compiled, "team-a", "simulated-x"), some("team-a/own"));
    assert_eq!(serves(&compiled, "team-c", "simulated-x"), some("platform/shared"));
    assert_eq!(serves(&compiled, "team-a", "simulated-y"), some("platform/shared"));
    assert_eq!(serves(&compiled, "team-a", "simulated-z"), None, "a stranger's access: All changes nothing");
}

#[test]
fn two_owners_of_a_name_lose_it_and_both_are_told() {
    let compiled = world([
        provider("a", "one", simulated(&["simulated-x", "simulated-only-one"])),
        provider("a", "two", simulated(&["simulated-x"])),
        provider("platform", "shared", simulated(&["simulated-x"])),
    ]);
    assert_eq!(serves(&compiled, "a", "simulated-x"), None, "nor does it fall through to the platform");
    assert_eq!(serves(&compiled, "a", "one/simulated-x"), some("a/one"));
    assert_eq!(serves(&compiled, "a", "two/simulated-x"), some("a/two"));
    assert_eq!(serves(&compiled, "a", "simulated-only-one"), some("a/one"));
    let clash = vec![(Reason::NameClash, "spec.models".to_owned())];
    assert_eq!(said(&compiled, Kind::LLMProvider, "a", "one"), clash);
    assert_eq!(said(&compiled, Kind::LLMProvider, "a", "two"), clash);
    assert_eq!(said(&compiled, Kind::LLMProvider, "platform", "shared"), []);
}

#[test]
fn provider_slash_model_always_means_that_provider() {
    let compatible = json!({
        "provider": "openai-compatible", "baseURL": "https://router.example.com/v1", "auth": { "none": {} },
        "models": [{ "name": "one/simulated-x", "price": { "input": "0", "output": "0" } }],
    });
    let compiled =
        world([provider("a", "one", simulated(&["simulated-x"])), provider("a", "router", compatible)]);
    assert_eq!(serves(&compiled, "a", "one/simulated-x"), some("a/one"));
    assert_eq!(serves(&compiled, "a", "router/one/simulated-x"), some("a/router"));
    let shadowed = vec![(Reason::NameShadowed, "spec.models".to_owned())];
    assert_eq!(said(&compiled, Kind::LLMProvider, "a", "router"), shadowed);
    assert_eq!(said(&compiled, Kind::LLMProvider, "a", "one"), []);
}

#[test]
fn aliases_are_names() {
    let mut spec = simulated(&["simulated-x"]);
    spec["models"][0]["aliases"] = json!(["simulated-fast"]);
    let compiled =
        world([provider("a", "one", spec.clone()), provider("a", "two", simulated(&["simulated-fast"]))]);
    assert_eq!(serves(&compiled, "a", "simulated-fast"), None);
    assert_eq!(serves(&compiled, "a", "simulated-x"), some("a/one"));
    spec["models"].as_array_mut().unwrap().push(json!({ "name": "simulated-fast" }));
    let own = provider("a", "one", spec);
    let clash = own.findings().iter().find(|f| f.is_error()).map(|f| (f.reason, &*f.path));
    assert_eq!(clash, Some((Reason::NameClash, "spec.models[0].aliases")), "also inside one object");
}

#[test]
fn access_decides_who_sees_a_platform_provider() {
    let offered = |access| {
        let mut spec = simulated(&["simulated-x"]);
        spec["access"] = json!({ "namespaces": access });
        world([
            provider("platform", "shared", spec),
            namespace("gold", json!({ "tier": "gold", "kubernetes.io/metadata.name": "lies" })),
            namespace("tin", json!({ "tier": "tin" })),
            key("plain", "k", json!({ "models": ["*"] })),
        ])
    };
    let sees = |compiled: &Compiled| {
        ["platform", "gold", "tin", "plain", "lies"].map(|n| serves(compiled, n, "simulated-x").is_some())
    };
    assert_eq!(sees(&offered(json!({ "from": "Same" }))), [true, false, false, false, false]);
    assert_eq!(sees(&offered(json!({ "from": "All" }))), [true, true, true, true, true]);
    let selector = |labels| offered(json!({ "from": "Selector", "selector": { "matchLabels": labels } }));
    assert_eq!(sees(&selector(json!({ "tier": "gold" }))), [true, true, false, false, false]);
    let named = selector(json!({ "kubernetes.io/metadata.name": "plain" }));
    assert_eq!(sees(&named), [true, false, false, true, false], "without a Namespace object");
    let forged = selector(json!({ "kubernetes.io/metadata.name": "lies" }));
    assert_eq!(sees(&forged), [true, false, false, false, false], "the name is not a label that one can set");
}

#[test]
fn a_key_that_grants_nothing_that_exists_is_warned() {
    let none = (Reason::NoModelMatches, "spec.models".to_owned());
    let compiled = world([
        provider("platform", "shared", simulated(&["simulated-x"])),
        key("a", "exact", json!({ "models": ["simulated-x"] })),
        key("a", "prefix", json!({ "models": ["simulated-*"] })),
        key("a", "qualified", json!({ "models": ["shared/*"] })),
        key("a", "all", json!({ "models": ["*"] })),
        key("a", "typo", json!({ "models": ["simulated-y"] })),
        key("a", "prefix-typo", json!({ "models": ["simulated-y*"] })),
        key("a", "empty", json!({})),
        key("a", "payer", json!({})),
        key("a", "child", json!({ "models": ["*"], "parentRef": { "name": "payer" } })),
    ]);
    for fine in ["exact", "prefix", "qualified", "all", "payer"] {
        assert_eq!(said(&compiled, Kind::VirtualKey, "a", fine), [], "{fine}");
    }
    for lost in ["typo", "prefix-typo", "empty"] {
        assert_eq!(said(&compiled, Kind::VirtualKey, "a", lost), std::slice::from_ref(&none), "{lost}");
        assert!(compiled.snapshot.keys_by_name.get(&name("a", lost)).is_some(), "only a warning");
    }
}

fn messages(compiled: &Compiled, kind: Kind, name: &str) -> Vec<String> {
    declare::report(compiled, kind, "a", name).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn each_entry_that_matches_nothing_is_named() {
    let models = ["simulated-x", "simulated-q", "b*", "simulated-*"];
    let partly = key("a", "partly", json!({ "models": models }));
    let mut compiler = Compiler::new(&Settings::default());
    let shared = |models| Change::Set(Box::new(provider("platform", "shared", simulated(models))));
    compiler.apply([shared(&["simulated-x"]), Change::Set(Box::new(partly))]);
    let told = |compiler: &Compiler| {
        let id = smartflow_compile::ObjectRef { kind: Kind::VirtualKey, name: name("a", "partly") };
        let report = compiler.report(&id).unwrap();
        assert!(report.is_ready(), "a warning");
        report.findings.iter().map(|f| f.message.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(told(&compiler), ["No model that exists here matches b*, simulated-q."]);
    // Which entries they are may change while some always are.
    let reports = compiler.apply([shared(&["simulated-q"])]).reports;
    assert!(reports.iter().any(|r| r.object.kind == Kind::VirtualKey), "it is told anew");
    assert_eq!(told(&compiler), ["No model that exists here matches b*, simulated-x."]);
    compiler.apply([shared(&["simulated-q", "simulated-x"])]);
    assert_eq!(told(&compiler), ["No model that exists here matches b*."]);
    let many: Vec<String> = (0..8).map(|i| format!("no-{i}")).collect();
    let compiled = world([key("a", "many", json!({ "models": many }))]);
    let message = &messages(&compiled, Kind::VirtualKey, "many")[0];
    assert!(message.contains("no-4 and 3 more.") && !message.contains("no-5"), "{message}");
}

/// The ways out that the finding names, each tried.
#[test]
fn a_clash_has_ways_out() {
    let one = || provider("a", "one", simulated(&["simulated-x"]));
    let two = || provider("a", "two", simulated(&["simulated-x"]));
    let granted = |models: serde_json::Value| key("a", "k", json!({ "models": models }));
    let compiled = world([one(), two(), granted(json!(["simulated-x"]))]);
    let fix = &messages(&compiled, Kind::LLMProvider, "one")[0];
    assert!(fix.contains("a FallbackChain") && fix.contains("must list one/<model> or one/*"), "{fix}");
    assert_eq!(messages(&compiled, Kind::VirtualKey, "k").len(), 1, "the key is told, too");
    let chain = json!({ "models": ["simulated-x"],
        "targets": [{ "name": "t", "providerRef": { "name": "two" }, "model": "simulated-x" }] });
    let chained = world([one(), two(), declare::chain("a", "c", chain), granted(json!(["simulated-x"]))]);
    assert_eq!(serves(&chained, "a", "simulated-x"), some("a/c"));
    assert!(messages(&chained, Kind::VirtualKey, "k").is_empty());
    let long = world([one(), two(), granted(json!(["one/*"]))]);
    assert_eq!(serves(&long, "a", "one/simulated-x"), some("a/one"));
    assert!(messages(&long, Kind::VirtualKey, "k").is_empty());
}

/// Gone and back within one change: what it is told must not get lost.
#[test]
fn a_provider_that_is_replaced_keeps_its_clash() {
    let mut compiler = Compiler::new(&Settings::default());
    let (one, two) = (
        provider("a", "one", simulated(&["simulated-x"])),
        provider("a", "two", simulated(&["simulated-x"])),
    );
    let set = |o: &smartflow_compile::Object| Change::Set(Box::new(o.clone()));
    compiler.apply([set(&one), set(&two)]);
    compiler.apply([Change::Remove(one.id().clone()), set(&one)]);
    assert_eq!(compiler.report(one.id()).unwrap().findings[0].reason, Reason::NameClash);
}
