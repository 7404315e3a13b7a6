//! Programs that are measured: started pinned to a core, ended when dropped.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most of a program's output that is shown when it fails.
const SHOWN: usize = 2_000;

/// Where programs run.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Cores {
    /// Core of the mock, the load and the driver
    #[arg(long, default_value_t = 0)]
    pub load_core: u16,
    /// Core of what is measured
    #[arg(long, default_value_t = 1)]
    pub gateway_core: u16,
    /// Run at real-time priority (needs root): on a machine that cannot be had alone
    #[arg(long)]
    pub realtime: bool,
}

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It could not be started.
    #[error("starting {program}: {source} (taskset, of util-linux, is needed)")]
    Start {
        /// Its name.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It ended before it was asked to.
    #[error("{program} ended early: {status}; it said: {log}")]
    Ended {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        log: String,
    },
    /// A program that should print its result failed.
    #[error("{program} failed: {message}")]
    Failed {
        /// Its name.
        program: String,
        /// What it said.
        message: String,
    },
}

/// Waits between two looks at another process.
#[expect(
    clippy::disallowed_methods,
    reason = "the driver has one thread, serves nobody, and polls other processes"
)]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// A running program; when dropped it is ended and its output removed.
pub struct Program {
    name: String,
    log: PathBuf,
    child: Child,
    /// When it was started.
    pub began: Instant,
}

impl Cores {
    fn command(self, core: u16, argv: &[String]) -> Command {
        let mut words = Vec::new();
        if self.realtime {
            words.extend(["chrt".to_owned(), "--rr".to_owned(), "1".to_owned()]);
        }
        words.extend(["taskset".to_owned(), "--cpu-list".to_owned(), core.to_string()]);
        words.extend_from_slice(argv);
        let mut command = Command::new(words.remove(0));
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Starts `argv` on the core of what is measured, its output in `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn measured(self, argv: &[String], log: &Path) -> Result<Program, Fault> {
        self.start(self.gateway_core, argv, log)
    }

    /// Starts `argv` on the core of the load, its output in `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn beside(self, argv: &[String], log: &Path) -> Result<Program, Fault> {
        self.start(self.load_core, argv, log)
    }

    fn start(self, core: u16, argv: &[String], log: &Path) -> Result<Program, Fault> {
        let name = argv.first().cloned().unwrap_or_default();
        let fault = |source| Fault::Start { program: name.clone(), source };
        let file = File::create(log).map_err(fault)?;
        let mut command = self.command(core, argv);
        command.stdout(file.try_clone().map_err(fault)?).stderr(file);
        let began = Instant::now();
        let child = command.spawn().map_err(fault)?;
        Ok(Program { log: log.to_owned(), child, began, name })
    }

    /// Runs `argv` on the core of the load and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or does not end well.
    pub fn output(self, argv: &[String]) -> Result<Vec<u8>, Fault> {
        let program = argv.first().cloned().unwrap_or_default();
        let output = self.command(self.load_core, argv).output();
        let output = output.map_err(|source| Fault::Start { program: program.clone(), source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Fault::Failed { program, message })
    }
}

impl Program {
    /// Its process; `taskset` and `chrt` become what they start.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of its output so far.
    #[must_use]
    pub fn log_end(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let end = bytes.get(bytes.len().saturating_sub(SHOWN)..).unwrap_or_default();
        String::from_utf8_lossy(end).trim().to_owned()
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn alive(&mut self) -> Result<(), Fault> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(Fault::Ended { program: self.name.clone(), status, log: self.log_end() }),
            Ok(None) => Ok(()),
            Err(source) => Err(Fault::Start { program: self.name.clone(), source }),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let asked = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
                pause(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Usage lines of a whole run would fill a disk.
        let _ = std::fs::remove_file(&self.log);
    }
}
