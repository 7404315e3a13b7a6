//! The file lender's journal: one line per exchange that changed something, a checksum before each. Plain writes
//! survive the death of the process; [`Journal::unsynced`] lets the owner sync for power cuts too.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    book::Record,
    checksum::crc32,
    disk::{OnDisk, Unsynced},
    rate::RateRecord,
};

/// The format written here; a newer one is not read.
const VERSION: u32 = 1;

/// Something that was repaired on the way and should be told loudly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The last record was not whole; the process was killed while it wrote it.
    #[error("{path}: cut off {bytes} bytes after the last whole record at byte {at}")]
    TornTail {
        /// The file.
        path: PathBuf,
        /// Where it was cut.
        at: usize,
        /// How much was cut off.
        bytes: usize,
    },
    /// Records in the middle are damaged and were left out.
    #[error("{path}: left out {bytes} damaged bytes")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How many.
        bytes: usize,
    },
    /// The clock is behind what the ledger has seen: windows follow the later of the two (L3).
    #[error(
        "{path}: the clock is {hours} h behind the time in this file, so no budget starts anew until it has caught up; if the clock is right, it was wrong before"
    )]
    ClockBehind {
        /// The file.
        path: PathBuf,
        /// By how many whole hours.
        hours: i64,
    },
    /// A predecessor's spend file, or a record in it, could not be read; what it held stays leased.
    #[error("{path}: {problem}")]
    SpendFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Opening, reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The fault below.
        source: io::Error,
    },
    /// A record in the middle is damaged: spend that is on record behind it must not be lost silently.
    #[error(
        "{path}: the record at byte {at} is damaged and whole records follow it; restore the file from a copy, or move it away to start with empty budgets"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        at: usize,
    },
    /// Written by a newer version.
    #[error("{path}: format {version}, this version reads up to {VERSION}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        version: u32,
    },
}

/// One line.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Frame {
    /// The lender's clock.
    pub(super) wall: i64,
    /// First in every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) opened: Option<Opened>,
    /// What changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) records: Vec<Record>,
    /// What changed in the rates; in the rates' own journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rates: Vec<RateRecord>,
}

/// A start of the lender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opened {
    version: u32,
    /// The ledger's generation.
    pub(super) generation: u64,
    /// Counts the starts.
    pub(super) epoch: u64,
}

impl Opened {
    pub(super) fn new(generation: u64, epoch: u64) -> Self {
        Self { version: VERSION, generation, epoch }
    }
}

/// An append-only file of frames.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Whole records end here.
    length: u64,
    /// Length after the last compaction.
    compact: u64,
    /// Frames that could not be written yet.
    owed: Vec<u8>,
    /// Half a frame may stand behind the whole ones.
    torn: bool,
    disk: OnDisk,
}

impl Journal {
    /// Opens or makes the journal and reads what it holds.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Frame>, Option<Finding>), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let disk = if path.exists() { OnDisk::name_only() } else { OnDisk::nothing() };
        let file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(io)?;
        let bytes = std::fs::read(path).map_err(io)?;
        let (frames, whole) = read_frames(path, &bytes)?;
        let mut finding = None;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(io)?;
            finding =
                Some(Finding::TornTail { path: path.to_owned(), at: whole, bytes: bytes.len() - whole });
        }
        let (length, owed) = (whole as u64, Vec::new());
        let journal = Self { path: path.to_owned(), file, length, compact: 0, owed, torn: false, disk };
        Ok((journal, frames, finding))
    }

    /// The same for a journal that may lose records: damaged ones are left out, and the file is written anew without
    /// them.
    pub(super) fn open_leniently(path: &Path) -> Result<(Self, Vec<Frame>, Option<Finding>), JournalError> {
        match Self::open(path) {
            Err(JournalError::Corrupt { .. }) => {}
            other => return other,
        }
        let bytes =
            std::fs::read(path).map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
        let mut kept = Vec::with_capacity(bytes.len());
        bytes.split_inclusive(|byte| *byte == b'\n').filter(|raw| whole(raw).is_some()).for_each(|raw| {
            kept.extend_from_slice(raw);
        });
        let finding = Finding::Damaged { path: path.to_owned(), bytes: bytes.len() - kept.len() };
        replace(path, &kept, false).map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
        Self::open(path).map(|(journal, frames, _)| (journal, frames, Some(finding)))
    }

    /// Writes a frame. When this fails the frame is owed: it is written before anything else.
    pub(super) fn append(&mut self, frame: &Frame) -> Result<(), JournalError> {
        line(frame, &mut self.owed).map_err(|source| self.io(source))?;
        self.settle()
    }

    /// Writes what is owed.
    pub(super) fn settle(&mut self) -> Result<(), JournalError> {
        if self.owed.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.cut()?;
        }
        if let Err(source) = self.file.write_all(&self.owed) {
            self.torn = true;
            self.cut()?;
            return Err(self.io(source));
        }
        self.disk.written();
        self.length += self.owed.len() as u64;
        self.owed.clear();
        Ok(())
    }

    /// Half a frame must not stand in the middle of the file: nothing is written before it is gone.
    fn cut(&mut self) -> Result<(), JournalError> {
        self.file.set_len(self.length).map_err(|source| self.io(source))?;
        self.torn = false;
        Ok(())
    }

    /// Whether a compaction is due: longer than `worth` and than four times what the last one left.
    pub(super) fn is_long(&self, worth: u64) -> bool {
        self.length > worth && self.length > 4 * self.compact
    }

    /// A compaction failed: not again before the journal has doubled. Nothing is lost meanwhile.
    pub(super) fn postpone(&mut self) {
        self.compact = self.length / 2;
    }

    /// Replaces the journal by `frames`, atomically; with `sync` also for power cuts.
    pub(super) fn rewrite(
        &mut self,
        frames: impl Iterator<Item = Frame>,
        sync: bool,
    ) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        for frame in frames {
            line(&frame, &mut bytes).map_err(|source| self.io(source))?;
        }
        self.file = replace(&self.path, &bytes, sync).map_err(|source| self.io(source))?;
        // Its name is not on the disk: a power cut could bring the old file back, and all that was appended since,
        // synced or not, would be gone.
        self.disk = OnDisk::nothing();
        self.length = bytes.len() as u64;
        self.compact = self.length;
        self.owed.clear();
        self.torn = false;
        Ok(())
    }

    /// What is not on the disk yet, to be synced without holding up the lender.
    pub(super) fn unsynced(&mut self) -> io::Result<Option<Unsynced>> {
        self.disk.begin(&self.file, &self.path)
    }

    /// The sync failed.
    pub(super) fn still_unsynced(&mut self, attempt: &Unsynced) {
        self.disk.failed(attempt);
    }

    fn io(&self, source: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), source }
    }
}

