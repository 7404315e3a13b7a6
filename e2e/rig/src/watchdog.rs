//! What ends servers when a test process ends, however it ends: a return, a panic, an abort, `kill -9`.
//!
//! A server that many tests share lives in a static, which is never dropped. So a small process of its own waits for the
//! end of this one, on a pipe whose other end closes then, kills what is left, the youngest first, and removes folders.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = include_str!("watchdog.sh");

static DOG: Mutex<Option<Child>> = Mutex::new(None);

/// Has this process killed when the test process ends.
///
/// # Panics
/// When the watchdog cannot be started.
pub fn guard(pid: u32) {
    tell(&format!("guard {pid}\n"));
}

/// Takes it back: the process has ended, and its number may go to another one.
///
/// # Panics
/// As [`guard`].
pub fn release(pid: u32) {
    tell(&format!("release {pid}\n"));
}

/// Has this folder removed when the test process ends, after everything is killed.
///
/// # Panics
/// As [`guard`]; when the path has a line break or is no text.
pub fn folder(path: &Path) {
    let path = path.to_str().filter(|path| !path.contains('\n')).expect("a plain path");
    tell(&format!("folder {path}\n"));
}

fn tell(line: &str) {
    let mut dog = DOG.lock().unwrap_or_else(PoisonError::into_inner);
    let dog = dog.get_or_insert_with(start);
    let pipe = dog.stdin.as_mut().expect("the watchdog's pipe");
    pipe.write_all(line.as_bytes()).expect("the watchdog listens");
}

fn start() -> Child {
    // Its outputs are closed: whoever waits for the end of the test's output must not wait for the watchdog. In a
    // group of its own, it is not interrupted together with the test.
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("bash");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().expect("bash")
}

#[cfg(test)]
mod tests {
    use super::start;
    use std::io::Write;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    /// A process that ends by itself only after everybody has forgotten the test.
    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("sleep")
    }

    fn ends(child: &mut Child) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if child.try_wait().expect("its state").is_some() {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn what_it_guards_ends_with_the_pipe_and_what_was_released_lives() {
        let folder = tempfile::tempdir().expect("a folder").keep();
        std::fs::write(folder.join("file"), "").expect("a file");
        let (mut guarded, mut released, mut dog) = (sleeper(), sleeper(), start());
        let lines = format!(
            "guard {}\nguard {}\nrelease {}\nfolder {}\n",
            guarded.id(),
            released.id(),
            released.id(),
            folder.display()
        );
        let mut pipe = dog.stdin.take().expect("its pipe");
        pipe.write_all(lines.as_bytes()).expect("it listens");
        assert!(guarded.try_wait().expect("its state").is_none(), "nothing ends before the pipe is closed");
        drop(pipe);
        assert!(ends(&mut guarded), "it was not killed");
        assert!(ends(&mut dog), "the watchdog itself ends");
        assert!(!folder.exists(), "the folder was not removed");
        assert!(released.try_wait().expect("its state").is_none(), "it was killed although released");
        released.kill().expect("a kill");
        released.wait().expect("its end");
    }
}
