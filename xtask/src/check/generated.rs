//! Files that are written by other chores say what the types say.

use super::Findings;
use crate::workspace::Workspace;
use crate::{crds, docs};

pub(super) fn check(workspace: &Workspace) -> Findings {
    let mut findings = Vec::new();
    if let Err(fault) = crds::run(&crds::Args { check: true }, &workspace.root) {
        findings.push(fault.to_string());
    }
    if let Err(fault) = docs::run(&docs::Args { check: true }, &workspace.root) {
        findings.push(fault.to_string());
    }
    Ok(findings)
}
