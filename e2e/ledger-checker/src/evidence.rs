//! All that a run left behind, as plain data. Amounts are nano-USD at the prices of the run's world; instants are
//! microseconds since the run began, by the runner's clock, unless they say otherwise.

use serde::{Deserialize, Serialize};

/// What is judged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Accounts that calls were paid from.
    pub accounts: Vec<Account>,
    /// What callers asked and got.
    pub asks: Vec<Ask>,
    /// What vendors were asked and served.
    pub legs: Vec<Leg>,
    /// What pods wrote of each call.
    pub lines: Vec<Line>,
    /// Pods that were killed without warning.
    pub kills: Vec<Kill>,
    /// Clocks that were put forward or back.
    pub steps: Vec<Step>,
    /// The lender's books, in the order in which they changed: one history for each time that they were read.
    pub books: Vec<History>,
    /// What pods wrote down for their successors, read when all were at rest.
    pub spent: Vec<Spent>,
    /// What pods said of their accounts, in order.
    pub statements: Vec<Statement>,
    /// The run wanted every budget used up: callers went on until they were refused.
    pub used_up: bool,
    /// There were several pods, and a lender apart from them.
    #[serde(default)]
    pub fleet: bool,
    /// When pods began, each time.
    #[serde(default)]
    pub starts: Vec<Start>,
    /// When the lender lost what it knew, or some of it.
    #[serde(default)]
    pub losses: Vec<Step>,
    /// How many of the planned troubles happened: a budget may be used up before.
    #[serde(default)]
    pub happened: usize,
}

/// What a run about requests per minute left behind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pace {
    /// Requests per minute over all pods.
    pub limit: usize,
    /// First and last instant at which callers wanted more than the limit, microseconds since 1970 by the clock of the
    /// lender's machine.
    pub saturated: (u64, u64),
    /// Calls that a vendor got: when the caller sent each, and when it had arrived; by the same clock.
    pub served: Vec<(u64, u64)>,
    /// Calls that were refused with 429.
    pub refused: usize,
}

/// A pod began.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Which.
    pub pod: usize,
    /// When it was started.
    pub at: u64,
}

/// A budget.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its id at the lender.
    #[serde(with = "hex")]
    pub id: u128,
    /// In words.
    pub name: String,
    /// Its limit in each window; all accounts of a run have different ones.
    pub limit: i64,
    /// Virtual keys whose calls it pays, `namespace/name`.
    pub keys: Vec<String>,
}

/// A call, as its caller saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Its name, unique in the run; lines and legs carry it, too.
    pub tag: String,
    /// The pod that was asked.
    pub pod: usize,
    /// When it was sent.
    pub began: u64,
    /// When the caller had the answer, left, or lost the connection.
    pub ended: u64,
    /// How it ended.
    pub end: AskEnd,
    /// Price of the output that the caller received.
    pub received: i64,
    /// No attempt of this call can be worth more.
    pub most: i64,
}

/// How a call ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskEnd {
    /// A good answer to its end.
    Whole,
    /// An error, with its code, before or within the answer.
    Error(String),
    /// The caller left.
    Left,
    /// No answer, or one that broke off without a word: the pod was gone.
    Lost,
}

/// One call at a vendor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leg {
    /// The ask that it was made for.
    pub tag: String,
    /// When it had arrived.
    pub began: u64,
    /// When it ended; `None` while it has not.
    pub ended: Option<u64>,
    /// The vendor refused it before any token: it is free.
    pub refused: bool,
    /// Price of what the vendor wrote: the prompt, once anything was answered, and each token.
    pub served: i64,
    /// The prompt's part of it.
    pub prompt: i64,
    /// Price of the usage that the vendor reported, if it did.
    pub reported: Option<i64>,
}

/// A usage line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The pod that wrote it.
    pub pod: usize,
    /// The ask.
    pub tag: String,
    /// The virtual key, `namespace/name`.
    pub key: String,
    /// What was billed.
    pub cost: i64,
    /// The bill is an upper bound.
    pub estimated: bool,
    /// Calls to vendors.
    pub attempts: u64,
    /// End of the call by the pod's clock, Unix milliseconds.
    pub time: i64,
    /// How long it took, microseconds.
    pub took: u64,
}

/// A pod's sudden end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Kill {
    /// Which.
    pub pod: usize,
    /// Not before.
    pub from: u64,
    /// Not after.
    pub to: u64,
    /// It came back on the same data folder.
    pub back: bool,
}

/// Something that happened within a stretch of time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Not before.
    pub from: u64,
    /// Not after.
    pub to: u64,
}

/// The lender's books as they changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// What changed together, in order. The last state is what the books say now.
    pub frames: Vec<Vec<Entry>>,
}

/// One change of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The limit of an account.
    Limit {
        /// Which.
        #[serde(with = "hex")]
        account: u128,
        /// Its limit from here on.
        limit: i64,
    },
    /// A row, as it stands from here on.
    Row(Row),
    /// Rows of a window that became a sum; the rows themselves are gone.
    Sum {
        /// Which account.
        #[serde(with = "hex")]
        account: u128,
        /// Which window.
        window: Window,
        /// What they had spent.
        spent: i64,
        /// What they took along.
        forfeited: i64,
        /// What of the spent was beyond reservations.
        overrun: i64,
    },
}

/// A stretch of time, Unix milliseconds, its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// First millisecond.
    pub start: i64,
    /// First one after it.
    pub end: i64,
}

/// What the lender knows of one process in one window of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Account.
    #[serde(with = "hex")]
    pub account: u128,
    /// Window.
    pub window: Window,
    /// Process: a number drawn at its start.
    #[serde(with = "hex")]
    pub incarnation: u128,
    /// Ever lent to it.
    pub granted: i64,
    /// Ever spent by it, out of reservations.
    pub spent: i64,
    /// Ever given back by it.
    pub returned: i64,
    /// Ever spent beyond reservations.
    pub overrun: i64,
    /// It will spend no more: what it still holds is lost to the window.
    pub closed: bool,
    /// Of that, what an administrator made free again.
    pub written_off: i64,
}

/// A record of a spend file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Account.
    #[serde(with = "hex")]
    pub account: u128,
    /// Window.
    pub window: Window,
    /// Process.
    #[serde(with = "hex")]
    pub incarnation: u128,
    /// As in [`Row`].
    pub granted: i64,
    /// As in [`Row`].
    pub spent: i64,
    /// As in [`Row`].
    pub returned: i64,
    /// As in [`Row`].
    pub overrun: i64,
    /// Held by calls in flight when it was written.
    pub reserved: i64,
    /// Its pod was killed and never came back.
    #[serde(default)]
    pub gone: bool,
}

/// What a pod said of an account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// Which pod.
    pub pod: usize,
    /// When it was asked.
    pub at: u64,
    /// Nothing was in flight any more.
    pub at_rest: bool,
    /// Limit: names the account.
    pub limit: i64,
    /// Spent by all pods, as far as this one knows.
    pub spent: i64,
    /// Held by calls in flight on this pod.
    pub reserved: i64,
    /// Lost with processes.
    pub unattributed: i64,
}

/// 128 bits as text: JSON's numbers are too small for them.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{id:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
