//! A simulated fleet: one lender, pods with drifting clocks, and a network that loses, doubles and delays. Time is a
//! number; everything follows from the seed.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    num::NonZeroU32,
};

use crate::setup::{Dice, MILLI, SECOND, Seen, Setup};
use smartflow_ledger::{
    AccountId, Incarnation, Now, PodId, Revision,
    rate::{
        Admission, RateAnswer, RateAsk, RateBook, RateDesk, RateLimits, RateRecord, RateTicket, Rates, Which,
    },
};

const ACCOUNT: AccountId = AccountId(7);
const GENERATION: u64 = 1;

enum Event {
    Generate,
    Call { pod: usize },
    Again { pod: usize, call: Waiting },
    ToLender { pod: usize, ask: RateAsk },
    ToPod { pod: usize, answer: RateAnswer },
    Tend { pod: usize },
    Finish { pod: usize, id: u64 },
    Restart,
    Reopen { records: Vec<RateRecord>, wall: i64, slot: u64 },
    Lose,
}

#[derive(Clone, Copy)]
struct Waiting {
    since: u64,
    estimate: u64,
}

struct Pod {
    desk: RateDesk,
    rates: Rates,
    rate_ppm: u64,
    offset: u64,
    calls: HashMap<u64, Call>,
}

struct Call {
    ticket: RateTicket,
    slot: usize,
    estimate: u64,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) seen: Seen,
    dice: Dice,
    time: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64, u64)>>,
    events: HashMap<u64, Event>,
    lender: RateBook,
    lender_down_until: u64,
    /// Slot number and moment from which the lender counts.
    slots: (u64, u64),
    pods: Vec<Pod>,
    ids: u64,
    phase: u64,
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut dice = Dice(setup.seed);
        let limit = |limit: Option<u32>| limit.and_then(NonZeroU32::new);
        let limits = RateLimits {
            requests: limit(setup.requests),
            tokens: limit(setup.tokens),
            parallel: limit(setup.parallel),
        };
        let pods = (0..setup.pods)
            .map(|index| {
                let desk = RateDesk::remote(Incarnation(index as u128 + 1), PodId(index as u128 + 1));
                let rates = desk.account(ACCOUNT, limits, Revision::default());
                let rate_ppm = 1_000_000 + dice.below(2 * setup.drift_ppm + 1) - setup.drift_ppm;
                Pod { desk, rates, rate_ppm, offset: dice.below(1000 * SECOND), calls: HashMap::new() }
            })
            .collect();
        let lender = RateBook::new(GENERATION, Now { mono: 0, wall: 0 }, false);
        let mut world = Self {
            seen: Seen::default(),
            dice,
            time: 0,
            order: 0,
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            lender,
            lender_down_until: 0,
            slots: (0, 0),
            pods,
            ids: 0,
            phase: 0,
            setup,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let slots = self.setup.seconds as usize + 2;
        self.seen.by_slot = vec![0; slots];
        self.seen.local = vec![false; slots];
        self.seen.tokens = vec![0; slots];
        if self.setup.calls_milli > 0 {
            self.at(SECOND / 2, Event::Generate);
        }
        for pod in 0..self.setup.pods {
            self.at(self.dice.clone().below(50 * MILLI), Event::Tend { pod });
        }
        if let Some(second) = self.setup.restart_at {
            self.at(second * SECOND + SECOND / 3, Event::Restart);
        }
        if let Some(second) = self.setup.lost_at {
            self.at(second * SECOND + SECOND / 3, Event::Lose);
        }
    }

    /// Places a call.
    pub(crate) fn call_at(&mut self, time: u64, pod: usize) {
        self.at(time, Event::Call { pod });
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((time, self.order, self.order)));
        self.events.insert(self.order, event);
    }

    pub(crate) fn run(mut self) -> Seen {
        let end = self.setup.seconds * SECOND;
        while let Some(Reverse((time, _, id))) = self.queue.pop() {
            if time >= end {
                break;
            }
            self.time = time;
            if let Some(event) = self.events.remove(&id) {
                self.happen(event);
            }
        }
        self.seen
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Generate => self.generate(),
            Event::Call { pod } => {
                self.seen.offered += 1;
                let (low, high) = self.setup.estimate;
                let call = Waiting { since: self.time, estimate: self.dice.between(low, high) };
                self.attempt(pod, call);
            }
            Event::Again { pod, call } => self.attempt(pod, call),
            Event::ToLender { pod, ask } => self.lend(pod, &ask),
            Event::ToPod { pod, answer } => {
                let now = self.pod_clock(pod);
                self.pods[pod].desk.incoming(now, &answer);
                self.post(pod);
            }
            Event::Tend { pod } => {
                let now = self.pod_clock(pod);
                self.pods[pod].desk.tend(now);
                if !self.is_lost(pod) && self.time >= self.lender_down_until {
                    // Every pod's batches are heard, whatever is in them.
                    self.lender.hear(self.lender_clock(), Incarnation(pod as u128 + 1));
                }
                self.post(pod);
                self.at(self.time + 50 * MILLI, Event::Tend { pod });
            }
            Event::Finish { pod, id } => self.finish(pod, id),
            Event::Restart => self.restart(),
            Event::Reopen { records, wall, slot } => {
                self.slots = (slot, self.time);
                let records = records.into_iter().map(|record| (wall, record));
                self.lender = RateBook::reopened(GENERATION, self.lender_clock(), records);
            }
            Event::Lose => {
                self.slots = (self.slot() as u64 + 1, self.time);
                self.lender = RateBook::new(GENERATION + 1, Now { mono: 5, wall: 0 }, true);
            }
        }
    }

    fn restart(&mut self) {
        let now = self.lender_clock();
        let records = self.lender.records(now);
        let slot = self.slot() as u64;
        // Till it is back, the slot stands still.
        self.slots = (slot, self.time + SECOND / 5);
        self.lender_down_until = self.slots.1;
        self.at(self.slots.1, Event::Reopen { records, wall: now.wall, slot });
    }

    fn generate(&mut self) {
        let mean = 1e12 / self.setup.calls_milli as f64;
        let mean = if self.setup.bursts { mean / 5.0 } else { mean };
        let next = self.dice.exponential(mean);
        self.at(self.time + next, Event::Generate);
        let mut pod = self.dice.below(self.setup.pods as u64) as usize;
        if self.setup.bursts {
            self.phase = self.time / (2 * SECOND);
            if !self.phase.is_multiple_of(5) && !self.dice.percent(1) {
                return;
            }
            if self.dice.percent(80) {
                pod = (self.phase / 5) as usize % self.setup.pods;
            }
        }
        self.happen(Event::Call { pod });
    }

    fn attempt(&mut self, pod: usize, call: Waiting) {
        let now = self.pod_clock(pod);
        let slot = self.slot();
        let admission = self.pods[pod].rates.try_admit(now, call.estimate);
        match admission {
            Admission::Admitted(ticket) => self.admitted(pod, slot, call, ticket),
            Admission::Wait { poll } => {
                if call.since == self.time {
                    self.seen.waited += 1;
                }
                // The gateway wakes its waiting calls by an answer; a round trip stands for that here.
                let poll = poll.min(self.setup.round_trip + MILLI);
                self.at(self.time + poll, Event::Again { pod, call });
            }
            Admission::Refused(refusal) => {
                let which = match refusal.which {
                    Which::Requests => "requests",
                    Which::Tokens => "tokens",
                    Which::Parallel => "parallel",
                };
                *self.seen.refused.entry(which).or_default() += 1;
            }
            Admission::TooLarge { .. } => *self.seen.refused.entry("too large").or_default() += 1,
        }
        self.post(pod);
    }

    fn admitted(&mut self, pod: usize, slot: usize, call: Waiting, ticket: RateTicket) {
        let seen = &mut self.seen;
        seen.admitted += 1;
        seen.longest_wait = seen.longest_wait.max(self.time - call.since);
        seen.by_slot[slot] += 1;
        seen.tokens[slot] += call.estimate;
        let local = self.pods[pod].rates.is_local(now_of(&self.pods[pod], self.time));
        seen.local[slot] |= local;
        if !local {
            let window = &seen.tokens[slot.saturating_sub(59)..=slot];
            seen.most_tokens = seen.most_tokens.max(window.iter().sum());
            let in_flight: usize = self.pods.iter().map(|pod| pod.calls.len()).sum();
            seen.most_parallel = seen.most_parallel.max(in_flight as u64 + 1);
        }
        self.ids += 1;
        self.pods[pod].calls.insert(self.ids, Call { ticket, slot, estimate: call.estimate });
        let (low, high) = self.setup.call_millis;
        let ends = self.time + self.dice.between(low, high) * MILLI;
        self.at(ends, Event::Finish { pod, id: self.ids });
    }

    fn finish(&mut self, pod: usize, id: u64) {
        let Some(call) = self.pods[pod].calls.remove(&id) else { return };
        let (low, high) = self.setup.actual_percent;
        let actual = call.estimate * self.dice.between(low, high) / 100;
        let slot = self.slot();
        if actual <= call.estimate {
            self.seen.tokens[call.slot] -= call.estimate - actual;
        } else {
            self.seen.tokens[slot] += actual - call.estimate;
        }
        call.ticket.settle(self.pod_clock(pod), actual);
        self.post(pod);
    }

    /// Sends what the pod has to say, through the network.
    fn post(&mut self, pod: usize) {
        for ask in self.pods[pod].desk.outgoing() {
            if self.dice.percent(self.setup.late_percent) {
                let late = self.time + self.dice.below(70 * SECOND);
                self.at(late, Event::ToLender { pod, ask: ask.clone() });
            }
            if self.dice.percent(self.setup.double_percent) {
                let again = self.time + self.trip();
                self.at(again, Event::ToLender { pod, ask: ask.clone() });
            }
            if !self.is_lost(pod) {
                let arrives = self.time + self.trip();
                self.at(arrives, Event::ToLender { pod, ask });
            }
        }
    }

    fn lend(&mut self, pod: usize, ask: &RateAsk) {
        if self.time < self.lender_down_until {
            return;
        }
        self.seen.lender_calls += 1;
        let (answer, _) = self.lender.handle(self.lender_clock(), ask);
        if self.dice.percent(self.setup.late_percent) {
            let late = self.time + self.dice.below(70 * SECOND);
            self.at(late, Event::ToPod { pod, answer });
        }
        if !self.is_lost(pod) {
            let arrives = self.time + self.trip();
            self.at(arrives, Event::ToPod { pod, answer });
        }
    }

    fn is_lost(&mut self, pod: usize) -> bool {
        let cut = self.setup.cut.is_some_and(|(pods, from)| pod < pods && self.time >= from * SECOND);
        cut || self.dice.percent(self.setup.loss_percent)
    }

    fn trip(&mut self) -> u64 {
        let half = self.setup.round_trip / 2;
        self.dice.between(half / 5, half * 9 / 5)
    }

    fn slot(&self) -> usize {
        (self.slots.0 + self.time.saturating_sub(self.slots.1) / SECOND) as usize
    }

    fn lender_clock(&self) -> Now {
        let mono = if self.slots.1 == 0 { self.time } else { 17 + self.time - self.slots.1 };
        Now { mono, wall: (self.time / MILLI) as i64 }
    }

    fn pod_clock(&self, pod: usize) -> Now {
        now_of(&self.pods[pod], self.time)
    }
}

fn now_of(pod: &Pod, time: u64) -> Now {
    let mono = pod.offset + (u128::from(time) * u128::from(pod.rate_ppm) / 1_000_000) as u64;
    Now { mono, wall: 0 }
}
