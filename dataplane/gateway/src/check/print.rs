//! How findings are printed.

use super::{Found, Outcome};
use smartflow_compile::Severity;
use std::io::{Result, Write};

/// For people: `file:line:column: severity: object: field: message`, and the fix below it.
pub(super) fn text(out: &mut impl Write, outcome: &Outcome) -> Result<()> {
    for found in &outcome.findings {
        let place = place(found);
        let parts = [place.as_str(), severity(found), &found.object, &found.path, &found.message];
        let line: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        writeln!(out, "{}", line.join(": "))?;
        if !found.fix.is_empty() {
            writeln!(out, "    fix: {}", found.fix)?;
        }
    }
    let (errors, warnings) = (count(outcome.errors, "error"), count(outcome.warnings, "warning"));
    writeln!(out, "{}: {errors}, {warnings}", count(outcome.objects, "object"))
}

/// One JSON document.
pub(super) fn json(out: &mut impl Write, outcome: &Outcome) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, outcome)?;
    writeln!(out)
}

/// Workflow commands: GitHub shows each beside its line.
pub(super) fn github(out: &mut impl Write, outcome: &Outcome) -> Result<()> {
    for found in &outcome.findings {
        write!(out, "::{} ", severity(found))?;
        if !found.file.is_empty() {
            write!(out, "file={},", property(&found.file))?;
        }
        if let Some(line) = found.line {
            write!(out, "line={line},")?;
        }
        if let Some(column) = found.column {
            write!(out, "col={column},")?;
        }
        let about = [&*found.object, &found.path, &found.message];
        let about: Vec<&str> = about.into_iter().filter(|part| !part.is_empty()).collect();
        let fix = if found.fix.is_empty() { String::new() } else { format!("\nFix: {}", found.fix) };
        writeln!(out, "title={}::{}", property(found.reason), data(&format!("{}{fix}", about.join(": "))))?;
    }
    Ok(())
}

fn severity(found: &Found) -> &'static str {
    match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn place(found: &Found) -> String {
    let numbers = [found.line, found.column].into_iter().flatten().map(|n| format!(":{n}"));
    std::iter::once(found.file.clone()).chain(numbers).collect()
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Text of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let found = Found {
            file: "world/a,b.yaml".to_owned(),
            line: Some(7),
            column: Some(3),
            severity: Severity::Error,
            object: "Policy default/p".to_owned(),
            path: "spec.limitz".to_owned(),
            reason: "UnknownField",
            message: "There is no field limitz here: 100%.".to_owned(),
            fix: "Did you mean limits?".to_owned(),
        };
        Outcome { findings: vec![found], objects: 2, errors: 1, warnings: 0 }
    }

    fn printed(print: impl Fn(&mut Vec<u8>, &Outcome) -> Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out, &outcome()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn for_people() {
        let expected = "world/a,b.yaml:7:3: error: Policy default/p: spec.limitz: There is no field limitz here: 100%.\n    \
                        fix: Did you mean limits?\n2 objects: 1 error, 0 warnings\n";
        assert_eq!(printed(text), expected);
    }

    #[test]
    fn for_programs() {
        let value: serde_json::Value = serde_json::from_str(&printed(json)).unwrap();
        assert_eq!((&value["errors"], &value["findings"][0]["line"]), (&1.into(), &7.into()));
        assert_eq!(value["findings"][0]["severity"], "Error");
    }

    #[test]
    fn for_github() {
        let expected = "::error file=world/a%2Cb.yaml,line=7,col=3,title=UnknownField::Policy default/p: spec.limitz: \
                        There is no field limitz here: 100%25.%0AFix: Did you mean limits?\n";
        assert_eq!(printed(github), expected);
    }
}
