//! Randomized runs of the real programs. The same seed is the same plan; what happens when is the machine's.
#![allow(clippy::expect_used, clippy::panic)]

mod caller;
mod clock;
mod dice;
mod fleet;
mod fleet_plan;
mod gather;
mod plan;
mod rates;
mod stage;
mod store;
mod watch;

pub use fleet::play as play_fleet;
pub use fleet_plan::{FleetEvent, FleetPlan, FleetTrouble, Kind};
pub use plan::{Event, Plan, Stakes, Trouble};
pub use rates::play as play_rates;

use crate::evidence::{AskEnd, Evidence, History, Kill, Step};
use crate::lender::journal;
use caller::{Diary, Habit, Throw, Way};
use clock::Clock;
use smartflow_e2e::gateway::{Gateway, Launch};
use stage::{PAYER, Stage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use watch::Said;

/// Callers of one gateway.
const HABIT: Habit = Habit { tokens: 200, uncapped: 5 };
/// Callers are told to stop after this long.
const RACE: Duration = Duration::from_secs(10);
/// How long what is in flight may take to end.
const REST: Duration = Duration::from_secs(6);
/// Calls that use up the rest of a budget, at most.
const CRUMBS: u32 = 120;

/// Plays a plan and returns what it left behind.
///
/// # Panics
/// When the programs do not do what every run needs: start, answer, end.
pub async fn play(plan: &Plan) -> Evidence {
    let stage = Stage::set(&plan.stakes);
    let clock = plan.needs_a_clock().then(Clock::new);
    let environment = clock.as_ref().map(Clock::environment).unwrap_or_default();
    let mut run = Run {
        pod: Gateway::launch(&stage.world, Launch { environment, ..Launch::default() }).await,
        clock,
        steps: Vec::new(),
        stage,
        diary: Diary::new(),
        said: Said::default(),
        books: Vec::new(),
        kills: Vec::new(),
    };
    run.race(plan).await;
    let used_up = run.use_up().await;
    run.pod.terminate();
    run.pod.ended(Duration::from_secs(10)).await;
    run.read_books();
    let Run { pod, stage, diary, said, books, kills, steps, .. } = run;
    let (lines, spent) = gather::of_pod(0, &pod, false);
    Evidence {
        accounts: stage.accounts.clone(),
        asks: diary.asks(),
        legs: gather::legs(&stage, &diary),
        lines,
        kills,
        steps,
        books,
        spent,
        statements: said.all(),
        used_up,
        ..Evidence::default()
    }
}

/// A run under way.
struct Run {
    pod: Gateway,
    stage: Stage,
    diary: Diary,
    said: Said,
    books: Vec<History>,
    kills: Vec<Kill>,
    clock: Option<Clock>,
    steps: Vec<Step>,
}

impl Run {
    fn way(&self) -> Way {
        Way::to(0, &self.pod, PAYER)
    }

    /// All callers at once, and pods that end in between.
    async fn race(&mut self, plan: &Plan) {
        let watched = Arc::new(AtomicBool::new(false));
        let watch = self.said.clone().watch(vec![self.way()], self.diary.clone(), watched.clone());
        let watcher = tokio::spawn(watch);
        let callers = caller::begin(&plan.stakes, HABIT, &[self.way()], &self.diary);
        let diary = self.diary.clone();
        let over = || diary.began.elapsed() > RACE;
        let mut events = plan.events.iter();
        let mut next = events.next();
        while !over() && callers.iter().any(|caller| !caller.is_finished()) {
            match next {
                Some(event) if self.said.spent.load(Ordering::Relaxed) >= event.spent => {
                    self.happens(event.trouble).await;
                    next = events.next();
                }
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
        self.diary.stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.expect("a caller that ends");
        }
        watched.store(true, Ordering::Relaxed);
        watcher.await.expect("a watcher that ends");
    }

    async fn happens(&mut self, trouble: Trouble) {
        let from = self.diary.now();
        match trouble {
            Trouble::Kill => {
                self.pod.kill();
                self.kills.push(Kill { pod: 0, from, to: self.diary.now(), back: true });
            }
            Trouble::Terminate => {
                self.pod.terminate();
                self.pod.ended(Duration::from_secs(20)).await;
            }
            Trouble::Clock(hours) => {
                self.clock.as_mut().expect("a clock that can be put").put(hours);
                // Each reading looks at the file; a reading under way may be a little late.
                return self.steps.push(Step { from, to: self.diary.now() + 100_000 });
            }
        }
        self.read_books();
        self.pod.again().await;
    }

    /// The smallest usual call, one after the other, until it is refused; whether it was.
    async fn use_up(&self) -> bool {
        self.stage.heal();
        let way = self.way();
        self.said.at_rest(&way, &self.diary, REST).await;
        let mut used_up = false;
        for count in 0..CRUMBS {
            let end = Throw::crumb(format!("crumb{count}"), HABIT).make(&way, &self.diary).await;
            used_up = end == AskEnd::Error("budget_exceeded".to_owned());
            if used_up {
                break;
            }
        }
        self.said.at_rest(&way, &self.diary, REST).await;
        used_up
    }

    /// The lender's books, while nobody writes them.
    fn read_books(&mut self) {
        self.books.push(journal::read(&self.pod.data()).unwrap_or_else(|fault| panic!("{fault}")));
    }
}
