//! The file with the sealing keys, which changes when they are rotated.

use super::super::stamp::Stamp;
use smartflow_transport::{KeyId, Ring, RingError};
use std::io;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("--sealing-key-file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("--sealing-key-file {path}: {source}", path = path.display())]
    Ring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RingError,
    },
}

/// The file, and as what it was last read.
pub(super) struct KeyFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    ids: Vec<KeyId>,
    /// It could not be read, which was told.
    failed: bool,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, ids: Vec::new(), failed: false }
    }

    /// The keys.
    pub(super) fn read(&mut self) -> Result<Ring, KeyFileError> {
        let path = || self.path.clone();
        self.stamp = std::fs::metadata(&self.path).ok().map(|data| Stamp::of(&data));
        let text = std::fs::read_to_string(&self.path).map(Zeroizing::new);
        let text = text.map_err(|source| KeyFileError::Read { path: path(), source })?;
        let ring = Ring::parse(&text).map_err(|source| KeyFileError::Ring { path: path(), source })?;
        (self.ids, self.failed) = (ring.ids(), false);
        Ok(ring)
    }

    /// The keys, when they are others than they were; what is wrong with the file, once.
    pub(super) fn changed(&mut self) -> Option<Result<Ring, KeyFileError>> {
        // A file that is gone for a moment is being replaced.
        let now = std::fs::metadata(&self.path).ok().map(|data| Stamp::of(&data))?;
        if self.stamp.as_ref().is_some_and(|then| then.proves(&now)) {
            return None;
        }
        let known = self.ids.clone();
        match self.read() {
            Ok(ring) => (ring.ids() != known).then_some(Ok(ring)),
            Err(_) if self.failed => None,
            Err(fault) => {
                self.failed = true;
                Some(Err(fault))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_seen_and_a_bad_file_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        let mut file = KeyFile::new(path.clone());
        assert!(matches!(file.read(), Err(KeyFileError::Read { .. })));
        write(&one);
        let ring = file.read().unwrap();
        assert!(file.changed().is_none());
        write(&format!("{one}\n{two}\n"));
        assert_eq!(file.changed().unwrap().unwrap().oldest(), ring.newest());
        assert!(file.changed().is_none());
        write("hunter2");
        let fault = file.changed().unwrap().unwrap_err();
        assert!(fault.to_string().contains("line 1") && !fault.to_string().contains("hunter2"));
        assert!(file.changed().is_none());
        write(&two);
        assert_eq!(file.changed().unwrap().unwrap().ids().len(), 1);
    }
}