/// Puts a file with `bytes` in the place of `path`, atomically; its handle appends.
fn replace(path: &Path, bytes: &[u8], sync: bool) -> io::Result<File> {
    let next = path.with_extension("new");
    // The handle is open before the rename, so that nothing can be appended to a file that is gone.
    let file = write_new(&next, bytes, sync)?;
    std::fs::rename(&next, path).map(|()| file)
}

fn write_new(path: &Path, bytes: &[u8], sync: bool) -> io::Result<File> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let mut file = OpenOptions::new().create_new(true).read(true).append(true).open(path)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_data()?;
    }
    Ok(file)
}

fn line(frame: &Frame, out: &mut Vec<u8>) -> io::Result<()> {
    let body = serde_json::to_vec(frame)?;
    write!(out, "{:08x} ", crc32(&body))?;
    out.extend_from_slice(&body);
    out.push(b'\n');
    Ok(())
}

/// The frames, and the length of the part that holds whole ones.
fn read_frames(path: &Path, bytes: &[u8]) -> Result<(Vec<Frame>, usize), JournalError> {
    let mut frames = Vec::new();
    let mut at = 0;
    for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(frame) = whole(raw) else {
            if bytes[at + raw.len()..].split_inclusive(|byte| *byte == b'\n').any(|raw| whole(raw).is_some())
            {
                return Err(JournalError::Corrupt { path: path.to_owned(), at });
            }
            return Ok((frames, at));
        };
        if let Some(Opened { version, .. }) = frame.opened.filter(|opened| opened.version > VERSION) {
            return Err(JournalError::Newer { path: path.to_owned(), version });
        }
        frames.push(frame);
        at += raw.len();
    }
    Ok((frames, at))
}

/// A line whose checksum fits and that can be read.
fn whole(raw: &[u8]) -> Option<Frame> {
    let body = raw.strip_suffix(b"\n")?;
    let (sum, body) = (body.get(..8)?, body.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == crc32(body)).then(|| serde_json::from_slice(body).ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_written_before_anything_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, ..) = Journal::open(&path).unwrap();
        let frame = |wall| Frame { wall, ..Frame::default() };
        journal.append(&frame(1)).unwrap();
        let good = std::mem::replace(&mut journal.file, File::open(&path).unwrap());
        assert!(matches!(journal.append(&frame(2)), Err(JournalError::Io { .. })));
        assert!(matches!(journal.settle(), Err(JournalError::Io { .. })), "still owed");
        journal.file = good;
        journal.append(&frame(3)).unwrap();
        let (_, frames, finding) = Journal::open(&path).unwrap();
        assert_eq!(frames.iter().map(|frame| frame.wall).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(finding, None);
    }

    #[test]
    fn half_a_frame_that_could_not_be_cut_off_is_cut_off_before_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, ..) = Journal::open(&path).unwrap();
        let frame = |wall| Frame { wall, ..Frame::default() };
        journal.append(&frame(1)).unwrap();
        // A handle for reading only: neither the write nor the cut after it works.
        let good = std::mem::replace(&mut journal.file, File::open(&path).unwrap());
        assert!(journal.append(&frame(2)).is_err());
        // What a disk that was full in the middle of the write left behind.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"0badc0de {\"wa").unwrap();
        assert!(journal.settle().is_err(), "still cannot be cut");
        journal.file = good;
        journal.append(&frame(3)).unwrap();
        let (_, frames, finding) = Journal::open(&path).unwrap();
        assert_eq!(frames.iter().map(|frame| frame.wall).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(finding, None);
    }

    #[test]
    fn a_rewritten_journal_is_synced_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        drop(Journal::open(&path).unwrap());
        let (mut journal, ..) = Journal::open(&path).unwrap();
        let named = |journal: &mut Journal| {
            let unsynced = journal.unsynced().unwrap()?;
            unsynced.sync().unwrap();
            Some(format!("{unsynced:?}").contains("directory: Some"))
        };
        assert_eq!(named(&mut journal), Some(false), "an old file has its name");
        assert_eq!(named(&mut journal), None);
        journal.append(&Frame::default()).unwrap();
        assert_eq!(named(&mut journal), Some(false));
        journal.rewrite(std::iter::once(Frame::default()), true).unwrap();
        assert_eq!(named(&mut journal), Some(true));
        assert_eq!(named(&mut journal), None);
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, ..) = Journal::open(&path).unwrap();
        let opened = Some(Opened { version: VERSION + 1, generation: 1, epoch: 1 });
        journal.append(&Frame { opened, ..Frame::default() }).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Newer { version: 2, .. })));
    }
}
