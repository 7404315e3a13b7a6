//! Calls: what they reserve, what the vendor serves, and the books of the truth.

use std::sync::Arc;

use smartflow_ledger::{Account, Extension, Outcome, Reservation, Window};

use super::{Event, MS, SECOND, World, pods::InFlight};

/// What clients do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Sets of accounts that pay; each call draws one.
    pub(crate) payers: Vec<Vec<usize>>,
    /// Reservation, from and to.
    pub(crate) reserve: (i64, i64),
    /// Cost, per cent of the reservation, from and to.
    pub(crate) cost: (i64, i64),
    /// Duration, milliseconds, from and to.
    pub(crate) lasts: (u64, u64),
    /// Pause of a client between calls, milliseconds at most.
    pub(crate) think: u64,
    /// Pause after a refusal, milliseconds.
    pub(crate) pause: u64,
    /// No new calls from this time on.
    pub(crate) until: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            payers: vec![vec![0]],
            reserve: (5, 10),
            cost: (0, 100),
            lasts: (50, 300),
            think: 50,
            pause: 500,
            until: u64::MAX,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) payers: Vec<usize>,
    pub(crate) amount: i64,
    /// What the vendor will report.
    pub(crate) cost: i64,
    /// It waited for money.
    waited: bool,
    /// Extended half way.
    second: bool,
    /// The extension was asked for and is not decided.
    extending: bool,
    /// The window of each payer.
    windows: Vec<Window>,
}

impl World {
    pub(crate) fn clients(&mut self, count: usize) {
        for client in 0..count {
            let delay = self.dice.between(0, 300) * MS;
            self.at(delay, Event::Client(client));
        }
    }

    pub(super) fn client(&mut self, client: usize) {
        if self.time >= self.plan.until {
            return;
        }
        let live: Vec<usize> = (0..self.pods.len()).filter(|at| self.pods[*at].ledger.is_some()).collect();
        if live.is_empty() {
            return self.at(100 * MS, Event::Client(client));
        }
        let pod = live[self.dice.between(0, live.len() as u64 - 1) as usize];
        let plan = self.plan.clone();
        let payers = plan.payers[self.dice.between(0, plan.payers.len() as u64 - 1) as usize].clone();
        let amount = self.dice.money(plan.reserve.0, plan.reserve.1);
        let mut cost = amount * self.dice.money(plan.cost.0, plan.cost.1) / 100;
        if self.dice.percent(self.faults.overrun) {
            cost = amount + self.dice.money(1, 2 * amount);
        }
        self.call(pod, client, payers, amount, cost);
    }

    /// Starts a call on a pod.
    pub(crate) fn call(&mut self, pod: usize, client: usize, payers: Vec<usize>, amount: i64, cost: i64) {
        let now = self.now();
        let call = Call {
            client,
            payers,
            amount,
            cost,
            waited: false,
            second: false,
            extending: false,
            windows: Vec::new(),
        };
        let Some(ledger) = self.pods[pod].ledger.clone() else { return };
        let wishes: Vec<(Arc<Account>, i64)> =
            call.payers.iter().map(|at| (Arc::clone(&self.pods[pod].accounts[*at]), amount)).collect();
        self.order += 1;
        let number = self.order;
        let outcome = ledger.reserve(now, &wishes);
        self.pods[pod].calls.insert(number, InFlight { call, waiting: None, held: None });
        self.decide(pod, number, outcome);
        self.flush(pod);
    }

    pub(crate) fn poll(&mut self, pod: usize, life: u32, number: u64) {
        let now = self.now();
        if self.pods[pod].life != life {
            return;
        }
        let waker = self.pods[pod].waker(number);
        let Some(waiting) = self.pods[pod].calls.get_mut(&number).and_then(|call| call.waiting.take()) else {
            return;
        };
        let outcome = waiting.poll(now, Some(&waker));
        self.decide(pod, number, outcome);
        self.flush(pod);
    }

    fn decide(&mut self, pod: usize, number: u64, outcome: Outcome) {
        let life = self.pods[pod].life;
        match outcome {
            Outcome::Reserved(reservation) => self.go(pod, number, reservation),
            Outcome::Wait(waiting) => {
                let delay = waiting.next_poll().saturating_sub(self.time).max(1);
                let Some(in_flight) = self.pods[pod].calls.get_mut(&number) else { return };
                if !in_flight.call.waited {
                    in_flight.call.waited = true;
                    self.counts.waited += 1;
                    in_flight.waiting = Some(waiting);
                    // Registers the waker.
                    self.poll(pod, life, number);
                } else {
                    in_flight.waiting = Some(waiting);
                    self.at(delay, Event::Poll(pod, life, number));
                }
            }
            Outcome::Refused(_) => self.end_without(pod, number, true),
            Outcome::Away => self.end_without(pod, number, false),
        }
    }

    fn end_without(&mut self, pod: usize, number: u64, refused: bool) {
        let Some(in_flight) = self.pods[pod].calls.get_mut(&number) else { return };
        if in_flight.call.extending {
            // A stream that gets no further slice ends with what it has.
            in_flight.call.extending = false;
            return;
        }
        let Some(in_flight) = self.pods[pod].calls.remove(&number) else { return };
        if refused {
            self.counts.refused += 1;
            if self.first_refusal.is_none() {
                let served: i64 =
                    self.truth.iter().filter(|((at, _), _)| *at == 0).map(|(_, t)| t.served).sum();
                self.first_refusal = Some(served as f64 / self.accounts[0].1 as f64);
            }
        } else {
            self.counts.away += 1;
        }
        let pause = self.plan.pause;
        self.at(pause * MS, Event::Client(in_flight.call.client));
    }

