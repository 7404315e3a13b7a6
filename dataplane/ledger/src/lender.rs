//! Who lends: one trait for every lender (L12).

use std::{future::Future, pin::Pin};

use crate::{
    clock::Now,
    message::{Answers, Batch, Recalls},
};

/// A lender's answer under way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, LenderError>> + Send + 'a>>;

/// Lends money and rates to pods. The rules are `ledger.md` L3 to L12; the contract suite checks them.
pub trait Lender: Send + Sync {
    /// Carries out a batch and answers it. All effects of a batch are durable before its answer is given. A batch may
    /// arrive twice, late, or its answer may be lost.
    fn exchange<'a>(&'a self, now: Now, batch: &'a Batch) -> Pending<'a, Answers>;

    /// Recalls after the point `after`. A remote lender may wait for the first one, up to a limit of its own.
    fn recalls(&self, now: Now, after: u64) -> Pending<'_, Recalls>;

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
    /// A local lender's future was not ready when it was asked.
    #[error("a lender that says it is local did not answer at once")]
    NotReady,
}
