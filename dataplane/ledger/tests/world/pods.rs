//! Processes: started, killed, restarted on their data directory, shut down.

use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use smartflow_ledger::{
    Account, AccountId, Incarnation, Ledger, Now, Options, Outgoing, PodId, Reservation, Waiting, Window,
    book::Standing,
    lender::{Lender, LenderError, Pending},
    message::{Answers, Batch, Recalls},
};
use tempfile::TempDir;

use super::{Event, MS, World, calls::Call};

/// Stands for a lender that is elsewhere; the world carries the messages.
struct Elsewhere;

fn elsewhere<T: Send + 'static>() -> Pending<'static, T> {
    Box::pin(ready(Err(LenderError::Away("the world carries the messages".to_owned()))))
}

impl Lender for Elsewhere {
    fn exchange<'a>(&'a self, _: Now, _: &'a Batch) -> Pending<'a, Answers> {
        elsewhere()
    }
    fn recalls(&self, _: Incarnation, _: u64) -> Pending<'_, Recalls> {
        elsewhere()
    }
    fn standing(&self, _: AccountId) -> Pending<'_, Vec<Standing>> {
        elsewhere()
    }
    fn write_off(&self, _: AccountId, _: Window, _: Incarnation) -> Pending<'_, i64> {
        elsewhere()
    }
    fn purge(&self, _: AccountId) -> Pending<'_, bool> {
        elsewhere()
    }
    fn is_local(&self) -> bool {
        false
    }
}

/// Notes which calls were woken.
struct Bell {
    call: u64,
    rung: Arc<Mutex<Vec<u64>>>,
    once: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if !self.once.swap(true, Ordering::SeqCst) {
            self.rung.lock().unwrap().push(self.call);
        }
    }
}

/// A call in one of its states.
pub(crate) struct InFlight {
    pub(crate) call: Call,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) held: Option<Reservation>,
}

pub(crate) struct Pod {
    pub(crate) ledger: Option<Ledger>,
    dir: TempDir,
    /// Counts processes, so that events of dead ones are dropped.
    pub(crate) life: u32,
    pub(crate) incarnation: Incarnation,
    pub(crate) accounts: Vec<Arc<Account>>,
    pub(crate) calls: BTreeMap<u64, InFlight>,
    pub(crate) under_way: HashMap<u64, Outgoing>,
    pub(crate) sent: u64,
    /// No message passes, either way.
    pub(crate) cut: bool,
    rung: Arc<Mutex<Vec<u64>>>,
}

impl Pod {
    pub(crate) fn waker(&self, call: u64) -> Waker {
        Waker::from(Arc::new(Bell { call, rung: Arc::clone(&self.rung), once: AtomicBool::new(false) }))
    }

    pub(super) fn woken(&self) -> Vec<u64> {
        std::mem::take(&mut *self.rung.lock().unwrap())
    }
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

impl World {
    pub(crate) fn add_pod(&mut self) {
        let dir = tempfile::tempdir().unwrap();
        self.pods.push(Pod {
            ledger: None,
            dir,
            life: 0,
            incarnation: Incarnation(0),
            accounts: Vec::new(),
            calls: BTreeMap::new(),
            under_way: HashMap::new(),
            sent: 0,
            cut: false,
            rung: Arc::default(),
        });
        let pod = self.pods.len() - 1;
        self.then(0, move |world| world.start(pod));
    }

    /// Starts a process on the pod's data directory.
    pub(crate) fn start(&mut self, at: usize) {
        let now = self.now();
        let incarnation = Incarnation(u128::from(self.dice.roll()) << 64 | u128::from(self.dice.roll()));
        let accounts = self.accounts.len();
        let specs: Vec<_> = (0..accounts).map(|account| self.spec(account)).collect();
        let pod = &mut self.pods[at];
        pod.life += 1;
        pod.incarnation = incarnation;
        let options = Options {
            install: "world".to_owned(),
            data_dir: pod.dir.path().to_owned(),
            incarnation,
            pod: PodId(at as u128),
            lease_millis: 3_000,
        };
        let ledger = Ledger::open(options, Arc::new(Elsewhere), now).unwrap();
        pod.accounts = specs.iter().map(|spec| ledger.account(now, spec).unwrap()).collect();
        pod.ledger = Some(ledger);
        let (life, first) = (pod.life, self.dice.between(0, 200 * MS));
        self.at(first, Event::Tick(at, life));
    }

    pub(super) fn tick(&mut self, at: usize, life: u32) {
        let now = self.now();
        if self.pods[at].life != life {
            return;
        }
        let Some(ledger) = &self.pods[at].ledger else { return };
        ledger.tick(now);
        self.after(at);
        self.at(200 * MS, Event::Tick(at, life));
    }

    /// kill -9: the files stay as they are at this instant; nothing else does. Calls in flight are served in full.
    pub(crate) fn kill(&mut self, at: usize) -> Vec<Call> {
        let files = copy(self.pods[at].dir.path());
        let calls = std::mem::take(&mut self.pods[at].calls);
        for in_flight in calls.values() {
            self.served_unbilled(in_flight);
        }
        let pod = &mut self.pods[at];
        pod.life += 1;
        pod.under_way.clear();
        let (ledger, accounts) = (pod.ledger.take(), std::mem::take(&mut pod.accounts));
        let old = std::mem::replace(&mut pod.dir, files);
        let ended: Vec<Call> = calls.values().map(|in_flight| in_flight.call.clone()).collect();
        // What the dying process would still write goes to files that nobody reads.
        drop((calls, ledger, accounts, old));
        pod.woken();
        for call in &ended {
            self.at(200 * MS, Event::Client(call.client));
        }
        ended
    }

    /// kill -9 and a restart of the container.
    pub(crate) fn crash(&mut self, at: usize) {
        if self.pods[at].ledger.is_none() {
            return;
        }
        self.kill(at);
        let later = self.dice.between(200, 600) * MS;
        self.then(later, move |world| world.start(at));
    }

    /// The pod is deleted: no process, no files; the operator closes what it held.
    pub(crate) fn lose(&mut self, at: usize) {
        if self.pods[at].ledger.is_none() {
            return;
        }
        self.kill(at);
        self.then(2_000 * MS, move |world| world.close_gone(PodId(at as u128)));
    }

    /// Activates a new configuration on a pod.
    pub(crate) fn activate(&mut self, at: usize) {
        let now = self.now();
        if self.pods[at].ledger.is_none() {
            return;
        }
        for account in 0..self.accounts.len() {
            let spec = self.spec(account);
            if let Some(ledger) = &self.pods[at].ledger {
                ledger.account(now, &spec).unwrap();
            }
        }
        self.after(at);
    }

    /// Closes a pod cleanly once its calls have ended; whether the lender has acknowledged.
    pub(crate) fn close(&mut self, at: usize) -> bool {
        let now = self.now();
        let Some(ledger) = &self.pods[at].ledger else { return true };
        let done = ledger.close(now) && ledger.open_rows() == 0;
        self.after(at);
        done
    }
}
