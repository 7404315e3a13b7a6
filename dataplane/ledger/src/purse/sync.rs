//! What survives a power cut. kill -9 takes nothing: the spend file is mapped memory, which the kernel keeps. A power cut
//! takes what is not on the disk.

use std::{io, sync::atomic::Ordering};

use super::{Ledger, lock};

impl Ledger {
    /// Brings the spend file to the disk, if money moved; whether it did. Waits for the disk but holds up no call, so a
    /// thread that may wait calls it every second, and a local lender's own `sync` after it.
    ///
    /// Then a power cut forgets at most what was reserved and spent in the last two seconds: [`Ledger::tick`] notices
    /// within one second that money moved, and the next call comes within another. All earlier spend counts, and calls
    /// that were in flight before are forfeited as after kill -9. Files that are older or newer than one another by so
    /// much are put together at the next start: of each total the greatest counts.
    ///
    /// # Errors
    /// The disk reports a fault; the next call tries again.
    pub fn sync(&self) -> io::Result<bool> {
        if !self.inner.unsynced.swap(false, Ordering::Relaxed) {
            return Ok(false);
        }
        let synced = self.sync_spend_file();
        if synced.is_err() {
            self.money_moved();
        }
        synced.map(|()| true)
    }

    /// Whether a [`Ledger::sync`] is due.
    pub fn is_unsynced(&self) -> bool {
        self.inner.unsynced.load(Ordering::Relaxed)
    }

    pub(super) fn money_moved(&self) {
        self.inner.unsynced.store(true, Ordering::Relaxed);
    }

    fn sync_spend_file(&self) -> io::Result<()> {
        let Some(unsynced) = lock(&self.inner.spend).unsynced()? else { return Ok(()) };
        let synced = unsynced.sync();
        if synced.is_err() {
            lock(&self.inner.spend).still_unsynced(&unsynced);
        }
        synced
    }
}
