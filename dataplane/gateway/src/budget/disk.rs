//! Brings the ledger to the disk, for power cuts. kill -9 needs none of this.

use smartflow_ledger::Ledger;
use smartflow_ledger::lender::FileLender;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often. A power cut forgets what was spent in this time and in the second in which the ledger notices that money
/// moved.
const EVERY: Duration = Duration::from_secs(1);

/// A thread that syncs once a second while money moves, and once more when this is dropped: drop it after the ledger was
/// closed.
pub struct Disk {
    stop: Option<SyncSender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    /// Keeps `ledger` on the disk, and its `lender` when that is in this process.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn keep(ledger: Ledger, lender: Option<Arc<FileLender>>) -> io::Result<Self> {
        // The spend file first: what it says and the journal does not yet know counts at the next start.
        let lender = move || lender.as_ref().map_or(Ok(false), |lender| lender.sync());
        Self::start(EVERY, move || ledger.sync().and_then(|_| lender()).map(|_| ()))
    }

    fn start(every: Duration, sync: impl FnMut() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new().name("ledger-disk".to_owned());
        let thread = thread.spawn(move || run(every, &stopped, sync))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(every: Duration, stopped: &Receiver<Infallible>, mut sync: impl FnMut() -> io::Result<()>) {
    let mut fails = false;
    loop {
        let last = match stopped.recv_timeout(every) {
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
            Ok(never) => match never {},
        };
        let result = sync();
        match &result {
            Err(error) if !fails => {
                tracing::error!(%error, "the ledger cannot be brought to the disk: a power cut would forget spend");
            }
            Ok(()) if fails => tracing::info!("the ledger is on the disk again"),
            _ => {}
        }
        fails = result.is_err();
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::{Opened, clock::Clock, open};
    use super::*;
    use smartflow_ledger::{AccountSpec, Outcome, Period, Revision};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn await_that(what: impl Fn() -> bool) {
        let due = Instant::now() + PATIENCE;
        while !what() {
            assert!(Instant::now() < due, "nobody synced");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Counts what it is asked, and fails or not.
    fn counting(every: Duration, fails: bool) -> (Disk, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let disk = Disk::start(every, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        (disk.unwrap(), count)
    }

    #[test]
    fn it_syncs_in_time_also_after_a_fault_and_once_more_at_the_end() {
        let (_disk, count) = counting(Duration::from_millis(1), true);
        await_that(|| count.load(Ordering::SeqCst) >= 3);
        let (disk, count) = counting(LONG, false);
        drop(disk);
        assert_eq!(count.load(Ordering::SeqCst), 1, "at the end, and the drop waited for it");
    }

    #[test]
    fn what_a_call_spent_is_brought_to_the_disk_without_being_asked() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let Opened { ledger, lender, epoch, .. } = open(dir.path(), clock.now()).unwrap();
        let disk = Disk::keep(ledger.clone(), Some(lender.clone())).unwrap();
        let spec = AccountSpec {
            namespace: "default",
            name: "key/alice",
            budget: "budget",
            period: Period::Lifetime,
            timezone: "UTC",
            limit: 1000,
            revision: Revision { epoch, number: 1 },
        };
        let key = ledger.account(clock.now(), &spec).unwrap();
        let Outcome::Reserved(held) = ledger.reserve(clock.now(), &[(key, 10)]) else { panic!("refused") };
        held.settle(clock.now(), 10);
        (0..4).for_each(|_| ledger.tick(clock.now()));
        await_that(|| !ledger.is_unsynced());
        ledger.close(clock.now());
        drop(disk);
        assert!(!ledger.is_unsynced() && !lender.sync().unwrap(), "the last words as well");
    }
}
