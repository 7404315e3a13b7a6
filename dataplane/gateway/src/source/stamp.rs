//! Has a file changed? Answered without reading it, where that is safe.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// A file that was written this recently may change again without a new time stamp.
const RACY: Duration = Duration::from_secs(2);

/// One state of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    state: State,
    /// It was taken too soon after a write to tell a further one apart.
    racy: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    device: u64,
    inode: u64,
    length: u64,
    /// Nanoseconds since 1970, as are the next.
    modified: i64,
    changed: i64,
}

impl Stamp {
    /// The state that `data` describes.
    pub(super) fn of(data: &Metadata) -> Self {
        let state = State {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            modified: nanos(data.mtime(), data.mtime_nsec()),
            changed: nanos(data.ctime(), data.ctime_nsec()),
        };
        let latest = u64::try_from(data.mtime().max(data.ctime())).unwrap_or(0);
        let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(latest));
        Self { state, racy: age.map_or(true, |age| age < RACY) }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.state.length
    }

    /// True when a file whose stamp is `now` surely holds what it held when this stamp was taken.
    pub(super) fn proves(&self, now: &Self) -> bool {
        !self.racy && self.state == now.state
    }
}

fn nanos(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
