//! kill -9 of a process that is its own lender, at random instants: no spend is lost, nothing is spent twice over, what
//! was in flight is forfeited, and the cap holds over all its lives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use smartflow_ledger::{
    Account, AccountSpec, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Revision,
    lender::FileLender,
};

const DIR: &str = "SMARTFLOW_LEDGER_KILL_TEST_DIR";
const LIMIT: i64 = 300_000;
const THREADS: u64 = 4;

fn now(start: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Now { mono: start.elapsed().as_nanos() as u64 + 1, wall: i64::try_from(wall).unwrap() }
}

fn say(line: &str) {
    // One write, so that a line is either out or not.
    std::io::stdout().write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// The process that is killed; does nothing when it is not started by the test below.
#[test]
fn process() {
    // The only way for the test to tell its child where to work.
    #[allow(clippy::disallowed_methods)]
    let Ok(dir) = std::env::var(DIR) else { return };
    let start = Instant::now();
    let lender = Arc::new(FileLender::open(&Path::new(&dir).join("lender"), now(start)).unwrap());
    assert!(lender.findings().len() <= 1, "{:?}", lender.findings());
    let options = Options {
        install: "kill".to_owned(),
        data_dir: dir.into(),
        incarnation: Incarnation::random(),
        pod: PodId(1),
        lease_millis: 600_000,
    };
    let ledger = Ledger::open(options, lender, now(start)).unwrap();
    let spec = AccountSpec {
        namespace: "default",
        name: "key/k",
        budget: "budget",
        period: Period::Lifetime,
        timezone: "UTC",
        limit: LIMIT,
        revision: Revision { epoch: 1, number: 1 },
    };
    let key = ledger.account(now(start), &spec).unwrap();
    let view = ledger.view(now(start), &key);
    say(&format!("view {} {}", view.spent, view.unattributed));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                scope.spawn({
                    let (ledger, key) = (&ledger, &key);
                    move || calls(ledger, key, start, n)
                })
            })
            .collect();
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(Duration::from_millis(20));
            ledger.tick(now(start));
        }
    });
    say("refused");
}

fn calls(ledger: &Ledger, key: &Arc<Account>, start: Instant, thread: u64) {
    let mut dice = Incarnation::random().0 as u64 ^ thread;
    let mut between = move |low: u64, high: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (dice >> 33) % (high - low + 1)
    };
    loop {
        let amount = between(50, 500) as i64;
        let mut outcome = ledger.reserve(now(start), &[(Arc::clone(key), amount)]);
        let held = loop {
            match outcome {
                Outcome::Reserved(held) => break held,
                Outcome::Wait(waiting) => {
                    std::thread::park_timeout(Duration::from_millis(5));
                    outcome = waiting.poll(now(start), None);
                }
                Outcome::Refused(_) => return,
                Outcome::Away => panic!("a local lender is never away"),
            }
        };
        say(&format!("reserved {amount}"));
        std::thread::park_timeout(Duration::from_micros(between(0, 3_000)));
        let cost = amount * between(25, 100) as i64 / 100;
        say(&format!("settling {amount} {cost}"));
        assert_eq!(held.settle(now(start), cost).overrun, 0);
        say(&format!("settled {cost}"));
    }
}

/// What all lives together said.
#[derive(Debug, Default)]
struct Heard {
    settled: i64,
    settling: i64,
    /// Reserved and not even about to settle when the process was killed.
    in_flight: i64,
    /// The same, with those that were about to settle.
    undecided: i64,
    refused: bool,
    lives: u32,
    kills: u32,
}

impl Heard {
    fn line(&mut self, line: &str, life: &mut (i64, i64, i64)) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        match words[0] {
            "view" => self.check(number(1), number(2)),
            "reserved" => life.0 += number(1),
            "settling" => (life.1, self.settling) = (life.1 + number(1), self.settling + number(2)),
            "settled" => (life.2, self.settled) = (life.2 + 1, self.settled + number(1)),
            "refused" => self.refused = true,
            other => panic!("{other}"),
        }
    }

    fn check(&self, spent: i64, unattributed: i64) {
        assert!(self.settled <= spent, "spend was lost: {spent} {self:?}");
        assert!(spent <= self.settling, "spend was invented: {spent} {self:?}");
        assert!(self.in_flight <= unattributed, "money in flight was forgotten: {unattributed} {self:?}");
        assert!(
            unattributed <= self.undecided,
            "more was forfeited than was in flight: {unattributed} {self:?}"
        );
        assert!(spent + unattributed <= LIMIT, "above the cap: {spent} {unattributed}");
    }
}

fn start(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn spend_survives_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut heard = Heard::default();
    let mut dice = Incarnation::random().0 as u64;
    println!("kill seed {dice}");
    while !heard.refused {
        heard.lives += 1;
        assert!(heard.lives < 200, "{heard:?}");
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut child = start(dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut life = (0, 0, 0);
        // After this many lines it is killed; what it still writes before it dies is read as well.
        let mut left = 1 + (dice >> 33) % 600;
        for line in lines {
            let line = line.unwrap();
            if let Some(line) = line.strip_prefix('@') {
                heard.line(line, &mut life);
                left = left.saturating_sub(1);
                if left == 0 {
                    child.kill().unwrap();
                }
            }
        }
        let status = child.wait().unwrap();
        heard.kills += u32::from(!status.success());
        assert!(heard.refused || !status.success() && status.code().is_none(), "{status}");
        heard.in_flight += life.0 - life.1;
        // Each thread may have reserved without saying so, and each may have been between two lines.
        heard.undecided += life.0 - life.1 + i64::try_from(THREADS).unwrap() * 500;
    }
    println!("{heard:?}");
    assert!(heard.kills >= 5, "{heard:?}");
    let last = LIMIT - heard.settled - heard.in_flight;
    assert!(heard.settled + heard.undecided >= LIMIT * 97 / 100, "{last} was not usable: {heard:?}");
}
