//! The file that usage lines go to. Nobody here reads them again, so what was written does not stay in the page cache,
//! where it would count as the container's memory until the kernel takes it back, and where each line costs a part of a
//! fresh page (1 µs a line in a virtual machine, of which 0.2 are left). It is on the disk first: that is what a power cut
//! leaves.

use rustix::fs::{Advice, fadvise};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::path::Path;

/// Bytes after which what was written is brought to the disk and dropped from the cache.
const MANY: u64 = 4 << 20;

/// A file, pipe or terminal that is only written to.
pub(super) struct LogFile {
    file: File,
    /// `None`: a pipe or terminal, which keeps nothing.
    kept: Option<Kept>,
}

/// How much of the file the page cache may hold.
struct Kept {
    /// The file was brought to the disk up to here.
    from: u64,
    /// Bytes written since.
    since: u64,
}

impl LogFile {
    /// Standard output of this process.
    ///
    /// # Errors
    /// It is closed, or descriptors are used up.
    pub(super) fn stdout() -> io::Result<Self> {
        Self::new(io::stdout().as_fd().try_clone_to_owned()?.into())
    }

    /// The end of the file at `path`, which is made where it is missing.
    ///
    /// # Errors
    /// It cannot be opened; the message names it.
    pub(super) fn append(path: &Path) -> io::Result<Self> {
        let opened = OpenOptions::new().create(true).append(true).open(path).and_then(Self::new);
        opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }

    fn new(file: File) -> io::Result<Self> {
        let about = file.metadata()?;
        let kept = about.is_file().then_some(Kept { from: about.len(), since: 0 });
        Ok(Self { file, kept })
    }

    /// Writes `text`, all of it.
    ///
    /// # Errors
    /// As the system says; a part may have been written.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        let Some(kept) = &mut self.kept else { return Ok(()) };
        kept.since += text.len() as u64;
        if kept.since < MANY {
            return Ok(());
        }
        // Counted anew: others may write to the same file, and it may have been cut by who rotates it.
        kept.since = 0;
        let end = self.file.metadata()?.len();
        self.file.sync_data()?;
        if let Some(len) = NonZeroU64::new(end.saturating_sub(kept.from)) {
            fadvise(&self.file, kept.from, Some(len), Advice::DontNeed)?;
        }
        kept.from = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_that_is_written_is_there_also_what_left_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage.jsonl");
        std::fs::write(&path, "before\n").unwrap();
        let mut log = LogFile::append(&path).unwrap();
        let line = [b'x'; 1023].into_iter().chain(*b"\n").collect::<Vec<_>>();
        for _ in 0..(2 * MANY / 1024 + 3) {
            log.write(&line).unwrap();
        }
        let kept = log.kept.as_ref().unwrap();
        assert_eq!((kept.from, kept.since), (7 + 2 * MANY, 3 * 1024), "brought to the disk twice");
        let text = std::fs::read(&path).unwrap();
        assert_eq!(text.len() as u64, 7 + 2 * MANY + 3 * 1024);
        assert!(text.ends_with(&line));
    }

    #[test]
    fn a_file_that_was_cut_is_written_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage.jsonl");
        let mut log = LogFile::append(&path).unwrap();
        log.write(&vec![b'x'; MANY.try_into().unwrap()]).unwrap();
        File::create(&path).unwrap();
        log.write(&vec![b'y'; MANY.try_into().unwrap()]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), MANY);
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let fault = LogFile::append(Path::new("/nowhere/usage.jsonl")).err().unwrap();
        assert!(fault.to_string().contains("/nowhere/usage.jsonl"), "{fault}");
    }
}
