//! Findings that are new: each is logged once, when it comes up, with its place and its fix.

use crate::source::{World, place};
use smartflow_compile::{Finding, ObjectRef};
use std::collections::BTreeMap;

/// Most that are told of one change; `GET /resources` at the admin port has all of them.
const MOST: usize = 100;

/// Logs what is wrong in `new` and was not in `old`.
pub fn tell_new(old: Option<&World>, new: &World) {
    let (files, objects) = (of_files(old, new), of_objects(old, new));
    let all = files.len() + objects.len();
    for (file, finding) in files.iter().take(MOST) {
        tell(file, None, finding);
    }
    let mut by_file: BTreeMap<&str, Vec<(&ObjectRef, Finding)>> = BTreeMap::new();
    for (file, object, finding) in objects.into_iter().take(MOST.saturating_sub(files.len())) {
        by_file.entry(file).or_default().push((object, finding.clone()));
    }
    for (file, mut findings) in by_file {
        place(&new.folder.join(file), &mut findings);
        findings.iter().for_each(|(object, finding)| tell(file, Some(object), finding));
    }
    if all > MOST {
        tracing::warn!(more = all - MOST, "more findings: GET /resources at the admin port shows them all");
    }
}

fn tell(file: &str, object: Option<&ObjectRef>, finding: &Finding) {
    tracing::warn!(
        file,
        line = finding.at.map(|at| at.line),
        object = object.map(tracing::field::display),
        field = &*finding.path,
        severity = if finding.is_error() { "error" } else { "warning" },
        reason = finding.reason.as_str(),
        fix = &*finding.fix,
        "{}",
        finding.message
    );
}

/// The same fault, wherever an edit above it has moved it to.
fn same(a: &Finding, b: &Finding) -> bool {
    (a.reason, &a.path, &a.message) == (b.reason, &b.path, &b.message)
}

fn of_files<'a>(old: Option<&World>, new: &'a World) -> Vec<(&'a str, &'a Finding)> {
    let known = |file: &str, finding: &Finding| {
        let before = old.into_iter().flat_map(|w| &w.files).filter(|f| *f.file == *file);
        before.flat_map(|f| &f.findings).any(|f| same(f, finding))
    };
    let all = new.files.iter().flat_map(|f| f.findings.iter().map(|finding| (&*f.file, finding)));
    all.filter(|(file, finding)| !known(file, finding)).collect()
}

fn of_objects<'a>(old: Option<&World>, new: &'a World) -> Vec<(&'a str, &'a ObjectRef, &'a Finding)> {
    let before = old.map(|world| &world.faulty);
    if before.is_some_and(|before| std::sync::Arc::ptr_eq(before, &new.faulty)) {
        return Vec::new();
    }
    let mut fresh = Vec::new();
    for (object, faulty) in new.faulty.iter() {
        let known = before.and_then(|before| before.get(object)).map_or(&[][..], |f| &f.report.findings);
        let unknown = faulty.report.findings.iter().filter(|f| !known.iter().any(|k| same(k, f)));
        fresh.extend(unknown.map(|finding| (&*faulty.file, object, finding)));
    }
    fresh
}
