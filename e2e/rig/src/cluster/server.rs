//! A server of the cluster: its program, its arguments, its process.

use crate::process::Process;
use crate::watchdog;
use smartflow_programs::{ALL, Places, uses_existing};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How to start one.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
    /// Folder for its log.
    pub(super) folder: PathBuf,
}

/// A running one; killed when dropped, and in any case when the test process ends.
pub(super) struct Server(Process);

impl Server {
    pub(super) fn start(plan: &Plan) -> Self {
        let mut command = Command::new(find(plan.program));
        command.args(&plan.arguments).current_dir(&plan.folder);
        let log = plan.folder.join(format!("{}.log", plan.program));
        let process = Process::spawn(plan.program, &mut command, &log);
        watchdog::guard(process.id());
        Self(process)
    }

    /// Panics with the end of its log when it has ended by itself.
    pub(super) fn assert_alive(&mut self) {
        if let Some(status) = self.0.ended() {
            panic!("a server of the cluster ended with {status}:\n{}", self.0.tail());
        }
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill();
        watchdog::release(self.0.id());
    }
}

/// Where a program is.
pub(super) fn find(name: &str) -> PathBuf {
    let program = ALL.iter().find(|program| program.name == name).expect("a program of the cluster");
    match Places::read().find(program) {
        Ok(path) => path,
        // Nothing is built for a cluster that runs: whoever has one has kubectl.
        Err(_) if name == "kubectl" && uses_existing() => PathBuf::from(name),
        Err(missing) => panic!("{missing}"),
    }
}

/// `--name=value` for each.
pub(super) fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
