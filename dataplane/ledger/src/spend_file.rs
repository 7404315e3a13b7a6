//! The spend file (L10): what this process has reserved and spent, in memory that outlives it.
//!
//! One file per incarnation, `spend-<incarnation>.bin`: a 128-byte header, then 128-byte records, one per (account,
//! window). Every reservation is in the file before the upstream call and every settle as it happens; both are a few
//! plain stores to mapped memory, which the kernel keeps when the process is killed.
#![allow(unsafe_code)]
// Safety argument for the `unsafe` below, all of it in `Chunk::cell`:
// - The pointer is valid and aligned: a chunk's mapping is exactly `records × 128` bytes long, `index` is checked against
//   `records`, every offset is a multiple of 8 within a record, and the mapping starts at a multiple of 128 (the file
//   offset is one, and pages are). It lives as long as the `Chunk` that the reference borrows from.
// - No other kind of access exists: this process touches the mapping only through these atomics, and the file is opened
//   by one process only (the data directory is locked); readers of dead incarnations' files use plain reads.
// - The kernel cannot take the pages away: they were written as zeros, not left as a hole, before they were mapped, so a
//   full disk shows as an error of that write and not as SIGBUS; nobody truncates the file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use memmap2::{MmapOptions, MmapRaw};

use crate::{
    account::{AccountId, Incarnation, PodId},
    checksum::crc32,
    clock::LATE_REPORTS,
    disk::{OnDisk, Unsynced},
    message::Totals,
    window::Window,
};

const MAGIC: &[u8; 8] = b"SFSPEND1";
const RECORD: usize = 128;
/// The header and the first 31 records fill a page.
const FIRST_RECORDS: usize = 31;
const NEXT_RECORDS: usize = 512;
/// Bytes of a record that name it: account, window; followed by their checksum and a mark.
const IDENTITY: usize = 32;
const SUM: usize = 32;
const TOTALS: usize = 40;
/// Where a record keeps the greatest C known, and whether it includes this record's own part.
const CLOSED_TOTAL: usize = TOTALS + 40;
const COUNTED: usize = TOTALS + 48;
/// Where the header keeps the generation in which everything in the file was closed.
const CLOSED_AT: usize = 64;
/// Where it keeps the last generation that was heard.
const HEARD_AT: usize = 72;

/// This incarnation's file.
#[derive(Debug)]
pub(crate) struct SpendFile {
    path: PathBuf,
    file: File,
    length: usize,
    chunk: Arc<Chunk>,
    fresh: usize,
    free: Vec<Slot>,
    kept: Vec<(i64, Slot)>,
    disk: OnDisk,
}

#[derive(Debug)]
struct Chunk {
    map: MmapRaw,
    records: usize,
}

/// One record of the file; its owner alone writes it.
#[derive(Debug)]
pub(crate) struct Slot {
    chunk: Arc<Chunk>,
    index: usize,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpentRow {
    pub(crate) account: AccountId,
    pub(crate) window: Window,
    pub(crate) totals: Totals,
    pub(crate) reserved: i64,
    pub(crate) closed_total: i64,
    /// The lender has said that it is closed: `closed_total` includes it.
    pub(crate) counted: bool,
    /// Where it stands in its file.
    pub(crate) place: u64,
}

/// The file of a dead incarnation.
#[derive(Debug)]
pub(crate) struct DeadFile {
    pub(crate) path: PathBuf,
    pub(crate) incarnation: Incarnation,
    pub(crate) pod: PodId,
    /// The generation in which all of it was closed; 0 for never.
    pub(crate) closed: u64,
    /// The last generation that it heard; 0 for none.
    pub(crate) heard: u64,
    pub(crate) rows: Vec<SpentRow>,
    /// Records whose identity does not fit its checksum.
    pub(crate) damaged: usize,
}

impl SpentRow {
    /// Two records of one window: of each total the greater.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.totals = self.totals.max(other.totals);
        self.reserved = self.reserved.max(other.reserved);
        self.closed_total = self.closed_total.max(other.closed_total);
        self.counted |= other.counted;
    }
}

