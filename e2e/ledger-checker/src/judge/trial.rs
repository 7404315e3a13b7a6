//! What the rules share: the evidence, put in order, and what was found.

use super::books::{Books, Page};
use crate::evidence::{Account, Ask, Evidence, Kill, Leg, Line, Window};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// How long a usage line may take from the end of its call to the pod's file, microseconds: lines of a killed pod that
/// were on their way are gone.
pub(super) const LINE_LAG: u64 = 2_000_000;

/// A rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Every call is recorded, once, as its caller and its vendor saw it.
    Recorded,
    /// With usage reported: billed is what was served.
    Exact,
    /// Without: billed is between what was received and what was reserved.
    Estimate,
    /// What the lender calls spent is what was billed, window by window.
    Sum,
    /// What was served is billed, or was lost with a process.
    Served,
    /// Spent, lent and lost are never above the limit.
    Cap,
    /// Nothing is spent beyond reservations.
    Overrun,
    /// At the end nothing is held, and nothing is lost but what was in flight on a pod that was killed.
    Rest,
    /// What a process wrote down for its successor is what the lender knows.
    File,
    /// What pods say of an account is what the lender knows; it never falls within a window.
    Statement,
    /// Nearly all of a budget can be used, or of a rate.
    Usable,
    /// Not more calls in any minute than the limit.
    Pace,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// What a run proved, in numbers: a run of three calls proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls.
    pub asks: usize,
    /// Lines with usage that the vendor reported, and a cost.
    pub exact: usize,
    /// Lines with an estimate.
    pub estimated: usize,
    /// Calls without a line, lost with their pod.
    pub lost: usize,
    /// Over all accounts and windows, nano-USD.
    pub spent: i64,
    /// The same: lost with processes.
    pub forfeited: i64,
    /// What vendors served, nano-USD.
    pub served: i64,
    /// Least part of a budget that was used, in thousandths, where all was to be used up.
    pub used: Option<i64>,
}

/// The judgement.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Broken rules; none when all is well.
    pub violations: Vec<Violation>,
    /// What it rests on.
    pub summary: Summary,
}

/// The evidence, put in order.
pub(super) struct Trial<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) asks: HashMap<&'a str, &'a Ask>,
    pub(super) lines: HashMap<&'a str, &'a Line>,
    pub(super) legs: HashMap<&'a str, Vec<&'a Leg>>,
    /// The books as they stand at the end.
    pub(super) books: Books,
    /// Processes of pods that were killed and never came back.
    gone: HashSet<u128>,
    pub(super) summary: Summary,
    found: Vec<Violation>,
}

impl<'a> Trial<'a> {
    pub(super) fn open(evidence: &'a Evidence) -> Self {
        let mut legs: HashMap<&str, Vec<&Leg>> = HashMap::new();
        for leg in &evidence.legs {
            legs.entry(&leg.tag).or_default().push(leg);
        }
        let mut books = Books::default();
        if let Some(history) = evidence.books.last() {
            history.frames.iter().for_each(|frame| books.turn(frame));
        }
        Self {
            evidence,
            asks: evidence.asks.iter().map(|ask| (&*ask.tag, ask)).collect(),
            lines: evidence.lines.iter().map(|line| (&*line.tag, line)).collect(),
            legs,
            books,
            gone: evidence.spent.iter().filter(|file| file.gone).map(|file| file.incarnation).collect(),
            summary: Summary {
                asks: evidence.asks.len(),
                served: evidence.legs.iter().map(|leg| leg.served).sum(),
                ..Summary::default()
            },
            found: Vec::new(),
        }
    }

    pub(super) fn legs(&self, tag: &str) -> &[&'a Leg] {
        self.legs.get(tag).map_or(&[], Vec::as_slice)
    }

    /// Calls that are recorded nowhere because their pod was killed while, or right after, it served them.
    pub(super) fn lost(&self) -> impl Iterator<Item = &'a Ask> + '_ {
        self.evidence.asks.iter().filter(|ask| !self.lines.contains_key(&*ask.tag) && self.may_be_lost(ask))
    }

    /// Its pod was killed while it ran, or before its line was written.
    pub(super) fn may_be_lost(&self, ask: &Ask) -> bool {
        self.evidence.kills.iter().any(|kill| meets(ask, kill, LINE_LAG))
    }

    /// What a page holds for processes that never come back: nobody closes them, where there is no operator.
    pub(super) fn stranded(&self, page: &Page) -> i64 {
        page.stranded(|incarnation| self.gone.contains(&incarnation))
    }

    pub(super) fn find(&mut self, rule: Rule, what: String) {
        self.found.push(Violation { rule, what });
    }

    /// Windows of an account that the lender's books have.
    pub(super) fn windows(&self, account: &Account) -> Vec<Window> {
        self.books.pages.keys().filter(|(id, _)| *id == account.id).map(|(_, window)| *window).collect()
    }

    pub(super) fn close(mut self) -> Verdict {
        self.summary.lost = self.lost().count();
        Verdict { violations: self.found, summary: self.summary }
    }
}

/// The kill fell into the call, or so many microseconds after its caller saw it end.
pub(super) fn meets(ask: &Ask, kill: &Kill, after: u64) -> bool {
    kill.pod == ask.pod && ask.began <= kill.to && ask.ended.saturating_add(after) >= kill.from
}

/// Amounts by window.
pub(super) type ByWindow = BTreeMap<Window, i64>;
