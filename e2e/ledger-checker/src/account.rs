//! The name of an account (ledger.md L2), computed by arithmetic of our own.

use sha2::{Digest, Sha256};

/// What names an account: changing the limit does not make it another one.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The install.
    pub install: &'a str,
    /// Namespace of the resource with the budget.
    pub namespace: &'a str,
    /// Kind and name of it: `key/alice`.
    pub name: &'a str,
    /// The budget's name within it: `budget`.
    pub budget: &'a str,
    /// `Daily`, `Weekly`, `Monthly`, `Lifetime`.
    pub period: &'a str,
    /// IANA time zone.
    pub timezone: &'a str,
}

impl Named<'_> {
    /// First 128 bits of the SHA-256 over all parts, each after its length as eight bytes, least first; as a number,
    /// greatest byte first.
    #[must_use]
    pub fn id(&self) -> u128 {
        let mut text = Vec::new();
        for part in [self.install, self.namespace, self.name, self.budget, self.period, self.timezone] {
            text.extend((part.len() as u64).to_le_bytes());
            text.extend(part.bytes());
        }
        let digest = Sha256::digest(&text);
        digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte))
    }
}
