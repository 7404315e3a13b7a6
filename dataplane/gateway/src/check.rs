//! `smartflow-gateway check`: every finding of a folder of resources, with file, line, field and fix.

mod print;

use crate::args::{Check, Format};
use crate::source::{Environment, FileFindings, SourceError, World, inspect, place, process_environment};
use serde::Serialize;
use smartflow_compile::{Finding, ObjectRef, Reason, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Stands in for a variable that is set where the gateway runs, and not here: as long as a token, another one for each
/// variable, on one line as a header wants it, and in the form of a certificate, so that nothing else is said of it.
fn stand_in(name: &str) -> String {
    let body: String = name.bytes().map(|b| format!("{b:02x}")).collect();
    let width = body.len().next_multiple_of(4).max(32);
    format!("-----BEGIN CERTIFICATE-----{body:0<width$}-----END CERTIFICATE-----")
}

/// What was found in a folder.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// In order of file and line.
    pub findings: Vec<Found>,
    /// Objects that are declared.
    pub objects: usize,
    /// Findings of severity error.
    pub errors: usize,
    /// Findings of severity warning.
    pub warnings: usize,
}

/// A finding and its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Found {
    /// The folder as it was named, and the file's path in it. Empty when it is not about a file.
    pub file: String,
    /// From 1.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// `Kind namespace/name`; empty when the file itself is meant.
    pub object: String,
    /// The field; empty when the whole object is meant.
    pub path: String,
    /// One CamelCase word.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// Checks and prints. Exit codes: 0 fine (warnings at most), 1 errors, 2 wrong usage (no such folder).
#[must_use]
pub fn run(args: &Check) -> ExitCode {
    let outcome = match inspected(&args.folder, &args.platform_namespaces, process_environment()) {
        Ok(outcome) => outcome,
        Err(error) => {
            // Nobody to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "smartflow-gateway check: {error}");
            return ExitCode::from(2);
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let printed = match args.format {
        Format::Text => print::text(&mut out, &outcome),
        Format::Json => print::json(&mut out, &outcome),
        Format::Github => print::github(&mut out, &outcome),
    };
    if printed.and_then(|()| out.flush()).is_err() || outcome.errors > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Everything that is wrong in `folder`. Credentials that are elsewhere (variables, files outside of the folder) need not be
/// here: they are warnings.
///
/// # Errors
/// When there is no such folder.
pub fn inspected(
    folder: &Path,
    platform_namespaces: &[String],
    environment: Environment,
) -> Result<Outcome, SourceError> {
    let unset = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = unset.clone();
    let lenient: Environment = Arc::new(move |name| {
        environment(name).or_else(|| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
            Some(stand_in(name))
        })
    });
    let world = inspect(folder, platform_namespaces, lenient)?;
    let mut findings = of_files(folder, &world.files);
    findings.extend(of_objects(folder, &world));
    findings.extend(not_set(folder, &world, &unset.lock().unwrap_or_else(PoisonError::into_inner)));
    findings.sort();
    findings.dedup();
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    Ok(Outcome { objects: world.objects, errors, warnings: findings.len() - errors, findings })
}

fn of_files(folder: &Path, files: &[FileFindings]) -> Vec<Found> {
    let of_file = |f: &FileFindings| -> Vec<Found> {
        f.findings.iter().map(|finding| found(folder, &f.file, None, finding)).collect()
    };
    files.iter().flat_map(of_file).collect()
}

fn of_objects(folder: &Path, world: &World) -> Vec<Found> {
    let mut by_file: BTreeMap<&str, Vec<(&ObjectRef, Finding)>> = BTreeMap::new();
    for faulty in world.faulty.values() {
        for finding in &faulty.report.findings {
            let finding = match finding.reason {
                // Made when the gateway runs.
                Reason::TokenPending => continue,
                // Told for each of the files.
                Reason::DuplicateObject => continue,
                Reason::SecretUnresolved => finding.clone().warning(),
                _ => finding.clone(),
            };
            by_file.entry(&faulty.file).or_default().push((&faulty.report.object, finding));
        }
    }
    let mut all = Vec::new();
    for (file, mut findings) in by_file {
        place(&folder.join(file), &mut findings);
        all.extend(findings.iter().map(|(object, finding)| found(folder, file, Some(object), finding)));
    }
    all
}

fn found(folder: &Path, file: &str, object: Option<&ObjectRef>, finding: &Finding) -> Found {
    Found {
        file: folder.join(file).display().to_string(),
        line: finding.at.map(|at| at.line),
        column: finding.at.map(|at| at.column),
        severity: finding.severity,
        object: object.map(ToString::to_string).unwrap_or_default(),
        path: finding.path.to_string(),
        reason: finding.reason.as_str(),
        message: finding.message.to_string(),
        fix: finding.fix.to_string(),
    }
}

/// Variables of `unset`, each where it is referred to.
fn not_set(folder: &Path, world: &World, unset: &BTreeSet<String>) -> Vec<Found> {
    let mut all = Vec::new();
    for variable in world.variables.iter().filter(|v| unset.contains(&v.name)) {
        let name = &variable.name;
        let message = format!("The environment variable {name} is not set here.");
        let fix = format!("Set {name} in the environment that the gateway is started in.");
        let finding = Finding::reference(Reason::SecretUnresolved, &variable.path, message, fix).warning();
        let mut findings = [(&variable.object, finding)];
        place(&folder.join(&*variable.file), &mut findings);
        all.extend(findings.iter().map(|(object, f)| found(folder, &variable.file, Some(object), f)));
    }
    all
}
