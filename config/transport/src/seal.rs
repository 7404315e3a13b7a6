//! Sealing: AES-256-GCM-SIV with a random nonce.
//!
//! ```text
//! 1 | key id 4 | epoch 8 | revision 8 | nonce 12 | ciphertext and tag        numbers big-endian
//! ```
//! What is bound to it without being in it: what it is for (entry, head, heartbeat), the install, and its place (the name
//! of an entry, the uid of a pod). So nothing can be put anywhere else. The first byte is the form; it stays 1, so that
//! every version can at least open what every other sealed.

use crate::key::{KeyId, Ring, SealingKey};
use crate::revision::Revision;
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

const FORM: u8 = 1;
/// Bytes before the nonce.
const FRONT: usize = 1 + 4 + 8 + 8;
/// Bytes before the ciphertext.
const HEAD: usize = FRONT + NONCE_LEN;

/// What something is sealed for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Entry,
    Head,
    Beat,
}

/// Where something sealed belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) purpose: Purpose,
    /// The install: the prefix of its keys in Redis.
    pub(crate) install: &'a str,
    /// Name of the entry, uid of the pod; empty for the head.
    pub(crate) spot: &'a [u8],
}

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// It is sealed with a key that is not among ours.
    #[error("it is sealed with key {0}, which is not among the sealing keys that were given")]
    UnknownKey(KeyId),
    /// It was changed, moved, or is something else.
    #[error("it was changed, or it was not sealed here")]
    Forged,
    /// The system gave no random bytes, or the text is too long.
    #[error("it could not be sealed")]
    NotSealed,
}

/// What can be read without a key. None of it is proven before it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Front {
    pub(crate) key: KeyId,
    pub(crate) at: Revision,
}

impl Front {
    /// Of something sealed; `None`: it is not of this form.
    pub(crate) fn of(sealed: &[u8]) -> Option<Self> {
        let (front, _) = sealed.split_at_checked(HEAD)?;
        let number = |from: usize| front.get(from..from + 8)?.try_into().ok().map(u64::from_be_bytes);
        let key = KeyId(front.get(1..5)?.try_into().ok()?);
        let at = Revision { epoch: number(5)?, number: number(13)? };
        (front[0] == FORM).then_some(Self { key, at })
    }
}

/// Seals `text` as `at`.
pub(crate) fn seal(
    key: &SealingKey,
    place: Place<'_>,
    at: Revision,
    text: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| SealError::NotSealed)?;
    let mut out = Vec::with_capacity(HEAD + text.len() + 16);
    out.push(FORM);
    out.extend_from_slice(&key.id.0);
    out.extend_from_slice(&at.epoch.to_be_bytes());
    out.extend_from_slice(&at.number.to_be_bytes());
    let bound = bound(place, &out);
    out.extend_from_slice(&nonce);
    let mut body = Zeroizing::new(text.to_vec());
    let tag = key
        .seal
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut body)
        .map_err(|_| SealError::NotSealed)?;
    out.extend_from_slice(&body);
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// What was sealed, proven to be whole and in its place.
pub(crate) fn open(
    ring: &Ring,
    place: Place<'_>,
    sealed: &[u8],
) -> Result<(Front, Zeroizing<Vec<u8>>), SealError> {
    let front = Front::of(sealed).ok_or(SealError::Forged)?;
    let key = ring.get(front.key).ok_or(SealError::UnknownKey(front.key))?;
    let (plain, rest) = sealed.split_at(HEAD);
    let nonce = Nonce::try_assume_unique_for_key(&plain[FRONT..]).map_err(|_| SealError::Forged)?;
    let mut text = Zeroizing::new(rest.to_vec());
    let bound = Aad::from(bound(place, &plain[..FRONT]));
    let length = key.seal.open_in_place(nonce, bound, &mut text).map_err(|_| SealError::Forged)?.len();
    text.truncate(length);
    Ok((front, text))
}

/// Each part with its length, so that nothing can slide from one into the next.
fn bound(place: Place<'_>, front: &[u8]) -> Vec<u8> {
    let purpose: &[u8] = match place.purpose {
        Purpose::Entry => b"entry",
        Purpose::Head => b"head",
        Purpose::Beat => b"beat",
    };
    let parts = [b"smartflow/config", purpose, place.install.as_bytes(), place.spot, front];
    let mut bound = Vec::with_capacity(parts.iter().map(|p| p.len() + 8).sum());
    for part in parts {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(byte: &str) -> Ring {
        Ring::parse(&byte.repeat(32)).unwrap()
    }

    fn place(spot: &[u8]) -> Place<'_> {
        Place { purpose: Purpose::Entry, install: "smartflow", spot }
    }

    const AT: Revision = Revision { epoch: 7, number: 9 };

    /// T1
    #[test]
    fn what_is_sealed_opens_in_its_place_only_and_unchanged_only() {
        let ring = ring("ab");
        let key = ring.iter().next().unwrap();
        let sealed = seal(key, place(b"a"), AT, b"text").unwrap();
        let (front, text) = open(&ring, place(b"a"), &sealed).unwrap();
        assert_eq!((&text[..], front), (&b"text"[..], Front { key: key.id, at: AT }));
        let elsewhere = [
            place(b"b"),
            Place { install: "other", ..place(b"a") },
            Place { purpose: Purpose::Head, ..place(b"a") },
        ];
        for elsewhere in elsewhere {
            assert_eq!(open(&ring, elsewhere, &sealed).unwrap_err(), SealError::Forged);
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&ring, place(b"a"), &changed).is_err(), "byte {at}");
            assert!(open(&ring, place(b"a"), &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        let ring = ring("ab");
        let key = ring.iter().next().unwrap();
        let sealed = || seal(key, place(b"a"), AT, b"text").unwrap();
        assert_ne!(sealed(), sealed());
    }

    /// T9
    #[test]
    fn a_key_that_is_not_ours_is_named() {
        let (ours, theirs) = (ring("ab"), ring("cd"));
        let sealed = seal(theirs.iter().next().unwrap(), place(b"a"), AT, b"text").unwrap();
        let fault = open(&ours, place(b"a"), &sealed).unwrap_err();
        assert_eq!(fault, SealError::UnknownKey(theirs.newest()));
        assert!(fault.to_string().contains(&theirs.newest().to_string()));
    }
}
