//! How a simulated fleet is set up, and what was seen of it.

use std::collections::HashMap;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MILLI: u64 = 1_000_000;

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
    pub(crate) fn exponential(&mut self, mean: f64) -> u64 {
        let unit = (self.roll() >> 11) as f64 / (1_u64 << 53) as f64;
        (-(1.0 - unit).ln() * mean) as u64
    }
}

/// How the fleet is set up and what goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) pods: usize,
    pub(crate) requests: Option<u32>,
    pub(crate) tokens: Option<u32>,
    pub(crate) parallel: Option<u32>,
    /// Calls per second over all pods, in thousandths; 0 = only calls that the test places.
    pub(crate) calls_milli: u64,
    /// Five times the load for 2 s of every 10 s, most of it on one pod.
    pub(crate) bursts: bool,
    pub(crate) round_trip: u64,
    /// Clocks of pods run up to this fast or slow, in parts per million.
    pub(crate) drift_ppm: u64,
    pub(crate) loss_percent: u64,
    pub(crate) double_percent: u64,
    /// Messages of which a second copy arrives up to 70 s later.
    pub(crate) late_percent: u64,
    pub(crate) estimate: (u64, u64),
    /// Actual use in percent of the estimate.
    pub(crate) actual_percent: (u64, u64),
    pub(crate) call_millis: (u64, u64),
    pub(crate) seconds: u64,
    /// The lender is restarted from its journal at this second, after 200 ms of silence.
    pub(crate) restart_at: Option<u64>,
    /// The lender loses everything at this second.
    pub(crate) lost_at: Option<u64>,
    /// Pods below this index cannot reach the lender from this second on.
    pub(crate) cut: Option<(usize, u64)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            pods: 3,
            requests: None,
            tokens: None,
            parallel: None,
            calls_milli: 0,
            bursts: false,
            round_trip: MILLI,
            drift_ppm: 20_000,
            loss_percent: 0,
            double_percent: 0,
            late_percent: 0,
            estimate: (0, 0),
            actual_percent: (100, 100),
            call_millis: (10, 3000),
            seconds: 200,
            restart_at: None,
            lost_at: None,
            cut: None,
        }
    }
}

/// What was seen. Slots are the lender's.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) offered: u64,
    pub(crate) admitted: u64,
    pub(crate) waited: u64,
    pub(crate) lender_calls: u64,
    pub(crate) refused: HashMap<&'static str, u64>,
    /// Requests admitted by slot.
    pub(crate) by_slot: Vec<u64>,
    /// Slots in which a pod admitted from a local window.
    pub(crate) local: Vec<bool>,
    /// Tokens by slot: estimates of calls in flight, actuals of settled ones, excess where it was settled.
    pub(crate) tokens: Vec<u64>,
    /// The most tokens in 60 slots at any admission from lent units.
    pub(crate) most_tokens: u64,
    /// The most calls in flight at any admission from lent permits.
    pub(crate) most_parallel: u64,
    pub(crate) longest_wait: u64,
}

impl Seen {
    /// The most requests in any 60 consecutive slots, without and with those in which a pod was on its own.
    pub(crate) fn most_requests(&self) -> (u64, u64) {
        let windows = self.by_slot.windows(60).zip(self.local.windows(60));
        windows.fold((0, 0), |most, (slots, local)| {
            let sum: u64 = slots.iter().sum();
            if local.contains(&true) { (most.0, sum.max(most.1)) } else { (sum.max(most.0), most.1) }
        })
    }

    /// Share of `limit` per 60 slots that was admitted over `slots`, which is rounded down to whole windows of 61.
    pub(crate) fn usable(&self, limit: u64, from: usize, slots: usize) -> f64 {
        let slots = slots / 61 * 61;
        let sum: u64 = self.by_slot[from..from + slots].iter().sum();
        sum as f64 * 60.0 / slots as f64 / limit as f64
    }
}
