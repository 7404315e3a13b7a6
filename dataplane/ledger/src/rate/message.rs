//! What a pod and the lender say to each other about rates. Plain data, as in [`crate::message`].

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::ring::Slot;
use crate::account::{AccountId, Incarnation, Revision};

/// The rates of one account. `None` = not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// Requests in any 60 seconds.
    pub requests: Option<NonZeroU32>,
    /// Tokens, in and out, in any 60 seconds.
    pub tokens: Option<NonZeroU32>,
    /// Calls in flight at once.
    pub parallel: Option<NonZeroU32>,
}

/// A wish for units of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitsAsk {
    /// Fewer than this help nobody: the largest share that the first waiting call takes at once.
    pub least: u32,
    /// What the waiting calls lack together.
    pub need: u32,
    /// What the rest of the slot is expected to take.
    pub want: u32,
}

/// A wish for permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitsAsk {
    /// Permits that the pod keeps: in use, and idle ones that it does not give back.
    pub hold: u32,
    /// More that waiting calls lack.
    pub need: u32,
    /// More that are expected to be of use.
    pub want: u32,
}

/// What became of the units of one (incarnation, slot): running totals that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotTotals {
    /// The lender's slot.
    pub slot: Slot,
    /// Requests granted and never admitted.
    pub requests_back: u32,
    /// Tokens granted and never admitted, and those that settled calls did not use.
    pub tokens_back: u32,
    /// Requests admitted from a local window, which the lender did not grant.
    pub requests_over: u32,
    /// Tokens admitted from a local window, and those that settled calls used beyond their estimate and beyond what the
    /// pod held.
    pub tokens_over: u32,
}

/// One message of one incarnation about one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateAsk {
    /// Which account.
    pub account: AccountId,
    /// The sender.
    pub incarnation: Incarnation,
    /// Grows by at least 1 with every message of the incarnation about the account. The lender carries out a number
    /// only once and never one below the highest seen.
    pub number: u64,
    /// The ledger generation that the sender knows; 0 before the first answer.
    pub generation: u64,
    /// The limits and their age, as the sender's configuration has them; the lender keeps the newest.
    pub limits: RateLimits,
    /// Age of the limits.
    pub revision: Revision,
    /// The units are wanted for the next slot, ahead of its time.
    pub ahead: bool,
    /// The last message whose answer was taken. What a later one was granted is unknown to the sender and will not be
    /// used: the lender takes it back.
    pub answered: u64,
    /// Requests wanted.
    pub requests: UnitsAsk,
    /// Tokens wanted.
    pub tokens: UnitsAsk,
    /// Permits held and wanted.
    pub permits: PermitsAsk,
    /// Slots whose totals changed since the last answered message.
    pub slots: Vec<SlotTotals>,
}

/// Units granted, and how things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Granted by this answer.
    pub granted: u32,
    /// Could still be granted in this slot.
    pub free: u32,
    /// Nanoseconds until `least` are free if nobody takes any; 0 when they were granted.
    pub wait: u64,
    /// Nanoseconds until nothing counts any more.
    pub reset: u64,
}

/// The lender's answer to a [`RateAsk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateAnswer {
    /// Which account.
    pub account: AccountId,
    /// Which message it answers.
    pub number: u64,
    /// The ledger's generation.
    pub generation: u64,
    /// The message was carried out before, or is older than one that was: this answer says nothing.
    pub repeated: bool,
    /// The slot that the units are for.
    pub slot: Slot,
    /// Nanoseconds until the lender's *present* slot ends; rounded down where the clock is coarser.
    pub left: u64,
    /// Requests.
    pub requests: Units,
    /// Tokens.
    pub tokens: Units,
    /// Permits that the sender holds now.
    pub permits: u32,
    /// Few permits are left: idle ones go back with the next message.
    pub tight: bool,
    /// Pods that used the account in the last 10 s, the sender included.
    pub pods: u32,
    /// Pods that the lender heard of in the last minute, whatever they used: the divisor of local windows.
    pub fleet: u32,
    /// Nanoseconds for which nothing is granted because the ring was lost: local windows till then (L23).
    pub local_for: u64,
}
