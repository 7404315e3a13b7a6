//! What kill -9 leaves and a power cut takes: files that are written and not yet on the disk.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// How far one file is on the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnDisk {
    content: bool,
    name: bool,
}

impl OnDisk {
    /// A file that was made just now, or put in the place of another: neither its content nor its name is there.
    pub(crate) fn nothing() -> Self {
        Self { content: false, name: false }
    }

    /// A file as an earlier process left it; whether that one synced it nobody knows.
    pub(crate) fn name_only() -> Self {
        Self { content: false, name: true }
    }

    /// Something was written.
    pub(crate) fn written(&mut self) {
        self.content = false;
    }

    /// What is to be brought to the disk, if anything; from here on it counts as there.
    pub(crate) fn begin(&mut self, file: &File, path: &Path) -> io::Result<Option<Unsynced>> {
        if self.content && self.name {
            return Ok(None);
        }
        let unsynced = Unsynced {
            file: file.try_clone()?,
            directory: if self.name { None } else { path.parent().map(Path::to_owned) },
        };
        *self = Self { content: true, name: true };
        Ok(Some(unsynced))
    }

    /// The attempt failed: all of it again.
    pub(crate) fn failed(&mut self, attempt: &Unsynced) {
        (self.content, self.name) = (false, self.name && attempt.directory.is_none());
    }
}

/// A second handle, so that nobody who writes waits for the disk.
#[derive(Debug)]
pub(crate) struct Unsynced {
    file: File,
    /// The directory, when the file's name is not on the disk either.
    directory: Option<PathBuf>,
}

impl Unsynced {
    /// Waits for the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.directory.as_ref().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn content_is_synced_once_and_the_name_with_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        let mut disk = OnDisk::nothing();
        let first = disk.begin(&file, &path).unwrap().unwrap();
        assert_eq!(first.directory.as_deref(), Some(dir.path()));
        first.sync().unwrap();
        assert!(disk.begin(&file, &path).unwrap().is_none());
        disk.written();
        assert_eq!(disk.begin(&file, &path).unwrap().unwrap().directory, None);
    }

    #[test]
    fn what_failed_is_done_again_in_full() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone").join("file");
        let file = File::create(dir.path().join("file")).unwrap();
        let mut disk = OnDisk::nothing();
        let attempt = disk.begin(&file, &gone).unwrap().unwrap();
        assert!(attempt.sync().is_err(), "its directory is not there");
        disk.failed(&attempt);
        assert!(disk.begin(&file, &gone).unwrap().unwrap().directory.is_some());
        assert!(disk.begin(&file, &gone).unwrap().is_none());
    }
}
