//! Two looks at an account that this process has not heard of yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use smartflow_ledger::{
    Account, AccountId, AccountSpec, Incarnation, Ledger, Now, Options, Outcome, Period, PodId, Revision,
    Window,
    book::Standing,
    lender::{FileLender, Lender, Pending},
    message::{Answers, Batch, Recalls},
};

const NOW: Now = Now { mono: 1, wall: 1_795_262_400_000 };
/// Far longer than a look takes that waits for nobody.
const LONG: Duration = Duration::from_millis(500);

/// A lender in this process that may be held up in the middle of an exchange.
struct Slow {
    lender: FileLender,
    held: AtomicBool,
    inside: Mutex<SyncSender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Lender for Slow {
    fn exchange<'a>(&'a self, now: Now, batch: &'a Batch) -> Pending<'a, Answers> {
        if self.held.swap(false, Ordering::SeqCst) {
            self.inside.lock().unwrap().send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
        self.lender.exchange(now, batch)
    }

    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls> {
        self.lender.recalls(reader, after)
    }

    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>> {
        self.lender.standing(account)
    }

    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64> {
        self.lender.write_off(account, window, who)
    }

    fn purge(&self, account: AccountId) -> Pending<'_, bool> {
        self.lender.purge(account)
    }

    fn is_local(&self) -> bool {
        true
    }
}

fn account(ledger: &Ledger) -> Arc<Account> {
    let spec = AccountSpec {
        namespace: "default",
        name: "key/a",
        budget: "budget",
        period: Period::Daily,
        timezone: "UTC",
        limit: 1_000_000,
        revision: Revision { epoch: 1, number: 1 },
    };
    ledger.account(NOW, &spec).unwrap()
}

fn options(dir: &std::path::Path) -> Options {
    let incarnation = Incarnation::random();
    let (install, data_dir) = ("looks".to_owned(), dir.to_owned());
    Options { install, data_dir, incarnation, pod: PodId(1), lease_millis: 600_000 }
}

#[test]
fn a_second_look_does_not_show_nothing_spent_while_the_first_one_asks() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("lender");
    {
        let ledger =
            Ledger::open(options(dir.path()), Arc::new(FileLender::open(&place, NOW).unwrap()), NOW).unwrap();
        let Outcome::Reserved(held) = ledger.reserve(NOW, &[(account(&ledger), 7_000)]) else {
            panic!("no room")
        };
        held.settle(NOW, 5_000);
        assert!(ledger.close(NOW));
    }
    let ((inside, entered), (release, go_on)) = (sync_channel(1), sync_channel(1));
    let lender = Arc::new(Slow {
        lender: FileLender::open(&place, NOW).unwrap(),
        held: AtomicBool::new(false),
        inside: Mutex::new(inside),
        go_on: Mutex::new(go_on),
    });
    let ledger = Ledger::open(options(dir.path()), lender.clone(), NOW).unwrap();
    let key = account(&ledger);
    lender.held.store(true, Ordering::SeqCst);
    let look = || {
        let (ledger, key) = (ledger.clone(), key.clone());
        let (tell, told) = sync_channel(1);
        std::thread::spawn(move || tell.send(ledger.view(NOW, &key).spent).unwrap());
        told
    };
    let first = look();
    entered.recv().unwrap();
    let second = look();
    // Either it waits for the same answer, or it says something already, which must be true.
    let early = second.recv_timeout(LONG).ok();
    release.send(()).unwrap();
    assert_eq!(first.recv().unwrap(), 5_000);
    assert_eq!(early.unwrap_or_else(|| second.recv().unwrap()), 5_000);
}
