//! Sealing keys: 32 bytes that operator and gateways have in common, and what is derived of them.

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Most keys that are known at a time.
const MOST: usize = 2;
/// Bytes of a key.
const LENGTH: usize = 32;

/// Which key: four bytes that are derived from it and tell nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId(pub(crate) [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == 8);
        bytes.map(|b| Self(b.to_be_bytes())).ok_or_else(|| format!("`{text}` is not the id of a key"))
    }
}

/// Why a text is not a ring of keys. Nothing of a key is repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RingError {
    /// There is no key in it.
    #[error("there is no sealing key in it; make one: openssl rand -base64 32")]
    Empty,
    /// More than two.
    #[error("there are {0} sealing keys in it, at most two: the old one, then the new one")]
    TooMany(usize),
    /// A line that is not 32 bytes.
    #[error("line {0} is not 32 bytes in base64 or hexadecimal; make one: openssl rand -base64 32")]
    NotAKey(usize),
    /// The same key twice.
    #[error("the same key is there twice")]
    Twice,
    /// The library refused to derive.
    #[error("no keys can be derived")]
    Derive,
}

/// One sealing key, ready.
pub(crate) struct SealingKey {
    pub(crate) id: KeyId,
    pub(crate) seal: LessSafeKey,
    /// Names of entries.
    pub(crate) names: hmac::Key,
    /// Digest of the set.
    pub(crate) digest: hmac::Key,
}

/// The keys that are known, oldest first. Whoever reads uses the one that is asked for; the operator seals with the newest
/// once every gateway knows it.
#[derive(Clone)]
pub struct Ring {
    keys: Arc<[SealingKey]>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ring").field(&self.ids()).finish()
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl Ring {
    /// Reads keys, one a line, oldest first: base64 or hexadecimal. Empty lines and lines that begin with `#` do not
    /// count.
    ///
    /// # Errors
    /// Every variant of [`RingError`].
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
        match lines.len() {
            0 => return Err(RingError::Empty),
            many if many > MOST => return Err(RingError::TooMany(many)),
            _ => {}
        }
        let keys: Result<Vec<_>, _> = lines
            .iter()
            .map(|(i, line)| SealingKey::derive(&*bytes(line).ok_or(RingError::NotAKey(i + 1))?))
            .collect();
        let keys = keys?;
        if keys.len() == MOST && keys[0].id == keys[1].id {
            return Err(RingError::Twice);
        }
        Ok(Self { keys: keys.into() })
    }

    /// Ids of the keys, oldest first.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|k| k.id).collect()
    }

    /// The newest key.
    #[must_use]
    pub fn newest(&self) -> KeyId {
        self.keys.last().map_or(KeyId([0; 4]), |k| k.id)
    }

    /// The oldest key: the one that everybody has while a new one is being handed out.
    #[must_use]
    pub fn oldest(&self) -> KeyId {
        self.keys.first().map_or(KeyId([0; 4]), |k| k.id)
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&SealingKey> {
        self.keys.iter().find(|k| k.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SealingKey> {
        self.keys.iter()
    }
}

impl SealingKey {
    fn derive(secret: &[u8; LENGTH]) -> Result<Self, RingError> {
        let source = Salt::new(HKDF_SHA256, b"smartflow/config/1").extract(secret);
        let derive = |what: &[u8], out: &mut [u8]| {
            let length = Bytes(out.len());
            source.expand(&[what], length).and_then(|okm| okm.fill(out)).map_err(|_| RingError::Derive)
        };
        let mut id = [0; 4];
        derive(b"id", &mut id)?;
        let mut key = Zeroizing::new([0; LENGTH]);
        derive(b"seal", &mut *key)?;
        let seal = UnboundKey::new(&AES_256_GCM_SIV, &*key).map_err(|_| RingError::Derive)?;
        derive(b"names", &mut *key)?;
        let names = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        derive(b"digest", &mut *key)?;
        let digest = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        Ok(Self { id: KeyId(id), seal: LessSafeKey::new(seal), names, digest })
    }
}

fn bytes(line: &str) -> Option<Zeroizing<[u8; LENGTH]>> {
    let hex = |text: &str| {
        let digits = text.len() == 2 * LENGTH && text.is_ascii();
        let pair = |i: usize| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok();
        digits.then(|| (0..LENGTH).map(pair).collect::<Option<Vec<u8>>>()).flatten()
    };
    let plain = line.trim_end_matches('=');
    let decoded = hex(line)
        .or_else(|| STANDARD.decode(line).ok())
        .or_else(|| URL_SAFE_NO_PAD.decode(plain).ok())
        .map(Zeroizing::new)?;
    Some(Zeroizing::new(<[u8; LENGTH]>::try_from(&decoded[..]).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn keys_are_read_in_either_form_and_told_apart_by_id() {
        let ring = Ring::parse(&format!("# the old one\n{A}\n\n{}\n", "ff".repeat(32))).unwrap();
        assert_eq!(ring.ids().len(), 2);
        assert_eq!(Ring::parse(HEX).unwrap().ids(), [ring.oldest()]);
        assert_ne!(ring.oldest(), ring.newest());
        let id = serde_json::to_string(&ring.newest()).unwrap();
        assert_eq!(serde_json::from_str::<KeyId>(&id).unwrap(), ring.newest());
    }

    #[test]
    fn what_is_no_ring_is_refused_without_being_repeated() {
        let fault = |text: &str| Ring::parse(text).unwrap_err();
        assert_eq!(fault("\n# nothing\n"), RingError::Empty);
        assert_eq!(fault(&format!("{A}\n{}\n{}", "ff".repeat(32), "ee".repeat(32))), RingError::TooMany(3));
        assert_eq!(fault(&format!("{A}\nhunter2")), RingError::NotAKey(2));
        assert_eq!(fault(&format!("{A}\n{HEX}")), RingError::Twice);
        assert!(!fault("hunter2").to_string().contains("hunter2"));
        let shown = format!("{:?}", Ring::parse(A).unwrap());
        assert!(!shown.contains("AAEC") && shown.len() < 30, "{shown}");
    }
}
