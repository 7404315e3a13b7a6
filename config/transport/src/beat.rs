//! Heartbeats: what a pod runs, said each second and after each activation, sealed so that nobody else can say it.

use crate::head::Hex;
use crate::key::{KeyId, Ring};
use crate::revision::Revision;
use crate::seal::{Place, Purpose, SealError, open, seal};
use serde::{Deserialize, Serialize};
use smartflow_snapshot::ContentHash;

/// Most unusable entries that a heartbeat names.
const MOST_NAMED: usize = 64;
/// Longest reason that goes with one, in characters.
const MOST_REASON: usize = 200;

/// What a pod says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beat {
    /// UID of the pod.
    pub pod: String,
    /// Which start of the process: later ones are greater (milliseconds of Unix time).
    pub incarnation: u64,
    /// Counts the beats of a start.
    pub number: u64,
    /// It serves and takes new connections.
    pub ready: bool,
    /// What it runs.
    pub at: Revision,
    /// Keys that it knows, oldest first.
    pub keys: Vec<KeyId>,
    /// Highest level of entries that it reads.
    pub reads: u32,
    /// Entries that it could not use: `Kind namespace/name` and why; at most 64 of them.
    pub unusable: Vec<(String, String)>,
    /// How many these are.
    pub unusable_count: u64,
    /// Entries and heads that it refused since it started.
    pub refused: u64,
    /// Hash of what it compiled; the head carries the operator's.
    pub content: ContentHash,
    /// Version of the program.
    pub version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    incarnation: u64,
    number: u64,
    ready: bool,
    keys: Vec<KeyId>,
    reads: u32,
    unusable: Vec<(String, String)>,
    unusable_count: u64,
    refused: u64,
    content: Hex,
    version: String,
}

impl Beat {
    /// Sealed with `key`, when it is in `ring`; else with the oldest, the one that the operator has for sure while a new
    /// one is being handed out.
    ///
    /// # Errors
    /// [`SealError::NotSealed`]
    pub fn seal(&self, ring: &Ring, key: Option<KeyId>, install: &str) -> Result<Vec<u8>, SealError> {
        let key = key.and_then(|key| ring.get(key)).or_else(|| ring.iter().next());
        let key = key.ok_or(SealError::NotSealed)?;
        let short = |(name, why): &(String, String)| (name.clone(), why.chars().take(MOST_REASON).collect());
        let written = Written {
            incarnation: self.incarnation,
            number: self.number,
            ready: self.ready,
            keys: self.keys.clone(),
            reads: self.reads,
            unusable: self.unusable.iter().take(MOST_NAMED).map(short).collect(),
            unusable_count: self.unusable_count,
            refused: self.refused,
            content: Hex(self.content),
            version: self.version.clone(),
        };
        let text = serde_json::to_vec(&written).map_err(|_| SealError::NotSealed)?;
        seal(key, place(install, &self.pod), self.at, &text)
    }

    /// The beat of `pod` that was sealed.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`], [`SealError::Forged`]
    pub fn open(ring: &Ring, install: &str, pod: &str, sealed: &[u8]) -> Result<Self, SealError> {
        let (front, text) = open(ring, place(install, pod), sealed)?;
        let written: Written = serde_json::from_slice(&text).map_err(|_| SealError::Forged)?;
        let Written { incarnation, number, ready, keys, reads, unusable, .. } = written;
        let Written { unusable_count, refused, content, version, .. } = written;
        Ok(Self {
            pod: pod.to_owned(),
            incarnation,
            number,
            ready,
            at: front.at,
            keys,
            reads,
            unusable,
            unusable_count,
            refused,
            content: content.0,
            version,
        })
    }
}

fn place<'a>(install: &'a str, pod: &'a str) -> Place<'a> {
    Place { purpose: Purpose::Beat, install, spot: pod.as_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat() -> Beat {
        Beat {
            pod: "pod-1".to_owned(),
            incarnation: 1,
            number: 2,
            ready: true,
            at: Revision { epoch: 3, number: 4 },
            keys: Vec::new(),
            reads: 2,
            unusable: vec![("Policy a/b".to_owned(), "x".repeat(500)); 100],
            unusable_count: 100,
            refused: 0,
            content: ContentHash::of(b"content"),
            version: "1".to_owned(),
        }
    }

    /// T7
    #[test]
    fn a_beat_is_of_its_pod_only_and_bounded() {
        let ring = Ring::parse(&"ab".repeat(32)).unwrap();
        let sealed = beat().seal(&ring, None, "smartflow").unwrap();
        assert!(sealed.len() < 32 * 1024, "{}", sealed.len());
        let read = Beat::open(&ring, "smartflow", "pod-1", &sealed).unwrap();
        assert_eq!((read.unusable.len(), read.unusable_count, read.at), (64, 100, beat().at));
        assert_eq!(Beat::open(&ring, "smartflow", "pod-2", &sealed), Err(SealError::Forged));
        assert_eq!(Beat::open(&ring, "other", "pod-1", &sealed), Err(SealError::Forged));
    }
}
