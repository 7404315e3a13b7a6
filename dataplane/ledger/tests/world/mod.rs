//! Pods, one lender and a bad network, in simulated time. A run is a function of its seed.
#![allow(dead_code)] // each test binary uses a part

mod calls;
mod dice;
mod network;
mod pods;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

use smartflow_ledger::{
    AccountId, AccountSpec, Incarnation, Now, Period, PodId, Revision, Window,
    book::{Book, Standing},
    message::{Answers, Batch},
};

pub(crate) use self::{calls::Plan, dice::Dice, pods::Pod};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
/// 21 November 2026, noon UTC.
pub(crate) const NOON: i64 = 1_795_262_400_000;

/// What may go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Per cent of messages lost, each way.
    pub(crate) loss: u64,
    /// Per cent of messages that arrive twice, the second up to 0.8 s later.
    pub(crate) twice: u64,
    /// Per cent of messages that take up to 0.3 s.
    pub(crate) slow: u64,
    /// Per cent of calls for which the vendor reports more than was reserved.
    pub(crate) overrun: u64,
    /// Per cent of calls that make a second attempt after an unanswered first.
    pub(crate) legs: u64,
    /// Per cent of calls that take a second slice half way.
    pub(crate) slices: u64,
}

/// What happens, when its time comes.
pub(crate) enum Event {
    Client(usize),
    Tick(usize, u32),
    Poll(usize, u32, u64),
    Middle(usize, u32, u64),
    Settle(usize, u32, u64),
    Arrive(usize, u32, u64, Box<Batch>),
    Answer(usize, u32, u64, Box<Answers>),
    Timeout(usize, u32, u64),
    Recall(usize, u32),
    Do(Box<dyn FnOnce(&mut World)>),
}

struct Timed(u64, u64, Event);

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// What really happened with an account's money in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// Served by the vendor, settled or not.
    pub(crate) served: i64,
    /// Settled by a pod.
    pub(crate) billed: i64,
    /// Reported by the vendor beyond what was reserved.
    pub(crate) beyond: i64,
    /// Reserved by calls in flight when their pod was killed.
    pub(crate) in_flight: i64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) away: u64,
    pub(crate) waited: u64,
    /// Script calls: messages about money, and heartbeats.
    pub(crate) script_calls: u64,
}

pub(crate) struct World {
    pub(crate) time: u64,
    pub(crate) start: i64,
    order: u64,
    events: BinaryHeap<Reverse<Timed>>,
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    pub(crate) book: Book,
    pub(crate) pods: Vec<Pod>,
    pub(crate) plan: Plan,
    /// Names, limits and periods of the accounts; the revision of the configuration.
    pub(crate) accounts: Vec<(&'static str, i64, Period)>,
    pub(crate) revision: u64,
    pub(crate) truth: BTreeMap<(usize, Window), Truth>,
    /// The highest that served money may reach: the limit, or what was used when it was lowered below that.
    pub(crate) caps: HashMap<(AccountId, Window), i64>,
    pub(crate) counts: Counts,
    /// The share of the first account that was served when the first call was refused.
    pub(crate) first_refusal: Option<f64>,
    pub(crate) lender_away: bool,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        pods: usize,
        accounts: &[(&'static str, i64, Period)],
        faults: Faults,
    ) -> Self {
        let mut world = Self {
            time: SECOND,
            start: NOON,
            order: 0,
            events: BinaryHeap::new(),
            dice: Dice(seed | 1),
            faults,
            book: Book::new(1),
            pods: Vec::new(),
            plan: Plan::default(),
            accounts: accounts.to_vec(),
            revision: 1,
            truth: BTreeMap::new(),
            caps: HashMap::new(),
            counts: Counts::default(),
            first_refusal: None,
            lender_away: false,
        };
        for _ in 0..pods {
            world.add_pod();
        }
        world
    }

    /// Starts the clock so that midnight UTC comes `millis` after the start.
    pub(crate) fn before_midnight(&mut self, millis: i64) {
        self.start = NOON + 12 * 3_600_000 - millis - 1_000;
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono: self.time, wall: self.start + i64::try_from(self.time / MS).unwrap() }
    }

    pub(crate) fn at(&mut self, delay: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse(Timed(self.time + delay, self.order, event)));
    }

