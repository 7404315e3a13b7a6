//! The file lender's files, undamaged and damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{future::Future, path::Path, pin::pin, task};

use smartflow_ledger::{
    AccountId, Incarnation, Now, PodId, Revision, Window,
    book::Standing,
    lender::{FileLender, Finding, JournalError, Lender, OpenError},
    message::{Batch, Lend, MoneyAsk, Totals},
    rate::{PermitsAsk, RateAsk, RateLimits, UnitsAsk},
};

const NOW: Now = Now { mono: 1_000_000_000, wall: 1_795_262_400_000 };
const TODAY: Window = Window { start: NOW.wall - 3_600_000, end: NOW.wall + 3_600_000 };

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(value) => value,
        task::Poll::Pending => panic!("a file lender answers at once"),
    }
}

fn open(dir: &Path) -> Result<FileLender, OpenError> {
    FileLender::open(dir, NOW)
}

/// A pod spends one unit more.
fn spend(lender: &FileLender, number: u64) {
    let spent = i64::try_from(number).unwrap();
    let ask = MoneyAsk {
        account: AccountId(1),
        window: TODAY,
        incarnation: Incarnation(1),
        pod: PodId(1),
        number,
        totals: Totals { granted: spent, spent, ..Totals::default() },
        reservation: 1,
        lend: Some(Lend { at_least: spent + 1, background: false }),
        limit: Some((1_000_000, Revision { epoch: 1, number: 1 })),
        close: false,
        closed_total: 0,
        counted: false,
    };
    let batch = Batch {
        incarnation: Incarnation(1),
        pod: PodId(1),
        recalls_after: 0,
        money: vec![ask],
        rates: Vec::new(),
    };
    ready(lender.exchange(NOW, &batch)).unwrap();
}

fn standing(lender: &FileLender) -> Vec<Standing> {
    let mut all = ready(lender.standing(AccountId(1))).unwrap();
    all.iter_mut().flat_map(|s| &mut s.rows).for_each(|row| row.seen = None);
    all
}

fn journal(dir: &Path) -> std::path::PathBuf {
    dir.join("ledger.journal")
}

#[test]
fn a_torn_tail_is_cut_off_loudly() {
    for tail in [&b"deadbeef {\"wall\":1,\"reco"[..], &[0; 700], b"half a line", b"00000000 {}\n"] {
        let dir = tempfile::tempdir().unwrap();
        let lender = open(dir.path()).unwrap();
        (1..=5).for_each(|n| spend(&lender, n));
        let before = standing(&lender);
        drop(lender);
        let whole = std::fs::read(journal(dir.path())).unwrap();
        std::fs::write(journal(dir.path()), [&whole, tail].concat()).unwrap();
        let lender = open(dir.path()).unwrap();
        let Some(Finding::TornTail { path, at, bytes }) = lender.findings().first() else {
            panic!("nothing was said")
        };
        assert_eq!((path.as_path(), *at, *bytes), (journal(dir.path()).as_path(), whole.len(), tail.len()));
        assert_eq!(standing(&lender), before);
        // And it goes on from there.
        spend(&lender, 6);
        let before = standing(&lender);
        drop(lender);
        let lender = open(dir.path()).unwrap();
        assert_eq!((standing(&lender), lender.findings().len()), (before, 0));
    }
}

#[test]
fn every_cut_of_the_last_record_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let lender = open(dir.path()).unwrap();
    (1..=3).for_each(|n| spend(&lender, n));
    let (before, whole) = (standing(&lender), std::fs::read(journal(dir.path())).unwrap());
    spend(&lender, 4);
    drop(lender);
    let longer = std::fs::read(journal(dir.path())).unwrap();
    for cut in whole.len()..longer.len() {
        std::fs::write(journal(dir.path()), &longer[..cut]).unwrap();
        assert_eq!(standing(&open(dir.path()).unwrap()), before, "cut at byte {cut}");
    }
}

#[test]
fn damage_in_the_middle_refuses_to_start_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let lender = open(dir.path()).unwrap();
    (1..=5).for_each(|n| spend(&lender, n));
    drop(lender);
    let whole = std::fs::read(journal(dir.path())).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(journal(dir.path()), damaged).unwrap();
    let fault = open(dir.path()).unwrap_err();
    assert!(matches!(fault, OpenError::Journal(JournalError::Corrupt { .. })), "{fault:?}");
    assert!(fault.to_string().contains("ledger.journal"), "{fault}");
    // Nothing was changed by the attempt: a copy put back works.
    std::fs::write(journal(dir.path()), whole).unwrap();
    assert_eq!(standing(&open(dir.path()).unwrap())[0].spent, 5);
}

