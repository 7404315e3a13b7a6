//! The configuration that served last, in a file: sealed as it came, so that it is proven like what is in Redis.
//!
//! ```text
//! frame*      u32 length | u64 epoch | u64 number | (u8 tag | u32 length | bytes)*       numbers big-endian
//! ```
//! The first frame is a whole set; each further one is a record of the stream. A frame that is cut off (the process was
//! killed) and what does not follow upon what is before it are left out. Its time of change is when it was last known to be
//! what is published.

use super::whole::Whole;
use crate::head::Head;
use crate::key::Ring;
use crate::record::{Part, Record};
use crate::revision::Revision;
use crate::seal::Front;
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const NAME: &str = "config.sealed";
/// Largest file that is read.
const MOST_BYTES: u64 = 2 << 30;
/// Records may take this much more than the set before they are put into one.
const SLACK: u64 = 1 << 20;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("last-good configuration {path}: {source}", path = path.display())]
pub struct KeptError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// What was kept.
#[derive(Debug)]
pub struct Kept {
    /// The set, for [`Follower::start_from`](super::Follower::start_from).
    pub whole: Whole,
    /// Its revision, when its head can be opened; what is older is refused from now on.
    pub at: Option<Revision>,
    /// How long ago it was known to be what is published.
    pub age: Duration,
}

/// The file.
#[derive(Debug)]
pub struct LastGood {
    path: PathBuf,
    /// Bytes of the whole set, and of the records after it.
    whole: u64,
    records: u64,
}

impl LastGood {
    /// The file in `folder`, which must be there.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(NAME), whole: 0, records: 0 }
    }

    /// Reads it; `None` when there is none, or nothing in it is complete.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, ring: &Ring, install: &str) -> Result<Option<Kept>, KeptError> {
        let failed = |source| KeptError { path: self.path.clone(), source };
        let data = match std::fs::metadata(&self.path) {
            Ok(data) => data,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(failed(fault)),
        };
        if data.len() > MOST_BYTES {
            return Err(failed(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 2 GiB")));
        }
        let age = data.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
        let records = frames(Bytes::from(std::fs::read(&self.path).map_err(failed)?));
        let heads: Vec<Option<Head>> =
            records.iter().map(|record| Head::open(ring, install, &record.head).ok()).collect();
        let complete = |head: &Option<Head>| head.as_ref().is_some_and(|head| head.complete);
        // A head that cannot be opened at all is for the follower to say so.
        let Some(last) = heads.iter().rposition(complete).or(records.len().checked_sub(1)) else {
            return Ok(None);
        };
        let at = heads[last].as_ref().map(|head| head.at);
        let mut whole = Whole::default();
        records.into_iter().take(last + 1).for_each(|record| whole.then(record));
        Ok(Some(Kept { whole, at, age }))
    }

    /// Puts a whole set into its place.
    ///
    /// # Errors
    /// It cannot be written; the old one is still there.
    pub fn write(&mut self, whole: &Whole) -> Result<(), KeptError> {
        let next = self.path.with_extension("next");
        let written = (|| {
            let mut out = BufWriter::new(private(&next, true)?);
            let bytes = put(&mut out, whole)?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&next, &self.path)?;
            Ok(bytes)
        })();
        (self.whole, self.records) = (written.map_err(|source| self.fault(source))?, 0);
        Ok(())
    }

    /// Adds records that follow upon what is there.
    ///
    /// # Errors
    /// They cannot be written; what was there before is still read.
    pub(crate) fn append(&mut self, records: &[Record], ring: &Ring, install: &str) -> Result<(), KeptError> {
        let mut out = Vec::new();
        for record in records {
            frame(&mut out, record).map_err(|source| self.fault(source))?;
        }
        let append = private(&self.path, false).and_then(|mut file| file.write_all(&out));
        append.map_err(|source| self.fault(source))?;
        self.records += out.len() as u64;
        if self.records > self.whole + SLACK
            && let Some(kept) = self.read(ring, install)?
        {
            self.write(&kept.whole)?;
        }
        Ok(())
    }

    /// It is what is published, now.
    ///
    /// # Errors
    /// The time cannot be set.
    pub fn confirm(&self) -> Result<(), KeptError> {
        let set = OpenOptions::new().append(true).open(&self.path);
        set.and_then(|file| file.set_modified(SystemTime::now())).map_err(|source| self.fault(source))
    }

    fn fault(&self, source: io::Error) -> KeptError {
        KeptError { path: self.path.clone(), source }
    }
}

fn private(path: &Path, fresh: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    if fresh {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path)
}

/// The whole set as one frame, without a second copy of it in memory.
fn put(out: &mut impl Write, whole: &Whole) -> io::Result<u64> {
    let at = Front::of(&whole.head).map(|front| front.at).unwrap_or_default();
    let part = |(field, sealed): (&crate::digest::Field, &Bytes)| Part::Set(*field, sealed.clone());
    let parts: Vec<Part> = whole.entries.iter().map(part).collect();
    frame(out, &Record { at, previous: None, head: whole.head.clone(), parts })
}

fn frame(out: &mut impl Write, record: &Record) -> io::Result<u64> {
    let too_long = |_| io::Error::from(ErrorKind::FileTooLarge);
    let inner: u64 = 16 + record.pairs().map(|(_, body)| 5 + body.len() as u64).sum::<u64>();
    out.write_all(&u32::try_from(inner).map_err(too_long)?.to_be_bytes())?;
    out.write_all(&record.at.epoch.to_be_bytes())?;
    out.write_all(&record.at.number.to_be_bytes())?;
    for (tag, body) in record.pairs() {
        out.write_all(&tag[..1])?;
        out.write_all(&u32::try_from(body.len()).map_err(too_long)?.to_be_bytes())?;
        out.write_all(&body)?;
    }
    Ok(4 + inner)
}

/// Frames that are whole, each following upon the one before.
fn frames(mut rest: Bytes) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    while let Some(length) = take_u32(&mut rest) {
        if rest.len() < length {
            break;
        }
        let Some(record) = read_frame(rest.split_to(length)) else { break };
        let previous = records.last().map(|last| last.at);
        if record.previous != previous {
            break;
        }
        records.push(record);
    }
    records
}

fn read_frame(mut rest: Bytes) -> Option<Record> {
    let epoch = take_u64(&mut rest)?;
    let number = take_u64(&mut rest)?;
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let tag = rest.split_to(1);
        let length = take_u32(&mut rest)?;
        let body = (rest.len() >= length).then(|| rest.split_to(length))?;
        pairs.push((tag, body));
    }
    Record::read(Revision { epoch, number }, pairs)
}

fn take_u32(rest: &mut Bytes) -> Option<usize> {
    let bytes: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    let _ = rest.split_to(4);
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

fn take_u64(rest: &mut Bytes) -> Option<u64> {
    let bytes: [u8; 8] = rest.get(..8)?.try_into().ok()?;
    let _ = rest.split_to(8);
    Some(u64::from_be_bytes(bytes))
}