    pub(crate) fn then(&mut self, delay: u64, what: impl FnOnce(&mut World) + 'static) {
        self.at(delay, Event::Do(Box::new(what)));
    }

    /// Runs until `end` (nanoseconds on the simulated clock).
    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(Reverse(Timed(time, ..))) = self.events.peek() {
            if *time > end {
                break;
            }
            let Some(Reverse(Timed(time, _, event))) = self.events.pop() else { break };
            self.time = time;
            self.happen(event);
        }
        self.time = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Client(client) => self.client(client),
            Event::Tick(pod, life) => self.tick(pod, life),
            Event::Poll(pod, life, call) => self.poll(pod, life, call),
            Event::Middle(pod, life, call) => self.middle(pod, life, call),
            Event::Settle(pod, life, call) => self.settle(pod, life, call),
            Event::Arrive(pod, life, number, batch) => self.arrive(pod, life, number, *batch),
            Event::Answer(pod, life, number, answers) => self.answer(pod, life, number, *answers),
            Event::Timeout(pod, life, number) => self.timeout(pod, life, number),
            Event::Recall(pod, life) => self.recall(pod, life),
            Event::Do(what) => what(self),
        }
    }

    pub(crate) fn spec(&self, at: usize) -> AccountSpec<'static> {
        let (name, limit, period) = self.accounts[at];
        let revision = Revision { epoch: 1, number: self.revision };
        AccountSpec { namespace: "default", name, budget: "budget", period, timezone: "UTC", limit, revision }
    }

    pub(crate) fn id(&self, at: usize) -> AccountId {
        self.spec(at).id("world")
    }

    pub(crate) fn standing(&self, at: usize) -> Vec<Standing> {
        self.book.standing(self.id(at))
    }

    /// The lender carries out a batch; caps follow the limits that it learns.
    pub(crate) fn lend(&mut self, batch: &Batch) -> Answers {
        let mut before = HashMap::new();
        for ask in &batch.money {
            for s in self.book.standing(ask.account) {
                before.insert((ask.account, s.window), (s.limit, s.spent + s.leased + s.forfeited));
            }
        }
        self.counts.script_calls += 1.max(batch.money.len() as u64);
        let answers = self.book.exchange(self.now(), batch);
        for ask in &batch.money {
            for s in self.book.standing(ask.account) {
                let key = (ask.account, s.window);
                let cap = self.caps.entry(key).or_insert(s.limit);
                match before.get(&key) {
                    Some((limit, used)) if s.limit < *limit => *cap = (*used).max(s.limit),
                    _ => *cap = (*cap).max(s.limit),
                }
            }
        }
        self.book.check().unwrap();
        answers
    }

    /// The operator: closes what a pod that is gone from the API held.
    pub(crate) fn close_gone(&mut self, pod: PodId) {
        for at in 0..self.accounts.len() {
            for s in self.standing(at) {
                for row in s.rows.iter().filter(|row| row.pod == pod) {
                    let ask = smartflow_ledger::message::MoneyAsk {
                        account: self.id(at),
                        window: s.window,
                        incarnation: row.incarnation,
                        pod: row.pod,
                        number: 0,
                        totals: row.totals,
                        reservation: 0,
                        lend: None,
                        limit: None,
                        close: true,
                        closed_total: 0,
                        counted: false,
                    };
                    let batch = Batch {
                        incarnation: Incarnation(0),
                        pod: row.pod,
                        recalls_after: 0,
                        money: vec![ask],
                        rates: Vec::new(),
                    };
                    self.lend(&batch);
                }
            }
        }
    }
}
