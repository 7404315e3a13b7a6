//! Who may import whom (ARCHITECTURE.md): engines never know each other, the gateway is where they meet.

use super::Findings;
use crate::workspace::Workspace;

/// Package, and what of ours it may be built with. `None` = anything. A package that is not listed is a finding.
const MAY_IMPORT: &[(&str, Option<&[&str]>)] = &[
    ("smartflow-crds", Some(&[])),
    ("smartflow-snapshot", Some(&[])),
    ("smartflow-dialect", Some(&[])),
    ("smartflow-ledger", Some(&["smartflow-store"])),
    ("smartflow-store", Some(&[])),
    ("smartflow-programs", Some(&[])),
    ("smartflow-rig", Some(&["smartflow-programs"])),
    ("smartflow-compile", Some(&["smartflow-crds", "smartflow-snapshot"])),
    (
        "smartflow-transport",
        Some(&["smartflow-crds", "smartflow-snapshot", "smartflow-compile", "smartflow-store"]),
    ),
    (
        "smartflow-gateway",
        Some(&[
            "smartflow-crds",
            "smartflow-snapshot",
            "smartflow-compile",
            "smartflow-transport",
            "smartflow-dialect",
            "smartflow-ledger",
            "smartflow-store",
        ]),
    ),
    (
        "smartflow-operator",
        Some(&[
            "smartflow-crds",
            "smartflow-snapshot",
            "smartflow-compile",
            "smartflow-transport",
            "smartflow-ledger",
            "smartflow-store",
        ]),
    ),
    ("smartflow-e2e", None),
    // It judges the ledger: not a line of the ledger's may help it.
    ("smartflow-ledger-checker", Some(&["smartflow-e2e", "smartflow-rig"])),
    ("smartflow-bench", None),
    ("xtask", None),
];

pub(super) fn check(workspace: &Workspace) -> Findings {
    let mut findings = Vec::new();
    for (name, package) in &workspace.packages {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| known == name) else {
            findings.push(format!(
                "{name}: not in the table of xtask/src/check/imports.rs; say what it may import"
            ));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        let ours =
            package.dependencies.iter().filter(|dependency| workspace.packages.contains_key(*dependency));
        for dependency in ours.filter(|dependency| !allowed.contains(&dependency.as_str())) {
            findings.push(format!(
                "{}: may not import {dependency}",
                package.folder.join("Cargo.toml").display()
            ));
        }
    }
    Ok(findings)
}
