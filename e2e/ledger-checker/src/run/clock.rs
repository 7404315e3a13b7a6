//! The clock of a pod or of Redis, put forward and back by libfaketime (a Debian package) while it runs.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where Debian puts the library on the machines that tests run on.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The clock that a program is given.
pub(super) struct Clock {
    folder: TempDir,
    library: PathBuf,
    hours: i64,
}

impl Clock {
    /// # Panics
    /// When libfaketime is not installed, saying what to run.
    pub(super) fn new() -> Self {
        let library = LIBRARIES.into_iter().map(PathBuf::from).find(|path| path.exists());
        let library = library.expect("libfaketime: run `e2e/tools.sh`, or `apt-get install libfaketime`");
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder"), library, hours: 0 };
        clock.write();
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    fn write(&self) {
        let fresh = self.folder.path().join("fresh");
        std::fs::write(&fresh, format!("{:+}h\n", self.hours)).expect("a file in a temporary folder");
        std::fs::rename(fresh, self.file()).expect("an atomic rename");
    }

    /// Variables that give a program this clock. It looks at every reading whether it was changed; intervals stay true.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        let environment = [
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        environment.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// The same for Redis. Its allocator asks for the time while the library is being set up, which the library does not
    /// bear: Redis gets that of the C library.
    pub(super) fn environment_of_redis(&self) -> Vec<(String, String)> {
        let mut environment = self.environment();
        for (_, libraries) in environment.iter_mut().filter(|(name, _)| name == "LD_PRELOAD") {
            libraries.push_str(" libc.so.6");
        }
        environment
    }

    /// Puts it forward by so many hours, or back.
    pub(super) fn put(&mut self, hours: i64) {
        self.hours += hours;
        self.write();
    }
}

impl Drop for Clock {
    /// Programs that were killed leave the library's shared memory behind, under their process ids.
    fn drop(&mut self) {
        for file in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = file.file_name();
            let pid = name.to_str().and_then(|name| name.split_once("faketime_")?.1.split_once('_'));
            if pid.is_some_and(|(_, pid)| !Path::new("/proc").join(pid).exists()) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}
