//! What a seed stands for, where several pods share a lender in Redis.

use super::dice::Dice;
use super::plan::Stakes;
use std::fmt;
use std::time::Duration;

/// Pods of a fleet.
pub(super) const PODS: usize = 3;
/// At most so many things happen in one run.
const MOST: u64 = 3;

/// The plan of a run with several gateways and Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetPlan {
    /// What it is about.
    pub stakes: Stakes,
    /// The Redis it is played with.
    pub kind: Kind,
    /// What happens in between, in order.
    pub events: Vec<FleetEvent>,
}

/// Which Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server that keeps its data on the disk, behind a network that can fail.
    Kept,
    /// One that keeps nothing, behind the same.
    Fleeting,
    /// A master, two replicas, three Sentinels.
    Watched,
}

/// Something that happens when so many thousandths of the tightest budget are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetEvent {
    /// When.
    pub spent: i64,
    /// What.
    pub trouble: FleetTrouble,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetTrouble {
    /// A pod is killed without warning (`kill -9`) and comes back on the same data folder.
    Kill(usize),
    /// It is told to end (SIGTERM) and comes back.
    Terminate(usize),
    /// It is killed and never comes back.
    Gone(usize),
    /// Its clock is put forward, or back, by so many hours.
    Clock(usize, i64),
    /// Redis is killed and starts again after so long.
    Down(Duration),
    /// Its clock is put forward, or back.
    RedisClock(i64),
    /// `FLUSHALL`.
    Flush,
    /// Redis answers two seconds late, for so long.
    Slow(Duration),
    /// All connections to Redis are cut.
    Cut,
    /// They stay open and nothing passes, for so long.
    HalfOpen(Duration),
    /// The master is killed; a replica takes over.
    Failover,
}

impl FleetPlan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        // Spread, so that seeds that follow each other have nothing in common.
        let mut dice = Dice::new(seed.wrapping_mul(0xA076_1D64_78BD_642F).rotate_left(29), 900);
        let stakes = Stakes::thrown(seed, &mut dice, 40, 60);
        let kind = match dice.below(3) {
            0 => Kind::Kept,
            1 => Kind::Fleeting,
            _ => Kind::Watched,
        };
        let mut events: Vec<FleetEvent> = Vec::new();
        // A watched Redis without a failover would prove nothing that the others do not.
        if kind == Kind::Watched {
            events.push(FleetEvent { spent: moment(&mut dice), trouble: FleetTrouble::Failover });
        }
        for _ in 0..dice.among(1, MOST) {
            let trouble = trouble(kind, &mut dice);
            let lonely = |event: &FleetEvent| trouble.is_once() && event.trouble.is_like(trouble);
            if !events.iter().any(lonely) {
                events.push(FleetEvent { spent: moment(&mut dice), trouble });
            }
        }
        events.sort_by_key(|event| event.spent);
        Self { stakes, kind, events }
    }

    /// Whether a pod's clock is put forward or back.
    pub(super) fn pod_has_a_clock(&self, pod: usize) -> bool {
        self.events.iter().any(|event| matches!(event.trouble, FleetTrouble::Clock(at, _) if at == pod))
    }

    /// Whether that of Redis is.
    pub(super) fn redis_has_a_clock(&self) -> bool {
        self.events.iter().any(|event| matches!(event.trouble, FleetTrouble::RedisClock(_)))
    }
}

fn moment(dice: &mut Dice) -> i64 {
    i64::try_from(dice.among(50, 850)).unwrap_or(0)
}

