//! Which state of the configuration: an epoch (whose), and a number within it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A state that was published. Later ones are greater. Written `<epoch>-<number>`, which is its id in the stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Revision {
    /// Whose: minted when a leader begins, milliseconds of Unix time at least.
    pub epoch: u64,
    /// Counts within the epoch, from 1.
    pub number: u64,
}

impl Revision {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

/// A text is not a revision.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a revision: <epoch>-<number>")]
pub struct NotARevision(String);

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        let parts = text.split_once('-').and_then(|(e, n)| Some((e.parse().ok()?, n.parse().ok()?)));
        let (epoch, number) = parts.ok_or_else(|| NotARevision(text.to_owned()))?;
        Ok(Self { epoch, number })
    }
}

/// The epoch of a new leader, or after data was lost: later than the clock (`now`, milliseconds of Unix time) and than
/// every epoch that was seen anywhere (Lease, heartbeats, what is published), so that a clock that went back does no
/// harm.
#[must_use]
pub fn mint(now: u64, seen: impl IntoIterator<Item = u64>) -> u64 {
    seen.into_iter().fold(now, u64::max).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_is_greater_and_text_reads_back() {
        let at = |epoch, number| Revision { epoch, number };
        assert!(at(2, 1) > at(1, 9) && at(1, 9).next() > at(1, 9));
        assert_eq!("12-34".parse(), Ok(at(12, 34)));
        assert_eq!(at(12, 34).to_string().parse(), Ok(at(12, 34)));
        for bad in ["", "12", "12-", "-1", "a-1", "12-34-5"] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
    }

    /// T3
    #[test]
    fn an_epoch_is_later_than_all_that_was_seen() {
        assert_eq!(mint(1000, []), 1001);
        assert_eq!(mint(1000, [7, 5000]), 5001, "the clock went back");
    }
}
