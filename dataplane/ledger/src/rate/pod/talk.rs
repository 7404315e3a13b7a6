//! What a pod says to the lender, and what it makes of the answers.

use super::{
    super::{
        message::{RateAnswer, RateAsk, UnitsAsk},
        pace::Pace,
        ring::SLOT_NANOS,
        rows::Pair,
    },
    Names, PodRates, Refused, Sent, Waiting,
};

/// A message not answered for this long is given up and another one sent, nanoseconds.
const PATIENCE: u64 = SLOT_NANOS / 10;
/// So many in a row mean that the lender is away; together the 300 ms for which L8 lets a call wait.
const MISSES: u32 = 3;
/// How long before the end of a slot the next one is asked for.
const AHEAD: u64 = SLOT_NANOS / 10 * 3;
/// How often a pod that holds something speaks, and how often it tries a lender that is away.
const HEARTBEAT: u64 = SLOT_NANOS;
impl PodRates {
    /// The lender was away and should be tried again.
    pub(in crate::rate) fn retries(&self, now: u64) -> bool {
        self.is_away() && self.sent.is_none() && now >= self.spoke.saturating_add(HEARTBEAT)
    }

    /// A message is under way and still in time.
    pub(in crate::rate) fn is_asking(&mut self, now: u64) -> bool {
        if self.sent.is_some_and(|sent| now >= sent.at + PATIENCE) {
            self.given_up(1);
        }
        self.sent.is_some()
    }

    /// The lender says that it cannot answer: local windows until it does.
    pub(in crate::rate) fn unanswered(&mut self) {
        self.given_up(MISSES);
    }

    fn given_up(&mut self, misses: u32) {
        self.sent = None;
        self.misses = self.misses.saturating_add(misses);
        self.rows.sent(false);
    }

    pub(super) fn is_away(&self) -> bool {
        self.misses >= MISSES
    }

    /// Whether the next slot should be asked for now.
    pub(in crate::rate) fn wants_next(&mut self, now: u64) -> bool {
        let quiet = self.sent.is_none() && self.waiting.calls == 0 && !self.is_local(now);
        quiet && self.leases.wants_next(now, AHEAD)
    }

    /// Whether a remote lender must be told something although no call asks for it: units that were not used, the
    /// permits' heartbeat, a sign of life to one that was away.
    pub(in crate::rate) fn is_due(&mut self, now: u64) -> bool {
        self.turn(now);
        self.rows.forget(now);
        if self.is_asking(now) {
            return false;
        }
        let beat = now >= self.spoke.saturating_add(HEARTBEAT);
        if self.is_away() {
            return beat;
        }
        let news = self.rows.has_news() || self.permits.owes();
        news || self.waiting.calls > 0 || (beat && self.holds_permits())
    }

    /// Whether a lender in this process must be told although no call asks for it: what was used and not lent would be
    /// forgotten by a kill.
    pub(in crate::rate) fn owes_over(&self) -> bool {
        !self.is_away() && self.sent.is_none() && self.rows.has_untold_over()
    }

    /// Nothing is held, in flight, remembered or to be said: the state may be dropped. A lender in this process frees
    /// permits itself, long before the minute is over.
    pub(in crate::rate) fn is_idle(&mut self, now: u64, remote: bool) -> bool {
        self.turn(now);
        self.rows.forget(now);
        let silent = !remote || (self.sent.is_none() && !self.holds_permits());
        silent
            && self.in_flight == 0
            && self.rows.is_empty()
            && self.leases.is_empty()
            && now >= self.local_until
    }

    fn holds_permits(&self) -> bool {
        self.limits.parallel.is_some() && self.permits.is_held()
    }

