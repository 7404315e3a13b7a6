//! Rates as the gateway uses them, before lenders in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

use smartflow_ledger::{
    AccountId, Incarnation, Ledger, Now, Options, Outcome, PodId, Revision,
    lender::{FileLender, Lender, MemoryLender},
    rate::{Admission, RateDesk, RateLimits, RateTicket, Rates, Refusal, Which, admit_all, tokens_per_day},
};

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Now {
    Now { mono: seconds * SECOND, wall: 1_700_000_000_000 + i64::try_from(seconds).unwrap() * 1000 }
}

fn limits(requests: u32, tokens: u32, parallel: u32) -> RateLimits {
    RateLimits {
        requests: NonZeroU32::new(requests),
        tokens: NonZeroU32::new(tokens),
        parallel: NonZeroU32::new(parallel),
    }
}

fn memory() -> RateDesk {
    let lender: Arc<dyn Lender> = Arc::new(MemoryLender::default());
    RateDesk::new(&lender, Incarnation(1), PodId(1))
}

fn account(desk: &RateDesk, id: u128, limits: RateLimits) -> Rates {
    desk.account(AccountId(id), limits, Revision::default())
}

fn admitted(rates: &Rates, now: Now, tokens: u64) -> RateTicket {
    match rates.try_admit(now, tokens) {
        Admission::Admitted(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn refused(rates: &Rates, now: Now, tokens: u64) -> Refusal {
    match rates.try_admit(now, tokens) {
        Admission::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sixty_a_minute_and_the_headers_that_go_with_it() {
    let desk = memory();
    let rates = account(&desk, 1, limits(60, 0, 0));
    assert_eq!(rates.levels(at(0)).requests.unwrap().remaining, 60);
    for call in 0..60 {
        admitted(&rates, at(call), 5).settle(at(call), 5);
        assert_eq!(rates.levels(at(call)).requests.unwrap().remaining, 59 - u32::try_from(call).unwrap());
    }
    let refusal = refused(&rates, at(60), 5);
    assert_eq!((refusal.which, refusal.retry_after), (Which::Requests, SECOND));
    let told: Vec<_> = refusal.levels.headers().collect();
    let right = [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "1m0s"),
    ];
    assert_eq!(told, right.map(|(name, value)| (name, value.to_owned())));
    admitted(&rates, at(61), 5).settle(at(61), 5);
}

#[test]
fn an_estimate_above_the_whole_limit_is_too_large_and_takes_nothing() {
    let desk = memory();
    let rates = account(&desk, 1, limits(1, 1000, 0));
    assert!(matches!(rates.try_admit(at(0), 1001), Admission::TooLarge { limit: 1000 }));
    assert!(matches!(rates.try_admit(at(0), u64::MAX), Admission::TooLarge { limit: 1000 }));
    admitted(&rates, at(0), 1000).settle(at(0), 1000);
}

#[test]
fn a_refused_call_takes_nothing_of_the_other_limits() {
    let desk = memory();
    let rates = account(&desk, 1, limits(3, 1000, 2));
    let one = admitted(&rates, at(0), 900);
    assert_eq!(refused(&rates, at(0), 200).which, Which::Tokens);
    let two = admitted(&rates, at(0), 100);
    assert_eq!(refused(&rates, at(0), 0).which, Which::Parallel);
    one.settle(at(0), 0);
    two.settle(at(0), 0);
    admitted(&rates, at(0), 1000).settle(at(0), 1000);
    assert_eq!(refused(&rates, at(0), 0).which, Which::Requests);
}

#[test]
fn a_dropped_ticket_frees_its_permit_and_keeps_its_estimate() {
    let desk = memory();
    let rates = account(&desk, 1, limits(0, 1000, 1));
    drop(admitted(&rates, at(0), 600));
    assert_eq!(refused(&rates, at(0), 600).which, Which::Tokens);
    admitted(&rates, at(0), 400).undo(at(0));
}

#[test]
fn several_accounts_all_or_none() {
    let desk = memory();
    let key = account(&desk, 1, limits(10, 0, 2));
    let team = account(&desk, 2, limits(1, 0, 0));
    let Admission::Admitted(tickets) = admit_all([&key, &team], at(0), 5) else { panic!("refused") };
    for _ in 0..100 {
        let Admission::Refused(refusal) = admit_all([&key, &team], at(1), 5) else { panic!("admitted") };
        assert_eq!(refusal.which, Which::Requests);
    }
    assert_eq!(key.levels(at(1)).requests.unwrap().remaining, 9, "100 refusals took nothing of the key");
    tickets.undo(at(1));
    let Admission::Admitted(tickets) = admit_all([&key, &team], at(2), 5) else { panic!("refused") };
    tickets.settle(at(2), 5);
    assert!(matches!(admit_all([], at(0), 5), Admission::Admitted(_)));
}

#[test]
fn changed_limits_hold_at_once_and_old_ones_are_ignored() {
    let desk = memory();
    let newer = Revision { epoch: 1, number: 2 };
    let rates = desk.account(AccountId(1), limits(2, 0, 0), Revision { epoch: 1, number: 1 });
    admitted(&rates, at(0), 0).settle(at(0), 0);
    admitted(&rates, at(0), 0).settle(at(0), 0);
    refused(&rates, at(0), 0);
    let _ = desk.account(AccountId(1), limits(3, 0, 0), newer);
    admitted(&rates, at(0), 0).settle(at(0), 0);
    let _ = desk.account(AccountId(1), limits(99, 0, 0), Revision::default());
    assert_eq!(refused(&rates, at(0), 0).levels.requests.unwrap().limit, 3);
}

fn copy_files(from: &tempfile::TempDir, to: &tempfile::TempDir) {
    for file in std::fs::read_dir(from.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
}

#[test]
fn grants_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let open = |now, incarnation| {
        let lender: Arc<dyn Lender> = Arc::new(FileLender::open(dir.path(), now).unwrap());
        account(&RateDesk::new(&lender, Incarnation(incarnation), PodId(1)), 1, limits(60, 1000, 1))
    };
    let first = open(at(0), 1);
    for _ in 0..40 {
        admitted(&first, at(0), 20).settle(at(0), 10);
    }
    // Killed: what is in the file is all that is left, and the calls in flight died with the process.
    let in_flight = admitted(&first, at(1), 500);
    let copy = tempfile::tempdir().unwrap();
    copy_files(&dir, &copy);
    // A new process counts its monotonic clock from anywhere.
    let now = |seconds: u64| Now { mono: 7 + (seconds - 10) * SECOND, ..at(seconds) };
    let lender: Arc<dyn Lender> = Arc::new(FileLender::open(copy.path(), now(10)).unwrap());
    let second = account(&RateDesk::new(&lender, Incarnation(2), PodId(1)), 1, limits(60, 1000, 1));
    let mut left = 0;
    for _ in 0..100 {
        if let Admission::Admitted(ticket) = second.try_admit(now(10), 0) {
            ticket.settle(now(10), 0);
            left += 1;
        }
    }
    assert!((1..=60 - 41).contains(&left), "{left} of 60 left after 41");
    assert_eq!(refused(&second, now(11), 600).which, Which::Requests);
    admitted(&second, now(62), 400).settle(now(62), 400);
    drop(in_flight);
}

#[test]
fn tokens_used_beyond_their_estimate_survive_a_kill() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let desk = |dir: &tempfile::TempDir, now| -> RateDesk {
        let lender: Arc<dyn Lender> = Arc::new(FileLender::open(dir.path(), now).unwrap());
        RateDesk::new(&lender, Incarnation::random(), PodId(1))
    };
    let first = desk(&dir, at(0));
    let rates = account(&first, 1, limits(0, 1000, 0));
    admitted(&rates, at(0), 10).settle(at(0), 900);
    first.tend(at(0));
    let written = std::fs::metadata(dir.path().join("rates.journal")).unwrap().len();
    (1..10).for_each(|_| first.tend(at(0)));
    assert_eq!(std::fs::metadata(dir.path().join("rates.journal")).unwrap().len(), written, "told once");
    // No call came since; what is in the files at this moment is what a kill leaves.
    copy_files(&dir, &copy);
    let second = desk(&copy, at(1));
    let rates = account(&second, 1, limits(0, 1000, 0));
    assert_eq!(refused(&rates, at(1), 101).which, Which::Tokens);
    drop(admitted(&rates, at(1), 100));
}

#[test]
fn a_lender_that_cannot_write_leaves_local_windows() {
    struct Full(MemoryLender);
    impl Lender for Full {
        fn exchange<'a>(
            &'a self,
            _: Now,
            _: &'a smartflow_ledger::message::Batch,
        ) -> smartflow_ledger::lender::Pending<'a, smartflow_ledger::message::Answers> {
            let fault = smartflow_ledger::lender::LenderError::Away("no space".into());
            Box::pin(std::future::ready(Err(fault)))
        }
        fn recalls(
            &self,
            who: Incarnation,
            after: u64,
        ) -> smartflow_ledger::lender::Pending<'_, smartflow_ledger::message::Recalls> {
            self.0.recalls(who, after)
        }
        fn standing(
            &self,
            account: AccountId,
        ) -> smartflow_ledger::lender::Pending<'_, Vec<smartflow_ledger::book::Standing>> {
            self.0.standing(account)
        }
        fn write_off(
            &self,
            account: AccountId,
            window: smartflow_ledger::Window,
            who: Incarnation,
        ) -> smartflow_ledger::lender::Pending<'_, i64> {
            self.0.write_off(account, window, who)
        }
        fn purge(&self, account: AccountId) -> smartflow_ledger::lender::Pending<'_, bool> {
            self.0.purge(account)
        }
        fn is_local(&self) -> bool {
            true
        }
    }
    let lender: Arc<dyn Lender> = Arc::new(Full(MemoryLender::default()));
    let rates = account(&RateDesk::new(&lender, Incarnation(1), PodId(1)), 1, limits(3, 0, 0));
    for second in 0..3 {
        admitted(&rates, at(100 + second), 0).settle(at(100 + second), 0);
        assert!(rates.is_local(at(100 + second)));
    }
    let refusal = refused(&rates, at(103), 0);
    assert_eq!((refusal.which, refusal.retry_after), (Which::Requests, 58 * SECOND));
    admitted(&rates, at(161), 0).settle(at(161), 0);
}

