//! Texts that are kept in the data dir: they survive restarts and are read by this user only.
//!
//! Two stores are in use: what was last read from each file, which declares what a file that cannot be read any more
//! did; and the last valid specs of objects that are invalid now. Entries are spread over 64 files by their name, so that a change
//! writes a small part of many. Nothing is held in memory. References in Secrets (`env://`, `file://`) stay references.

use super::generated_keys::{private_file, private_folder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Number of files.
const SHARDS: u8 = 64;
/// Format of the files; another one is not read.
const FORMAT: u32 = 1;

/// Why something could not be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder could not be made.
    #[error("folder {path} for what is kept: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("what is kept in {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is damaged, or of another version. What it held is not known any more.
    #[error("{path} cannot be used ({why}): what it kept is lost, and it starts anew", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, column and kind of the fault; never content.
        why: String,
    },
}

/// Entries by name; `None` takes one away.
pub(super) type Changes = BTreeMap<String, Option<Text>>;

/// A text, shared by all that need it for a while.
pub(super) type Text = Arc<Zeroizing<String>>;

type Entries = BTreeMap<String, Text>;

#[derive(Serialize, Deserialize)]
struct Shard<'a> {
    format: u32,
    #[serde(borrow)]
    entries: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// `<data dir>/<name>`
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Makes the folder.
    pub(super) fn open(data_dir: &Path, name: &str) -> Result<Self, StoreError> {
        let folder = data_dir.join(name);
        private_folder(&folder).map_err(|source| StoreError::Folder { path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    /// Names of all entries, and what is damaged.
    pub(super) fn names(&self) -> (BTreeSet<String>, Vec<StoreError>) {
        let (mut names, mut faults) = (BTreeSet::new(), Vec::new());
        for shard in 0..SHARDS {
            match self.read(shard) {
                Ok(entries) => names.extend(entries.into_keys()),
                Err(fault) => faults.push(fault),
            }
        }
        (names, faults)
    }

    /// The part of the store that an entry is in.
    pub(super) fn shard_of(name: &str) -> u8 {
        Sha256::digest(name.as_bytes())[0] % SHARDS
    }

    /// The text that is kept by this name.
    pub(super) fn get(&self, name: &str) -> Result<Option<Text>, StoreError> {
        Ok(self.read(Self::shard_of(name))?.remove(name))
    }

    /// Puts and removes entries. Each file is replaced as a whole, and only when it differs: a crash leaves its old or
    /// its new state.
    pub(super) fn update(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut by_shard: BTreeMap<u8, Vec<_>> = BTreeMap::new();
        for (name, text) in changes {
            by_shard.entry(Self::shard_of(name)).or_default().push((name, text));
        }
        for (shard, changes) in by_shard {
            self.edit(shard, |entries| {
                let mut differs = false;
                for (name, text) in changes {
                    differs |= match text {
                        Some(text) if entries.get(name) == Some(text) => false,
                        Some(text) => {
                            entries.insert(name.clone(), text.clone());
                            true
                        }
                        None => entries.remove(name).is_some(),
                    };
                }
                differs
            })?;
        }
        Ok(())
    }

    /// Removes entries that nobody wants any more.
    pub(super) fn retain(&self, wanted: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        (0..SHARDS).try_for_each(|shard| {
            self.edit(shard, |entries| {
                let before = entries.len();
                entries.retain(|name, _| wanted(name));
                entries.len() != before
            })
        })
    }

    fn edit(&self, shard: u8, change: impl FnOnce(&mut Entries) -> bool) -> Result<(), StoreError> {
        let (mut entries, damage) = match self.read(shard) {
            Err(damage @ StoreError::Damaged { .. }) => (Entries::new(), Some(damage)),
            other => (other?, None),
        };
        if change(&mut entries) || damage.is_some() {
            self.write(shard, &entries)?;
        }
        damage.map_or(Ok(()), Err)
    }

    fn path(&self, shard: u8) -> PathBuf {
        self.folder.join(format!("{shard:02x}.json"))
    }

    fn read(&self, shard: u8) -> Result<Entries, StoreError> {
        let path = self.path(shard);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Entries::new()),
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                return Err(StoreError::Damaged { path, why: "not text".to_owned() });
            }
            Err(source) => return Err(StoreError::File { path, source }),
        };
        match serde_json::from_str::<Shard<'_>>(&text) {
            Ok(shard) if shard.format == FORMAT => {
                let owned = |(name, text): (Cow<'_, str>, Cow<'_, str>)| {
                    (name.into(), Arc::new(Zeroizing::new(text.into())))
                };
                Ok(shard.entries.into_iter().map(owned).collect())
            }
            Ok(shard) => Err(StoreError::Damaged { path, why: format!("format {}", shard.format) }),
            Err(e) => {
                let why = format!("{:?} at {}:{}", e.classify(), e.line(), e.column());
                Err(StoreError::Damaged { path, why })
            }
        }
    }

    fn write(&self, shard: u8, entries: &Entries) -> Result<(), StoreError> {
        let path = self.path(shard);
        let failed = |source| StoreError::File { path: path.clone(), source };
        if entries.is_empty() {
            return match fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(e)),
                _ => Ok(()),
            };
        }
        let entries = entries.iter().map(|(name, text)| (name.into(), text.as_str().into())).collect();
        let bytes = serde_json::to_vec(&Shard { format: FORMAT, entries }).map_err(|e| failed(e.into()))?;
        private_file(&path, &Zeroizing::new(bytes)).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn put(name: &str, text: &str) -> (String, Option<Text>) {
        (name.to_owned(), Some(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    fn get(store: &Store, name: &str) -> Option<String> {
        store.get(name).unwrap().map(|text| text.to_string())
    }

    #[test]
    fn what_is_put_comes_back_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "last-good").unwrap();
        store
            .update(&(0..200).map(|i| put(&format!("Policy a/{i}"), &format!("text {i}"))).collect())
            .unwrap();
        let again = Store::open(dir.path(), "last-good").unwrap();
        assert_eq!(get(&again, "Policy a/7"), Some("text 7".to_owned()));
        again.update(&[("Policy a/7".to_owned(), None), put("Policy a/8", "new")].into()).unwrap();
        assert_eq!((get(&store, "Policy a/7"), get(&store, "Policy a/8")), (None, Some("new".to_owned())));
        store.retain(|name| name.ends_with('9')).unwrap();
        assert_eq!(
            (get(&store, "Policy a/8"), get(&store, "Policy a/19")),
            (None, Some("text 19".to_owned()))
        );
    }

    #[test]
    fn files_are_private_written_when_they_differ_and_go_when_empty() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "last-good").unwrap();
        store.update(&[put("a", "1")].into()).unwrap();
        let path = store.path(Store::shard_of("a"));
        let before = fs::metadata(&path).unwrap();
        assert_eq!(before.permissions().mode() & 0o777, 0o600);
        let folder = fs::metadata(dir.path().join("last-good")).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        store.update(&[put("a", "1")].into()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before.modified().unwrap());
        store.update(&[("a".to_owned(), None)].into()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("last-good")).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_file_costs_its_own_entries_only_and_shows_no_content() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "last-read").unwrap();
        store.update(&(0..200).map(|i| put(&format!("{i}"), "hunter2")).collect()).unwrap();
        fs::write(store.path(Store::shard_of("7")), "{\"format\":1,\"entries\":{\"7\":\"hunter2\",").unwrap();
        let fault = store.get("7").unwrap_err();
        assert!(matches!(fault, StoreError::Damaged { .. }));
        assert!(!format!("{fault} {fault:?}").contains("hunter2"));
        let kept = (0..200).filter(|i| store.get(&i.to_string()).is_ok_and(|t| t.is_some())).count();
        assert!(kept > 150, "{kept}");
        assert!(store.update(&[put("7", "new")].into()).is_err(), "said once more");
        assert_eq!(get(&store, "7"), Some("new".to_owned()), "and replaced");
    }
}
