//! What the source tells: what serves, and what is wrong with what was declared.

use smartflow_compile::{Finding, ObjectRef, Report};
use smartflow_ledger::Revision;
use smartflow_snapshot::{ObjectName, Snapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The world after a change.
#[derive(Debug)]
pub struct World {
    /// The folder that it comes from.
    pub folder: PathBuf,
    /// What serves.
    pub snapshot: Snapshot,
    /// Age of the limits in it, where an operator numbers them.
    pub revision: Option<Revision>,
    /// Files at fault, in order, all of them: text that cannot be read, documents that are no objects, objects that
    /// several files declare. What such a file last declared stays in force.
    pub files: Vec<FileFindings>,
    /// Objects that have a finding or are not in force as they stand; every other object is fine.
    pub faulty: Arc<BTreeMap<ObjectRef, Faulty>>,
    /// Objects that are declared, whatever their state.
    pub objects: usize,
    /// Keys whose token was made here, in order, each with the file that holds it.
    pub generated_keys: Arc<Vec<GeneratedKey>>,
    /// What did not work in the data dir since the last world; to be logged.
    pub data_faults: Vec<String>,
    /// Variables that Secrets refer to; only of a world that is inspected.
    pub variables: Vec<Variable>,
    /// Reading and compiling took this long.
    pub compiled_in: Duration,
}

/// What is wrong with a file as such.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileFindings {
    /// Path within the world's folder.
    pub file: Arc<str>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Objects that it declared when it was last read, where it cannot be read now: they serve as they were.
    pub kept: Vec<ObjectRef>,
}

impl FileFindings {
    /// Nothing is wrong with `file`.
    pub(super) fn none(file: &Arc<str>) -> Self {
        Self { file: file.clone(), findings: Vec::new(), kept: Vec::new() }
    }
}

/// An object that has a finding or is not in force as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faulty {
    /// Path within the world's folder of the file that declares it.
    pub file: Arc<str>,
    /// What is to be said.
    pub report: Report,
}

/// A reference of a Secret to the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Path within the world's folder of the file that refers to it.
    pub file: Arc<str>,
    /// The Secret.
    pub object: ObjectRef,
    /// The field.
    pub path: Box<str>,
}

/// A key whose token was made here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GeneratedKey {
    /// The VirtualKey.
    pub name: ObjectName,
    /// The file that holds its token; only this user may read it.
    pub path: PathBuf,
}
