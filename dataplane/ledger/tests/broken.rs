//! The contract suite refuses lenders that break it: a second lender, written from the rules alone, keeps the contract,
//! and each of its deliberate faults is found, under the rule that it breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod second;

use second::{Fault, SecondLender};
use smartflow_ledger::contract::{self, Broken, Rig};

const WALL: i64 = 1_795_262_400_000;

fn broken(fault: Option<Fault>) -> Vec<Broken> {
    let fresh = move || Rig {
        lender: Box::new(SecondLender::new(fault)),
        wall: WALL,
        restart: Some(Box::new(|old| second::restart(old))),
    };
    contract::check(fresh).err().unwrap_or_default()
}

#[test]
fn the_second_lender_keeps_the_contract() {
    let broken = broken(None);
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn every_fault_is_found_under_its_rule() {
    for (fault, rule) in second::FAULTS {
        let broken = broken(Some(*fault));
        assert!(
            broken.iter().any(|broken| broken.rule.starts_with(rule)),
            "{fault:?} is not found under {rule}: {broken:?}"
        );
    }
}
