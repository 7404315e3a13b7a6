//! Small rooms: no source file above 600 lines, half of them at most 150. (Functions: clippy's `too_many_lines`.)

use super::Findings;
use crate::workspace::Workspace;

const HARD: usize = 600;
const MEDIAN: usize = 150;
const SOURCES: [&str; 5] = [".rs", ".py", ".mjs", ".js", ".sh"];

pub(super) fn check(workspace: &Workspace) -> Findings {
    let mut findings = Vec::new();
    let mut rust = Vec::new();
    for path in workspace.files(&SOURCES)? {
        let lines = workspace.text(&path).lines().count();
        if lines > HARD {
            findings.push(format!("{}: {lines} lines, at most {HARD}; it is two things", path.display()));
        }
        if path.extension().is_some_and(|extension| extension == "rs") {
            rust.push(lines);
        }
    }
    rust.sort_unstable();
    if let Some(&median) = rust.get(rust.len() / 2).filter(|median| **median > MEDIAN) {
        findings.push(format!("median of Rust files: {median} lines, at most {MEDIAN}"));
    }
    Ok(findings)
}