fn trouble(kind: Kind, dice: &mut Dice) -> FleetTrouble {
    let pod = usize::try_from(dice.below(PODS as u64)).unwrap_or(0);
    let millis = |dice: &mut Dice| Duration::from_millis(dice.among(3, 15) * 100);
    // A pod that is gone, and a lender that forgets: what the pod spent would be forgotten with it (L14).
    match (dice.below(12), kind) {
        (0..3, _) => FleetTrouble::Kill(pod),
        (3, _) => FleetTrouble::Terminate(pod),
        (4, Kind::Fleeting) => FleetTrouble::Kill(pod),
        (4, _) => FleetTrouble::Gone(pod),
        (5, _) => FleetTrouble::Clock(pod, 25),
        (6, _) => FleetTrouble::Clock(pod, -2),
        (7 | 8, Kind::Watched) => FleetTrouble::Kill(pod),
        (7 | 9, Kind::Kept) => FleetTrouble::RedisClock(if dice.percent(50) { 25 } else { -2 }),
        (8, Kind::Fleeting) => FleetTrouble::Flush,
        (7 | 8, _) => FleetTrouble::Down(millis(dice)),
        (9, Kind::Fleeting) => FleetTrouble::Flush,
        (9, Kind::Watched) => FleetTrouble::Gone(pod),
        (10, Kind::Fleeting) => FleetTrouble::Flush,
        (10, Kind::Kept) => FleetTrouble::Slow(millis(dice)),
        (11, Kind::Kept | Kind::Fleeting) if dice.percent(50) => FleetTrouble::HalfOpen(millis(dice)),
        (_, Kind::Kept | Kind::Fleeting) => FleetTrouble::Cut,
        (_, Kind::Watched) => FleetTrouble::Terminate(pod),
    }
}

impl FleetTrouble {
    /// It can happen only once in a run.
    fn is_once(self) -> bool {
        matches!(self, Self::Gone(_) | Self::RedisClock(_) | Self::Failover)
    }

    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl fmt::Display for FleetTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(pod) => write!(f, "pod {pod} killed"),
            Self::Terminate(pod) => write!(f, "pod {pod} terminated"),
            Self::Gone(pod) => write!(f, "pod {pod} gone for good"),
            Self::Clock(pod, hours) => write!(f, "clock of pod {pod} put {hours:+} h"),
            Self::Down(time) => write!(f, "Redis down for {time:?}"),
            Self::RedisClock(hours) => write!(f, "clock of Redis put {hours:+} h"),
            Self::Flush => f.write_str("Redis flushed"),
            Self::Slow(time) => write!(f, "Redis slow for {time:?}"),
            Self::Cut => f.write_str("connections cut"),
            Self::HalfOpen(time) => write!(f, "connections half open for {time:?}"),
            Self::Failover => f.write_str("failover"),
        }
    }
}

impl fmt::Display for FleetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redis = match self.kind {
            Kind::Kept => "Redis with a disk",
            Kind::Fleeting => "Redis without a disk",
            Kind::Watched => "Redis with Sentinels",
        };
        write!(f, "fleet {}, {redis}", self.stakes)?;
        self.events.iter().try_for_each(|event| write!(f, ", {} at {} ‰", event.trouble, event.spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_plan_and_all_troubles_come_up() {
        let plans: Vec<FleetPlan> = (1..=30).map(FleetPlan::of).collect();
        assert_eq!(plans, (1..=30).map(FleetPlan::of).collect::<Vec<_>>());
        let told: String = plans.iter().map(|plan| format!("{plan}\n")).collect();
        let words = [
            "killed",
            "terminated",
            "gone for good",
            "clock of pod",
            "Redis down",
            "clock of Redis",
            "flushed",
            "slow",
            "cut",
            "half open",
            "failover",
            "a day",
        ];
        for word in words {
            assert!(told.contains(word), "{word} never happens in thirty seeds:\n{told}");
        }
        // What a pod that is gone had spent is known to nobody but a lender that forgets nothing.
        let forgets = |plan: &FleetPlan| plan.kind == Kind::Fleeting;
        let gone = |plan: &FleetPlan| plan.events.iter().any(|e| matches!(e.trouble, FleetTrouble::Gone(_)));
        assert!(!plans.iter().any(|plan| forgets(plan) && gone(plan)));
    }
}
