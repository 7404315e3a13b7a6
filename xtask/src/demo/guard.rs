//! Whatever ends this process, also SIGKILL, must end what it started: a shell of its own waits at a pipe that only this
//! process holds open, and stops the other one when the pipe ends.

use std::io;
use std::process::{Child, Command, Stdio};

/// Terminals and process groups signal all of their processes at once: the guard outlives that.
const SCRIPT: &str = r#"trap '' INT TERM HUP; read -r _; kill -TERM "$1""#;

/// Sends SIGTERM to a child of this process when this process ends without having dropped the guard.
pub(super) struct Guard(Child);

impl Guard {
    /// Guards `child`, which must not have been waited for before the guard is dropped.
    pub(super) fn over(child: &Child) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guard", &child.id().to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(shell.spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Guard;
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// Longer than the test takes when the guard works.
    const LONG: &str = "100";

    /// Not a test: what [`what_was_started_ends_with_who_started_it`] starts, as a process that can be killed.
    #[test]
    #[ignore = "a part of another test, which kills it"]
    fn starts_a_program_and_stays() {
        let mut child = Command::new("sleep").arg(LONG).spawn().unwrap();
        let _guard = Guard::over(&child).unwrap();
        // Read by the other test: from here on the guard is there.
        println!("guarded");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_was_started_ends_with_who_started_it() {
        for signal in ["-KILL", "-TERM", "-HUP"] {
            let mut starter = Command::new(std::env::current_exe().unwrap());
            starter.args(["--ignored", "--exact", "--nocapture"]);
            starter.arg("demo::guard::tests::starts_a_program_and_stays");
            // It waits for the end of its input.
            let mut starter = starter.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut output = starter.stdout.take().unwrap();
            let mut seen = String::new();
            while !seen.contains("guarded") {
                let mut piece = [0; 256];
                let read = output.read(&mut piece).unwrap();
                assert!(read > 0, "it ended: {seen}");
                seen.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
            let start = Instant::now();
            Command::new("kill").args([signal, &starter.id().to_string()]).status().unwrap();
            starter.wait().unwrap();
            // The program has the output, too: it ends when both have ended.
            output.read_to_end(&mut Vec::new()).unwrap();
            assert!(start.elapsed() < Duration::from_secs(50), "{signal}: the program outlived its starter");
        }
    }

    #[test]
    fn a_guard_that_is_dropped_ends_nobody() {
        let mut child = Command::new("sleep").arg(LONG).spawn().unwrap();
        drop(Guard::over(&child).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
