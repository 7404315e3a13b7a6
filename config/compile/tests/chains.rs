//! Chains as resources.md has them: which names they take, who may go through them, what is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{chain, key, name, provider, report, said, simulated, world};
use serde_json::{Value, json};
use smartflow_compile::{Change, Compiled, Compiler, Kind, Object, Programmed, Reason, Serving, Settings};
use smartflow_snapshot::{FaultClass, Meaning};

/// A chain that answers to `models` and goes to these (provider, model).
fn to(models: &[&str], targets: &[(&str, &str)]) -> Value {
    let target = |(i, (provider, model)): (usize, &(&str, &str))| {
        let (namespace, provider) = provider.split_once('/').map_or((None, *provider), |(n, p)| (Some(n), p));
        let mut to = json!({ "name": provider });
        if let Some(namespace) = namespace {
            to["namespace"] = json!(namespace);
        }
        json!({ "name": format!("t{i}"), "providerRef": to, "model": model })
    };
    json!({ "models": models, "targets": targets.iter().enumerate().map(target).collect::<Vec<_>>() })
}

fn closed(models: &[&str]) -> Value {
    let mut spec = simulated(models);
    spec["access"] = json!({ "namespaces": { "from": "Same" } });
    spec
}

/// What `model` leads to for keys of `place`: the owner of the name, and the providers that serve.
fn leads(compiled: &Compiled, place: &str, model: &str) -> Option<(String, Vec<String>)> {
    let meaning = compiled.snapshot.names.resolve(place, model)?;
    let serving = match meaning {
        Meaning::Model(target) => vec![target.provider.name.to_string()],
        Meaning::Chain(chain) => {
            let mine = chain.targets.iter().filter(|t| t.serves(&chain.name.namespace, place));
            mine.map(|t| t.target.provider.name.to_string()).collect()
        }
    };
    Some((meaning.owner().to_string(), serving))
}

