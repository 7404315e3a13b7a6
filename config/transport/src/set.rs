//! The entries that one has, without their content: enough to know whether they are what a head asks for.

use crate::digest::{Field, share};
use crate::head::Head;
use crate::key::Ring;
use crate::record::Part;
use crate::seal::SealError;
use smartflow_snapshot::ContentHash;
use std::collections::HashMap;

/// Shares by name, and their sum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    shares: HashMap<Field, ContentHash>,
    digest: ContentHash,
}

/// What a record does to a set, before it is done.
pub(crate) struct Delta {
    /// What each name is after it.
    after: HashMap<Field, Option<ContentHash>>,
    pub(crate) digest: ContentHash,
    pub(crate) count: u64,
}

impl Set {
    pub(crate) fn len(&self) -> u64 {
        self.shares.len() as u64
    }

    pub(crate) fn share(&self, field: &Field) -> Option<ContentHash> {
        self.shares.get(field).copied()
    }

    pub(crate) fn contains(&self, field: &Field) -> bool {
        self.shares.contains_key(field)
    }

    /// Puts in an entry.
    pub(crate) fn insert(&mut self, field: Field, share: ContentHash) {
        let old = self.shares.insert(field, share).unwrap_or_default();
        self.digest = self.digest.minus(old).plus(share);
    }

    /// True when this is what `head` asks for.
    pub(crate) fn equals(&self, head: &Head) -> bool {
        (self.len(), self.digest) == (head.count, head.digest)
    }

    /// What `parts` would make of it.
    pub(crate) fn weigh(&self, ring: &Ring, parts: &[Part]) -> Result<Delta, (Field, SealError)> {
        let mut delta = Delta { after: HashMap::new(), digest: self.digest, count: self.len() };
        for part in parts {
            let (field, new) = match part {
                Part::Set(field, sealed) => {
                    (*field, Some(share(ring, *field, sealed).map_err(|fault| (*field, fault))?))
                }
                Part::Gone(field, _) | Part::Moved(field) => (*field, None),
            };
            let old = match delta.after.insert(field, new) {
                Some(old) => old,
                None => self.share(&field),
            };
            delta.count = delta.count + u64::from(new.is_some()) - u64::from(old.is_some());
            delta.digest = delta.digest.minus(old.unwrap_or_default()).plus(new.unwrap_or_default());
        }
        Ok(delta)
    }

    /// Does it.
    pub(crate) fn commit(&mut self, delta: Delta) {
        for (field, share) in delta.after {
            match share {
                Some(share) => drop(self.shares.insert(field, share)),
                None => drop(self.shares.remove(&field)),
            }
        }
        self.digest = delta.digest;
    }
}

impl Delta {
    /// True when the outcome is what `head` asks for.
    pub(crate) fn equals(&self, head: &Head) -> bool {
        (self.count, self.digest) == (head.count, head.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision;
    use crate::seal::{Place, Purpose, seal};
    use bytes::Bytes;
    use proptest::prelude::*;

    proptest! {
        /// T2: the sum kept step by step is the sum of what is there.
        #[test]
        fn incremental_is_full(edits in prop::collection::vec((0..4u8, 0..3u8), 1..30)) {
            let ring = Ring::parse(&"ab".repeat(32)).unwrap();
            let key = ring.iter().next().unwrap();
            let mut set = Set::default();
            let mut there = HashMap::new();
            for (i, (name, what)) in edits.into_iter().enumerate() {
                let field = Field([name; 16]);
                let place = Place { purpose: Purpose::Entry, install: "", spot: &field.0 };
                let at = Revision { epoch: 1, number: i as u64 };
                let sealed = Bytes::from(seal(key, place, at, b"text").unwrap());
                let part = match what {
                    0 => Part::Gone(field, sealed.clone()),
                    1 => Part::Moved(field),
                    _ => Part::Set(field, sealed.clone()),
                };
                match what {
                    0 | 1 => there.remove(&field),
                    _ => there.insert(field, share(&ring, field, &sealed).unwrap()),
                };
                let delta = set.weigh(&ring, &[part]).unwrap();
                set.commit(delta);
                let full = there.values().fold(ContentHash::default(), |sum, share| sum.plus(*share));
                prop_assert_eq!((set.len(), set.digest), (there.len() as u64, full));
            }
        }
    }
}
