//! Hashes: of tokens, and of content.

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;

/// SHA-256 of a virtual key's token. Only this ever leaves the Secret that holds the token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl std::hash::Hash for TokenHash {
    /// Its first eight bytes: they are as evenly spread as any hash of them.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl TokenHash {
    /// Hash of a token as a caller presents it.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Identity of content: a SHA-256, or a sum of them modulo 2^256, so that a change costs the change and not the whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hash of a value's JSON. Secrets count by fingerprint.
    ///
    /// # Errors
    /// When `value` cannot be written as JSON (a map with keys that are not strings).
    pub fn of_json<T: Serialize>(value: &T) -> serde_json::Result<Self> {
        Ok(Self::of(&serde_json::to_vec(value)?))
    }

    /// `self + other` modulo 2^256 (little-endian).
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = [0; 32];
        let mut carry = 0u16;
        for (i, out) in sum.iter_mut().enumerate() {
            let [low, high] = (u16::from(self.0[i]) + u16::from(other.0[i]) + carry).to_le_bytes();
            *out = low;
            carry = u16::from(high);
        }
        Self(sum)
    }

    /// `self - other` modulo 2^256: takes out an entry that [`ContentHash::plus`] put in.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let complement = Self(other.0.map(|b| !b));
        let mut one = [0; 32];
        one[0] = 1;
        self.plus(complement).plus(Self(one))
    }
}

macro_rules! hex {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    };
}
hex!(TokenHash);
hex!(ContentHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_taken_out() {
        let (a, b) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        assert_eq!(a.plus(b).minus(a), b);
        assert_eq!(a.plus(b), b.plus(a));
        assert_eq!(a.minus(a), ContentHash::default());
    }
}
