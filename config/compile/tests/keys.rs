//! Virtual keys: tokens, parents, last-good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::{key, name, object, provider, report, said, secret, simulated, world};
use serde_json::{Value, json};
use smartflow_compile::{Compiled, Finding, Kind, Object, Reason, SecretValue, Serving};
use smartflow_snapshot::{NanoUsd, TokenHash};

const TOKEN: &str = "sk-sf-0123456789abcdef0123456789abcdef";

fn with(objects: impl IntoIterator<Item = Object>) -> Compiled {
    world(objects.into_iter().chain([provider("platform", "shared", simulated(&["simulated-x"]))]))
}

/// Name of the key that `token` opens.
fn opens(compiled: &Compiled, token: &str) -> Option<String> {
    compiled.snapshot.keys.get(&TokenHash::of(token.as_bytes())).map(|k| k.name.to_string())
}

fn brought(secret: &str) -> Value {
    json!({ "models": ["*"], "existingSecretRef": { "name": secret, "key": "token" } })
}

fn reasons(compiled: &Compiled, namespace: &str, name: &str) -> Vec<Reason> {
    said(compiled, Kind::VirtualKey, namespace, name).into_iter().map(|(reason, _)| reason).collect()
}

#[test]
fn a_token_from_a_secret_opens_its_key_and_only_while_the_secret_allows() {
    let look = |secrets: Vec<Object>| {
        let compiled = with(secrets.into_iter().chain([key("a", "k", brought("mine"))]));
        (opens(&compiled, TOKEN), reasons(&compiled, "a", "k"))
    };
    let opened = (Some("a/k".to_owned()), vec![]);
    assert_eq!(look(vec![secret("a", "mine", true, json!({ "token": TOKEN }))]), opened);
    assert_eq!(look(vec![secret("a", "mine", true, json!({ "token": format!("{TOKEN}\n") }))]), opened);
    assert_eq!(look(vec![]), (None, vec![Reason::SecretNotFound]));
    let elsewhere = secret("b", "mine", true, json!({ "token": TOKEN }));
    assert_eq!(look(vec![elsewhere]), (None, vec![Reason::SecretNotFound]), "same namespace only");
    let unlabelled = secret("a", "mine", false, json!({ "token": TOKEN }));
    assert_eq!(look(vec![unlabelled]), (None, vec![Reason::SecretNotLabelled]));
    let other = secret("a", "mine", true, json!({ "tokn": TOKEN }));
    assert_eq!(look(vec![other]), (None, vec![Reason::SecretKeyNotFound]));
    let short = secret("a", "mine", true, json!({ "token": "sk-short" }));
    assert_eq!(look(vec![short]), (None, vec![Reason::TokenTooShort]));
    let empty = secret("a", "mine", true, json!({ "token": "\n" }));
    assert_eq!(look(vec![empty]), (None, vec![Reason::SecretInvalid]));
    let mut unresolved = secret("a", "mine", true, json!({ "token": "env://TOKEN" }));
    let why = Finding::error(Reason::SecretUnresolved, "stringData[token]", "TOKEN is not set.", "Set it.");
    unresolved.secret_values().for_each(|(_, v)| *v = SecretValue::Missing(Box::new(why.clone())));
    assert_eq!(look(vec![unresolved]), (None, vec![Reason::SecretUnresolved]));
}

#[test]
fn a_hash_opens_its_key_and_a_generated_token_is_asked_for() {
    let spec = json!({ "models": ["*"], "sha256": TokenHash::of(TOKEN.as_bytes()).to_string() });
    let imported = object(Kind::VirtualKey, "a", "imported", spec);
    assert!(!imported.needs_token());
    let waiting = object(Kind::VirtualKey, "a", "waiting", json!({ "models": ["*"] }));
    assert!(waiting.needs_token());
    let compiled = with([imported, waiting, key("a", "made", json!({ "models": ["*"], "secretName": "x" }))]);
    assert_eq!(opens(&compiled, TOKEN).as_deref(), Some("a/imported"));
    assert_eq!(opens(&compiled, "a/made").as_deref(), Some("a/made"));
    assert_eq!(reasons(&compiled, "a", "waiting"), [Reason::TokenPending]);
    assert_eq!(report(&compiled, Kind::VirtualKey, "a", "waiting").serving, Serving::Nothing);
}