/// L24: tokens per day are a budget whose unit is the token, with a window of a UTC day.
#[test]
fn tokens_per_day_are_a_budget() {
    let dir = tempfile::tempdir().unwrap();
    let lender: Arc<dyn Lender> = Arc::new(MemoryLender::default());
    let options = Options {
        install: "test".into(),
        incarnation: Incarnation(1),
        pod: PodId(1),
        data_dir: dir.path().to_owned(),
        lease_millis: 600_000,
    };
    let ledger = Ledger::open(options, lender, at(0)).unwrap();
    let spec = tokens_per_day("ns", "key/a", NonZeroU64::new(1000).unwrap(), Revision::default());
    let day = ledger.account(at(0), &spec).unwrap();
    let Outcome::Reserved(call) = ledger.reserve(at(0), &[(day.clone(), 800)]) else { panic!("refused") };
    assert!(!matches!(ledger.reserve(at(0), &[(day.clone(), 300)]), Outcome::Reserved(_)));
    call.settle(at(1), 600);
    assert_eq!(ledger.view(at(1), &day).spent, 600);
    let Outcome::Reserved(call) = ledger.reserve(at(1), &[(day.clone(), 400)]) else { panic!("refused") };
    call.settle(at(1), 400);
    let tomorrow = at(86_400);
    assert!(matches!(ledger.reserve(tomorrow, &[(day, 1000)]), Outcome::Reserved(_)));
}

#[test]
fn threads_share_an_account_without_passing_its_limit() {
    let desk = memory();
    let rates = account(&desk, 1, limits(1000, 0, 8));
    let count = || (0..2000).filter(|_| matches!(rates.try_admit(at(0), 0), Admission::Admitted(_))).count();
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 1000);
}

#[test]
fn what_idle_accounts_held_is_let_go() {
    let desk = memory();
    let rates = account(&desk, 1, limits(10, 0, 4));
    admitted(&rates, at(0), 0).settle(at(0), 0);
    assert_eq!(desk.in_use(), 1);
    for second in 1..70 {
        desk.tend(at(second));
    }
    assert_eq!(desk.in_use(), 0);
    admitted(&rates, at(70), 0).settle(at(70), 0);
    assert_eq!(desk.in_use(), 1);
}
