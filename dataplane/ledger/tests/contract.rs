//! The contract suite on our lenders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use smartflow_ledger::{
    Now,
    contract::{self, Rig},
    lender::{FileLender, MemoryLender},
};

const NOW: Now = Now { mono: 1, wall: 1_795_262_400_000 };

fn assert_keeps(fresh: impl Fn() -> Rig) {
    if let Err(broken) = contract::check(fresh) {
        panic!("{}", broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn the_memory_lender() {
    assert_keeps(|| Rig { lender: Box::new(MemoryLender::default()), wall: NOW.wall, restart: None });
}

#[test]
fn the_file_lender() {
    assert_keeps(|| {
        let dir = tempfile::tempdir().unwrap();
        let lender = Box::new(FileLender::open(dir.path(), NOW).unwrap());
        let restart = Box::new(move |old| {
            drop(old);
            Box::new(FileLender::open(dir.path(), NOW).unwrap()) as Box<dyn smartflow_ledger::lender::Lender>
        });
        Rig { lender, wall: NOW.wall, restart: Some(restart) }
    });
}
