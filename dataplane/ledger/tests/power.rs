//! What a power cut leaves: files that are up to two seconds older or newer than one another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use smartflow_ledger::{
    Account, AccountSpec, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Reservation, Revision,
    lender::FileLender,
};

const START: Now = Now { mono: 1_000_000_000, wall: 1_795_262_400_000 };
const LIMIT: i64 = 100_000;

fn at(millis: u64) -> Now {
    START.plus_millis(millis)
}

struct Process {
    lender: Arc<FileLender>,
    ledger: Ledger,
    key: Arc<Account>,
}

impl Process {
    fn start(dir: &Path, now: Now) -> Self {
        let lender = Arc::new(FileLender::open(&dir.join("lender"), now).unwrap());
        let options = Options {
            install: "test".to_owned(),
            data_dir: dir.to_owned(),
            incarnation: Incarnation::random(),
            pod: PodId(1),
            lease_millis: 600_000,
        };
        let ledger = Ledger::open(options, Arc::<FileLender>::clone(&lender), now).unwrap();
        let spec = AccountSpec {
            namespace: "default",
            name: "key/alice",
            budget: "budget",
            period: Period::Lifetime,
            timezone: "UTC",
            limit: LIMIT,
            revision: Revision { epoch: lender.epoch(), number: 1 },
        };
        let key = ledger.account(now, &spec).unwrap();
        Self { lender, ledger, key }
    }

    fn reserve(&self, now: Now, amount: i64) -> Reservation {
        match self.ledger.reserve(now, &[(Arc::clone(&self.key), amount)]) {
            Outcome::Reserved(held) => held,
            other => panic!("{other:?}"),
        }
    }

    fn spend(&self, now: Now, amount: i64) {
        assert_eq!(self.reserve(now, amount).settle(now, amount).overrun, 0);
    }

    /// A second of ticks.
    fn tick(&self, from: u64) {
        (0..5).for_each(|n| self.ledger.tick(at(from + 200 * n)));
    }

    /// The order of the gateway's thread.
    fn sync(&self) -> (bool, bool) {
        (self.ledger.sync().unwrap(), self.lender.sync().unwrap())
    }
}

/// The files as they are at this moment: journal of the money, spend files.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let spend = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let spend = spend.filter(|path| path.extension().is_some_and(|ext| ext == "bin"));
    std::iter::once(dir.join("lender").join("ledger.journal"))
        .chain(spend)
        .map(|path| (path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn whatever_mix_of_old_and_new_files_is_left_what_was_synced_counts() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), START);
    let early = process.reserve(START, 700);
    (0..40).for_each(|n| process.spend(at(n), 500));
    process.tick(100);
    assert_eq!(process.sync(), (true, true));
    let synced = files(dir.path());
    // Two seconds that the disk has not seen, or has seen in part: spend, a call that ends, one that begins, new grants.
    (0..20).for_each(|n| process.spend(at(1_100 + n), 600));
    early.settle(at(1_200), 650);
    let late = process.reserve(at(1_300), 900);
    process.tick(1_400);
    let newest = files(dir.path());
    assert_ne!(synced, newest);
    for (journal_is_new, spend_is_new) in [(false, false), (false, true), (true, false), (true, true)] {
        let left = tempfile::tempdir().unwrap();
        std::fs::create_dir(left.path().join("lender")).unwrap();
        for (at, new) in [(0, journal_is_new), (1, spend_is_new)] {
            let (name, bytes) = if new { &newest[at] } else { &synced[at] };
            std::fs::write(left.path().join(name), bytes).unwrap();
        }
        let next = Process::start(left.path(), at(60_000));
        let view = next.ledger.view(at(60_000), &next.key);
        let mix = format!("journal new: {journal_is_new}, spend file new: {spend_is_new}: {view:?}");
        assert_eq!(view.spent + view.unattributed + view.remaining, LIMIT, "{mix}");
        let (spent, in_flight) = match (journal_is_new, spend_is_new) {
            (false, false) => (20_000, 700),
            (_, true) => (20_000 + 12_000 + 650, 900),
            // The journal heard of the spend; of the call that began since, nobody.
            (true, false) => (20_000 + 12_000 + 650, 0),
        };
        assert_eq!((view.spent, view.unattributed), (spent, in_flight), "{mix}");
        assert_eq!(next.ledger.open_rows(), 0, "{mix}");
    }
    late.settle(at(2_500), 900);
}

#[test]
fn the_disk_is_asked_when_money_moved_and_left_alone_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), START);
    assert_eq!(process.sync(), (true, true), "new files");
    assert_eq!(process.sync(), (false, false));
    process.spend(START, 10);
    assert!(process.lender.sync().unwrap(), "a grant is in the journal at once");
    process.tick(1);
    assert!(process.ledger.is_unsynced(), "noticed within a second");
    assert_eq!(process.sync(), (true, true), "the report, and the spend file");
    // Without calls it sleeps, once the account counts as idle.
    (0..20).for_each(|second| process.tick(1_100 + 1_000 * second));
    process.sync();
    (20..200).for_each(|second| process.tick(1_100 + 1_000 * second));
    assert_eq!(process.sync(), (false, false));
    process.spend(at(300_000), 10);
    assert!(process.ledger.close(at(300_001)));
    assert_eq!(
        process.sync(),
        (true, true),
        "what the end of the process says is brought to the disk without a tick"
    );
}
