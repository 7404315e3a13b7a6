//! Documents keep up with the code: every setting, every metric and every error code is in its table.

use super::Findings;
use crate::workspace::Workspace;
use std::path::Path;

/// What is looked for: the source, how its names are picked out of it, the document, and what precedes the name there.
type Table = (&'static str, fn(&str) -> Vec<&str>, &'static str, &'static str);

const TABLES: [Table; 7] = [
    ("dataplane/gateway/src/args.rs", variables, "docs/configuration.md", ""),
    ("dataplane/store/src/redis/flags.rs", variables, "docs/configuration.md", ""),
    ("dataplane/gateway/src/telemetry/metrics.rs", metrics, "docs/metrics.md", "smartflow_"),
    ("dataplane/gateway/src/telemetry/door.rs", metrics, "docs/metrics.md", "smartflow_"),
    ("operator/src/args.rs", variables, "docs/operator.md", ""),
    ("operator/src/telemetry.rs", metrics, "docs/operator.md", "smartflow_operator_"),
    ("dataplane/gateway/src/edge/rescue.rs", codes, "docs/errors.md", ""),
];

pub(super) fn check(workspace: &Workspace) -> Findings {
    let mut findings = Vec::new();
    for (source, names, document, prefix) in TABLES {
        let (source, document) = (Path::new(source), Path::new(document));
        let (text, told) = (workspace.text(source), workspace.text(document));
        if text.is_empty() {
            findings
                .push(format!("{}: is not there; say in xtask where its names are now", source.display()));
        }
        for name in names(&text).into_iter().map(|name| format!("{prefix}{name}")) {
            if !told.contains(&name) {
                findings.push(format!("{}: `{name}` of {} is missing", document.display(), source.display()));
            }
        }
    }
    findings.extend(lost_tests(workspace)?);
    Ok(findings)
}

/// Tests that docs/faults.md names and no source has.
fn lost_tests(workspace: &Workspace) -> Findings {
    let told = workspace.text(Path::new("docs/faults.md"));
    let sources: Vec<String> = workspace.files(&[".rs"])?.iter().map(|path| workspace.text(path)).collect();
    let named = told.split('`').skip(1).step_by(2).filter(|name| is_test(name));
    let lost = named.filter(|name| !sources.iter().any(|source| source.contains(&format!("fn {name}("))));
    Ok(lost.map(|name| format!("docs/faults.md: there is no test `{name}`")).collect())
}

/// A sentence in snake case.
fn is_test(name: &str) -> bool {
    name.matches('_').count() > 2
        && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// `env = "NAME"`
fn variables(text: &str) -> Vec<&str> {
    text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The first string of each `register(` and `register_with_unit(`.
fn metrics(text: &str) -> Vec<&str> {
    text.split(".register")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .filter(|name| snake(name))
        .collect()
}

/// Strings in snake case with at least two words.
fn codes(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).filter(|name| name.contains('_') && snake(name)).collect()
}

fn snake(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_picked_out_of_code() {
        assert_eq!(super::variables("#[arg(long, env = \"A_B\")] x: u8, #[arg(env = \"C\")]"), ["A_B", "C"]);
        let code =
            "r.register(\"in_flight\", \"Calls\", x);\nr.register_with_unit(\n \"overhead\", \"Time\")";
        assert_eq!(super::metrics(code), ["in_flight", "overhead"]);
        assert_eq!(
            super::codes("told(\"key_disabled\", \"This key is disabled.\", \"tokens\")"),
            ["key_disabled"]
        );
    }
}
