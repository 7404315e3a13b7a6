//! What the source keeps from one run to the next.
//!
//! Two things make every object's last valid spec known without keeping it twice: what was last read from each file, and,
//! for objects that are invalid now, the spec that was valid before.

use super::files::{Digest, digest};
use super::generated_keys::{Generated, KeyError, Keys};
use super::last_good::{Changes, Store, StoreError, Text};
use smartflow_compile::ObjectRef;
use smartflow_snapshot::ObjectName;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a data dir that failed is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// Text that waits in memory to be written; what is beyond is read again then.
const MOST_WAITING: usize = 1 << 20;

/// Something in the data dir that did not work. Configuration is in force all the same.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataFault {
    /// A token.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A last valid spec, or what was last read from a file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be written of a file.
#[derive(Debug)]
enum Waiting {
    /// This text.
    Text(Text),
    /// The text of the file itself, as long as it is still this one.
    Same(Digest),
    /// Nothing any more.
    Gone,
}

/// The data dir: tokens, last valid specs of invalid objects, and what was last read from each file.
#[derive(Debug)]
pub(super) struct DataDir {
    keys: Keys,
    specs: Store,
    texts: Store,
    /// Objects that have a spec in the store or on its way there.
    kept: BTreeSet<String>,
    /// Not on disk yet: nobody waits for it before serving.
    new_specs: Changes,
    new_texts: BTreeMap<Arc<str>, Waiting>,
    waiting: usize,
    /// What nobody declares any more was removed, once.
    tidied: bool,
    /// Not before this moment, as it failed.
    again: Option<Instant>,
}

impl DataDir {
    /// Opens `path`, made where it is missing; also tells what is damaged in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<DataFault>), StoreError> {
        let specs = Store::open(path, "last-good")?;
        let (kept, faults) = specs.names();
        let dir = Self {
            keys: Keys::new(path),
            specs,
            texts: Store::open(path, "last-read")?,
            kept,
            new_specs: Changes::new(),
            new_texts: BTreeMap::new(),
            waiting: 0,
            tidied: false,
            again: None,
        };
        Ok((dir, faults.into_iter().map(DataFault::from).collect()))
    }

    /// The spec that was kept of an object.
    pub(super) fn spec(&self, id: &ObjectRef) -> Result<Option<Text>, StoreError> {
        let name = id.to_string();
        match self.new_specs.get(&name) {
            Some(new) => Ok(new.clone()),
            None if self.kept.contains(&name) => self.specs.get(&name),
            None => Ok(None),
        }
    }

    /// Keeps the last valid spec of an object that is invalid now; `None` = it needs none.
    pub(super) fn keep_spec(&mut self, id: &ObjectRef, spec: Option<&str>) {
        // Most objects are valid and have nothing kept.
        if spec.is_none() && self.kept.is_empty() {
            return;
        }
        let name = id.to_string();
        match spec {
            Some(spec) => {
                self.kept.insert(name.clone());
                self.new_specs.insert(name, Some(Arc::new(Zeroizing::new(spec.to_owned()))));
            }
            None if self.kept.remove(&name) => drop(self.new_specs.insert(name, None)),
            None => {}
        }
    }

    /// What was last read from a file, of what is on disk: what was read just now is not yet among it.
    pub(super) fn text(&self, file: &str) -> Result<Option<Text>, StoreError> {
        self.texts.get(file)
    }

    /// What a file last declared. `None` = it is not known, or not kept.
    pub(super) fn last_read(&self, file: &str) -> Result<Option<Text>, StoreError> {
        match self.new_texts.get(file) {
            Some(Waiting::Text(text)) => Ok(Some(text.clone())),
            Some(Waiting::Same(_) | Waiting::Gone) => Ok(None),
            None => self.texts.get(file),
        }
    }

    /// Keeps, or with `None` forgets, what was read from a file.
    pub(super) fn keep_text(&mut self, file: &Arc<str>, text: Option<&Text>) {
        let waiting = match text {
            None => Waiting::Gone,
            Some(text) if self.waiting + text.len() <= MOST_WAITING => {
                self.waiting += text.len();
                Waiting::Text(text.clone())
            }
            Some(text) => Waiting::Same(digest(text)),
        };
        self.new_texts.insert(file.clone(), waiting);
    }

    /// The token of a key, made where there is none.
    pub(super) fn token(&mut self, key: &ObjectName) -> Result<Generated, KeyError> {
        self.keys.obtain(key)
    }

    /// True when [`DataDir::persist`] has something to do.
    pub(super) fn is_behind(&self) -> bool {
        let due = self.again.is_none_or(|again| Instant::now() >= again);
        due && (!self.tidied || !self.new_specs.is_empty() || !self.new_texts.is_empty())
    }

    /// Writes what is new, specs before the texts that they came from. What could not be written is tried again the next
    /// time. `read` reads a file of the world; `is_object` and `is_file` tell what is still declared.
    pub(super) fn persist(
        &mut self,
        read: impl Fn(&str) -> Option<String>,
        is_object: impl Fn(&str) -> bool,
        is_file: impl Fn(&str) -> bool,
    ) -> Vec<DataFault> {
        let mut faults: Vec<DataFault> = self.keys.settle().err().into_iter().map(Into::into).collect();
        match self.specs.update(&self.new_specs) {
            Ok(()) => self.new_specs.clear(),
            Err(fault) => faults.push(fault.into()),
        }
        if faults.is_empty() {
            faults.extend(self.persist_texts(&read).err().map(Into::into));
        }
        if !self.tidied && faults.is_empty() {
            let gone: Vec<String> = self.kept.iter().filter(|name| !is_object(name)).cloned().collect();
            self.new_specs.extend(gone.into_iter().map(|name| (name, None)));
            let tidied = self.specs.update(&self.new_specs).and(self.texts.retain(is_file));
            self.tidied = tidied.is_ok();
            for name in std::mem::take(&mut self.new_specs).into_keys() {
                self.kept.remove(&name);
            }
            faults.extend(tidied.err().map(Into::into));
        }
        self.again = (!faults.is_empty()).then(|| Instant::now() + RETRY);
        faults
    }

    /// File by file of the store, so that little text is in memory at once.
    fn persist_texts(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<(), StoreError> {
        let mut by_shard: BTreeMap<u8, Vec<Arc<str>>> = BTreeMap::new();
        for file in self.new_texts.keys() {
            by_shard.entry(Store::shard_of(file)).or_default().push(file.clone());
        }
        for files in by_shard.into_values() {
            let mut changes = Changes::new();
            for file in &files {
                let text = match self.new_texts.get(file) {
                    Some(Waiting::Text(text)) => Some(text.clone()),
                    Some(Waiting::Same(same)) => match read(file).filter(|text| digest(text) == *same) {
                        Some(text) => Some(Arc::new(Zeroizing::new(text))),
                        // It changed meanwhile, which is being seen.
                        None => continue,
                    },
                    Some(Waiting::Gone) | None => None,
                };
                changes.insert(file.to_string(), text);
            }
            self.texts.update(&changes)?;
            for file in files {
                if let Some(Waiting::Text(text)) = self.new_texts.remove(&file) {
                    self.waiting = self.waiting.saturating_sub(text.len());
                }
            }
        }
        Ok(())
    }
}
