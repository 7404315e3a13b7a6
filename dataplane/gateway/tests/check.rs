//! `check`: every finding, placed, with its fix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;

use folder::*;
use smartflow_compile::Severity;
use smartflow_gateway::check::{Found, Outcome, inspected};
use std::fs;
use std::sync::Arc;

fn check(folder: &Folder) -> Outcome {
    inspected(&folder.path(""), &[], Arc::new(|name| (name == "SET").then(|| "value".to_owned()))).unwrap()
}

fn find<'a>(outcome: &'a Outcome, reason: &str) -> Vec<&'a Found> {
    outcome.findings.iter().filter(|f| f.reason == reason).collect()
}

#[test]
fn a_good_world_has_no_findings_and_nothing_is_written() {
    let folder = Folder::new();
    folder.write("a.yaml", &[provider_with_key("a"), secret("a", "env://SET"), key("k", "")].concat());
    let outcome = check(&folder);
    assert_eq!(outcome.findings, []);
    assert_eq!((outcome.objects, outcome.errors), (3, 0));
    assert!(!folder.data("").exists(), "no token is made");
}

#[test]
fn findings_have_file_line_field_and_fix() {
    let folder = Folder::new();
    folder.write("good.yaml", &provider("good"));
    folder.write("bad.yaml", &[provider("a"), policy("p", "alice", "many")].concat());
    fs::create_dir(folder.path("sub")).unwrap();
    folder.write("sub/broken.yaml", "a: [\n");
    folder.write("missing.yaml", &provider_with_key("b"));
    let outcome = check(&folder);

    let [wrong] = find(&outcome, "WrongType")[..] else { panic!("{outcome:?}") };
    assert!(wrong.file.ends_with("world/bad.yaml"), "{}", wrong.file);
    assert_eq!((wrong.line, wrong.path.as_str()), (Some(16), "spec.limits.requestsPerMinute"));
    assert_eq!(wrong.object, "Policy default/p");
    assert!(!wrong.fix.is_empty());

    let [broken] = find(&outcome, "Syntax")[..] else { panic!("{outcome:?}") };
    assert!(broken.file.ends_with("sub/broken.yaml") && broken.line.is_some());

    // Comes up when objects are put together, and has its line all the same.
    let [missing] = find(&outcome, "SecretNotFound")[..] else { panic!("{outcome:?}") };
    assert_eq!((missing.line, missing.severity), (Some(8), Severity::Error));
    assert_eq!(outcome.errors, 3);
}

#[test]
fn the_same_object_in_two_files_is_told_once_for_each() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider("p"));
    folder.write("b.yaml", &provider("p"));
    let outcome = check(&folder);
    let files: Vec<_> =
        find(&outcome, "DuplicateObject").iter().map(|f| f.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["a.yaml", "b.yaml"]);
    assert_eq!(outcome.errors, 2);
}

/// Nothing is known of what they hold, so that nothing is said of it.
#[test]
fn variables_that_are_not_set_here_are_no_errors_wherever_they_are_used() {
    let folder = Folder::new();
    let token = |name: &str| key(name, &format!("  existingSecretRef: {{name: {name}, key: key}}\n"));
    let tls = "  tls: {caSecretRef: {name: ca, key: key}}\n";
    folder.write(
        "a.yaml",
        &[
            token("one"),
            secret("one", "env://A"),
            token("two"),
            secret("two", "env://TOKEN_TWO"),
            [provider_with_key("p"), tls.to_owned()].concat(),
            secret("p", "env://VENDOR_KEY"),
            secret("ca", "env://THE_CA"),
        ]
        .concat(),
    );
    let outcome = check(&folder);
    assert_eq!((outcome.errors, outcome.warnings), (0, 4), "{:?}", outcome.findings);
    assert_eq!(find(&outcome, "SecretUnresolved").len(), 4);
}

#[test]
fn a_variable_that_is_not_set_has_a_place() {
    let folder = Folder::new();
    folder.write("keys.yaml", &[provider_with_key("a"), secret("a", "env://VENDOR_KEY")].concat());
    folder.write("more.yaml", &secret("b", "env://VENDOR_KEY"));
    let outcome = check(&folder);
    let place =
        |f: &Found| (f.file.rsplit('/').next().unwrap().to_owned(), f.line, f.object.clone(), f.path.clone());
    let places: Vec<_> = find(&outcome, "SecretUnresolved").into_iter().map(place).collect();
    let (first, second) = (&places[0], &places[1]);
    let text = std::fs::read_to_string(folder.path("keys.yaml")).unwrap();
    let line = text.lines().position(|l| l.contains("VENDOR_KEY")).and_then(|n| u32::try_from(n + 1).ok());
    assert_eq!(
        *first,
        ("keys.yaml".to_owned(), line, "Secret default/a".to_owned(), "stringData[key]".to_owned())
    );
    assert_eq!((&*second.0, &*second.2, places.len()), ("more.yaml", "Secret default/b", 2));
}

#[test]
fn credentials_need_not_be_here() {
    let folder = Folder::new();
    let file = secret("b", "file:///nowhere/vendor.key");
    folder.write(
        "a.yaml",
        &[provider_with_key("a"), secret("a", "env://VENDOR_KEY"), provider_with_key("b"), file].concat(),
    );
    let outcome = check(&folder);
    assert_eq!(outcome.errors, 0, "{:?}", outcome.findings);
    assert!(
        outcome.findings.iter().any(|f| f.message.contains("VENDOR_KEY") && f.fix.contains("VENDOR_KEY"))
    );
    assert!(outcome.findings.iter().any(|f| f.message.contains("/nowhere/vendor.key") && f.line.is_some()));
}
