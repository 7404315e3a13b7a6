//! Where and of what the figures were made.

use serde::Serialize;
use std::fs;
use std::process::Command;

/// Machine, build and time.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Processor, as the kernel names it.
    pub processor: String,
    /// Cores that the kernel shows.
    pub cores: usize,
    /// Memory, GiB.
    pub memory_gib: u64,
    /// Kernel release.
    pub kernel: String,
    /// Load average of the last minute at the end of the run.
    pub load_average: String,
    /// Compiler.
    pub compiler: String,
    /// Commit of the sources, `+ changes` when the tree differed from it.
    pub commit: String,
    /// Day of the run, UTC.
    pub date: String,
}

impl Machine {
    /// Looks around; what cannot be found is `unknown`.
    #[must_use]
    pub fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = field(&meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
        let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
        Self {
            processor: field(&cpuinfo, "model name").unwrap_or_else(unknown),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            memory_gib: kib.unwrap_or(0).div_ceil(1 << 20),
            kernel: file("/proc/sys/kernel/osrelease"),
            load_average: file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            compiler: said("rustc", &["--version"]).unwrap_or_else(unknown),
            commit: match (commit, changed) {
                (Some(commit), None) => commit,
                (Some(commit), Some(_)) => format!("{commit} + changes"),
                (None, _) => unknown(),
            },
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn file(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program prints, when it ends well and prints anything.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
