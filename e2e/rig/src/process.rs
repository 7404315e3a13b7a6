//! A server as a process: its output in a file, killed when dropped, also by a panic.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How many lines of a log are shown when something fails.
const TAIL: usize = 40;
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints is appended to `log`.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let opened = std::fs::File::options().create(true).append(true).open(log);
        let out = opened.unwrap_or_else(|fault| panic!("{}: {fault}", log.display()));
        let err = out.try_clone().expect("a second handle of the log");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|fault| panic!("cannot start {name}: {fault} ({command:?})"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so.
    ///
    /// # Panics
    /// When the process ends before, or `limit` passes; with the last lines of its log.
    pub fn until(&mut self, what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
        let start = Instant::now();
        while !ready() {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status} before: {what}\n{}", self.name, self.tail());
            }
            assert!(start.elapsed() < limit, "{}: not within {limit:?}: {what}\n{}", self.name, self.tail());
            std::thread::park_timeout(LOOK);
        }
    }

    /// How it ended, when it has.
    ///
    /// # Panics
    /// When the operating system does not tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child's state")
    }

    /// Kills it as `kill -9` does, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Stops it where it is (SIGSTOP): connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} was not sent to {}", self.name);
    }

    /// The last lines that it printed.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- last words of {}\n{}", self.name, self.tail());
        }
    }
}
