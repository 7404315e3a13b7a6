//! Rates (L23 to L26): requests and tokens per minute and calls in flight, hard over all pods. Pure state machines;
//! rule numbers point into `ledger.md`.
//!
//! The lender keeps a sliding window per account ([`RateBook`]); a pod is lent units for one second at a time and
//! admits from them without asking ([`Rates`]).

mod book;
pub mod contract;
mod daily;
mod desk;
mod headers;
mod lease;
mod message;
mod pace;
mod permits;
mod pod;
mod ring;
mod rows;
mod seat;
mod ticket;

pub use self::{
    book::{PERMIT_LEASE, RateBook, RateRecord},
    daily::{rate_account, tokens_per_day},
    desk::{Admission, POLL, RateDesk, Rates},
    headers::{Level, RateLevels, Reset, retry_after_millis, retry_after_seconds},
    message::{PermitsAsk, RateAnswer, RateAsk, RateLimits, SlotTotals, Units, UnitsAsk},
    pod::{Refusal, Which},
    ring::{Ring, Slot, SlotClock},
    ticket::{RateTicket, RateTickets, admit_all},
};
