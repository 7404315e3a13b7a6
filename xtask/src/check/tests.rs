//! Each rule refuses what it is for, and lets the rest pass.

use super::{Findings, documents, exceptions, imports, purity, sizes, words};
use crate::workspace::Workspace;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

const LINTS: &str = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";

/// A workspace on disk: packages as (name, folder, built with; no folder = not ours), files as (path, text).
fn world(packages: &[(&str, &str, &[&str])], files: &[(&str, &str)]) -> (TempDir, Workspace) {
    let folder = tempfile::tempdir().unwrap();
    let git = Command::new("git").current_dir(folder.path()).args(["init", "--quiet"]).status().unwrap();
    assert!(git.success());
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let workspace = Workspace::of(folder.path().to_owned(), packages);
    (folder, workspace)
}

fn findings(
    rule: fn(&Workspace) -> Findings,
    packages: &[(&str, &str, &[&str])],
    files: &[(&str, &str)],
) -> Vec<String> {
    let (_folder, workspace) = world(packages, files);
    rule(&workspace).unwrap()
}

#[test]
fn a_file_above_600_lines_is_refused() {
    let (long, limit) = ("\n".repeat(601), "\n".repeat(600));
    let small = [("b.rs", ""), ("c.rs", "")];
    let found = findings(sizes::check, &[], &[&[("a.rs", long.as_str())], &small[..]].concat());
    assert_eq!(found, ["a.rs: 601 lines, at most 600; it is two things"]);
    assert!(findings(sizes::check, &[], &[&[("a.rs", limit.as_str())], &small[..]].concat()).is_empty());
    let script = findings(sizes::check, &[], &[("a.py", long.as_str())]);
    assert_eq!(script.len(), 1);
}

#[test]
fn a_median_above_150_lines_is_refused() {
    let text = "\n".repeat(151);
    let files = [("a.rs", text.as_str()), ("b.rs", text.as_str()), ("c.rs", "")];
    assert_eq!(findings(sizes::check, &[], &files), ["median of Rust files: 151 lines, at most 150"]);
}

#[test]
fn engines_that_know_each_other_are_refused() {
    let dialect = ("smartflow-dialect", "dataplane/dialect", &["smartflow-ledger", "serde"][..]);
    let ledger = ("smartflow-ledger", "dataplane/ledger", &[][..]);
    let gateway = ("smartflow-gateway", "dataplane/gateway", &["smartflow-ledger"][..]);
    let found = findings(imports::check, &[dialect, ledger, gateway], &[]);
    assert_eq!(found, ["dataplane/dialect/Cargo.toml: may not import smartflow-ledger"]);
}

#[test]
fn a_package_that_no_row_names_is_refused() {
    let found = findings(imports::check, &[("smartflow-utils", "utils", &[])], &[]);
    assert_eq!(found.len(), 1);
}

#[test]
fn a_pure_crate_with_a_runtime_or_a_clock_is_refused() {
    let packages = [
        ("smartflow-compile", "config/compile", &["serde"][..]),
        ("serde", "", &["tokio"]),
        ("tokio", "", &[]),
    ];
    let clock = [("config/compile/src/a.rs", "fn now() {\n    std::time::Instant::now();\n}\n")];
    let found = findings(purity::check, &packages, &clock);
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("is built with tokio"), "{found:?}");
    assert_eq!(found[1], "config/compile/src/a.rs:2: the clock is passed in");
}

#[test]
fn tests_and_lenders_may_look_at_a_clock() {
    let packages = [("smartflow-ledger", "dataplane/ledger", &[][..])];
    let clock = "fn now() { Instant::now(); }\n";
    let test = format!("#[cfg(test)]\nmod tests {{\n{clock}}}\n");
    let files =
        [("dataplane/ledger/src/lender/file.rs", clock), ("dataplane/ledger/src/a.rs", test.as_str())];
    assert!(findings(purity::check, &packages, &files).is_empty());
}

#[test]
fn unsafe_code_and_panics_outside_their_places_are_refused() {
    let package = [("x", "x", &[][..])];
    let lint = "clippy::unwrap_used";
    let files = [
        ("x/Cargo.toml", LINTS),
        ("x/src/a.rs", "#![allow(unsafe_code)]\n"),
        ("x/src/b.rs", &format!("#![allow({lint})]\n")),
        ("x/src/c.rs", &format!("#[cfg(test)]\n#[allow({lint})]\nmod tests {{}}\n")),
        ("x/src/lib.rs", &format!("#![cfg_attr(test, allow({lint}))]\n")),
        ("x/tests/d.rs", &format!("#![allow({lint})]\n")),
        ("dataplane/ledger/src/spend_file.rs", "#![allow(unsafe_code)]\n"),
    ];
    let found = findings(exceptions::check, &package, &files);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("x/src/a.rs:1: `unsafe`"));
    assert_eq!(found[1], "x/src/b.rs:1: panics are for tests");
}

#[test]
fn a_package_without_the_lints_is_refused() {
    let found =
        findings(exceptions::check, &[("x", "x", &[])], &[("x/Cargo.toml", "[package]\nname = \"x\"\n")]);
    assert_eq!(found, ["x/Cargo.toml: does not take the workspace's lints"]);
}

#[test]
fn marks_of_unfinished_work_are_refused() {
    let text = format!("fine\n// {}: later\n", concat!("TO", "DO"));
    let found =
        findings(words::check, &[], &[("a.rs", text.as_str()), ("b.rs", "// to do it is to know it\n")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("a.rs:2:"));
}

#[test]
fn a_setting_that_no_document_names_is_refused() {
    let args = ("dataplane/gateway/src/args.rs", "env = \"SMARTFLOW_A\" env = \"SMARTFLOW_B\"");
    let found =
        findings(documents::check, &[], &[args, ("docs/configuration.md", "| `--a` | `SMARTFLOW_A` |\n")]);
    assert_eq!(found[0], "docs/configuration.md: `SMARTFLOW_B` of dataplane/gateway/src/args.rs is missing");
    assert!(found[1..].iter().all(|finding| finding.contains("is not there")), "{found:?}");
}

#[test]
fn a_promise_whose_test_is_gone_is_refused() {
    let told =
        ("docs/faults.md", "| `finish_reason: length` | `it_does_what_it_says`, `it_did_what_it_said` |\n");
    let found = findings(documents::check, &[], &[told, ("a.rs", "async fn it_does_what_it_says() {}\n")]);
    let lost: Vec<_> = found.iter().filter(|finding| finding.starts_with("docs/faults.md")).collect();
    assert_eq!(lost, ["docs/faults.md: there is no test `it_did_what_it_said`"]);
}

#[test]
fn what_only_a_feature_brings_does_not_make_a_pure_crate_wait() {
    let ledger = ("smartflow-ledger", "dataplane/ledger", &["tokio"][..]);
    let (_folder, mut workspace) = world(&[ledger, ("tokio", "", &[])], &[]);
    assert_eq!(purity::check(&workspace).unwrap().len(), 1);
    workspace.packages.get_mut("smartflow-ledger").unwrap().optional.insert("tokio".to_owned());
    assert!(purity::check(&workspace).unwrap().is_empty());
}
