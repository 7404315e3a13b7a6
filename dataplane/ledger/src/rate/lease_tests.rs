#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    account::AccountId,
    rate::message::{RateAnswer, Units},
};

const MS: u64 = 1_000_000;

fn answer(slot: Slot, left: u64, granted: u32) -> RateAnswer {
    let requests = Units { granted, ..Units::default() };
    RateAnswer {
        account: AccountId(1),
        number: 1,
        generation: 1,
        repeated: false,
        slot,
        left,
        requests,
        tokens: Units::default(),
        permits: 0,
        tight: false,
        pods: 1,
        fleet: 1,
        local_for: 0,
    }
}

fn held(leases: &Leases) -> u32 {
    leases.units().requests
}

#[test]
fn units_end_with_the_slot_counted_from_when_the_message_was_sent() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    leases.install(540 * MS, 500 * MS, false, &answer(7, 480 * MS, 5), &mut rows);
    leases.turn(979 * MS, &mut rows);
    assert_eq!(held(&leases), 5);
    leases.turn(980 * MS, &mut rows);
    assert_eq!(held(&leases), 0);
    assert_eq!(rows.send()[0].requests_back, 5);
}

#[test]
fn what_is_lent_ahead_begins_late_and_ends_early() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    leases.install(740 * MS, 700 * MS, true, &answer(8, 280 * MS, 5), &mut rows);
    leases.turn(1019 * MS, &mut rows);
    assert_eq!(held(&leases), 0);
    leases.turn(1020 * MS, &mut rows);
    assert_eq!(held(&leases), 5);
    leases.turn(1980 * MS, &mut rows);
    assert_eq!(held(&leases), 0);
    assert_eq!(rows.send()[0].slot, 8);
}

#[test]
fn further_grants_for_a_slot_add_up() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    leases.install(700 * MS, 700 * MS, true, &answer(8, 300 * MS, 5), &mut rows);
    leases.install(1100 * MS, 1100 * MS, false, &answer(8, 900 * MS, 3), &mut rows);
    assert_eq!(held(&leases), 8);
    leases.install(1200 * MS, 1200 * MS, false, &answer(8, 800 * MS, 2), &mut rows);
    assert_eq!(held(&leases), 10);
    assert_eq!(leases.current().unwrap().row, rows.open(1200 * MS, 8));
}

#[test]
fn a_new_slot_sends_the_rest_of_the_old_one_back() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    leases.install(900 * MS, 900 * MS, false, &answer(7, 100 * MS, 5), &mut rows);
    leases.install(999 * MS, 990 * MS, false, &answer(8, 999 * MS, 3), &mut rows);
    assert_eq!(held(&leases), 3);
    let told = rows.send();
    assert_eq!((told.len(), told[0].slot, told[0].requests_back), (1, 7, 5));
}

#[test]
fn the_next_slot_is_asked_for_once_at_the_end_of_a_used_one() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    assert!(!leases.wants_next(0, 300 * MS));
    leases.install(0, 0, false, &answer(7, 1000 * MS, 5), &mut rows);
    assert!(!leases.wants_next(699 * MS, 300 * MS));
    assert!(leases.wants_next(700 * MS, 300 * MS));
    assert!(!leases.wants_next(701 * MS, 300 * MS));
}

#[test]
fn between_leases_the_slot_is_counted_on() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    assert_eq!(leases.slot_at(5), (0, SLOT_NANOS));
    leases.install(0, 0, false, &answer(7, 400 * MS, 1), &mut rows);
    assert_eq!(leases.slot_at(399 * MS), (7, MS));
    assert_eq!(leases.slot_at(400 * MS), (8, SLOT_NANOS));
    assert_eq!(leases.slot_at(2500 * MS), (10, 900 * MS));
}

#[test]
fn excess_eats_what_is_held_also_for_the_next_slot() {
    let (mut leases, mut rows) = (Leases::default(), Rows::default());
    let tokens = |slot, granted| RateAnswer {
        requests: Units::default(),
        tokens: Units { granted, ..Units::default() },
        ..answer(slot, 300 * MS, 0)
    };
    leases.install(700 * MS, 700 * MS, false, &tokens(7, 50), &mut rows);
    leases.install(700 * MS, 700 * MS, true, &tokens(8, 30), &mut rows);
    assert_eq!(leases.eat(60), 0);
    assert_eq!(leases.eat(60), 40);
}
