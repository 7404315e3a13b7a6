//! What an admitted call holds until it is settled.

use std::{fmt, sync::Arc};

use super::{
    desk::{Admission, Meter, Rates},
    pod::{PodRates, Taken},
};
use crate::clock::Now;

/// One call's share of one account. Dropped without being settled, its estimate stays counted and its permit is free.
#[must_use = "dropping it frees the permit at once"]
pub struct RateTicket {
    meter: Arc<Meter>,
    taken: Taken,
    ended: bool,
}

impl RateTicket {
    pub(super) fn new(meter: Arc<Meter>, taken: Taken) -> Self {
        Self { meter, taken, ended: false }
    }

    /// The call ended and used `tokens`: the difference to its estimate counts from now on, or comes back.
    pub fn settle(mut self, now: Now, tokens: u64) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let taken = self.taken;
        self.end(|used| used.settle(now.mono, taken, tokens));
    }

    /// The call was never made: everything comes back.
    pub fn undo(mut self, now: Now) {
        let taken = self.taken;
        self.end(|used| used.undo(now.mono, taken));
    }

    /// Once, under one lock.
    fn end(&mut self, last: impl FnOnce(&mut PodRates)) {
        if !std::mem::replace(&mut self.ended, true) {
            self.meter.with(|used| {
                last(used);
                used.end();
            });
        }
    }
}

impl Drop for RateTicket {
    fn drop(&mut self) {
        self.end(|_| {});
    }
}

impl fmt::Debug for RateTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateTicket").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// One call's shares of several accounts.
#[derive(Debug, Default)]
#[must_use = "dropping them frees the permits at once"]
pub struct RateTickets {
    first: Option<RateTicket>,
    more: Vec<RateTicket>,
}

impl RateTickets {
    /// Settles each with `tokens` used.
    pub fn settle(self, now: Now, tokens: u64) {
        self.first.into_iter().chain(self.more).for_each(|ticket| ticket.settle(now, tokens));
    }

    /// Gives everything back.
    pub fn undo(self, now: Now) {
        self.first.into_iter().chain(self.more).for_each(|ticket| ticket.undo(now));
    }

    fn push(&mut self, ticket: RateTicket) {
        match self.first {
            None => self.first = Some(ticket),
            Some(_) => self.more.push(ticket),
        }
    }
}

/// Admits a call at several accounts (key, parents, policies), all or none: what was taken before a refusal is given
/// back. No lock is held across accounts. No accounts: admitted.
pub fn admit_all<'a>(
    accounts: impl IntoIterator<Item = &'a Rates>,
    now: Now,
    tokens: u64,
) -> Admission<RateTickets> {
    let mut tickets = RateTickets::default();
    for account in accounts {
        let refused = match account.try_admit(now, tokens) {
            Admission::Admitted(ticket) => {
                tickets.push(ticket);
                continue;
            }
            Admission::Wait { poll } => Admission::Wait { poll },
            Admission::Refused(refusal) => Admission::Refused(refusal),
            Admission::TooLarge { limit } => Admission::TooLarge { limit },
        };
        tickets.undo(now);
        return refused;
    }
    Admission::Admitted(tickets)
}
