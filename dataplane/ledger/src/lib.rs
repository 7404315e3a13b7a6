//! Money as a pure state machine: hard caps without a round trip. The contract is `ledger.md`; rule numbers (`L5`) in
//! this crate point into it.
//!
//! A *lender* owns the limits and lends parts of them; a *purse* ([`Ledger`], one per process) spends what it was lent
//! without asking. The clock is a value ([`Now`]), so every run can be repeated. Nothing here waits: a lender answers
//! with a plain `std` future, and only remote lenders need an executor.

mod account;
pub mod book;
mod checksum;
mod clock;
pub mod contract;
pub mod lender;
pub mod message;
pub mod money;
mod purse;
pub mod rate;
mod spend_file;
mod window;

pub use account::{AccountId, AccountSpec, Incarnation, Period, PodId, Revision};
pub use clock::Now;
pub use purse::{
    Account, Extension, Ledger, OpenError, Options, Outcome, Outgoing, Refusal, Reservation, Settled, View,
    Waiting, Why,
};
pub use window::{Calendar, UnknownTimeZone, Window};