#[test]
fn the_same_token_twice_belongs_to_the_first_name() {
    let hash = json!({ "models": ["*"], "sha256": TokenHash::of(TOKEN.as_bytes()).to_string() });
    let compiled = with([
        object(Kind::VirtualKey, "b", "late", hash.clone()),
        object(Kind::VirtualKey, "a", "second", hash.clone()),
        object(Kind::VirtualKey, "a", "first", hash),
    ]);
    assert_eq!(opens(&compiled, TOKEN).as_deref(), Some("a/first"));
    assert_eq!(reasons(&compiled, "a", "first"), []);
    for loser in [("a", "second"), ("b", "late")] {
        assert_eq!(reasons(&compiled, loser.0, loser.1), [Reason::TokenInUse]);
        assert_eq!(report(&compiled, Kind::VirtualKey, loser.0, loser.1).serving, Serving::Nothing);
        let kept = compiled.snapshot.keys_by_name.get(&name(loser.0, loser.1)).unwrap();
        assert_eq!(kept.token, None, "still there for its children, with nothing to call with");
    }
}

fn child(parent: &str) -> Value {
    json!({ "models": ["*"], "parentRef": { "name": parent } })
}

#[test]
fn parents_pay_up_to_eight_levels() {
    let mut objects = vec![key("a", "k0", json!({ "models": [] }))];
    objects.extend((1..=9).map(|i| key("a", &format!("k{i}"), child(&format!("k{}", i - 1)))));
    let compiled = with(objects);
    let parents = |n: &str| compiled.snapshot.keys_by_name.get(&name("a", n)).map(|k| k.parents.len());
    assert_eq!((parents("k0"), parents("k1"), parents("k8")), (Some(0), Some(1), Some(8)));
    assert_eq!(parents("k9"), None);
    assert_eq!(reasons(&compiled, "a", "k9"), [Reason::ParentTooDeep]);
    let nearest = &compiled.snapshot.keys_by_name.get(&name("a", "k2")).unwrap().parents;
    assert_eq!(nearest.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["k1", "k0"]);
}

