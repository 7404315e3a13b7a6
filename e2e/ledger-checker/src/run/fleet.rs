//! A run of several gateways whose lender is in Redis.

use super::caller::{self, Diary, Habit, Throw, Way};
use super::clock::Clock;
use super::fleet_plan::{FleetPlan, FleetTrouble, PODS};
use super::gather;
use super::stage::{PAYER, Stage};
use super::store::{self, Store};
use super::watch::{Said, agree};
use crate::evidence::{AskEnd, Evidence, History, Kill, Start, Step};
use smartflow_e2e::gateway::{Gateway, Launch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reservations of these callers are below a five-hundredth of every plan's budgets.
const HABIT: Habit = Habit { tokens: 100, uncapped: 0 };
/// Callers are told to stop after this long.
const RACE: Duration = Duration::from_secs(9);
/// Pods end within this: calls in flight, and their last words to a Redis that may be away.
const END: Duration = Duration::from_secs(25);
/// Between two looks into the books.
const PAUSE: Duration = Duration::from_millis(60);
/// After so long every pod says what the lender knows, also after the lender lost its data.
const TRUTH: Duration = Duration::from_secs(8);
/// How long the rest of a budget may take to be used up.
const CRUMBS: Duration = Duration::from_secs(12);
/// Redis timeouts of a machine that builds beside; leases that end within a run.
const ARGUMENTS: [&str; 6] = ["--threads", "1", "--redis-timeout", "1s", "--lease-duration", "4s"];

/// Plays a plan and returns what it left behind.
///
/// # Panics
/// When the programs do not do what every run needs: start, answer, end.
pub async fn play(plan: &FleetPlan) -> Evidence {
    let stage = Stage::set(&plan.stakes);
    let store = Store::start(plan).await;
    let clocks: Vec<_> = (0..PODS).map(|pod| plan.pod_has_a_clock(pod).then(Clock::new)).collect();
    let mut pods = Vec::new();
    for clock in &clocks {
        let mut arguments = vec!["--redis".to_owned(), store.url()];
        arguments.extend(ARGUMENTS.map(ToOwned::to_owned));
        let environment = clock.as_ref().map(Clock::environment).unwrap_or_default();
        let launch = Launch { arguments, environment };
        pods.push(Pod { gateway: Gateway::launch(&stage.world, launch).await, gone: false });
    }
    let mut fleet = Fleet {
        pods,
        clocks,
        stage,
        store,
        diary: Diary::new(),
        said: Said::default(),
        notes: Notes::default(),
    };
    let looks = fleet.race(plan).await;
    let used_up = fleet.use_up().await;
    fleet.rest().await;
    for pod in fleet.pods.iter().filter(|pod| !pod.gone) {
        pod.gateway.terminate();
    }
    for pod in fleet.pods.iter_mut().filter(|pod| !pod.gone) {
        pod.gateway.ended(END).await;
    }
    let books = store::books(fleet.store.ports()).await.expect("books at the end");
    fleet.evidence(looks, books, used_up)
}

struct Pod {
    gateway: Gateway,
    gone: bool,
}

/// A run under way.
struct Fleet {
    pods: Vec<Pod>,
    clocks: Vec<Option<Clock>>,
    stage: Stage,
    store: Store,
    diary: Diary,
    said: Said,
    notes: Notes,
}

/// What happened.
#[derive(Default)]
struct Notes {
    kills: Vec<Kill>,
    steps: Vec<Step>,
    starts: Vec<Start>,
    losses: Vec<Step>,
    happened: usize,
}

/// What a watcher of the books saw.
type Looks = Arc<Mutex<Vec<History>>>;

impl Fleet {
    /// Ways to all pods that are still there.
    fn ways(&self) -> Vec<Way> {
        let there = self.pods.iter().enumerate().filter(|(_, pod)| !pod.gone);
        there.map(|(at, pod)| Way::to(at, &pod.gateway, PAYER)).collect()
    }

    /// All callers at once, and what the plan says in between; the books, again and again.
    async fn race(&mut self, plan: &FleetPlan) -> Looks {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Looks::default());
        let watcher = tokio::spawn(self.said.clone().watch(self.ways(), self.diary.clone(), stop.clone()));
        let reader = tokio::spawn(look(self.store.ports(), looks.clone(), stop.clone()));
        let callers = caller::begin(&plan.stakes, HABIT, &self.ways(), &self.diary);
        let diary = self.diary.clone();
        let over = || diary.began.elapsed() > RACE;
        let mut events = plan.events.iter();
        let mut next = events.next();
        // On a busy machine little is spent in the time of a run: then it is time that decides.
        let pace = RACE / (u32::try_from(plan.events.len()).unwrap_or(u32::MAX) + 1);
        while !over() && callers.iter().any(|caller| !caller.is_finished()) {
            match next {
                Some(event)
                    if self.said.spent.load(Ordering::Relaxed) >= event.spent
                        || due(pace, &self.notes, &diary) =>
                {
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
        stop.store(true, Ordering::Relaxed);
        watcher.await.expect("a watcher that ends");
        reader.await.expect("a reader that ends");
        looks
    }

    async fn happens(&mut self, trouble: FleetTrouble) {
        let from = self.diary.now();
        self.notes.happened += 1;
        match trouble {
            FleetTrouble::Kill(pod) => self.kill(pod, true).await,
            FleetTrouble::Gone(pod) => self.kill(pod, false).await,
            FleetTrouble::Terminate(pod) if !self.pods[pod].gone => {
                self.pods[pod].gateway.terminate();
                self.pods[pod].gateway.ended(END).await;
                self.again(pod).await;
            }
            FleetTrouble::Terminate(_) => {}
            FleetTrouble::Clock(pod, hours) => {
                self.clocks[pod].as_mut().expect("a clock that can be put").put(hours);
                self.notes.steps.push(Step { from, to: self.diary.now() + 100_000 });
            }
            FleetTrouble::RedisClock(hours) => {
                self.store.put_clock(hours);
                self.notes.steps.push(Step { from, to: self.diary.now() + 100_000 });
            }
            FleetTrouble::Down(time) => {
                self.store.down(time).await;
                if self.store.forgets() {
                    self.forgot(from);
                }
            }
            FleetTrouble::Flush => {
                self.store.flush();
                self.forgot(from);
            }
            FleetTrouble::Failover => {
                self.store.fail_over();
                self.forgot(from);
            }
            FleetTrouble::Slow(time) => self.store.slow(time).await,
            FleetTrouble::HalfOpen(time) => self.store.half_open(time).await,
            FleetTrouble::Cut => self.store.cut(),
        }
    }

    async fn kill(&mut self, at: usize, back: bool) {
        if self.pods[at].gone {
            return;
        }
        let from = self.diary.now();
        self.pods[at].gateway.kill();
        self.notes.kills.push(Kill { pod: at, from, to: self.diary.now(), back });
        if back {
            self.again(at).await;
        } else {
            self.pods[at].gone = true;
        }
    }

    async fn again(&mut self, at: usize) {
        self.notes.starts.push(Start { pod: at, at: self.diary.now() });
        self.pods[at].gateway.again().await;
    }

    /// What it forgot is there again after [`TRUTH`].
    fn forgot(&mut self, from: u64) {
        let to = self.diary.now() + u64::try_from(TRUTH.as_micros()).unwrap_or(u64::MAX);
        // A pod may have been asked before, and have answered afterwards.
        self.notes.losses.push(Step { from: from.saturating_sub(1_000_000), to });
    }

    /// The smallest usual call, one after the other and at each pod, until each refuses; whether they did.
    async fn use_up(&self) -> bool {
        self.stage.heal();
        let (began, mut count) = (Instant::now(), 0);
        for way in self.ways() {
            loop {
                if began.elapsed() > CRUMBS {
                    return false;
                }
                count += 1;
                match Throw::crumb(format!("crumb{count}"), HABIT).make(&way, &self.diary).await {
                    AskEnd::Error(code) if code == "budget_exceeded" => break,
                    // The lender is away, or learns what it forgot.
                    AskEnd::Error(code) if code == "budget_unavailable" => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    _ => {}
                }
            }
        }
        true
    }

    /// The last look at each pod, once all say the same and what the books say, or [`TRUTH`] is over.
    async fn rest(&self) {
        let (began, ways) = (Instant::now(), self.ways());
        loop {
            let mut told = Vec::new();
            for way in &ways {
                told.extend(self.said.look(way, &self.diary).await.expect("the pod is there"));
            }
            let books = store::books(self.store.ports()).await.unwrap_or_default();
            let rest = told.iter().all(|one| one.reserved == 0) && agree(&told, &books, &self.stage.accounts);
            if rest || began.elapsed() > TRUTH {
                told.iter_mut().for_each(|one| one.at_rest = true);
                return self.said.add(&told);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn evidence(self, looks: Looks, last: Vec<crate::evidence::Entry>, used_up: bool) -> Evidence {
        let mut books = std::mem::take(&mut *looks.lock().unwrap_or_else(PoisonError::into_inner));
        books.push(History { frames: vec![last] });
        let (mut lines, mut spent) = (Vec::new(), Vec::new());
        for (at, pod) in self.pods.iter().enumerate() {
            let (told, wrote) = gather::of_pod(at, &pod.gateway, pod.gone);
            lines.extend(told);
            spent.extend(wrote);
        }
        let Notes { kills, steps, starts, losses, happened } = self.notes;
        Evidence {
            accounts: self.stage.accounts.clone(),
            asks: self.diary.asks(),
            legs: gather::legs(&self.stage, &self.diary),
            lines,
            kills,
            steps,
            books,
            spent,
            statements: self.said.all(),
            used_up,
            fleet: true,
            starts,
            losses,
            happened,
        }
    }
}

/// Whether the next trouble has waited for long enough.
fn due(pace: Duration, notes: &Notes, diary: &Diary) -> bool {
    diary.began.elapsed() >= pace * (u32::try_from(notes.happened).unwrap_or(u32::MAX) + 1)
}

/// Reads the books again and again until told to stop.
async fn look(ports: Vec<u16>, looks: Looks, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        if let Some(books) = store::books(ports.clone()).await {
            looks.lock().unwrap_or_else(PoisonError::into_inner).push(History { frames: vec![books] });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
