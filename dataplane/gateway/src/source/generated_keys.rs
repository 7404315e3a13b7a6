//! Tokens of virtual keys that bring none along: made once, kept in the data dir, never logged.

use rand::TryRngCore;
use rand::rngs::OsRng;
use smartflow_snapshot::{ObjectName, Secret};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a token begins with.
const PREFIX: &str = "sk-sf-";
/// Random bytes of a token; written as twice as many hexadecimal digits.
const BYTES: usize = 24;
/// Open files that wait to be made durable.
const MOST_UNSETTLED: usize = 64;
/// Extension of a file that is about to take another one's place.
const NEXT: &str = "next";
/// Largest token file.
const MOST_BYTES: u64 = 1024;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// A folder could not be made.
    #[error("folder {path} for generated keys: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A token could not be read or written.
    #[error("generated key {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{path} does not hold a token (`sk-sf-` and 48 hexadecimal digits): delete it to get a new one", path = path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
    /// The name cannot be a file's.
    #[error("{name} cannot name a file")]
    Name {
        /// The key.
        name: ObjectName,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// A token in the data dir.
#[derive(Debug)]
pub(super) struct Generated {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The token.
    pub(super) token: Secret,
}

/// `<data dir>/keys`
#[derive(Debug)]
pub(super) struct Keys {
    folder: PathBuf,
    /// Written, but not durable yet.
    unsettled: Vec<(PathBuf, fs::File)>,
}

impl Keys {
    /// Tokens below `data_dir`.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("keys"), unsettled: Vec::new() }
    }

    /// Where the token of `key` is, or will be.
    ///
    /// # Errors
    /// [`KeyError::Name`]
    pub(super) fn path(&self, key: &ObjectName) -> Result<PathBuf, KeyError> {
        // Names were checked as Kubernetes does; this only makes sure that no path leads out of the folder.
        let sound = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\0']);
        if !sound(&key.namespace) || !sound(&key.name) {
            return Err(KeyError::Name { name: key.clone() });
        }
        Ok(self.folder.join(&*key.namespace).join(format!("{}.token", key.name)))
    }

    /// The token of `key`: the one that is there, else a new one.
    ///
    /// # Errors
    /// Every variant of [`KeyError`].
    pub(super) fn obtain(&mut self, key: &ObjectName) -> Result<Generated, KeyError> {
        let path = self.path(key)?;
        if let Some(token) = read(&path)? {
            return Ok(Generated { path, token });
        }
        for folder in [Some(&*self.folder), path.parent()].into_iter().flatten() {
            private_folder(folder).map_err(|source| KeyError::Folder { path: folder.to_owned(), source })?;
        }
        let token = random()?;
        let file = write(&path, &token).map_err(|source| KeyError::File { path: path.clone(), source })?;
        self.unsettled.push((path.clone(), file));
        if self.unsettled.len() >= MOST_UNSETTLED {
            self.settle()?;
        }
        Ok(Generated { path, token })
    }

    /// Makes new tokens durable.
    ///
    /// # Errors
    /// [`KeyError::File`]
    pub(super) fn settle(&mut self) -> Result<(), KeyError> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let mut folders = std::collections::BTreeSet::from([self.folder.clone()]);
        for (path, file) in std::mem::take(&mut self.unsettled) {
            file.sync_all().map_err(|source| KeyError::File { path: path.clone(), source })?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        for path in folders {
            let synced = fs::File::open(&path).and_then(|folder| folder.sync_all());
            synced.map_err(|source| KeyError::Folder { path, source })?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<Secret>, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    // Copied or restored with another mode. Where it cannot be changed the token is still the right one.
    if data.mode() & 0o077 != 0 {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
    let not_a_token = || KeyError::NotAToken { path: path.to_owned() };
    if data.len() > MOST_BYTES {
        return Err(not_a_token());
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    let token = text.trim();
    let digits = token.strip_prefix(PREFIX).ok_or_else(not_a_token)?;
    if digits.len() != 2 * BYTES || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(not_a_token());
    }
    Ok(Some(Secret::new(token)))
}

fn random() -> Result<Secret, KeyError> {
    let mut bytes = zeroize::Zeroizing::new([0u8; BYTES]);
    OsRng.try_fill_bytes(&mut *bytes).map_err(|_| KeyError::Random)?;
    let mut text = zeroize::Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * BYTES));
    text.push_str(PREFIX);
    for byte in bytes.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    Ok(Secret::new(&text))
}

/// Makes a folder that only this user may enter.
pub(super) fn private_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Writes a file that only this user may read: all of it, or nothing, whatever happens meanwhile.
pub(super) fn private_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let file = replace(path, bytes)?;
    file.sync_all()?;
    fs::rename(path.with_extension(NEXT), path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Writes beside `path` what is to take its place.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<fs::File> {
    let next = path.with_extension(NEXT);
    match fs::remove_file(&next) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Not yet made durable: the first answer does not wait for the disk.
fn write(path: &Path, token: &Secret) -> std::io::Result<fs::File> {
    let line = zeroize::Zeroizing::new(format!("{}\n", token.open()));
    let file = replace(path, line.as_bytes())?;
    fs::rename(path.with_extension(NEXT), path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(namespace: &str, name: &str) -> ObjectName {
        ObjectName::new(namespace, name)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn made_once_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let mut keys = Keys::new(dir.path());
        let first = keys.obtain(&name("default", "alice")).unwrap();
        assert_eq!(first.path, dir.path().join("keys/default/alice.token"));
        let digits = first.token.open().strip_prefix("sk-sf-").unwrap();
        assert!(digits.len() == 48 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(mode(&first.path), 0o600);
        assert_eq!(mode(&dir.path().join("keys")), 0o700);
        assert_eq!(mode(&dir.path().join("keys/default")), 0o700);

        fs::set_permissions(&first.path, fs::Permissions::from_mode(0o644)).unwrap();
        let again = keys.obtain(&name("default", "alice")).unwrap();
        assert_eq!(mode(&first.path), 0o600, "also when it was restored with another mode");
        assert!(again.token == first.token);
        let other = keys.obtain(&name("team-b", "alice")).unwrap();
        assert!(other.token != first.token);
        assert!(!format!("{first:?}").contains(digits));
        keys.settle().unwrap();
        assert_eq!(
            fs::read_dir(dir.path().join("keys/default")).unwrap().count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn something_else_in_the_file_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let mut keys = Keys::new(dir.path());
        let alice = keys.obtain(&name("default", "alice")).unwrap();
        for content in ["", "sk-sf-1234", "hunter2", &"x".repeat(5000)] {
            fs::write(&alice.path, content).unwrap();
            assert!(
                matches!(keys.obtain(&name("default", "alice")), Err(KeyError::NotAToken { .. })),
                "{content:.9}"
            );
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let mut keys = Keys::new(Path::new("/nowhere"));
        for (namespace, key) in [("..", "a"), ("a", "../b"), ("", "a"), ("a", ".."), ("a/b", "c")] {
            assert!(matches!(keys.obtain(&name(namespace, key)), Err(KeyError::Name { .. })));
        }
    }
}
