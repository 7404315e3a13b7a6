//! Where in a file a finding is that came up when objects were put together.

use smartflow_compile::{Finding, ObjectRef, locate_all};
use std::path::Path;

/// Gives `findings` of objects that the file at `path` declares their lines, where they have none.
pub fn place(path: &Path, findings: &mut [(&ObjectRef, Finding)]) {
    let mut unplaced: Vec<_> = findings.iter_mut().filter(|(_, f)| f.at.is_none()).collect();
    if unplaced.is_empty() {
        return;
    }
    // Without the text the finding is told without a line.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let places: Vec<(&ObjectRef, &str)> = unplaced.iter().map(|(object, f)| (*object, &*f.path)).collect();
    let positions = locate_all(&text, &places);
    for ((_, finding), position) in unplaced.iter_mut().zip(positions) {
        finding.at = position;
    }
}
