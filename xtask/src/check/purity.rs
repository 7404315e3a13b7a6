//! Pure crates: no runtime, no network, no Kubernetes client in what they are built with, and no clock in their sources.

use super::Findings;
use crate::workspace::Workspace;

/// The crates, and rooms in them that do I/O and so may look at a clock (the ledger's lenders; never its core).
const PURE: [(&str, &[&str]); 5] = [
    ("smartflow-crds", &[]),
    ("smartflow-snapshot", &[]),
    ("smartflow-compile", &[]),
    ("smartflow-dialect", &[]),
    ("smartflow-ledger", &["src/lender", "src/spend_file.rs"]),
];
const WAITING: [&str; 7] = ["tokio", "async-std", "hyper", "reqwest", "axum", "kube-client", "kube-runtime"];
const CLOCKS: [&str; 2] = ["Instant::now", "SystemTime::now"];

pub(super) fn check(workspace: &Workspace) -> Findings {
    let mut findings = Vec::new();
    for (name, waiting_rooms) in PURE {
        let Some(package) = workspace.packages.get(name) else { continue };
        let built_with = workspace.closure(package);
        for waiting in WAITING.iter().filter(|waiting| built_with.contains(*waiting)) {
            findings.push(format!("{name}: is built with {waiting}; it must stay without a runtime"));
        }
        for path in workspace.files(&[".rs"])? {
            let Ok(inside) = path.strip_prefix(&package.folder) else { continue };
            if !inside.starts_with("src") || waiting_rooms.iter().any(|room| inside.starts_with(room)) {
                continue;
            }
            let text = workspace.text(&path);
            let product = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
            for (number, line) in product.enumerate() {
                if CLOCKS.iter().any(|clock| line.contains(clock)) {
                    findings.push(format!("{}:{}: the clock is passed in", path.display(), number + 1));
                }
            }
        }
    }
    Ok(findings)
}
