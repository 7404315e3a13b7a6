//! What a pod does not take, and why. What it runs stays.

use crate::digest::Field;
use crate::key::KeyId;
use crate::revision::Revision;
use crate::seal::SealError;
use std::time::Duration;

/// What a pod does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The head cannot be opened.
    #[error("the head of the configuration cannot be used: {0}")]
    Head(SealError),
    /// The head is older than what the pod runs or ran.
    #[error("the head of the configuration is {found}, older than {known}, which was seen before")]
    Older {
        /// What Redis shows.
        found: Revision,
        /// What was seen.
        known: Revision,
    },
    /// The head is older than `--max-config-age` allows.
    #[error("the configuration was published {age:?} ago; --max-config-age is {most:?}")]
    TooOld {
        /// Its age by the pod's clock.
        age: Duration,
        /// The limit.
        most: Duration,
    },
    /// There is no head any more, though there was one.
    #[error("the head of the configuration is gone from Redis")]
    HeadGone,
    /// An entry cannot be opened.
    #[error("entry {field} of the configuration cannot be used: {fault}")]
    Entry {
        /// Its name in Redis.
        field: Field,
        /// Why.
        fault: SealError,
    },
    /// Entries are missing, too many, or not those that were published.
    #[error(
        "the {found} entries in Redis are not the {wanted} that the head {at} names: some were dropped, added or \
         brought back"
    )]
    Differs {
        /// The head.
        at: Revision,
        /// Entries that are there.
        found: u64,
        /// Entries that the head names.
        wanted: u64,
    },
    /// Something in the stream is not a record.
    #[error("record {0} of the stream cannot be read")]
    Record(String),
}

impl Refusal {
    /// `head` or `entry`: what it counts as.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Entry { .. } | Self::Differs { .. } => "entry",
            _ => "head",
        }
    }

    /// The sealing key that is missing, when that is why.
    #[must_use]
    pub fn missing_key(&self) -> Option<KeyId> {
        match self {
            Self::Head(SealError::UnknownKey(key))
            | Self::Entry { fault: SealError::UnknownKey(key), .. } => Some(*key),
            _ => None,
        }
    }
}
