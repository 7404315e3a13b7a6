//! The head: which set of entries is the whole configuration.

use crate::key::{KeyId, Ring, SealingKey};
use crate::revision::Revision;
use crate::seal::{Place, Purpose, SealError, open, seal};
use serde::{Deserialize, Serialize};
use smartflow_compile::Settings;
use smartflow_snapshot::ContentHash;

/// What a set of entries must be. Sealed; a pod takes only a set that equals its head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The state.
    pub at: Revision,
    /// The key that it is sealed with.
    pub key: KeyId,
    /// Number of entries.
    pub count: u64,
    /// Sum of the entries' shares.
    pub digest: ContentHash,
    /// Hash of the operator's own snapshot of it. A pod that comes to another one says so; it may be of another version.
    pub content: ContentHash,
    /// False as long as more of the same change follows: nothing is taken into service before it is true.
    pub complete: bool,
    /// When it was published, milliseconds of Unix time by the operator's clock.
    pub published: u64,
    /// What the compiler is told beside the objects.
    pub settings: Settings,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    count: u64,
    digest: Hex,
    content: Hex,
    complete: bool,
    published: u64,
    platform_namespaces: Vec<String>,
}

/// 64 hexadecimal digits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Hex(pub(crate) ContentHash);

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.0.to_string()
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * i..2 * i + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
            *byte = pair.ok_or("not 64 hexadecimal digits")?;
        }
        Ok(Self(ContentHash(bytes)))
    }
}

impl Head {
    pub(crate) fn seal(&self, key: &SealingKey, install: &str) -> Result<Vec<u8>, SealError> {
        let written = Written {
            count: self.count,
            digest: Hex(self.digest),
            content: Hex(self.content),
            complete: self.complete,
            published: self.published,
            platform_namespaces: self.settings.platform_namespaces.clone(),
        };
        let text = serde_json::to_vec(&written).map_err(|_| SealError::NotSealed)?;
        seal(key, place(install), self.at, &text)
    }

    /// The head that was sealed.
    ///
    /// # Errors
    /// As every opening; a head of a form that is not known counts as forged.
    pub(crate) fn open(ring: &Ring, install: &str, sealed: &[u8]) -> Result<Self, SealError> {
        let (front, text) = open(ring, place(install), sealed)?;
        let written: Written = serde_json::from_slice(&text).map_err(|_| SealError::Forged)?;
        Ok(Self {
            at: front.at,
            key: front.key,
            count: written.count,
            digest: written.digest.0,
            content: written.content.0,
            complete: written.complete,
            published: written.published,
            settings: Settings { platform_namespaces: written.platform_namespaces },
        })
    }
}

fn place(install: &str) -> Place<'_> {
    Place { purpose: Purpose::Head, install, spot: b"" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T2
    #[test]
    fn a_head_reads_back_for_its_own_install_only() {
        let ring = Ring::parse(&"ab".repeat(32)).unwrap();
        let head = Head {
            at: Revision { epoch: 7, number: 9 },
            key: ring.newest(),
            count: 3,
            digest: ContentHash::of(b"digest"),
            content: ContentHash::of(b"content"),
            complete: true,
            published: 42,
            settings: Settings::default(),
        };
        let sealed = head.seal(ring.iter().next().unwrap(), "smartflow").unwrap();
        assert_eq!(Head::open(&ring, "smartflow", &sealed), Ok(head));
        assert_eq!(Head::open(&ring, "other", &sealed), Err(SealError::Forged));
    }
}
