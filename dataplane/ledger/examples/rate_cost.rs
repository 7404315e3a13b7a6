//! What an ordinary admission costs, what one costs that must ask the file lender, and what accounts take in memory:
//! `cargo run --release -p smartflow-ledger --example rate_cost [data dir]`. Medians of nine rounds.
#![allow(clippy::print_stdout)]

use std::{error::Error, num::NonZeroU32, path::Path, sync::Arc, time::Instant};

use smartflow_ledger::{
    AccountId, Incarnation, Now, PodId, Revision,
    lender::{FileLender, Lender, MemoryLender},
    rate::{Admission, RateDesk, RateLimits, Rates, admit_all},
};

const CALLS: u64 = 200_000;
const ACCOUNTS: u128 = 100_000;
/// Most of a minute's limit stays free, so that no call is refused.
const LARGE: Option<NonZeroU32> = NonZeroU32::new(1 << 31);

fn main() -> Result<(), Box<dyn Error>> {
    let memory: Arc<dyn Lender> = Arc::new(MemoryLender::default());
    let limits = RateLimits { requests: LARGE, tokens: LARGE, parallel: NonZeroU32::new(1000) };
    let rates = desk(&memory).account(AccountId(1), limits, Revision::default());
    let now = Now { mono: 1, wall: 0 };
    time("admit and settle, three limits, lease held", || call(&rates, now));
    let only = RateLimits { requests: LARGE, ..RateLimits::default() };
    let requests = desk(&memory).account(AccountId(2), only, Revision::default());
    time("admit and settle, requests only, lease held", || call(&requests, now));
    time("the same for two accounts at once", || {
        if let Admission::Admitted(tickets) = admit_all([&rates, &requests], now, 100) {
            tickets.settle(now, 90);
        }
    });
    let one = RateLimits { requests: NonZeroU32::new(1), ..RateLimits::default() };
    let spent = desk(&memory).account(AccountId(3), one, Revision::default());
    call(&spent, now);
    time("refuse, remembered", || call(&spent, now));

    let dir = std::env::args().nth(1).unwrap_or_else(|| "/tmp/smartflow-rate-cost".into());
    let file: Arc<dyn Lender> = Arc::new(FileLender::open(Path::new(&dir), now)?);
    let filed = desk(&file).account(AccountId(4), limits, Revision::default());
    let mut later = now;
    time("admit and settle, first call of a second, file lender asked", || {
        later.mono += 1_000_000_000;
        call(&filed, later);
    });
    std::fs::remove_dir_all(&dir)?;
    accounts(&memory, limits)
}

fn accounts(lender: &Arc<dyn Lender>, limits: RateLimits) -> Result<(), Box<dyn Error>> {
    let desk = desk(lender);
    let before = resident()?;
    let all: Vec<Rates> =
        (0..ACCOUNTS).map(|id| desk.account(AccountId(id << 64), limits, Revision::default())).collect();
    let idle = resident()?;
    let at = |second: u64| Now { mono: second * 1_000_000_000, wall: 0 };
    all.iter().for_each(|rates| call(rates, at(500_000)));
    let used = resident()?;
    let each = |bytes: usize| bytes / usize::try_from(ACCOUNTS).unwrap_or(1);
    println!("{} bytes an account without traffic, handle included", each(idle - before));
    println!("{} more, lender's side included, after its first call", each(used - idle));
    let started = Instant::now();
    desk.tend(at(500_001));
    println!("{:?} to tend {} accounts used a second ago", started.elapsed(), desk.in_use());
    (502..570).for_each(|second| desk.tend(at(500_000 + second)));
    println!("{} accounts held 68 s later", desk.in_use());
    Ok(())
}

fn desk(lender: &Arc<dyn Lender>) -> RateDesk {
    RateDesk::new(lender, Incarnation(1), PodId(1))
}

fn call(rates: &Rates, now: Now) {
    if let Admission::Admitted(ticket) = rates.try_admit(now, 100) {
        ticket.settle(now, 90);
    }
}

fn time(what: &str, mut once: impl FnMut()) {
    let mut rounds: Vec<u128> = (0..9)
        .map(|_| {
            let started = Instant::now();
            (0..CALLS).for_each(|_| once());
            started.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    println!("{:>6} ns  {what}", rounds[4]);
}

fn resident() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: usize = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
    Ok(kib * 1024)
}