impl SpendFile {
    /// Makes the file of `incarnation` in `dir`.
    pub(crate) fn create(dir: &Path, incarnation: Incarnation, pod: PodId) -> io::Result<Self> {
        let path = dir.join(format!("spend-{incarnation}.bin"));
        let mut file = OpenOptions::new().create_new(true).read(true).write(true).open(&path)?;
        let mut header = [0_u8; RECORD];
        header[..8].copy_from_slice(MAGIC);
        header[8..24].copy_from_slice(&incarnation.0.to_le_bytes());
        header[24..40].copy_from_slice(&pod.0.to_le_bytes());
        let sum = crc32(&header[..40]);
        header[40..44].copy_from_slice(&sum.to_le_bytes());
        file.write_all(&header)?;
        let (chunk, length) = grow(&mut file, RECORD, FIRST_RECORDS)?;
        let (free, kept, disk) = (Vec::new(), Vec::new(), OnDisk::nothing());
        Ok(Self { path, file, length, chunk, fresh: 0, free, kept, disk })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All of the file, to be brought to the disk: nobody counts the stores to mapped memory.
    pub(crate) fn unsynced(&mut self) -> io::Result<Option<Unsynced>> {
        self.disk.written();
        self.disk.begin(&self.file, &self.path)
    }

    /// Notes the generation that was heard, for the process that comes after this one.
    pub(crate) fn hear(&self, generation: u64) -> io::Result<()> {
        self.file.write_all_at(&generation.to_le_bytes(), HEARD_AT as u64)
    }

    /// What is known of windows that this process no longer holds in memory.
    pub(crate) fn kept(&self) -> Vec<SpentRow> {
        self.kept.iter().map(|(_, slot)| slot.read()).collect()
    }

    /// The sync failed.
    pub(crate) fn still_unsynced(&mut self, attempt: &Unsynced) {
        self.disk.failed(attempt);
    }

    /// A record for an account's window, zero but for its name.
    pub(crate) fn take(&mut self, account: AccountId, window: Window) -> io::Result<Slot> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.next()?,
        };
        slot.name(account, window);
        Ok(slot)
    }

    fn next(&mut self) -> io::Result<Slot> {
        if self.fresh == self.chunk.records {
            (self.chunk, self.length) = grow(&mut self.file, self.length, NEXT_RECORDS)?;
            self.fresh = 0;
        }
        self.fresh += 1;
        Ok(Slot { chunk: Arc::clone(&self.chunk), index: self.fresh - 1 })
    }

    /// A record that was taken and never used.
    pub(crate) fn give(&mut self, slot: Slot) {
        slot.erase();
        self.free.push(slot);
    }

    /// A record that nobody writes any more; it stays until 48 h after its window's `end`.
    pub(crate) fn keep(&mut self, slot: Slot, end: i64) {
        self.kept.push((end, slot));
    }

    /// Frees records whose windows ended 48 h ago.
    pub(crate) fn purge(&mut self, wall: i64) {
        let old = |end: i64| end.saturating_add(LATE_REPORTS) <= wall;
        for at in (0..self.kept.len()).rev() {
            if old(self.kept[at].0) {
                let (_, slot) = self.kept.swap_remove(at);
                self.give(slot);
            }
        }
    }
}

/// Lengthens the file by `records` zeroed ones and maps them.
fn grow(file: &mut File, length: usize, records: usize) -> io::Result<(Arc<Chunk>, usize)> {
    let bytes = records * RECORD;
    file.write_all(&vec![0; bytes])?;
    let map = MmapOptions::new().offset(length as u64).len(bytes).map_raw(&*file)?;
    Ok((Arc::new(Chunk { map, records }), length + bytes))
}

impl Chunk {
    fn cell(&self, index: usize, offset: usize) -> &AtomicI64 {
        assert!(index < self.records && offset < RECORD && offset.is_multiple_of(8));
        // SAFETY: in bounds and aligned by the assertion above; see the argument at the top of the file.
        unsafe { AtomicI64::from_ptr(self.map.as_mut_ptr().add(index * RECORD + offset).cast()) }
    }
}

impl Slot {
    fn put(&self, offset: usize, value: i64) {
        // Release keeps the compiler from moving a store before an earlier one: a kill between two shows them in order.
        self.chunk.cell(self.index, offset).store(value, Ordering::Release);
    }

