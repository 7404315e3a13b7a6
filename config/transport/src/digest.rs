//! Names of entries, and the digest of a set of them.

use crate::key::{Ring, SealingKey};
use crate::seal::{Front, SealError};
use aws_lc_rs::hmac;
use smartflow_compile::ObjectRef;
use smartflow_snapshot::ContentHash;
use std::fmt;

/// Name of an entry in Redis: an HMAC of kind, namespace and name, so that names do not show. Another sealing key gives
/// another name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(pub(crate) [u8; 16]);

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Field {
    pub(crate) fn of(key: &SealingKey, object: &ObjectRef) -> Self {
        Self::of_parts(key, object.kind.as_str(), &object.name.namespace, &object.name.name)
    }

    pub(crate) fn of_parts(key: &SealingKey, kind: &str, namespace: &str, name: &str) -> Self {
        let mut context = hmac::Context::with_key(&key.names);
        // None of the three can hold it.
        for part in [kind, namespace, name] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        Self(front(context.sign().as_ref()))
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// What one entry adds to the digest: nobody without the key can make another entry that adds the same.
pub(crate) fn share(ring: &Ring, field: Field, sealed: &[u8]) -> Result<ContentHash, SealError> {
    let front = Front::of(sealed).ok_or(SealError::Forged)?;
    let key = ring.get(front.key).ok_or(SealError::UnknownKey(front.key))?;
    let mut context = hmac::Context::with_key(&key.digest);
    context.update(&field.0);
    context.update(sealed);
    Ok(ContentHash(front32(context.sign().as_ref())))
}

fn front<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = *byte);
    out
}

fn front32(bytes: &[u8]) -> [u8; 32] {
    front(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartflow_compile::Kind;
    use smartflow_snapshot::ObjectName;

    /// T1
    #[test]
    fn names_are_hidden_and_differ_by_every_part_and_key() {
        let (ring, other) = (Ring::parse(&"ab".repeat(32)).unwrap(), Ring::parse(&"cd".repeat(32)).unwrap());
        let field = |ring: &Ring, kind, namespace: &str, name: &str| {
            let object = ObjectRef { kind, name: ObjectName::new(namespace, name) };
            Field::of(ring.iter().next().unwrap(), &object)
        };
        let one = field(&ring, Kind::Policy, "a", "b");
        assert_eq!(one, field(&ring, Kind::Policy, "a", "b"));
        for another in [
            field(&ring, Kind::VirtualKey, "a", "b"),
            field(&ring, Kind::Policy, "ab", ""),
            field(&ring, Kind::Policy, "a", "c"),
            field(&other, Kind::Policy, "a", "b"),
        ] {
            assert_ne!(one, another);
        }
    }
}
