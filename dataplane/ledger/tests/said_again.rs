//! L14: a lender that lost data hears again what it has counted before, and counts it once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]
#![allow(clippy::cast_sign_loss, clippy::cast_precision_loss)]

mod world;

use smartflow_ledger::{Period, book::Book};
use world::{Faults, MS, SECOND, World};

const HOUR: i64 = 3_600_000;

/// A world in which only directed calls happen.
fn directed(pods: usize, period: Period) -> World {
    let mut world = World::new(7, pods, &[("key/k", 1_000, period)], Faults::default());
    world.plan.until = 0;
    world
}

fn calls(world: &mut World, pod: usize, count: u64, start: u64) {
    for call in 0..count {
        world.then(start + call * 10 * MS + 1, move |world| {
            world.plan.lasts = (5, 5);
            world.call(pod, 0, vec![0], 10, 10);
        });
    }
}

/// A call of 10 every 20 ms until `until`.
fn drain(world: &mut World, pod: usize, until: u64) {
    if world.time < until && world.pods[pod].ledger.is_some() {
        world.plan.lasts = (10, 10);
        world.call(pod, 1_000, vec![0], 10, 10);
        world.then(20 * MS, move |world| drain(world, pod, until));
    }
}

fn served(world: &World) -> i64 {
    world.truth.values().map(|truth| truth.served).sum()
}

/// The same books in another generation, as after a restart that lost nothing.
fn another_generation(world: &mut World, generation: u64) {
    let mut next = Book::new(generation);
    world.book.records().for_each(|record| next.replay(record));
    next.replayed();
    world.book = next;
}

/// Nothing is left of the books.
fn flush(world: &mut World, generation: u64) {
    world.book = Book::new(generation);
}

#[test]
fn l5_a_predecessor_that_became_part_of_the_sums_is_not_billed_again() {
    let mut world = directed(1, Period::Lifetime);
    calls(&mut world, 0, 50, 0);
    world.then(1_500 * MS, |world| world.crash(0));
    world.run_until(5 * SECOND);
    let first = world.standing(0)[0].clone();
    assert_eq!((first.spent, first.closed_total, served(&world)), (500, 500, 500));
    // 49 hours later its row is folded; what comes next tells of it again.
    world.start += 49 * HOUR;
    calls(&mut world, 0, 1, 0);
    world.run_until(8 * SECOND);
    let folded = world.standing(0)[0].clone();
    assert!(folded.rows.iter().all(|row| row.closed.is_none()), "{folded:?}");
    another_generation(&mut world, 2);
    calls(&mut world, 0, 1, SECOND);
    world.run_until(12 * SECOND);
    assert_eq!((world.standing(0)[0].spent, served(&world)), (520, 520), "a restart that lost nothing");
    world.then(0, |world| world.crash(0));
    calls(&mut world, 0, 1, 2 * SECOND);
    world.run_until(17 * SECOND);
    assert_eq!((world.standing(0)[0].spent, served(&world)), (530, 530), "the container's second restart");
}

#[test]
fn l14_a_killed_process_is_counted_once_after_a_flush_whoever_speaks_first() {
    for first in [0, 1] {
        let mut world = directed(2, Period::Daily);
        calls(&mut world, 0, 50, 0);
        world.then(1_500 * MS, |world| world.crash(0));
        // Both know C, and have said so.
        calls(&mut world, 1, 1, 3 * SECOND);
        calls(&mut world, 0, 1, 4 * SECOND);
        world.run_until(6 * SECOND);
        let before = world.standing(0)[0].clone();
        assert_eq!((before.spent, before.closed_total, served(&world)), (520, 500, 520));
        world.pods[1 - first].cut = true;
        flush(&mut world, 2);
        world.run_until(8 * SECOND);
        assert_eq!(world.standing(0)[0].closed_total, 500, "pod {first} has told C");
        world.pods[1 - first].cut = false;
        world.run_until(10 * SECOND);
        let after = world.standing(0)[0].clone();
        assert_eq!((after.spent, after.forfeited, after.closed_total), (520, 0, 500), "pod {first} first");
        world.then(0, |world| drain(world, 1, 18 * SECOND));
        world.run_until(20 * SECOND);
        // And once more, now that a process of the second ledger was closed, too.
        world.then(0, |world| world.crash(0));
        world.run_until(24 * SECOND);
        flush(&mut world, 3);
        world.run_until(28 * SECOND);
        world.wind_down();
        let end = world.standing(0)[0].clone();
        assert_eq!((served(&world), end.spent, end.forfeited), (1_000, 1_000, 0));
    }
}

#[test]
fn l14_an_old_copy_of_the_books_is_brought_up_to_date_and_counts_once() {
    let mut world = directed(2, Period::Daily);
    calls(&mut world, 0, 50, 0);
    calls(&mut world, 1, 1, 0);
    world.run_until(1_100 * MS);
    // A snapshot from before the last calls were told, and from before the closing.
    let old: Vec<_> = world.book.records().collect();
    let told = world.standing(0)[0].spent;
    world.then(400 * MS, |world| world.crash(0));
    calls(&mut world, 1, 1, 3 * SECOND);
    calls(&mut world, 0, 1, 3 * SECOND);
    world.run_until(6 * SECOND);
    let before = world.standing(0)[0].clone();
    assert!(told < before.spent && before.closed_total == 500, "{told} {before:?}");
    world.book = Book::new(2);
    old.into_iter().for_each(|record| world.book.replay(record));
    world.book.replayed();
    world.run_until(9 * SECOND);
    let after = world.standing(0)[0].clone();
    assert_eq!((after.spent, after.forfeited, after.closed_total), (served(&world), 0, 500));
}

#[test]
fn l14_windows_that_ended_are_told_again_too() {
    let mut world = directed(1, Period::Daily);
    world.before_midnight(10_000);
    calls(&mut world, 0, 50, 0);
    calls(&mut world, 0, 1, 12 * SECOND);
    world.run_until(20 * SECOND);
    let before = world.standing(0);
    assert_eq!(before.iter().map(|s| (s.spent, s.leased)).collect::<Vec<_>>()[0], (500, 0));
    assert!(before[0].rows.iter().all(|row| row.closed.is_some()), "{before:?}");
    flush(&mut world, 2);
    world.run_until(24 * SECOND);
    let after = world.standing(0);
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!((after[0].spent, after[0].forfeited, after[0].closed_total), (500, 0, 500));
    assert_eq!(after[1].spent, before[1].spent);
}
