//! What a seed stands for.

use super::dice::Dice;
use std::fmt;

/// One cent in nano-USD.
const CENT: i64 = 10_000_000;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stakes {
    /// What it was made of.
    pub seed: u64,
    /// Callers at the same time.
    pub clients: u64,
    /// Budget of the key that calls, for ever, nano-USD.
    pub limit: i64,
    /// Daily budget of the key above it, if it has one.
    pub above: Option<i64>,
    /// Of a hundred calls at a vendor so many fail.
    pub faults: u64,
}

/// The plan of a run with one gateway that is its own lender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it is about.
    pub stakes: Stakes,
    /// What happens in between, in order.
    pub events: Vec<Event>,
}

/// Something that happens when so many thousandths of the tightest budget are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub spent: i64,
    /// What.
    pub trouble: Trouble,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The pod is killed without warning (`kill -9`) and comes back on the same data folder.
    Kill,
    /// It is told to end (SIGTERM) and comes back.
    Terminate,
    /// Its clock is put forward, or back, by so many hours.
    Clock(i64),
}

impl Stakes {
    /// Thrown, with a budget between two amounts in cents.
    pub(super) fn thrown(seed: u64, dice: &mut Dice, least: u64, most: u64) -> Self {
        let clients = dice.among(4, 12);
        let cents = |count: u64| CENT * i64::try_from(count).unwrap_or(i64::MAX);
        let limit = cents(dice.among(least, most));
        let above = [None, Some(limit - cents(3)), Some(limit + cents(3))];
        let above = above.get(usize::try_from(dice.among(0, 2)).unwrap_or(0)).copied().flatten();
        Self { seed, clients, limit, above, faults: dice.among(0, 6) * 5 }
    }
}

impl fmt::Display for Stakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = |nano: i64| nano / CENT;
        write!(f, "seed {}: {} clients, {} cents", self.seed, self.clients, cents(self.limit))?;
        if let Some(above) = self.above {
            write!(f, " of {} a day", cents(above))?;
        }
        write!(f, ", {} % faults", self.faults)
    }
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let stakes = Stakes::thrown(seed, &mut dice, 25, 45);
        let mut among = |least: u64, most: u64| dice.among(least, most);
        let count = among(0, 3);
        let mut events = Vec::new();
        for _ in 0..count {
            let spent = i64::try_from(among(50, 900)).unwrap_or(0);
            let trouble = match among(0, 5) {
                0..=2 => Trouble::Kill,
                3 => Trouble::Terminate,
                4 => Trouble::Clock(25),
                _ => Trouble::Clock(-2),
            };
            events.push(Event { spent, trouble });
        }
        events.sort_by_key(|event| event.spent);
        // Twice would be more than the 48 h after which a lender forgets a window that has ended.
        let forward = events.iter_mut().filter(|event| event.trouble == Trouble::Clock(25));
        forward.skip(1).for_each(|event| event.trouble = Trouble::Kill);
        Self { stakes, events }
    }

    /// Whether a clock is put forward or back.
    #[must_use]
    pub fn needs_a_clock(&self) -> bool {
        self.events.iter().any(|event| matches!(event.trouble, Trouble::Clock(_)))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stakes)?;
        for event in &self.events {
            match event.trouble {
                Trouble::Kill => write!(f, ", killed")?,
                Trouble::Terminate => write!(f, ", terminated")?,
                Trouble::Clock(hours) => write!(f, ", clock put {hours:+} h")?,
            }
            write!(f, " at {} ‰", event.spent)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_plan_and_seeds_differ_in_everything() {
        let plans: Vec<Plan> = (0..60).map(Plan::of).collect();
        assert_eq!(plans, (0..60).map(Plan::of).collect::<Vec<_>>());
        let some = |which: fn(&Plan) -> bool| plans.iter().filter(|plan| which(plan)).count() > 5;
        assert!(some(|p| p.stakes.above.is_none()) && some(|p| p.stakes.above > Some(p.stakes.limit)));
        assert!(some(|p| p.stakes.above.is_some_and(|above| above < p.stakes.limit)));
        assert!(some(|p| p.stakes.faults == 0) && some(|p| p.stakes.faults >= 25));
        assert!(some(|p| p.events.is_empty()) && some(|p| p.events.len() > 2));
        for trouble in [Trouble::Kill, Trouble::Terminate, Trouble::Clock(25), Trouble::Clock(-2)] {
            let has = |p: &&Plan| p.events.iter().any(|event| event.trouble == trouble);
            assert!(plans.iter().filter(has).count() > 5, "{trouble:?}");
        }
    }
}