#[test]
fn a_missing_parent_or_a_cycle_takes_the_key_out() {
    let compiled = with([
        key("a", "orphan", child("nobody")),
        key("a", "grandchild", child("orphan")),
        key("a", "stranger", child("far")),
        key("b", "far", json!({ "models": ["*"] })),
        key("a", "x", child("y")),
        key("a", "y", child("x")),
        key("a", "self", child("self")),
        key("a", "below", child("x")),
        key("a", "fine", json!({ "models": ["*"] })),
    ]);
    for lost in ["orphan", "grandchild", "stranger"] {
        assert_eq!(reasons(&compiled, "a", lost), [Reason::ParentNotFound], "{lost}");
    }
    for lost in ["x", "y", "self", "below"] {
        assert_eq!(reasons(&compiled, "a", lost), [Reason::ParentCycle], "{lost}");
    }
    let left: Vec<String> = {
        let mut names: Vec<_> = compiled.snapshot.keys.iter().map(|(_, k)| k.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(left, ["a/fine", "b/far"]);
}

#[test]
fn a_parent_without_a_token_still_pays() {
    let compiled = with([key("a", "team", brought("gone")), key("a", "member", child("team"))]);
    assert_eq!(reasons(&compiled, "a", "team"), [Reason::SecretNotFound]);
    assert_eq!(reasons(&compiled, "a", "member"), []);
    assert_eq!(opens(&compiled, "a/member").as_deref(), Some("a/member"));
    assert!(compiled.snapshot.keys_by_name.get(&name("a", "team")).is_some());
}

#[test]
fn last_good_serves_and_disabled_is_obeyed_beside_a_typo() {
    let good = json!({ "models": ["*"], "budget": { "limitUSD": "5", "period": "Daily" }, "expiresAt": "2030-01-01T00:00:00Z" });
    let kept = key("a", "k", good.clone());
    let kept = kept.spec().unwrap();
    let look = |change: Value| {
        let mut spec = good.clone();
        spec["budgets"] = json!({});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let compiled = with([key("a", "k", spec).with_last_good(kept)]);
        assert_eq!(report(&compiled, Kind::VirtualKey, "a", "k").serving, Serving::LastGood);
        compiled.snapshot.keys_by_name.get(&name("a", "k")).unwrap().as_ref().clone()
    };
    let plain = look(json!({}));
    assert_eq!(plain.budget.as_ref().unwrap().limit, NanoUsd(5_000_000_000));
    assert_eq!((plain.disabled, plain.expires_at), (false, Some(1_893_456_000)));
    assert!(look(json!({ "disabled": true })).disabled);
    assert_eq!(look(json!({ "expiresAt": "2027-01-01T00:00:00Z" })).expires_at, Some(1_798_761_600));
    let later = look(json!({ "expiresAt": "2040-01-01T00:00:00Z" }));
    assert_eq!(
        later.expires_at,
        Some(1_893_456_000),
        "what takes away is obeyed, what gives waits until it is valid"
    );
}

#[test]
fn without_last_good_an_invalid_key_is_absent_and_alone_in_it() {
    let compiled =
        with([key("a", "bad", json!({ "modles": ["*"] })), key("a", "good", json!({ "models": ["*"] }))]);
    assert_eq!(opens(&compiled, "a/bad"), None);
    assert_eq!(opens(&compiled, "a/good").as_deref(), Some("a/good"));
    let unusable = key("a", "bad", json!({ "modles": ["*"] })).with_last_good("{\"budget\": 1}");
    assert_eq!(unusable.findings().last().unwrap().reason, Reason::LastGoodUnusable);
    assert_eq!(opens(&with([unusable]), "a/bad"), None);
}

#[test]
fn what_its_source_refuses_is_invalid() {
    let twice = Finding::error(Reason::DuplicateObject, "", "It is also in b.yaml.", "Keep one.");
    let refused = key("a", "k", json!({ "models": ["*"], "disabled": true })).refuse(twice);
    assert!(!refused.is_valid() && refused.spec().is_none());
    assert_eq!(opens(&with([refused.clone()]), "a/k"), None);
    let kept = with([refused.with_last_good("{\"models\": [\"*\"]}")]);
    assert!(kept.snapshot.keys_by_name.get(&name("a", "k")).unwrap().disabled);
}

#[test]
fn values_are_checked_one_by_one() {
    let spec = json!({ "models": ["*"], "budget": { "limitUSD": "1", "period": "Daily", "timezone": "Europe/Atlantis" } });
    let wrong = object(Kind::VirtualKey, "a", "k", spec);
    assert_eq!(&*wrong.findings()[0].path, "spec.budget.timezone");
    assert!(!wrong.is_valid());
}

/// Whatever takes away is obeyed as soon as it can be guessed.
#[test]
fn disabled_is_obeyed_in_every_writing_and_when_it_is_there_twice() {
    let good = key("a", "k", json!({ "models": ["*"] }));
    let disabled = |spec: &str| {
        let head =
            "apiVersion: smartflow.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: k, namespace: a}\n";
        let object = smartflow_compile::load(&format!("{head}spec:\n{spec}")).unwrap().objects.remove(0);
        assert!(!object.is_valid());
        let compiled = with([object.with_last_good(good.spec().unwrap())]);
        assert_eq!(
            report(&compiled, Kind::VirtualKey, "a", "k").serving,
            Serving::Nothing,
            "it has no token"
        );
        compiled.snapshot.keys_by_name.get(&name("a", "k")).unwrap().disabled
    };
    for yes in ["true", "yes", "'True'", "\"true\"", "on", "1", "[true]", "false\n  disabled: true"] {
        assert!(disabled(&format!("  typo: 1\n  disabled: {yes}\n")), "{yes}");
    }
    assert!(disabled("  models: []\nspec:\n  disabled: true\n"), "the whole spec twice");
    for no in ["no", "'false'", "0", "", "off"] {
        assert!(!disabled(&format!("  typo: 1\n  disabled: {no}\n")), "{no}");
    }
}
