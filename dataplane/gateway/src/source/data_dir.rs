//! What the source keeps from one run to the next.

use super::generated_keys::{Generated, KeyError, Keys};
use super::last_good::{Changes, Store, StoreError, Text};
use smartflow_compile::ObjectRef;
use smartflow_snapshot::ObjectName;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a data dir that failed is left alone.
const RETRY: Duration = Duration::from_secs(10);

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

/// The data dir: tokens, last valid specs, and what was last read from each file.
#[derive(Debug)]
pub(super) struct DataDir {
    keys: Keys,
    specs: Store,
    texts: Store,
    /// Not on disk yet: nobody waits for it before serving.
    new_specs: Changes,
    new_texts: Changes,
    /// What nobody declares any more was removed, once.
    tidied: bool,
    /// Not before this moment, as it failed.
    again: Option<Instant>,
}

impl DataDir {
    /// Opens `path`, made where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            keys: Keys::new(path),
            specs: Store::open(path, "last-good")?,
            texts: Store::open(path, "last-read")?,
            new_specs: Changes::new(),
            new_texts: Changes::new(),
            tidied: false,
            again: None,
        })
    }

    /// The last valid spec of an object.
    pub(super) fn spec(&self, id: &ObjectRef) -> Result<Option<Text>, StoreError> {
        let name = id.to_string();
        self.new_specs.get(&name).map_or_else(|| self.specs.get(&name), |new| Ok(new.clone()))
    }

    /// What was last read from a file.
    pub(super) fn text(&self, file: &str) -> Result<Option<Text>, StoreError> {
        self.new_texts.get(file).map_or_else(|| self.texts.get(file), |new| Ok(new.clone()))
    }

    /// Keeps, or with `None` forgets, the last valid spec of an object.
    pub(super) fn keep_spec(&mut self, id: &ObjectRef, spec: Option<&str>) {
        self.new_specs.insert(id.to_string(), spec.map(|s| Arc::new(Zeroizing::new(s.to_owned()))));
    }

    /// Keeps, or with `None` forgets, what was read from a file.
    pub(super) fn keep_text(&mut self, file: &str, text: Option<Text>) {
        self.new_texts.insert(file.to_owned(), text);
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

    /// Writes what is new. What could not be written is tried again the next time.
    pub(super) fn persist(
        &mut self,
        objects: impl Fn() -> BTreeSet<String>,
        is_file: impl Fn(&str) -> bool,
    ) -> Vec<DataFault> {
        let mut faults: Vec<DataFault> = self.keys.settle().err().into_iter().map(Into::into).collect();
        for (store, new) in [(&self.specs, &mut self.new_specs), (&self.texts, &mut self.new_texts)] {
            if new.is_empty() {
                continue;
            }
            match store.update(new) {
                Ok(()) => new.clear(),
                Err(fault) => {
                    // What was damaged is replaced by now.
                    if matches!(fault, StoreError::Damaged { .. }) && store.update(new).is_ok() {
                        new.clear();
                    }
                    faults.push(fault.into());
                }
            }
        }
        if !self.tidied {
            let objects = objects();
            let tidied = self.specs.retain(|name| objects.contains(name)).and(self.texts.retain(is_file));
            self.tidied = tidied.is_ok();
            faults.extend(tidied.err().map(Into::into));
        }
        self.again = (!faults.is_empty()).then(|| Instant::now() + RETRY);
        faults
    }
}