fn owner(compiled: &Compiled, place: &str, model: &str) -> Option<String> {
    leads(compiled, place, model).map(|(owner, _)| owner)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn an_exact_chain_goes_before_a_model_and_a_model_before_a_prefix() {
    let compiled = world([
        provider("a", "p", simulated(&["simulated-x", "simulated-xy", "simulated-z"])),
        chain("a", "exact", to(&["simulated-x"], &[("p", "simulated-z")])),
        chain("a", "short", to(&["simulated-*"], &[("p", "simulated-z")])),
        chain("a", "long", to(&["simulated-x*"], &[("p", "simulated-z")])),
    ]);
    assert_eq!(owner(&compiled, "a", "simulated-x"), some("a/exact"));
    assert_eq!(owner(&compiled, "a", "simulated-xy"), some("a/p"));
    assert_eq!(owner(&compiled, "a", "simulated-xyz"), some("a/long"));
    assert_eq!(owner(&compiled, "a", "simulated-x2"), some("a/long"), "the longest prefix");
    assert_eq!(owner(&compiled, "a", "simulated-other"), some("a/short"));
    assert_eq!(owner(&compiled, "a", "p/simulated-x"), some("a/p"));
    assert_eq!(owner(&compiled, "b", "simulated-x"), None);
    for chain in ["exact", "short", "long"] {
        assert_eq!(said(&compiled, Kind::FallbackChain, "a", chain), []);
    }
}

#[test]
fn two_chains_of_one_name_lose_it_and_both_are_told() {
    let clash = vec![(Reason::NameClash, "spec.models".to_owned())];
    for name in ["fast", "simulated-*"] {
        let compiled = world([
            provider("a", "p", simulated(&["simulated-x"])),
            chain("a", "one", to(&[name, "mine"], &[("p", "simulated-x")])),
            chain("a", "two", to(&[name], &[("p", "simulated-x")])),
            chain("platform", "other", to(&["fast", "simulated-*"], &[("p", "simulated-x")])),
            provider("platform", "p", simulated(&["simulated-x"])),
        ]);
        let written = name.replace('*', "anything");
        assert_eq!(owner(&compiled, "a", &written), None, "nor does it fall through to the platform");
        assert_eq!(owner(&compiled, "b", &written), some("platform/other"));
        assert_eq!(owner(&compiled, "a", "mine"), some("a/one"));
        assert_eq!(said(&compiled, Kind::FallbackChain, "a", "one"), clash);
        assert_eq!(said(&compiled, Kind::FallbackChain, "a", "two"), clash);
        assert_eq!(said(&compiled, Kind::FallbackChain, "platform", "other"), []);
        assert_eq!(said(&compiled, Kind::LLMProvider, "a", "p"), []);
    }
}

#[test]
fn provider_slash_model_stays_the_providers() {
    let compiled = world([
        provider("a", "p", simulated(&["simulated-x"])),
        provider("a", "q", simulated(&["simulated-y"])),
        chain("a", "c", to(&["p/simulated-x", "mine"], &[("q", "simulated-y")])),
    ]);
    assert_eq!(owner(&compiled, "a", "p/simulated-x"), some("a/p"));
    assert_eq!(owner(&compiled, "a", "mine"), some("a/c"));
    let shadowed = vec![(Reason::NameShadowed, "spec.models".to_owned())];
    assert_eq!(said(&compiled, Kind::FallbackChain, "a", "c"), shadowed);
}

#[test]
fn a_chain_settles_whose_model_a_name_means() {
    let two = [
        provider("a", "p", simulated(&["simulated-x"])),
        provider("a", "q", simulated(&["simulated-x"])),
        chain("a", "c", to(&["simulated-x"], &[("p", "simulated-x"), ("q", "simulated-x")])),
    ];
    let compiled = world(two.clone());
    assert_eq!(owner(&compiled, "a", "simulated-x"), some("a/c"));
    assert_eq!(said(&compiled, Kind::LLMProvider, "a", "p"), []);
    let compiled = world(two.into_iter().take(2));
    assert_eq!(said(&compiled, Kind::LLMProvider, "a", "p")[0].0, Reason::NameClash);
}

#[test]
fn a_strangers_provider_serves_only_whom_it_is_offered_to() {
    let not_there = |i: usize| (Reason::ProviderNotFound, format!("spec.targets[{i}].providerRef"));
    let compiled = world([
        provider("a", "own", closed(&["simulated-x"])),
        provider("open", "p", simulated(&["simulated-x"])),
        provider("shut", "p", closed(&["simulated-x"])),
        chain(
            "a",
            "c",
            to(&["fast"], &[("shut/p", "simulated-x"), ("own", "simulated-x"), ("open/p", "simulated-x")]),
        ),
    ]);
    let serving = vec!["a/own".to_owned(), "open/p".to_owned()];
    assert_eq!(leads(&compiled, "a", "fast"), Some(("a/c".to_owned(), serving)));
    assert_eq!(said(&compiled, Kind::FallbackChain, "a", "c"), [not_there(0)]);
    assert_eq!(report(&compiled, Kind::FallbackChain, "a", "c").serving, Serving::Current);
    let absent = world([chain("a", "c", to(&["fast"], &[("shut/p", "simulated-x")]))]);
    let (shut, gone) =
        (report(&compiled, Kind::FallbackChain, "a", "c"), report(&absent, Kind::FallbackChain, "a", "c"));
    assert_eq!(shut.findings[0].message, gone.findings[0].message, "nobody learns that it is there");
}

#[test]
fn through_a_platform_chain_nobody_reaches_more_than_by_himself() {
    let compiled = world([
        provider("platform", "inner", closed(&["simulated-x"])),
        provider("platform", "outer", simulated(&["simulated-x"])),
        provider("platform", "secret", closed(&["simulated-y"])),
        chain("platform", "both", to(&["fast"], &[("inner", "simulated-x"), ("outer", "simulated-x")])),
        chain("platform", "hidden", to(&["hidden", "simulated-y"], &[("secret", "simulated-y")])),
    ]);
    let all = vec!["platform/inner".to_owned(), "platform/outer".to_owned()];
    assert_eq!(leads(&compiled, "platform", "fast"), Some(("platform/both".to_owned(), all)));
    let outer = vec!["platform/outer".to_owned()];
    assert_eq!(leads(&compiled, "a", "fast"), Some(("platform/both".to_owned(), outer)));
    assert_eq!(owner(&compiled, "platform", "hidden"), some("platform/hidden"));
    assert_eq!(owner(&compiled, "a", "hidden"), None);
    assert!(!compiled.snapshot.names.visible("a").contains_key("hidden"));
    assert!(compiled.snapshot.names.visible("a").contains_key("fast"));
}

#[test]
fn a_chain_with_missing_targets_serves_the_others() {
    let mut spec = to(&["fast"], &[("gone", "simulated-x"), ("p", "simulated-gone"), ("p", "simulated-x")]);
    spec["targets"][2]["priority"] = json!(3);
    let compiled = world([provider("a", "p", simulated(&["simulated-x"])), chain("a", "c", spec)]);
    assert_eq!(leads(&compiled, "a", "fast"), Some(("a/c".to_owned(), vec!["a/p".to_owned()])));
    let missing = [
        (Reason::ProviderNotFound, "spec.targets[0].providerRef".to_owned()),
        (Reason::ModelNotFound, "spec.targets[1].model".to_owned()),
    ];
    assert_eq!(said(&compiled, Kind::FallbackChain, "a", "c"), missing);
    let report = report(&compiled, Kind::FallbackChain, "a", "c");
    assert!(report.findings.iter().all(|f| f.condition == smartflow_compile::Condition::ResolvedRefs));
    assert_eq!(report.serving, Serving::Current);
}

#[test]
fn conditions_say_without_which_targets_a_chain_serves() {
    let programmed = |targets: &[(&str, &str)]| {
        let compiled =
            world([provider("a", "p", simulated(&["simulated-x"])), chain("a", "c", to(&["fast"], targets))]);
        let conditions = report(&compiled, Kind::FallbackChain, "a", "c").conditions(&Programmed::Yes);
        let is = |kind: &str| conditions.iter().find(|c| c.kind == kind).unwrap().clone();
        (is("ResolvedRefs").status, is("Ready").status, is("Programmed").status, is("Programmed").message)
    };
    let said = |refs, ready, status, message: &str| (refs, ready, status, message.to_owned());
    let whole = programmed(&[("p", "simulated-x")]);
    assert_eq!(whole, said("True", "True", "True", "It is in force."));
    let one = programmed(&[("gone", "simulated-x"), ("p", "simulated-x")]);
    assert_eq!(one, said("False", "False", "True", "It is in force: it serves without target t0."));
    let two = programmed(&[("p", "simulated-x"), ("p", "simulated-y"), ("q", "simulated-x")]);
    assert_eq!(two, said("False", "False", "True", "It is in force: it serves without targets t1, t2."));
    let none = programmed(&[("gone", "simulated-x")]);
    assert_eq!(none, said("False", "False", "False", "It is not in force."));
}

#[test]
fn a_chain_without_any_target_keeps_its_name() {
    let compiled = world([
        provider("platform", "shared", simulated(&["simulated-x"])),
        chain("a", "c", to(&["simulated-x"], &[("gone", "simulated-x")])),
    ]);
    assert_eq!(owner(&compiled, "a", "simulated-x"), None, "its callers are not sent elsewhere");
    assert_eq!(owner(&compiled, "b", "simulated-x"), some("platform/shared"));
    assert_eq!(report(&compiled, Kind::FallbackChain, "a", "c").serving, Serving::Nothing);
}

#[test]
fn embeddings_and_chat_do_not_mix() {
    let mut spec = simulated(&["simulated-chat", "simulated-e"]);
    spec["models"][1]["kind"] = json!("Embedding");
    let mixed = to(&["fast"], &[("p", "simulated-chat"), ("p", "simulated-e")]);
    let compiled = world([provider("a", "p", spec), chain("a", "c", mixed)]);
    let finding = (Reason::NotAllowed, "spec.targets[1].model".to_owned());
    assert_eq!(said(&compiled, Kind::FallbackChain, "a", "c"), [finding]);
    assert_eq!(leads(&compiled, "a", "fast").unwrap().1.len(), 1);
}

#[test]
fn targets_stand_by_priority_and_aliases_are_names() {
    let mut offer = simulated(&["simulated-x", "simulated-y"]);
    offer["models"][1]["aliases"] = json!(["simulated-alias"]);
    let mut spec = to(&["fast"], &[("p", "simulated-x"), ("p", "simulated-alias"), ("p", "simulated-y")]);
    spec["targets"][0]["priority"] = json!(2);
    let compiled = world([provider("a", "p", offer), chain("a", "c", spec)]);
    let chain = &compiled.snapshot.chains[&name("a", "c")];
    let order: Vec<&str> = chain.targets.iter().map(|t| &*t.name).collect();
    assert_eq!(order, ["t1", "t2", "t0"]);
    assert_eq!(&*chain.targets[0].target.model.name, "simulated-y");
}

#[test]
fn what_a_spec_leaves_out() {
    let compiled = world([chain("a", "c", to(&["fast"], &[("p", "simulated-x")]))]);
    let chain = &compiled.snapshot.chains[&name("a", "c")];
    assert!(chain.falls_back_on(FaultClass::RateLimited) && chain.falls_back_on(FaultClass::Auth));
    for own in [FaultClass::ContextWindow, FaultClass::ContentPolicy, FaultClass::BadRequest] {
        assert!(!chain.falls_back_on(own), "{own:?} is the caller's own fault");
    }
    let mut never = to(&["fast"], &[("p", "simulated-x")]);
    never["fallbackOn"] = json!([]);
    let compiled = world([declare::chain("a", "c", never)]);
    assert!(compiled.snapshot.chains[&name("a", "c")].fallback_on.is_empty());
}

/// Errors of a chain by itself.
fn refused(change: impl Fn(&mut Value)) -> Vec<(Reason, String)> {
    let mut spec = to(&["fast"], &[("p", "simulated-x"), ("p", "simulated-y")]);
    change(&mut spec);
    let object: Object = chain("a", "c", spec);
    object.findings().iter().map(|f| (f.reason, f.path.to_string())).collect()
}

#[test]
fn values_that_mean_nothing_are_refused() {
    assert_eq!(refused(|_| {}), []);
    let weight = refused(|s| s["targets"][1]["weight"] = json!(3));
    assert_eq!(weight, [(Reason::NotAllowed, "spec.targets[1].weight".to_owned())]);
    let zero = refused(|s| {
        s["strategy"] = json!("Weighted");
        s["targets"][0]["weight"] = json!(0);
        s["targets"][1]["weight"] = json!(0);
    });
    assert_eq!(zero, [(Reason::Invalid, "spec.targets".to_owned())]);
    let weighted = refused(|s| {
        s["strategy"] = json!("Weighted");
        s["targets"][1]["weight"] = json!(0);
    });
    assert_eq!(weighted, []);
    for (field, value) in [("cooldown", "0s"), ("timeout", "0ms"), ("timeout", "2h")] {
        assert_eq!(refused(|s| s[field] = json!(value)), [(Reason::Invalid, format!("spec.{field}"))]);
    }
    let twice = refused(|s| s["targets"][1]["name"] = json!("t0"));
    assert_eq!(twice, [(Reason::Duplicate, "spec.targets[1]".to_owned())]);
    assert_eq!(refused(|s| s["models"] = json!(["*"]))[0].0, Reason::Invalid, "* alone takes every name");
}

#[test]
fn what_a_target_says_of_itself() {
    let mut spec = to(&["fast"], &[("p", "simulated-x"), ("p", "simulated-x")]);
    spec["targets"][0]["params"] = json!({ "temperature": "0.2", "topP": "1", "maxOutputTokens": 50 });
    spec["targets"][0]["timeouts"] = json!({ "firstByte": "3s" });
    let mut offer = simulated(&["simulated-x"]);
    offer["timeouts"] = json!({ "idle": "7s" });
    let compiled = world([provider("a", "p", offer), chain("a", "c", spec)]);
    let [first, second] = &*compiled.snapshot.chains[&name("a", "c")].targets else { panic!("two targets") };
    let params = first.params.as_ref().unwrap();
    let fields: Vec<(&str, &str)> = params.fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(fields, [("temperature", "0.2"), ("top_p", "1")]);
    assert_eq!((params.max_output, &second.params), (Some(50), &None));
    let secs = |t: &smartflow_snapshot::Timeouts| (t.first_byte.as_secs(), t.idle.as_secs());
    assert_eq!((secs(&first.timeouts), secs(&second.timeouts)), ((3, 7), (60, 7)));
    for (field, empty) in [("params", json!({})), ("timeouts", json!({}))] {
        assert_eq!(
            refused(|s| s["targets"][0][field] = empty.clone())[0].1,
            format!("spec.targets[0].{field}")
        );
    }
    for (field, wrong) in [("temperature", "2.1"), ("topP", "1.5"), ("temperature", "00.1")] {
        let path = format!("spec.targets[0].params.{field}");
        assert_eq!(
            refused(|s| s["targets"][0]["params"] = json!({ field: wrong })),
            [(Reason::Invalid, path)]
        );
    }
    let zero = refused(|s| s["targets"][1]["timeouts"] = json!({ "idle": "0s" }));
    assert_eq!(zero, [(Reason::Invalid, "spec.targets[1].timeouts.idle".to_owned())]);
}

#[test]
fn a_key_may_grant_a_chain_by_name_or_by_its_beginning() {
    let grants = |models: Value| {
        let compiled = world([
            provider("a", "p", simulated(&["simulated-x"])),
            chain("a", "c", to(&["fast", "gpt-4*"], &[("p", "simulated-x")])),
            key("a", "k", json!({ "models": models })),
        ]);
        said(&compiled, Kind::VirtualKey, "a", "k").is_empty()
    };
    for fine in ["fast", "fa*", "gpt-*", "gpt-4", "gpt-4-anything", "gpt-4-any*"] {
        assert!(grants(json!([fine])), "{fine}");
    }
    for lost in ["gpt-3", "faster", "gpt-5*"] {
        assert!(!grants(json!([lost])), "{lost}");
    }
}

#[test]
fn what_is_taken_away_is_obeyed_at_once() {
    let set = |o: Object| Change::Set(Box::new(o));
    let through = to(&["fast"], &[("there/p", "simulated-x"), ("own", "simulated-y")]);
    let mut compiler = Compiler::new(&Settings::default());
    let serving = |compiled: &Compiled| leads(compiled, "a", "fast").unwrap().1.len();
    let both = compiler.apply([
        set(provider("a", "own", simulated(&["simulated-y"]))),
        set(provider("there", "p", simulated(&["simulated-x"]))),
        set(chain("a", "c", through)),
    ]);
    assert_eq!(serving(&both), 2);
    let shut = compiler.apply([set(provider("there", "p", closed(&["simulated-x"])))]);
    assert_eq!(serving(&shut), 1, "the provider is not offered any more");
    assert!(shut.reports.iter().any(|r| r.object.kind == Kind::FallbackChain), "and the chain is told");
    let open = compiler.apply([set(provider("there", "p", simulated(&["simulated-x"])))]);
    assert_eq!(serving(&open), 2);
    let gone = compiler.apply([Change::Remove(chain("a", "c", json!({})).id().clone())]);
    assert_eq!((owner(&gone, "a", "fast"), gone.snapshot.chains.len()), (None, 0));
}