    /// The call has its money: the vendor serves it.
    fn go(&mut self, pod: usize, number: u64, reservation: Reservation) {
        let now = self.now();
        let Some(in_flight) = self.pods[pod].calls.get_mut(&number) else { return };
        if let Some(held) = &mut in_flight.held {
            held.absorb(reservation);
            in_flight.call.extending = false;
            in_flight.call.second = true;
            return;
        }
        in_flight.held = Some(reservation);
        let payers = in_flight.call.payers.clone();
        let ledger = self.pods[pod].ledger.clone().unwrap();
        // All accounts are Daily or Lifetime in UTC: the window follows from the view.
        let windows = payers.iter().map(|at| {
            let end = ledger.view(now, &self.pods[pod].accounts[*at]).resets_at;
            end.map_or(Window::LIFETIME, |end| Window { start: end - 86_400_000, end })
        });
        let windows = windows.collect();
        if let Some(in_flight) = self.pods[pod].calls.get_mut(&number) {
            in_flight.call.windows = windows;
        }
        self.counts.served += 1;
        let lasts = self.dice.between(self.plan.lasts.0, self.plan.lasts.1).max(1) * MS;
        let life = self.pods[pod].life;
        if self.dice.percent(self.faults.slices + self.faults.legs) {
            self.at(lasts / 2, Event::Middle(pod, life, number));
        }
        self.at(lasts, Event::Settle(pod, life, number));
    }

    /// Half way: a second slice, or a second attempt after a first that was sent and never answered.
    pub(super) fn middle(&mut self, pod: usize, life: u32, number: u64) {
        let now = self.now();
        if self.pods[pod].life != life {
            return;
        }
        let leg = self.dice.percent(50) && self.faults.legs > 0;
        let Some(in_flight) = self.pods[pod].calls.get_mut(&number) else { return };
        let (payers, amount, windows) =
            (in_flight.call.payers.clone(), in_flight.call.amount, in_flight.call.windows.clone());
        let Some(held) = &mut in_flight.held else { return };
        if leg {
            // Unknown: the reserved worst case is owed, and the vendor may have served all of it.
            held.charge(now, amount);
            for (payer, window) in payers.iter().zip(&windows) {
                let truth = self.truth.entry((*payer, *window)).or_default();
                (truth.served, truth.billed) = (truth.served + amount, truth.billed + amount);
            }
            // No room: no retry, the call ends with nothing more served.
            in_flight.call.cost = 0;
        }
        in_flight.call.extending = true;
        match held.extend(now, amount) {
            Extension::Done => (in_flight.call.extending, in_flight.call.second) = (false, true),
            Extension::Wait(waiting) => {
                let delay = waiting.next_poll().saturating_sub(self.time).max(1);
                in_flight.waiting = Some(waiting);
                self.at(delay, Event::Poll(pod, life, number));
            }
            Extension::Refused(_) | Extension::Away => in_flight.call.extending = false,
        }
        self.after(pod);
    }

    pub(super) fn settle(&mut self, pod: usize, life: u32, number: u64) {
        let now = self.now();
        if self.pods[pod].life != life {
            return;
        }
        let Some(mut in_flight) = self.pods[pod].calls.remove(&number) else { return };
        drop(in_flight.waiting.take());
        let call = in_flight.call;
        let Some(held) = in_flight.held else { return };
        let reserved = held.reserved(0);
        // A second slice is used like the first.
        let cost = if call.second { call.cost * 2 } else { call.cost };
        let beyond = (cost - reserved).max(0);
        held.settle(now, cost);
        for (payer, window) in call.payers.iter().zip(&call.windows) {
            let truth = self.truth.entry((*payer, *window)).or_default();
            truth.served += cost;
            truth.billed += cost;
            truth.beyond += beyond;
        }
        self.check_caps();
        let think = self.dice.between(0, self.plan.think) * MS;
        self.at(think, Event::Client(call.client));
        self.after(pod);
    }

    /// A pod died with this call in flight: the vendor served it, nobody billed it.
    pub(super) fn served_unbilled(&mut self, in_flight: &InFlight) {
        let Some(held) = &in_flight.held else { return };
        let call = &in_flight.call;
        for (payer, window) in call.payers.iter().zip(&call.windows) {
            let truth = self.truth.entry((*payer, *window)).or_default();
            truth.served += call.cost.min(held.reserved(0));
            truth.in_flight += held.reserved(0);
        }
    }

    /// The cap, at every instant: what vendors served, less what they reported beyond the reservation, fits the limit.
    pub(crate) fn check_caps(&self) {
        for ((at, window), truth) in &self.truth {
            let cap = self.caps.get(&(self.id(*at), *window)).copied().unwrap_or(self.accounts[*at].1);
            assert!(
                truth.served - truth.beyond <= cap,
                "{} of {window:?}: {truth:?} above the cap {cap}",
                self.accounts[*at].0
            );
        }
    }

    /// Ends all calls, lets the pods report, closes them cleanly, and lets the lender learn of it.
    pub(crate) fn wind_down(&mut self) {
        self.plan.until = self.time;
        self.faults.loss = 0;
        self.lender_away = false;
        self.pods.iter_mut().for_each(|pod| pod.cut = false);
        let end = self.time + 6 * SECOND;
        self.run_until(end);
        for _ in 0..40 {
            let done = (0..self.pods.len()).filter(|at| self.close(*at)).count();
            let end = self.time + SECOND / 2;
            self.run_until(end);
            if done == self.pods.len() {
                return;
            }
        }
        panic!("the pods could not close");
    }
}
