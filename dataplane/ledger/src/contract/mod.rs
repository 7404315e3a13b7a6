//! The contract of a lender, rule by rule: run it against any [`Lender`]. It talks to the lender only through the trait,
//! places its windows around the lender's own clock, and never advances time, so that it also fits a lender in another
//! process. Rates have a suite of their own, [`crate::rate::contract`], because their rules need time to pass.

mod closing;
mod durable;
mod lending;
mod limits;
mod talk;
mod windows;

use std::{fmt, future::Future, pin::pin, sync::Arc, task};

use self::talk::Talk;
use crate::lender::Lender;

/// A lender under test, empty, and how to kill and reopen it.
pub struct Rig {
    /// The lender.
    pub lender: Box<dyn Lender>,
    /// Its wall clock, unix milliseconds (a second more or less does not matter).
    pub wall: i64,
    /// Ends the lender as kill -9 would and opens it again on what it left; none for one that keeps nothing.
    pub restart: Option<Restart>,
}

/// See [`Rig::restart`].
pub type Restart = Box<dyn Fn(Box<dyn Lender>) -> Box<dyn Lender>>;

/// A rule that the lender breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Rule and what it says, e.g. `L5 a retry lends once`.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.seen)
    }
}

type Check = fn(&mut Talk) -> Result<(), String>;

/// Every rule of the suite.
const RULES: &[(&str, Check)] = &[
    ("L2 a purged account is forgotten, others are not", limits::purge),
    ("L3 an ended window takes reports and lends nothing", windows::ended),
    ("L3 reports to a window that ended 48 h ago are not taken", windows::too_late),
    ("L3 the next window is lent from a minute ahead, not earlier", windows::ahead),
    ("L3 a stored window holds until its end", windows::overlapping),
    ("L3 an ended window stands in nobody's way", windows::overlapping_ended),
    ("L3 windows do not share money", windows::separate),
    ("L4 the newest limit holds", limits::newest),
    ("L4 a lowered limit lends nothing until enough is free", limits::lowered),
    ("L4 without a limit nothing is lent", limits::unknown),
    ("L5 the maximum of each total is taken", lending::maximum),
    ("L5 a retry lends once", lending::retry),
    ("L5 a message that arrives twice lends once", lending::twice),
    ("L5 a late lend is not carried out", lending::late),
    ("L5 every incarnation has totals of its own", lending::incarnations),
    ("L5 answers come in order and carry the generation", lending::in_order),
    ("L5a a closed incarnation gets no more grants", closing::no_grants),
    ("L5a what a closed incarnation held is forfeited at once", closing::forfeits),
    ("L5a C only grows, and every answer carries it", closing::closed_total),
    ("L5a late spend of a closed incarnation is counted once", closing::late_spend),
    ("L6 never more than the limit is lent", lending::limit),
    ("L6 all of the limit can be lent", lending::usable),
    ("L6 returned money can be lent again", lending::returned),
    ("L6 overruns are paid before anything is lent", lending::overrun),
    ("L7 ample money is lent in the usual size", lending::size),
    ("L7 a tight account lends exactly the need", lending::tight),
    ("L7 all or nothing", lending::all_or_nothing),
    ("L8 a short ask is on the stream, for others", lending::recall),
    ("L10 only a closed incarnation can be written off", closing::write_off),
    ("L12 grants, spend and closings survive a kill", durable::survives),
    ("L12 what survives is what was, message by message", durable::step_by_step),
];

/// Runs every rule on a fresh lender each; the rules that it breaks.
///
/// # Errors
/// One entry per broken rule.
pub fn check(fresh: impl Fn() -> Rig) -> Result<(), Vec<Broken>> {
    let mut broken = Vec::new();
    for (rule, check) in RULES {
        let mut talk = Talk::new(fresh());
        if let Err(seen) = check(&mut talk) {
            broken.push(Broken { rule, seen });
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

struct Unpark(std::thread::Thread);

impl task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = task::Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            task::Poll::Ready(value) => return value,
            task::Poll::Pending => std::thread::park(),
        }
    }
}
