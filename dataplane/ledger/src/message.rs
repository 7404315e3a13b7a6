//! What pods and lenders say to each other. Plain data: a remote lender writes it to its own wire.

use serde::{Deserialize, Serialize};

use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    rate::{RateAnswer, RateAsk},
    window::Window,
};

/// The four totals of one (account, window, incarnation); they only grow (L5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// G: granted by the lender.
    pub granted: i64,
    /// S: spent out of reservations.
    pub spent: i64,
    /// R: returned unspent.
    pub returned: i64,
    /// O: spent beyond what was reserved and available.
    pub overrun: i64,
}

impl Totals {
    /// `max(0, G − S − R)`: what the incarnation may still hold.
    pub fn leased(&self) -> i64 {
        (self.granted - self.spent - self.returned).max(0)
    }

    /// S + O: billed. A vendor may report any usage, so O saturates: a sum that wrapped would read as money to spend.
    pub fn billed(&self) -> i64 {
        self.spent.saturating_add(self.overrun)
    }

    /// The greater of each total.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            granted: self.granted.max(other.granted),
            spent: self.spent.max(other.spent),
            returned: self.returned.max(other.returned),
            overrun: self.overrun.max(other.overrun),
        }
    }
}

/// A wish for money: "my G at least this" (a retry lends once).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lend {
    /// G shall be at least this.
    pub at_least: i64,
    /// A refill ahead of need: not served when the account is tight, and never a recall.
    pub background: bool,
}

/// One message about one (account, window) of one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyAsk {
    /// Which account.
    pub account: AccountId,
    /// Which window the totals belong to.
    pub window: Window,
    /// Whose totals: the sender's, or those of its predecessor on the same data directory.
    pub incarnation: Incarnation,
    /// The pod in which that incarnation ran.
    pub pod: PodId,
    /// Grows with every message of the incarnation; a lend below the highest seen is ignored.
    pub number: u64,
    /// What the incarnation granted, spent, returned and overran so far.
    pub totals: Totals,
    /// The size of the last reservation; tells the lender when the account is tight.
    pub reservation: i64,
    /// Money wanted, if any.
    pub lend: Option<Lend>,
    /// The limit and its age, as the sender's configuration has it; none in reports about a predecessor.
    pub limit: Option<(i64, Revision)>,
    /// This incarnation will say nothing more about this window: what it holds is forfeited (L5a).
    pub close: bool,
    /// The greatest C that the sender has seen for this window.
    pub closed_total: i64,
    /// The sender has heard that this incarnation is closed in this window: `closed_total` includes what it spent and
    /// held. Said again to a ledger that lost it, it must not count a second time (L14).
    #[serde(default)]
    pub counted: bool,
}

/// The lender's answer to a [`MoneyAsk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyAnswer {
    /// Which account.
    pub account: AccountId,
    /// The window of the ask.
    pub window: Window,
    /// Whether that window may be lent from, by the lender's clock.
    pub state: WindowState,
    /// The lender's G of the incarnation.
    pub granted: i64,
    /// Lend exactly what is needed, no refill ahead, report at every settle (L7).
    pub tight: bool,
    /// The ask could not be met: not enough is lendable. A ledger that recovers neither lends nor says this.
    pub short: bool,
    /// The usual size of a grant at this moment.
    pub size: i64,
    /// What could be lent at this moment.
    pub lendable: i64,
    /// Spent by all incarnations: ΣS + ΣO.
    pub spent: i64,
    /// Held by live incarnations other than the asking one.
    pub leased_elsewhere: i64,
    /// Held by closed incarnations and never to be spent, less what was written off.
    pub forfeited: i64,
    /// C: spent and forfeited by closed incarnations.
    pub closed_total: i64,
    /// The limit in force.
    pub limit: i64,
    /// The asking incarnation is closed: it gets no more grants.
    pub closed: bool,
}

/// Where the lender's clock stands towards a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowState {
    /// Open, or close enough to its start to be lent ahead.
    Open,
    /// Not yet: ask in the window before it.
    Early,
    /// Ended: reports are taken for 48 h, nothing is lent.
    Ended,
    /// Another window that the lender already holds overlaps it and stays until its end.
    Overlaps(Window),
}

/// One exchange of a pod with its lender. An empty batch is a heartbeat: it renews the pod's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The sender.
    pub incarnation: Incarnation,
    /// Its pod.
    pub pod: PodId,
    /// Recalls after this point are wanted (see [`Answers::recalls`]).
    pub recalls_after: u64,
    /// Messages about money.
    pub money: Vec<MoneyAsk>,
    /// Messages about rates.
    #[serde(default)]
    pub rates: Vec<RateAsk>,
}

/// The lender's answers to a [`Batch`], in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// The ledger's generation: grows when the lender lost data. Answers of an older one are dropped.
    pub generation: u64,
    /// The ledger lost data and is being put together again: nothing is lent.
    pub recovering: bool,
    /// The lender's clock, unix milliseconds; it never goes back.
    pub wall: i64,
    /// One answer per [`Batch::money`].
    pub money: Vec<MoneyAnswer>,
    /// One answer per [`Batch::rates`].
    #[serde(default)]
    pub rates: Vec<RateAnswer>,
    /// What other pods are short of.
    pub recalls: Recalls,
}

/// Accounts for which a pod was short: whoever holds unreserved money of them returns it at once (L8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalls {
    /// The point up to which this list reaches.
    pub upto: u64,
    /// Account, and the incarnation that was short (it does not recall from itself).
    pub accounts: Vec<(AccountId, Incarnation)>,
}
