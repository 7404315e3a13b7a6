//! Who lends: one trait for every lender (L12).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

mod file;
mod journal;
mod memory;
#[cfg(feature = "redis")]
pub mod redis;

pub(crate) use self::file::lock_directory;
pub use self::{
    file::{FileLender, OpenError},
    journal::{Finding, JournalError},
    memory::MemoryLender,
};
use crate::{
    account::{AccountId, Incarnation},
    book::{Standing, WriteOffError},
    clock::Now,
    message::{Answers, Batch, Recalls},
    window::Window,
};

/// A lender's answer under way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, LenderError>> + Send + 'a>>;

/// Lends money and rates to pods. The rules are `ledger.md` L3 to L12; [`crate::contract`] checks them.
pub trait Lender: Send + Sync {
    /// Carries out a batch and answers it. All effects of a batch are durable before its answer is given. A batch may
    /// arrive twice, late, or its answer may be lost.
    fn exchange<'a>(&'a self, now: Now, batch: &'a Batch) -> Pending<'a, Answers>;

    /// What pods other than `reader` are short of, after a point of the stream (L8). A remote lender may wait for the
    /// first one, up to a limit of its own.
    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls>;

    /// All windows kept of an account, oldest first: what an operator reads and a status shows.
    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>>;

    /// Makes lendable again what a closed incarnation took along (L10); answers how much. A live one is refused.
    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64>;

    /// Forgets an account that no pod uses any more (L2); whether it was there.
    fn purge(&self, account: AccountId) -> Pending<'_, bool>;

    /// The lender lives in this process: its futures are ready at once and its leases never end.
    fn is_local(&self) -> bool;
}

/// Why a lender did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LenderError {
    /// It cannot be reached, or did not answer in time.
    #[error("the lender is away: {0}")]
    Away(String),
    /// What it did could not be made durable; nothing was lent.
    #[error("the lender cannot write {what}: {source}")]
    Write {
        /// The file or key.
        what: String,
        /// The fault below.
        source: std::io::Error,
    },
    /// Nothing was written off.
    #[error(transparent)]
    WriteOff(#[from] WriteOffError),
    /// A local lender's future was not ready when it was asked.
    #[error("a lender that says it is local did not answer at once")]
    NotReady,
}

/// Asks a local lender: its future is ready at the first poll.
pub(crate) fn at_once<T>(mut pending: Pending<'_, T>) -> Result<T, LenderError> {
    let mut context = Context::from_waker(Waker::noop());
    match pending.as_mut().poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(LenderError::NotReady),
    }
}
