//! `cargo xtask check`: lints and house rules, each a function from the workspace to its findings.

mod documents;
mod exceptions;
mod generated;
mod imports;
mod licences;
mod lints;
mod purity;
mod sizes;
#[cfg(test)]
mod tests;
mod words;

use crate::process::ProcessError;
use crate::workspace::Workspace;
use std::time::Instant;

/// What is wrong, one line each; none = the rule holds.
type Findings = Result<Vec<String>, ProcessError>;

/// How a rule is checked.
type Check = fn(&Workspace) -> Findings;

/// The rules by name. Cheap ones first, so that the common slip shows at once.
const RULES: [(&str, Check); 10] = [
    ("sizes of files", sizes::check),
    ("who imports whom", imports::check),
    ("pure crates stay pure", purity::check),
    ("exceptions from lints", exceptions::check),
    ("words", words::check),
    ("documents", documents::check),
    ("format", lints::format),
    ("licences, bans, sources", licences::check),
    ("generated files", generated::check),
    ("clippy", lints::clippy),
];

/// Checks every rule, prints what it finds and returns how many rules are broken.
pub(crate) fn run() -> Result<usize, ProcessError> {
    let workspace = Workspace::read()?;
    let mut broken = 0;
    for (name, rule) in RULES {
        let start = Instant::now();
        let findings = match rule(&workspace) {
            Ok(findings) => findings,
            Err(fault) => vec![fault.to_string()],
        };
        let verdict = if findings.is_empty() { "ok  " } else { "FAIL" };
        println!("{verdict} {name} ({:.1} s)", start.elapsed().as_secs_f32());
        for finding in &findings {
            println!("       {finding}");
        }
        broken += usize::from(!findings.is_empty());
    }
    Ok(broken)
}
