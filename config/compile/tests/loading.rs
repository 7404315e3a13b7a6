//! Text to objects: what an API server would say, with lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use smartflow_compile::{Finding, Item, Loaded, ObjectRef, Reason, SecretValue, load, load_each, locate};
use std::fmt::Write;

fn key(spec: &str) -> String {
    format!("apiVersion: smartflow.dev/v1alpha1\nkind: VirtualKey\nmetadata:\n  name: k\nspec:\n{spec}")
}

/// Reason, field and line of each finding of the only object.
fn findings(text: &str) -> Vec<(Reason, String, u32)> {
    let loaded = load(text).unwrap();
    assert_eq!((loaded.objects.len(), &loaded.findings[..]), (1, &[][..]));
    let shown = |f: &Finding| (f.reason, f.path.to_string(), f.at.unwrap().line);
    loaded.objects[0].findings().iter().map(shown).collect()
}

fn found(text: &str, expected: &[(Reason, &str, u32)]) {
    let expected: Vec<_> = expected.iter().map(|(r, p, l)| (*r, (*p).to_owned(), *l)).collect();
    assert_eq!(findings(text), expected, "{text}");
}

#[test]
fn every_fault_of_an_object_is_found_with_its_line() {
    let text = key("  modles: ['*']
  disabled: yes
  budget:
    limitUSD: 5
    period: Dayly
    softLimitPercent: 101
  expiresAt: tomorrow
  sha256: abc
  secretName: Not_A_Name
  models: [a, a]
");
    found(
        &text,
        &[
            (Reason::RuleBroken, "spec", 5),
            (Reason::UnknownField, "spec.modles", 6),
            (Reason::WrongType, "spec.disabled", 7),
            (Reason::WrongType, "spec.budget.limitUSD", 9),
            (Reason::NotSupported, "spec.budget.period", 10),
            (Reason::Invalid, "spec.budget.softLimitPercent", 11),
            (Reason::Invalid, "spec.expiresAt", 12),
            (Reason::Invalid, "spec.sha256", 13),
            (Reason::Invalid, "spec.secretName", 14),
            (Reason::Duplicate, "spec.models[1]", 15),
        ],
    );
}

/// kubectl would send a boolean.
#[test]
fn a_word_that_kubectl_takes_for_a_boolean_needs_quotes_as_a_value_and_as_a_name() {
    let policy = |mode: &str, label: &str| {
        format!(
            "apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata:
  name: p
  labels: {{{label}: 'x'}}
spec:
  enforcement: {mode}
  targets: {{users: [a]}}
  limits: {{requestsPerMinute: 5}}
"
        )
    };
    found(&policy("\"Off\"", "\"on\""), &[]);
    found(&policy("Off", "a"), &[(Reason::WrongType, "spec.enforcement", 7)]);
    found(&policy("DryRun", "on"), &[(Reason::WrongType, "metadata.labels.on", 5)]);
    let loaded = load(&policy("Off", "a")).unwrap();
    let finding = &loaded.objects[0].findings()[0];
    assert_eq!(&*finding.fix, "Put it in quotes.");
}

/// What the schema finds does not hide what only a look at the values finds.
#[test]
fn faults_of_form_do_not_hide_faults_of_content() {
    let text = "apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {name: p}
spec:
  provider: opnai
  baseURL: https://user:secret@example.com
  auth: {passthrough: {}}
  timeouts: {total: 10 minutes, idle: 2h}
  models: [{name: m, price: {input: 0.15, output: '1'}}]
  modles: []
";
    found(
        text,
        &[
            (Reason::UnknownProvider, "spec.provider", 5),
            (Reason::NotAllowed, "spec.baseURL", 6),
            (Reason::Invalid, "spec.timeouts.total", 8),
            (Reason::Invalid, "spec.timeouts.idle", 8),
            (Reason::WrongType, "spec.models[0].price.input", 9),
            (Reason::UnknownField, "spec.modles", 10),
        ],
    );
}

#[test]
fn fixes_name_what_was_meant() {
    let loaded = load(&key("  modles: []\n  budget: {limitUSD: 5, period: Dayly}\n")).unwrap();
    let fixes: Vec<&str> = loaded.objects[0].findings().iter().map(|f| &*f.fix).collect();
    assert_eq!(fixes, ["Did you mean models?", "Put it in quotes: \"5\".", "Did you mean Daily?"]);
}

#[test]
fn a_missing_field_is_placed_at_what_should_hold_it() {
    found(&key("  budget:\n    limitUSD: '5'\n"), &[(Reason::Required, "spec.budget.period", 6)]);
    let bare = "apiVersion: smartflow.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: p}\n";
    found(bare, &[(Reason::Required, "spec", 1), (Reason::Required, "spec.provider", 1)]);
}

#[test]
fn rules_over_several_fields_have_their_own_messages() {
    let text = key("  limits: {}\n  secretName: a\n  sha256: '0'\n");
    let loaded = load(&text).unwrap();
    let limits = loaded.objects[0].findings().iter().find(|f| &*f.path == "spec.limits").unwrap();
    assert_eq!(limits.reason, Reason::RuleBroken);
    assert!(limits.fix.contains("at least one of requestsPerMinute"), "{}", limits.fix);
}

#[test]
fn defaults_are_there() {
    let loaded = load(&key("  budget: {limitUSD: '5', period: Daily}\n  owner: null\n")).unwrap();
    assert_eq!(
        loaded.objects[0].spec().unwrap(),
        r#"{"budget":{"limitUSD":"5","period":"Daily","timezone":"UTC","whenShort":"Shorten"},"disabled":false}"#
    );
}

#[test]
fn the_namespace_defaults_and_names_are_names() {
    let loaded = load(&key("  models: []\n")).unwrap();
    assert_eq!(loaded.objects[0].id().to_string(), "VirtualKey default/k");
    for (metadata, path) in [
        ("{name: K}", "metadata.name"),
        ("{name: a/b}", "metadata.name"),
        ("{name: -a}", "metadata.name"),
        ("{name: 7}", "metadata.name"),
        ("{}", "metadata.name"),
        ("{name: a, namespace: A}", "metadata.namespace"),
        ("{name: a, namespace: a.b}", "metadata.namespace"),
        ("{name: a, namespace: ''}", "metadata.namespace"),
    ] {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {metadata}\n");
        let Loaded { objects, findings } = load(&text).unwrap();
        assert!(objects.is_empty());
        assert_eq!((&*findings[0].path, findings[0].at.unwrap().line), (path, 3), "{metadata}");
    }
}

#[test]
fn what_is_not_known_here_is_said() {
    for (text, path, fix) in [
        (
            "apiVersion: smartflow.dev/v1alpha1\nkind: VirtualKeys\nmetadata: {name: a}\n",
            "kind",
            "Did you mean VirtualKey?",
        ),
        (
            "apiVersion: smartflow.dev/v1\nkind: Policy\nmetadata: {name: a}\n",
            "apiVersion",
            "Write apiVersion: smartflow.dev/v1alpha1.",
        ),
        ("kind: Secret\nmetadata: {name: a}\n", "apiVersion", "Write apiVersion: v1."),
        ("apiVersion: v1\nmetadata: {name: a}\n", "kind", ""),
        ("- 1\n", "", ""),
        ("text\n", "", ""),
    ] {
        let Loaded { objects, findings } = load(text).unwrap();
        assert!(objects.is_empty(), "{text}");
        assert_eq!(&*findings[0].path, path, "{text}");
        assert!(findings[0].fix.contains(fix), "{text}: {}", findings[0].fix);
    }
    found(&key("  models: []\nspecs: {}\n"), &[(Reason::UnknownField, "specs", 7)]);
    let labels =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  label: {}\n  labels:\n    a.b/c: true\n";
    found(
        labels,
        &[(Reason::UnknownField, "metadata.label", 5), (Reason::WrongType, "metadata.labels[a.b/c]", 7)],
    );
}

#[test]
fn several_documents_one_object_each_and_a_bad_one_takes_none_along() {
    let text = format!(
        "# first\n{}---\n\n---\nkind: Nonsense\n---\n{}",
        key("  models: []\n"),
        key("  modles: []\n")
    );
    let Loaded { objects, findings } = load(&text).unwrap();
    assert_eq!(objects.iter().map(smartflow_compile::Object::is_valid).collect::<Vec<_>>(), [true, false]);
    assert_eq!(findings[0].at.unwrap().line, 11);
    assert_eq!(objects[1].findings()[0].at.unwrap().line, 18);
    let mut seen = 0;
    load_each(&text, |item| seen += usize::from(matches!(item, Item::Object(_)))).unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_text_that_is_not_yaml_gives_nothing() {
    let broken = format!("{}---\nspec: [\n", key("  models: []\n"));
    assert_eq!(load(&broken).unwrap_err().reason, Reason::Syntax);
    let mut called = false;
    load_each(&broken, |_| called = true).unwrap_err();
    assert!(!called, "nothing of it can be relied on");
}

#[test]
fn the_same_field_twice_is_a_fault() {
    found(&key("  models: [a]\n  models: [b]\n"), &[(Reason::DuplicateKey, "spec.models", 7)]);
    found(&key("  owner: {team: a, team: b}\n"), &[(Reason::DuplicateKey, "spec.owner.team", 6)]);
    found(&key("  ? [a]\n  : b\n"), &[(Reason::WrongType, "spec.?", 6), (Reason::UnknownField, "spec.?", 6)]);
}

#[test]
fn aliases_expand_within_bounds() {
    let fine = key("  owner: {groups: &g [x, z]}\n  models: *g\n");
    assert!(load(&fine).unwrap().objects[0].spec().unwrap().contains(r#""models":["x","z"]"#));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let before = i - 1;
        writeln!(
            bomb,
            "a{i}: &a{i} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]"
        )
        .unwrap();
    }
    assert_eq!(load(&bomb).unwrap_err().reason, Reason::TooComplex);
    assert!(load("a: &a [*a]\n").is_err(), "inside of itself");
    assert!(load("a: *nobody\n").is_err());
}

#[test]
fn depth_and_size_are_bounded() {
    assert!(load(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    assert_eq!(
        load(&format!("{}{}", "[".repeat(65), "]".repeat(65))).unwrap_err().reason,
        Reason::TooComplex
    );
    assert!(load(&"[".repeat(1_000_000)).is_err());
    assert!(load(&"- ".repeat(1_000_000)).is_err());
    assert!(load(&"a: ".repeat(1_000_000)).is_err());
    assert_eq!(load(&"- a\n".repeat(200_001)).unwrap_err().reason, Reason::TooComplex);
}

#[test]
fn secrets_are_read_in_both_forms() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  one: b25l\n  bad: '%'\n  binary: /w==\nstringData:\n  two: text\n  three: 3\n";
    let mut object = load(text).unwrap().objects.remove(0);
    let known = object.secret_values().map(|(k, v)| match v {
        SecretValue::Known(secret) => (k.to_owned(), secret.open().to_owned()),
        SecretValue::Missing(finding) => (k.to_owned(), finding.path.to_string()),
    });
    let expected = [
        ("bad", "data[bad]"),
        ("binary", "data[binary]"),
        ("one", "one"),
        ("three", "stringData[three]"),
        ("two", "text"),
    ];
    assert_eq!(known.collect::<Vec<_>>(), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let lines: Vec<u32> = object.findings().iter().map(|f| f.at.unwrap().line).collect();
    assert_eq!(lines, [6, 7, 10]);
}

#[test]
fn places_are_found_afterwards() {
    let text =
        format!("kind: x\n---\n{}", key("  owner:\n    labels: {a.b/c: d}\n  models:\n  - a\n  - b\n"));
    let id = load(&text).unwrap().objects[0].id().clone();
    let line = |path: &str| locate(&text, &id, path).map(|p| (p.line, p.column));
    assert_eq!(line("spec.models[1]"), Some((12, 5)));
    assert_eq!(line("spec.owner.labels[a.b/c]"), Some((9, 14)));
    assert_eq!(line("spec.existingSecretRef.name"), Some((7, 1)));
    assert_eq!(line(""), Some((3, 1)));
    let other = ObjectRef { kind: smartflow_compile::Kind::Policy, ..id.clone() };
    assert_eq!(locate(&text, &other, "spec"), None);
}

#[test]
fn an_alias_of_a_fields_name_is_that_name() {
    let loaded = load(&key("  &m models: [*m]\n")).unwrap();
    assert_eq!(loaded.objects[0].findings(), []);
    assert!(loaded.objects[0].spec().unwrap().contains(r#""models":["models"]"#));
}

/// A short text is read once, a long one checked first: either way nothing of a text with a fault is used.
#[test]
fn a_fault_at_the_end_makes_the_whole_text_unreliable_however_long_it_is() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &(1..9).fold(String::new(), |mut text, i| {
            let (before, this) = (char::from(b'a' + i - 1), char::from(b'a' + i));
            let _ = writeln!(text, "{this}: &{this} [{}]", vec![format!("*{before}"); 10].join(", "));
            text
        });
    for filler in [0, 2 << 20] {
        for (end, reason) in [("spec: [\n", Reason::Syntax), (&*bomb, Reason::TooComplex)] {
            let text = format!("{}---\n# {}\n---\n{end}", key("  models: []\n"), "x".repeat(filler));
            let mut seen = 0;
            let fault = load_each(&text, |_| seen += 1).unwrap_err();
            assert_eq!((fault.reason, seen, fault.at.is_some()), (reason, 0, true), "{filler}");
        }
        let text = format!("{}---\n# {}\n", key("  models: []\n"), "x".repeat(filler));
        assert_eq!(load(&text).unwrap().objects.len(), 1);
    }
}

/// What the parser stumbles over is after it.
#[test]
fn a_bracket_that_is_not_closed_is_told_where_it_is() {
    let at = |text: &str| {
        let fault = load(text).unwrap_err();
        (fault.at.unwrap().line, fault.at.unwrap().column, fault.message.to_string())
    };
    let list = "This is not YAML: the [ here is not closed.";
    for text in [
        "a: 1\nmodels: [\"x\", \"y\"\nbudget:\n  limit: 1\n",
        "a: 1\nmodels: [x, 'it''s', \"]\" # ]\n",
        "a: 1\nmodels: [x\nb: [1, {c: d}]\n---\nz: ]\n",
        "a:\n- b: [x, [y, z]\n- c\n",
    ] {
        let (line, _, message) = at(text);
        assert_eq!((line, &*message), (2, list), "{text}");
    }
    let map = "This is not YAML: the { here is not closed.".to_owned();
    assert_eq!(at("a: 1\nprice: {x: 1, y: 2\nb: 2\n---\nz: 1\n"), (2, 8, map));
    // Faults of other kinds stay where they are.
    for (text, line) in [("a: 1\nb: [x,\n  c: d: e,\n  y]\n", 3), ("a: [b]\n c: d\n", 2), ("a: ]\n", 1)] {
        let (found, _, message) = at(text);
        assert!(found == line && !message.contains("closed"), "{text} {found} {message}");
    }
}
