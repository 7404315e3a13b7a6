//! One demo at a time in a clone: they would share `target/demo`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Why the lock is not ours.
#[derive(Debug)]
pub(super) enum Refused {
    /// Somebody has it, who wrote this into it.
    Held(String),
    /// The system's answer.
    System(io::Error),
}

/// Held until it and all of its [shares](Lock::share) are closed.
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock at `path`, which is made where it is missing.
    pub(super) fn take(path: &Path) -> Result<Self, Refused> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(Refused::System)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                let mut who = String::new();
                file.read_to_string(&mut who).map_err(Refused::System)?;
                Err(Refused::Held(who))
            }
            Err(TryLockError::Error(fault)) => Err(Refused::System(fault)),
        }
    }

    /// Writes who has it, for whoever is refused.
    pub(super) fn tell(&mut self, who: &str) -> io::Result<()> {
        self.0.rewind()?;
        self.0.set_len(0)?;
        self.0.write_all(who.as_bytes())
    }

    /// The lock for another process: it is held for as long as that one has this file, too.
    pub(super) fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{Lock, Refused};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// Other tests start programs, which have all files of this process for a moment.
    fn comes_free(path: &std::path::Path) {
        let start = Instant::now();
        while Lock::take(path).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody has it any more");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_second_one_is_told_who_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.lock");
        let mut first = Lock::take(&path).unwrap();
        first.tell("a longer text of before").unwrap();
        first.tell("process 7").unwrap();
        let Err(Refused::Held(who)) = Lock::take(&path) else { panic!("two have it") };
        assert_eq!(who, "process 7");
        drop(first);
        comes_free(&path);
    }

    /// A gateway that still finishes its calls has the data folder.
    #[test]
    fn it_is_held_while_a_process_that_got_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.lock");
        let first = Lock::take(&path).unwrap();
        let mut other =
            Command::new("sleep").arg("100").stdin(Stdio::from(first.share().unwrap())).spawn().unwrap();
        drop(first);
        assert!(matches!(Lock::take(&path), Err(Refused::Held(_))));
        other.kill().unwrap();
        other.wait().unwrap();
        comes_free(&path);
    }
}
