//! Secrets that cannot be printed by accident.

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// A credential. It has no `Display`, its `Debug` and its serialised form show only a fingerprint, and its memory is
/// wiped when dropped. [`Secret::open`] is called where the secret is used and nowhere else.
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<Box<str>>,
}

impl Secret {
    /// Seals `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: Zeroizing::new(text.into()) }
    }

    /// The secret itself. Never log, format or store what this returns.
    #[must_use]
    pub fn open(&self) -> &str {
        &self.text
    }

    /// First 8 hex digits of its SHA-256: tells two secrets apart without showing either.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.text.as_bytes());
        digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.fingerprint())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("sha256:{}", self.fingerprint()))
    }
}
