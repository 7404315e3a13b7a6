//! The standalone lender (L12): the process lends to itself. Every grant is on disk before it is answered, every settle
//! is in the spend file, so kill -9 loses nothing.

use std::{
    fs::{File, OpenOptions, TryLockError},
    future::ready,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Lender, LenderError, Pending,
    journal::{Finding, Frame, Journal, JournalError, Opened},
};
use crate::{
    account::{AccountId, Incarnation},
    book::{Book, Standing},
    clock::{Now, WALL_HOUR},
    message::{Answers, Batch, Recalls},
    rate::{RateAnswer, RateBook},
    window::Window,
};

/// A journal this long is compacted at the start: reading 256 KiB takes some 3 ms.
const COMPACT_AT_START: u64 = 256 << 10;
/// While calls wait, only one this long: compacting syncs the disk.
const COMPACT_RUNNING: u64 = 4 << 20;
/// The rates' journal is not synced.
const COMPACT_RATES: u64 = 1 << 20;

/// The journal of the money.
const JOURNAL: &str = "ledger.journal";

/// A [`Book`] with a journal, in a data directory of its own.
#[derive(Debug)]
pub struct FileLender {
    inner: Mutex<Inner>,
    epoch: u64,
    findings: Vec<Finding>,
    _lock: File,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    journal: Journal,
    opened: Opened,
    rates: RateBook,
    /// Rates are worthless after a minute, so they do not share the file of the money.
    rates_journal: Journal,
}

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("{path} is in use by another process")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// It cannot be made or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The fault below.
        source: std::io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl FileLender {
    /// Opens the lender kept in `dir` (made when missing) at the instant `now`.
    ///
    /// # Errors
    /// The directory is in use, cannot be written, or its journal is damaged in the middle.
    pub fn open(dir: &Path, now: Now) -> Result<Self, OpenError> {
        let lock = lock_directory(dir, "lender.lock")?;
        let (mut journal, frames, torn) = Journal::open(&dir.join(JOURNAL))?;
        let last = frames.iter().filter_map(|frame| frame.opened).next_back();
        let opened = Opened::new(last.map_or(1, |o| o.generation), last.map_or(1, |o| o.epoch + 1));
        let mut book = Book::new(opened.generation);
        for frame in frames {
            book.see_clock(frame.wall);
            frame.records.into_iter().for_each(|record| book.replay(record));
        }
        book.replayed();
        let behind = clock_behind(&dir.join(JOURNAL), book.wall(), now.wall);
        book.see_clock(now.wall);
        journal.append(&Frame { wall: book.wall(), opened: Some(opened), ..Frame::default() })?;
        let (rates_journal, frames, torn_rates) = Journal::open_leniently(&dir.join("rates.journal"))?;
        let rates =
            frames.into_iter().flat_map(|frame| frame.rates.into_iter().map(move |rate| (frame.wall, rate)));
        let rates = RateBook::reopened(opened.generation, now, rates);
        let findings = torn.into_iter().chain(torn_rates).chain(behind).collect();
        let mut inner = Inner { book, journal, opened, rates, rates_journal };
        if inner.journal.is_long(COMPACT_AT_START) {
            inner.compact()?;
        }
        Ok(Self { inner: Mutex::new(inner), epoch: opened.epoch, findings, _lock: lock })
    }

    /// How often this lender was opened: a [`crate::Revision::epoch`] that grows with every start.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was repaired when it was opened; say it loudly.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Brings the journal of the money to the disk itself, for power cuts; whether there was anything to bring. Waits
    /// for the disk but holds up no call, so a thread that may wait calls it every second. kill -9 needs none of this,
    /// and rates are not worth it. [`crate::Ledger::sync`] comes first.
    ///
    /// # Errors
    /// The disk reports a fault; the next call tries again.
    pub fn sync(&self) -> std::io::Result<bool> {
        let Some(unsynced) = self.lock().journal.unsynced()? else { return Ok(false) };
        let synced = unsynced.sync();
        if synced.is_err() {
            self.lock().journal.still_unsynced(&unsynced);
        }
        synced.map(|()| true)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Nothing is answered before what it rests on is in the file.
    fn record(&mut self) -> Result<(), LenderError> {
        let records = self.book.take_changes();
        let written = if records.is_empty() {
            self.journal.settle()
        } else {
            self.journal.append(&Frame { wall: self.book.wall(), records, ..Frame::default() })
        };
        written.map_err(write_fault)?;
        if self.journal.is_long(COMPACT_RUNNING) && self.compact().is_err() {
            self.journal.postpone();
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<(), JournalError> {
        let wall = self.book.wall();
        let first = Frame { wall, opened: Some(self.opened), ..Frame::default() };
        let rest =
            self.book.records().map(|record| Frame { wall, records: vec![record], ..Frame::default() });
        self.journal.rewrite(std::iter::once(first).chain(rest), true)
    }

    fn rate(&mut self, now: Now, batch: &Batch) -> Result<Vec<RateAnswer>, LenderError> {
        self.rates.hear(now, batch.incarnation);
        let mut rates = Vec::new();
        let handle = |ask| {
            let (answer, record) = self.rates.handle(now, ask);
            rates.extend(record);
            answer
        };
        let answers = batch.rates.iter().map(handle).collect();
        if !rates.is_empty() {
            let frame = Frame { wall: now.wall, rates, ..Frame::default() };
            self.rates_journal.append(&frame).map_err(write_fault)?;
        }
        if self.rates_journal.is_long(COMPACT_RATES) {
            let frame = |rate| Frame { wall: now.wall, rates: vec![rate], ..Frame::default() };
            let frames = self.rates.records(now).into_iter().map(frame);
            self.rates_journal.rewrite(frames, false).map_err(write_fault)?;
        }
        Ok(answers)
    }
}

/// Says so when the clock is an hour or more behind the ledger's; less is daily life.
fn clock_behind(path: &Path, ledger: i64, clock: i64) -> Option<Finding> {
    let hours = ledger.saturating_sub(clock) / WALL_HOUR;
    (hours > 0).then(|| Finding::ClockBehind { path: path.to_owned(), hours })
}

fn write_fault(fault: JournalError) -> LenderError {
    let what = fault.to_string();
    match fault {
        JournalError::Io { path, source } => LenderError::Write { what: path.display().to_string(), source },
        JournalError::Corrupt { .. } | JournalError::Newer { .. } => LenderError::Away(what),
    }
}

/// Makes `dir` and takes the lock file `name` in it; the kernel frees it with the process.
pub(crate) fn lock_directory(dir: &Path, name: &str) -> Result<File, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    std::fs::create_dir_all(dir).map_err(io(dir))?;
    let path = dir.join(name);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

impl Lender for FileLender {
    fn exchange<'a>(&'a self, now: Now, batch: &'a Batch) -> Pending<'a, Answers> {
        let mut inner = self.lock();
        let mut answers = inner.book.exchange(now, batch);
        let written = inner.record().and_then(|()| inner.rate(now, batch));
        Box::pin(ready(written.map(|rates| {
            answers.rates = rates;
            answers
        })))
    }

    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls> {
        Box::pin(ready(Ok(self.lock().book.recalls(reader, after))))
    }

    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>> {
        Box::pin(ready(Ok(self.lock().book.standing(account))))
    }

    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64> {
        let mut inner = self.lock();
        let freed = inner.book.write_off(account, window, who).map_err(LenderError::WriteOff);
        let freed = inner.record().and(freed);
        Box::pin(ready(freed))
    }

    fn purge(&self, account: AccountId) -> Pending<'_, bool> {
        let mut inner = self.lock();
        let was = inner.book.purge(account);
        let was = inner.record().map(|()| was);
        Box::pin(ready(was))
    }

    fn is_local(&self) -> bool {
        true
    }
}
