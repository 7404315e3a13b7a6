//! Exceptions from lints are few and known: `unsafe` in the named files only, panics in tests only, every package under
//! the workspace's lints.

use super::Findings;
use crate::workspace::Workspace;
use std::path::Path;

/// The only files with `unsafe` in them, each with its safety argument.
const UNSAFE: [&str; 2] = ["dataplane/gateway/src/trim.rs", "dataplane/ledger/src/spend_file.rs"];
/// Packages that are tests or tools from end to end.
const TEST_PACKAGES: [&str; 1] = ["e2e"];
const PANICS: [&str; 3] = ["clippy::unwrap_used", "clippy::expect_used", "clippy::panic"];

pub(super) fn check(workspace: &Workspace) -> Findings {
    let mut findings = Vec::new();
    for package in workspace.packages.values() {
        let manifest = package.folder.join("Cargo.toml");
        if !workspace.text(&manifest).contains("[lints]\nworkspace = true") {
            findings.push(format!("{}: does not take the workspace's lints", manifest.display()));
        }
    }
    for path in workspace.files(&[".rs"])? {
        if path.starts_with("xtask/src/check") {
            continue;
        }
        let text = workspace.text(&path);
        let unsafe_allowed = UNSAFE.iter().any(|allowed| path == Path::new(allowed));
        let test_from = text.lines().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(usize::MAX);
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if line.contains("unsafe_code") && !unsafe_allowed {
                findings.push(format!("{place}: `unsafe` is for {} only", UNSAFE.join(", ")));
            }
            if line.contains("clippy::too_many_lines") {
                findings.push(format!("{place}: a function above 80 lines is two things"));
            }
            if is_exception(line) && !line.contains("cfg_attr(test") && !is_test(&path) && number < test_from
            {
                findings.push(format!("{place}: panics are for tests"));
            }
        }
    }
    Ok(findings)
}

fn is_exception(line: &str) -> bool {
    (line.contains("allow(") || line.contains("expect(")) && PANICS.iter().any(|lint| line.contains(lint))
}

fn is_test(path: &Path) -> bool {
    let mut folders = path.components().map(|part| part.as_os_str());
    let named = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
    named
        || TEST_PACKAGES.iter().any(|package| path.starts_with(package))
        || folders.any(|folder| folder == "tests" || folder == "benches" || folder == "examples")
}
