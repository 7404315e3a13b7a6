//! What a policy in dry run would hold for a call.

use super::guards::Room;
use super::hold::bills;
use crate::routing::Route;
use smartflow_ledger::rate::{Admission, RateTickets, admit_all};
use smartflow_ledger::{Ledger, Now, Outcome, Reservation, Waiting};

/// Taken, or not decided yet.
enum Taken<T, W> {
    /// Nothing to take.
    Nothing,
    /// It is held.
    Held(T),
    /// A lender elsewhere has not answered yet.
    Open(W),
}

/// What a policy in dry run holds for a call, or will when its lender has answered.
pub(super) struct Dry {
    /// Which of the route's policies in dry run.
    pub(super) index: usize,
    money: Taken<Reservation, Waiting>,
    /// Or the tokens to be admitted.
    rates: Taken<RateTickets, u64>,
}

impl Dry {
    /// Asks for what the call may cost; none when the policy would refuse it. `reserve` sets money aside where it can be
    /// planned.
    pub(super) fn ask(
        index: usize,
        room: &Room,
        now: Now,
        tokens: u64,
        reserve: impl FnOnce(Now) -> Option<Outcome>,
    ) -> Option<Self> {
        let rates = match admit_all(room.rates.iter().map(|(rates, _)| rates), now, tokens) {
            Admission::Admitted(tickets) => Taken::Held(tickets),
            Admission::Wait { .. } => Taken::Open(tokens),
            Admission::Refused(_) | Admission::TooLarge { .. } => return None,
        };
        let money = if room.legs.is_empty() {
            Some(Taken::Nothing)
        } else {
            match reserve(now) {
                Some(Outcome::Reserved(money)) => Some(Taken::Held(money)),
                Some(Outcome::Wait(waiting)) => Some(Taken::Open(waiting)),
                Some(Outcome::Refused(_) | Outcome::Away) | None => None,
            }
        };
        match (money, rates) {
            (Some(money), rates) => Some(Self { index, money, rates }),
            (None, Taken::Held(tickets)) => {
                tickets.undo(now);
                None
            }
            (None, _) => None,
        }
    }

    /// Bills; false when it turns out that the policy would have refused the call.
    pub(super) fn bill(self, ledger: &Ledger, now: Now, room: &Room, cost: i64, tokens: u64) -> bool {
        let rates = match self.rates {
            Taken::Open(estimate) => {
                match admit_all(room.rates.iter().map(|(rates, _)| rates), now, estimate) {
                    Admission::Admitted(tickets) => Taken::Held(tickets),
                    Admission::Wait { .. } => Taken::Nothing,
                    Admission::Refused(_) | Admission::TooLarge { .. } => return false,
                }
            }
            decided => decided,
        };
        if let Taken::Held(tickets) = rates {
            tickets.settle(now, tokens);
        }
        let bills = bills(room, cost, tokens);
        let money = match self.money {
            Taken::Nothing => return true,
            Taken::Held(money) => money,
            Taken::Open(waiting) => match waiting.poll(now, None) {
                Outcome::Reserved(money) => money,
                Outcome::Refused(_) | Outcome::Away => return false,
                Outcome::Wait(_) => {
                    let fits =
                        |(leg, bill): (&super::guards::Leg, &i64)| ledger.left(now, &leg.account) >= *bill;
                    // The call was faster than the lender: it is billed without having been held.
                    let nothing: Vec<_> = room.legs.iter().map(|leg| (leg.account.clone(), 0)).collect();
                    match (room.legs.iter().zip(&bills).all(fits), ledger.reserve(now, &nothing)) {
                        (true, Outcome::Reserved(money)) => money,
                        (fits, _) => return fits,
                    }
                }
            },
        };
        money.settle_each(now, &bills);
        true
    }

    /// Nothing was served.
    pub(super) fn undo(self, now: Now, route: &Route) {
        if let Taken::Held(tickets) = self.rates {
            tickets.undo(now);
        }
        if let (Taken::Held(money), Some((_, room))) = (self.money, route.guards.dry.get(self.index)) {
            money.settle_each(now, &vec![0; room.legs.len()]);
        }
    }
}
