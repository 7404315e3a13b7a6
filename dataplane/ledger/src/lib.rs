//! Money as a pure state machine: hard caps without a round trip. The contract is `ledger.md`; rule numbers (`L5`) in
//! this crate point into it.
//!
//! A *lender* owns the limits and lends parts of them; a *purse* ([`Ledger`], one per process) spends what it was lent
//! without asking. The clock is a value ([`Now`]), so every run can be repeated. Nothing here waits: a lender answers
//! with a plain `std` future, and only remote lenders need an executor.
//!
//! ```
//! use std::sync::Arc;
//! use smartflow_ledger::{
//!     AccountSpec, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Revision, lender::FileLender,
//!     money::NANOS_PER_USD,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (data_dir, now) = (dir.path().to_owned(), Now { mono: 1, wall: 1_795_262_400_000 });
//! let lender = Arc::new(FileLender::open(&data_dir.join("lender"), now)?);
//! let revision = Revision { epoch: lender.epoch(), number: 1 };
//! let options = Options {
//!     install: "default".to_owned(),
//!     data_dir,
//!     incarnation: Incarnation::random(),
//!     pod: PodId(0),
//!     lease_millis: 600_000,
//! };
//! let ledger = Ledger::open(options, lender, now)?;
//! let key = ledger.account(now, &AccountSpec {
//!     namespace: "default",
//!     name: "key/alice",
//!     budget: "budget",
//!     period: Period::Monthly,
//!     timezone: "Europe/Berlin",
//!     limit: 25 * NANOS_PER_USD,
//!     revision,
//! })?;
//! match ledger.reserve(now, &[(key.clone(), NANOS_PER_USD / 50)]) {
//!     Outcome::Reserved(held) => assert_eq!(held.settle(now, NANOS_PER_USD / 100).overrun, 0),
//!     Outcome::Wait(_) | Outcome::Refused(_) | Outcome::Away => unreachable!("all of it is free"),
//! }
//! assert_eq!(ledger.view(now, &key).spent, NANOS_PER_USD / 100);
//! # Ok(())
//! # }
//! ```

mod account;
pub mod book;
mod checksum;
mod clock;
pub mod contract;
mod disk;
pub mod lender;
pub mod message;
pub mod money;
mod purse;
pub mod rate;
mod spend_file;
mod window;

pub use account::{
    AccountId, AccountSpec, INSTALL, Incarnation, OWN_BUDGET, Period, PodId, Revision, key_account,
};
pub use clock::Now;
pub use purse::{
    Account, Extension, Ledger, OpenError, Options, Outcome, Outgoing, Refusal, Reservation, Settled, View,
    Waiting, Why,
};
pub use window::{Calendar, UnknownTimeZone, Window};