    fn get(&self, offset: usize) -> i64 {
        self.chunk.cell(self.index, offset).load(Ordering::Acquire)
    }

    /// Spent before reserved: a process killed in between has counted a call twice, never lost it.
    pub(crate) fn write(&self, totals: &Totals, reserved: i64) {
        self.put(TOTALS + 8, totals.spent);
        self.put(TOTALS + 24, totals.overrun);
        self.put(TOTALS, totals.granted);
        self.put(TOTALS + 16, totals.returned);
        self.put(TOTALS + 32, reserved);
    }

    /// The greatest C known, to be resent to a lender that lost data.
    pub(crate) fn write_closed_total(&self, closed_total: i64) {
        self.put(CLOSED_TOTAL, closed_total.max(self.closed_total()));
    }

    pub(crate) fn closed_total(&self) -> i64 {
        self.get(CLOSED_TOTAL)
    }

    /// The C that was written last includes this record. After it: a kill between the two repeats the closing.
    pub(crate) fn write_counted(&self) {
        self.put(COUNTED, 1);
    }

    fn name(&self, account: AccountId, window: Window) {
        self.erase();
        for (at, value) in identity(account, window).chunks_exact(8).enumerate() {
            self.put(at * 8, read_i64(value, 0));
        }
        let sum = crc32(&identity(account, window));
        self.put(SUM, i64::from(sum) | 1 << 32);
    }

    fn erase(&self) {
        self.put(SUM, 0);
        for offset in (TOTALS..COUNTED + 8).step_by(8) {
            self.put(offset, 0);
        }
    }

    fn read(&self) -> SpentRow {
        let mut bytes = [0_u8; RECORD];
        for offset in (0..RECORD).step_by(8) {
            bytes[offset..offset + 8].copy_from_slice(&self.get(offset).to_le_bytes());
        }
        parse(&bytes, 0)
    }
}

fn identity(account: AccountId, window: Window) -> [u8; IDENTITY] {
    let mut bytes = [0; IDENTITY];
    bytes[..16].copy_from_slice(&account.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&window.start.to_le_bytes());
    bytes[24..].copy_from_slice(&window.end.to_le_bytes());
    bytes
}

fn read_i64(bytes: &[u8], at: usize) -> i64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(value)
}

fn read_u128(bytes: &[u8], at: usize) -> u128 {
    let mut value = [0; 16];
    value.copy_from_slice(&bytes[at..at + 16]);
    u128::from_le_bytes(value)
}

fn parse(record: &[u8], place: u64) -> SpentRow {
    let total = |at: usize| read_i64(record, TOTALS + at);
    SpentRow {
        account: AccountId(read_u128(record, 0)),
        window: Window { start: read_i64(record, 16), end: read_i64(record, 24) },
        totals: Totals { granted: total(0), spent: total(8), returned: total(16), overrun: total(24) },
        reserved: total(32),
        closed_total: read_i64(record, CLOSED_TOTAL),
        counted: read_i64(record, COUNTED) != 0,
        place,
    }
}

impl DeadFile {
    /// Reads the file of a dead incarnation.
    ///
    /// # Errors
    /// It cannot be read, or its header is not one of ours.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let header = bytes.get(..RECORD).filter(|h| h.starts_with(MAGIC) && sum_fits(h, 40, 40));
        let header = header.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a spend file"))?;
        let (mut rows, mut damaged) = (Vec::new(), 0);
        for (at, record) in bytes.chunks_exact(RECORD).enumerate().skip(1) {
            // An unmarked record is free, or was killed before its name was whole: nothing was ever reserved in it.
            if record[SUM + 4..SUM + 8] == [0; 4] {
                continue;
            }
            if sum_fits(record, IDENTITY, SUM) {
                rows.push(parse(record, (at * RECORD) as u64));
            } else {
                damaged += 1;
            }
        }
        let (incarnation, pod) = (Incarnation(read_u128(header, 8)), PodId(read_u128(header, 24)));
        let closed = read_i64(header, CLOSED_AT).unsigned_abs();
        let heard = read_i64(header, HEARD_AT).unsigned_abs();
        Ok(Self { path: path.to_owned(), incarnation, pod, closed, heard, rows, damaged })
    }

    /// Whether nobody needs the file: all its windows ended 48 h ago, or it is empty.
    pub(crate) fn is_over(&self, wall: i64) -> bool {
        self.damaged == 0 && self.rows.iter().all(|row| row.window.end.saturating_add(LATE_REPORTS) <= wall)
    }
}