/// A pod takes requests of a limit of 10 a minute; how many it got.
fn take_requests(lender: &FileLender, number: u64, need: u32, now: Now) -> u32 {
    let ask = RateAsk {
        account: AccountId(9),
        incarnation: Incarnation(1),
        number,
        generation: 1,
        limits: RateLimits { requests: std::num::NonZeroU32::new(10), ..RateLimits::default() },
        revision: Revision { epoch: 1, number: 1 },
        ahead: false,
        answered: number - 1,
        requests: UnitsAsk { least: need, need, want: need },
        tokens: UnitsAsk::default(),
        permits: PermitsAsk::default(),
        slots: Vec::new(),
    };
    let (incarnation, pod, money) = (Incarnation(1), PodId(1), Vec::new());
    let batch = Batch { incarnation, pod, recalls_after: 0, money, rates: vec![ask] };
    ready(lender.exchange(now, &batch)).unwrap().rates[0].requests.granted
}

#[test]
fn a_damaged_journal_of_rates_never_keeps_the_gateway_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rates.journal");
    let lender = open(dir.path()).unwrap();
    let slot = |n: u64| NOW.plus_millis(1_000 * n);
    let granted: u32 = (1..=3).map(|n| take_requests(&lender, n, 2, slot(n))).sum();
    assert_eq!(granted, 6);
    drop(lender);
    // It is never synced: a power cut may leave any page of it empty.
    let mut bytes = std::fs::read(&path).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second..second + 20].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let lender = FileLender::open(dir.path(), slot(4)).unwrap();
    assert!(matches!(lender.findings(), [Finding::Damaged { path: named, .. }] if *named == path));
    // What can still be read counts: two of three grants.
    assert_eq!((take_requests(&lender, 1, 7, slot(4)), take_requests(&lender, 2, 6, slot(4))), (0, 6));
    drop(lender);
    let lender = FileLender::open(dir.path(), slot(5)).unwrap();
    assert_eq!(lender.findings(), [], "it was written anew");
    assert_eq!(take_requests(&lender, 1, 1, slot(5)), 0);
}

#[test]
fn one_process_per_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::InUse { .. })));
    assert_eq!(first.epoch(), 1);
    drop(first);
    assert_eq!(open(dir.path()).unwrap().epoch(), 2, "counts starts");
}

#[test]
fn a_long_journal_is_compacted_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let lender = open(dir.path()).unwrap();
    (1..=12_000).for_each(|n| spend(&lender, n));
    let length = std::fs::metadata(journal(dir.path())).unwrap().len();
    assert!(length < 4_500_000, "12,000 records of some 400 bytes fit {length}");
    let before = standing(&lender);
    drop(lender);
    let lender = open(dir.path()).unwrap();
    assert_eq!((standing(&lender), lender.epoch()), (before, 2));
    (12_001..=13_000).for_each(|n| spend(&lender, n));
    let before = standing(&lender);
    drop(lender);
    assert_eq!(standing(&open(dir.path()).unwrap()), before);
    let length = std::fs::metadata(journal(dir.path())).unwrap().len();
    assert!(length < 10_000, "compacted at the start: {length}");
}

#[test]
fn the_clock_does_not_go_back_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let earlier = Now { wall: NOW.wall - 7_200_000, ..NOW };
    let lender = FileLender::open(dir.path(), earlier).unwrap();
    let hours = lender.findings().iter().map(|finding| match finding {
        Finding::ClockBehind { hours, .. } => *hours,
        other => panic!("{other}"),
    });
    assert_eq!(
        hours.collect::<Vec<_>>(),
        [2],
        "no budget starts anew before the clock has caught up: said loudly"
    );
    drop(lender);
    let lender = FileLender::open(dir.path(), Now { wall: NOW.wall - 3_599_999, ..NOW }).unwrap();
    assert_eq!(lender.findings(), []);
    let batch = Batch {
        incarnation: Incarnation(1),
        pod: PodId(1),
        recalls_after: 0,
        money: Vec::new(),
        rates: Vec::new(),
    };
    assert_eq!(ready(lender.exchange(earlier, &batch)).unwrap().wall, NOW.wall);
}