    /// The next message.
    pub(in crate::rate) fn ask(&mut self, now: u64, ahead: bool, names: Names) -> RateAsk {
        self.turn(now);
        self.rows.forget(now);
        let waiting = if ahead { Waiting::default() } else { std::mem::take(&mut self.waiting) };
        let (requests, tokens) = self.units(now, ahead, waiting);
        let permits = self.permits.ask(now, if self.limits.parallel.is_some() { waiting.calls } else { 0 });
        self.spoke = now;
        let least = Pair { requests: requests.least, tokens: tokens.least };
        self.sent = Some(Sent { number: names.number, at: now, ahead, least, permits: permits.need });
        RateAsk {
            account: names.account,
            incarnation: names.incarnation,
            number: names.number,
            generation: self.generation,
            limits: self.limits,
            revision: names.revision,
            ahead,
            answered: self.answered,
            requests,
            tokens,
            permits,
            slots: self.rows.send(),
        }
    }

    fn units(&mut self, now: u64, ahead: bool, waiting: Waiting) -> (UnitsAsk, UnitsAsk) {
        let held = self.leases.units();
        let left = if ahead { SLOT_NANOS } else { self.leases.slot_at(now).1 };
        // What this slot took so far doubles the next wish, so a burst asks a few times only.
        let so_far = match self.leases.current() {
            Some(lease) if !ahead => self.rows.lent_so_far(lease.row),
            _ => Pair::default(),
        };
        let wish = |pace: &mut Pace, least: u32, need: u32, so_far: u32| match need {
            0 if !ahead => UnitsAsk::default(),
            _ => UnitsAsk { least, need, want: need.max(so_far).max(pace.expected(now, left)) },
        };
        let mut requests = UnitsAsk::default();
        if self.limits.requests.is_some() {
            let need = waiting.calls.saturating_sub(held.requests);
            requests = wish(&mut self.pace.0, need.min(1), need, so_far.requests);
        }
        let mut tokens = UnitsAsk::default();
        if self.limits.tokens.is_some() {
            let need = waiting.tokens.saturating_sub(held.tokens);
            let least = waiting.first_tokens.saturating_sub(held.tokens);
            tokens = wish(&mut self.pace.1, least, need, so_far.tokens);
        }
        (requests, tokens)
    }

    /// Pods that share the limits when the lender is away.
    pub(in crate::rate) fn fleet(&self) -> u32 {
        self.fleet
    }

    /// Takes an answer in. Late, doubled and foreign ones change nothing.
    pub(in crate::rate) fn answer(&mut self, now: u64, answer: &RateAnswer) {
        if answer.generation < self.generation {
            return;
        }
        if answer.generation > self.generation {
            if self.generation != 0 {
                self.leases.lost(&mut self.rows);
                self.rows.lost();
                self.permits.lost();
            }
            self.generation = answer.generation;
        }
        let Some(sent) = self.sent.take_if(|sent| sent.number == answer.number && !answer.repeated) else {
            return;
        };
        self.answered = sent.number;
        self.misses = 0;
        // A lender that lost its ring knows few pods.
        self.fleet = if answer.local_for > 0 { self.fleet.max(answer.fleet) } else { answer.fleet };
        self.local_until = now.saturating_add(answer.local_for);
        self.rows.sent(true);
        self.leases.install(now, sent.at, sent.ahead, answer, &mut self.rows);
        self.turn(now);
        self.permits.answered(now, sent.at, sent.permits, answer.permits, answer.tight);
        self.free = Pair { requests: answer.requests.free, tokens: answer.tokens.free };
        self.reset_at = (now + answer.requests.reset, now + answer.tokens.reset);
        let refused = |least: u32, granted: u32, wait: u64| {
            let room = now.saturating_add(wait);
            // Other pods may return what they did not use when the slot ends.
            let until = if answer.pods > 1 { room.min(now.saturating_add(answer.left)) } else { room };
            if granted < least { Refused { least, until, room } } else { Refused::default() }
        };
        self.refused.0 = refused(sent.least.requests, answer.requests.granted, answer.requests.wait);
        self.refused.1 = refused(sent.least.tokens, answer.tokens.granted, answer.tokens.wait);
    }
}