fn sum_fits(bytes: &[u8], upto: usize, at: usize) -> bool {
    bytes[at..at + 4] == crc32(&bytes[..upto]).to_le_bytes()
}

/// Notes in a file that all it holds was closed in a generation; it is not told to that one again.
pub(crate) fn mark_closed(path: &Path, generation: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&generation.to_le_bytes(), CLOSED_AT as u64)
}

/// Notes in the file of a dead process with which totals a record was closed, and that `closed_total` includes them.
pub(crate) fn mark_counted(file: &File, row: &SpentRow) -> io::Result<()> {
    let Totals { granted, spent, returned, overrun } = row.totals;
    let mut all = [0; COUNTED + 8 - TOTALS];
    let values = [granted, spent, returned, overrun, row.reserved, row.closed_total, 1];
    for (place, value) in all.chunks_exact_mut(8).zip(values) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    file.write_all_at(&all, row.place + TOTALS as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const DAY: Window = Window { start: 0, end: 86_400_000 };

    fn file(dir: &Path) -> SpendFile {
        SpendFile::create(dir, Incarnation(7), PodId(9)).unwrap()
    }

    #[test]
    fn what_was_stored_is_read_without_a_clean_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = file(dir.path());
        let totals = Totals { granted: 10, spent: 3, returned: 2, overrun: 1 };
        // More than one chunk.
        let slots: Vec<_> = (0..600).map(|n| file.take(AccountId(n), DAY).unwrap()).collect();
        slots[555].write(&totals, 4);
        slots[555].write_closed_total(6);
        // `file` is still open: nothing was flushed or closed on the way.
        let path = file.path().to_owned();
        let dead = DeadFile::read(&path).unwrap();
        assert_eq!((dead.incarnation, dead.pod, dead.closed), (Incarnation(7), PodId(9), 0));
        assert_eq!((dead.rows.len(), dead.damaged), (600, 0));
        let place = 556 * 128;
        let (account, counted) = (AccountId(555), false);
        let want = SpentRow { account, window: DAY, totals, reserved: 4, closed_total: 6, counted, place };
        assert_eq!(dead.rows[555], want);
        mark_closed(&path, 3).unwrap();
        file.hear(2).unwrap();
        let totals = Totals { returned: 7, ..totals };
        let closed = SpentRow { totals, closed_total: 7, ..want };
        mark_counted(&File::options().write(true).open(&path).unwrap(), &closed).unwrap();
        let dead = DeadFile::read(&path).unwrap();
        assert_eq!((dead.closed, dead.heard), (3, 2));
        assert_eq!(dead.rows[555], SpentRow { counted: true, ..closed });
        assert!(dead.rows.iter().filter(|row| row.counted).count() == 1);
    }

    #[test]
    fn a_record_is_free_again_48_hours_after_its_window() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = file(dir.path());
        let slot = file.take(AccountId(1), DAY).unwrap();
        slot.write(&Totals { granted: 5, ..Totals::default() }, 5);
        file.keep(slot, DAY.end);
        file.purge(DAY.end + LATE_REPORTS - 1);
        assert_eq!(file.kept().len(), 1);
        file.purge(DAY.end + LATE_REPORTS);
        assert_eq!(DeadFile::read(file.path()).unwrap().rows, []);
        let again = file.take(AccountId(2), DAY).unwrap();
        assert_eq!((again.index, again.read().totals), (0, Totals::default()));
    }

    #[test]
    fn a_damaged_name_is_counted_and_a_foreign_file_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = file(dir.path());
        let slot = file.take(AccountId(1), DAY).unwrap();
        slot.put(0, 99);
        let dead = DeadFile::read(file.path()).unwrap();
        assert_eq!((dead.rows.len(), dead.damaged), (0, 1));
        let other = dir.path().join("spend-x.bin");
        std::fs::write(&other, [0; 4096]).unwrap();
        assert!(DeadFile::read(&other).is_err());
    }
}
