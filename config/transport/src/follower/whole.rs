//! A whole set of entries as it is found: in Redis, or in the file that was kept. Nothing of it is proven.

use crate::digest::Field;
use crate::record::{Part, Record};
use crate::seal::Front;
use bytes::Bytes;
use std::collections::HashMap;

/// Sealed entries by name, and the sealed head that says whether they are whole.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    pub(crate) head: Bytes,
    pub(crate) entries: HashMap<Field, Bytes>,
}

impl Whole {
    /// Puts in what a scan found. One that comes twice is the same or later the second time.
    pub(crate) fn found(&mut self, field: Field, sealed: Bytes) {
        self.entries.insert(field, sealed);
    }

    /// Does what a record says, where the scan did not find what came after it.
    pub(crate) fn then(&mut self, record: Record) {
        let later = |known: Option<&Bytes>| {
            let front = known.and_then(|sealed| Front::of(sealed));
            front.is_some_and(|front| front.at > record.at)
        };
        for part in record.parts {
            match part {
                Part::Set(field, sealed) if !later(self.entries.get(&field)) => {
                    self.entries.insert(field, sealed);
                }
                Part::Gone(field, _) | Part::Moved(field) if !later(self.entries.get(&field)) => {
                    self.entries.remove(&field);
                }
                _ => {}
            }
        }
        self.head = record.head;
    }
}
