//! The directed traces of `ledger.md` that concern L1 to L12: each broke an earlier wording of a rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]
#![allow(clippy::cast_sign_loss, clippy::cast_precision_loss)]

mod world;

use smartflow_ledger::{Incarnation, Period, PodId, Window, message::Lend};
use world::{Faults, MS, Plan, SECOND, World};

fn world(pods: usize, limit: i64) -> World {
    World::new(7, pods, &[("key/k", limit, Period::Daily)], Faults::default())
}

/// A call of 10 every 20 ms on a pod until `until`.
fn drain(world: &mut World, pod: usize, amount: i64, until: u64) {
    if world.time < until && world.pods[pod].ledger.is_some() {
        world.plan.lasts = (10, 10);
        world.call(pod, 1_000, vec![0], amount, amount);
        world.then(20 * MS, move |world| drain(world, pod, amount, until));
    }
}

fn served(world: &World) -> i64 {
    world.truth.values().map(|truth| truth.served).sum()
}

/// A world in which only directed calls happen.
fn directed(pods: usize, limit: i64) -> World {
    let mut world = world(pods, limit);
    world.plan.until = 0;
    world
}

#[test]
fn a_lend_carried_out_after_the_pod_gave_up_strands_nothing() {
    let mut world = directed(2, 1_000);
    world.then(100 * MS, |world| world.call(0, 0, vec![0], 10, 10));
    // The pod's next lend is delayed by 0.5 s: it gives up, asks and reports again meanwhile, and has gone on.
    world.then(SECOND, |world| {
        let standing = world.standing(0);
        let row = standing[0].rows[0];
        let late = smartflow_ledger::message::MoneyAsk {
            account: world.id(0),
            window: standing[0].window,
            incarnation: row.incarnation,
            pod: row.pod,
            number: row.number - 1,
            totals: row.totals,
            reservation: 200,
            lend: Some(Lend { at_least: row.totals.granted + 200, background: false }),
            limit: None,
            close: false,
            closed_total: 0,
            counted: false,
        };
        let batch = smartflow_ledger::message::Batch {
            incarnation: row.incarnation,
            pod: row.pod,
            recalls_after: 0,
            money: vec![late],
            rates: Vec::new(),
        };
        assert_eq!(world.lend(&batch).money[0].granted, row.totals.granted);
    });
    world.then(2 * SECOND, |world| drain(world, 1, 10, 9 * SECOND));
    world.run_until(10 * SECOND);
    assert_eq!(served(&world), 1_000, "the other pod gets all that is left");
}

#[test]
fn an_overrun_does_not_hide_later_grants() {
    let mut world = directed(2, 1_000);
    for call in 0..5 {
        world.then(call * 50 * MS + 1, |world| world.call(0, 0, vec![0], 10, 80));
    }
    // Long calls of the same pod, then the other pod takes what is left.
    for _ in 0..30 {
        world.then(SECOND, |world| {
            world.plan.lasts = (5_000, 5_000);
            world.call(0, 0, vec![0], 20, 20);
        });
    }
    world.then(1_500 * MS, |world| drain(world, 1, 10, 4 * SECOND));
    world.run_until(12 * SECOND);
    world.wind_down();
    let truth = world.truth.values().next().unwrap();
    assert!(truth.served - truth.beyond <= 1_000, "{truth:?}");
    assert_eq!(world.standing(0)[0].spent, truth.served);
}

#[test]
fn refunds_do_not_pile_up_on_a_pod() {
    let mut world = directed(2, 1_000);
    for call in 0..9 {
        world.then(call * MS + 1, |world| {
            world.plan.lasts = (300, 300);
            world.call(0, 0, vec![0], 100, 2);
        });
    }
    world.then(2_500 * MS, |world| world.lose(0));
    world.run_until(6 * SECOND);
    let forfeited = world.standing(0)[0].forfeited;
    assert!(forfeited <= 200, "two leases at most, not nine refunds: {forfeited}");
}

#[test]
fn a_kill_between_two_reports_loses_no_spend() {
    let mut world = directed(2, 1_000);
    for call in 0..20 {
        world.then(call * 20 * MS + 1, |world| {
            world.plan.lasts = (10, 10);
            world.call(0, 0, vec![0], 10, 10);
        });
    }
    // Nothing was reported yet: only the spend file knows.
    world.then(450 * MS, |world| {
        assert!(world.standing(0)[0].spent < 200);
        world.crash(0);
    });
    world.then(2 * SECOND, |world| {
        assert_eq!(world.standing(0)[0].spent, 200);
        drain(world, 1, 10, 9 * SECOND);
    });
    world.run_until(12 * SECOND);
    world.wind_down();
    assert_eq!((served(&world), world.standing(0)[0].forfeited), (1_000, 0));
}

#[test]
fn what_a_cut_off_pod_holds_cannot_be_written_off() {
    let mut world = directed(2, 1_000);
    for call in 0..50 {
        world.then(call * 10 * MS + 1, |world| {
            world.plan.lasts = (3_000, 3_000);
            world.call(0, 0, vec![0], 10, 10);
        });
    }
    world.then(SECOND, |world| world.pods[0].cut = true);
    world.then(1_200 * MS, |world| {
        let (account, window, who) = (world.id(0), world.standing(0)[0].window, world.pods[0].incarnation);
        assert!(world.book.write_off(account, window, who).is_err());
        drain(world, 1, 10, 9 * SECOND);
    });
    world.then(6 * SECOND, |world| world.pods[0].cut = false);
    world.run_until(11 * SECOND);
    world.wind_down();
    assert_eq!(served(&world), 1_000);
}

#[test]
fn answers_of_an_older_generation_are_dropped() {
    let mut world = directed(1, 1_000);
    world.then(100 * MS, |world| world.call(0, 0, vec![0], 10, 10));
    world.run_until(2 * SECOND);
    // The lender loses its data and starts anew, in generation 2; an answer of generation 1 is still on its way.
    let now = world.now();
    let ledger = world.pods[0].ledger.clone().unwrap();
    let account = world.pods[0].accounts[0].clone();
    ledger.view(now, &account);
    let older = smartflow_ledger::Outcome::Away;
    drop(older);
    let wish = [(account.clone(), 400)];
    let smartflow_ledger::Outcome::Wait(waiting) = ledger.reserve(now, &wish) else { panic!("decided") };
    let late = ledger.outgoing(now).unwrap();
    let old_answer = world.book.exchange(now, &late.batch);
    world.book = smartflow_ledger::book::Book::new(2);
    let now = now.plus_millis(400);
    ledger.tick(now);
    let beat = ledger.outgoing(now).unwrap();
    let answer = world.book.exchange(now, &beat.batch);
    ledger.feed(now, &beat, Ok(answer));
    ledger.feed(now, &late, Ok(old_answer));
    assert!(
        !matches!(waiting.poll(now, None), smartflow_ledger::Outcome::Reserved(_)),
        "what the old lender granted is not known to the new one"
    );
}

#[test]
fn a_closed_pod_counts_after_the_lender_lost_its_data() {
    let mut world = directed(2, 1_000);
    for call in 0..60 {
        world.then(call * 10 * MS + 1, |world| {
            world.plan.lasts = (5, 5);
            world.call(0, 0, vec![0], 10, 10);
        });
    }
    world.then(1_500 * MS, |world| assert!(!world.close(0)));
    world.then(1_700 * MS, |world| assert!(!world.close(0)));
    world.then(1_900 * MS, |world| assert!(world.close(0)));
    for call in 0..20 {
        world.then((2_000 + 20 * call) * MS, |world| world.call(1, 0, vec![0], 10, 10));
    }
    world.run_until(5 * SECOND);
    let before = world.standing(0)[0].clone();
    assert_eq!((before.closed_total, before.spent), (600, 800));
    // Everything is gone, and the pod that was closed is not there to say what it spent: C is.
    world.book = smartflow_ledger::book::Book::new(2);
    world.pods[0].ledger = None;
    world.then(SECOND, |world| drain(world, 1, 10, 9 * SECOND));
    world.run_until(12 * SECOND);
    assert_eq!(served(&world), 1_000);
}

#[test]
fn an_exhausted_account_at_1000_requests_a_second() {
    let mut world = directed(1, 1_000);
    world.plan.pause = 1;
    world.then(1, |world| drain(world, 0, 100, 2 * SECOND));
    world.run_until(4 * SECOND);
    assert_eq!(served(&world), 1_000);
    let (asked, refused) = (world.counts.script_calls, world.counts.refused);
    for call in 0..10_000_u64 {
        world.then(call * MS, |world| world.call(0, 0, vec![0], 100, 100));
    }
    world.run_until(15 * SECOND);
    assert_eq!((world.counts.refused - refused, world.counts.away), (10_000, 0));
    let rate = (world.counts.script_calls - asked) as f64 / 11.0;
    assert!(rate <= 10.0, "{rate} script calls a second");
    assert_eq!(served(&world), 1_000);
}

#[test]
fn a_call_that_waits_gets_what_another_pod_returns() {
    let mut world = directed(2, 1_000);
    // Pod 0 holds a lease of which it uses nothing; pod 1 needs nearly all.
    world.then(10 * MS, |world| world.call(0, 0, vec![0], 10, 0));
    world.then(2 * SECOND, |world| {
        assert!(world.standing(0)[0].leased > 0);
        world.call(1, 0, vec![0], 1_000, 1_000);
    });
    world.run_until(4 * SECOND);
    assert_eq!((served(&world), world.counts.refused), (1_000, 0), "recalled and lent on, not refused");
}

#[test]
fn a_pod_without_its_lender_spends_its_lease_and_no_longer() {
    let mut world = directed(1, 100_000);
    world.then(MS, |world| world.call(0, 0, vec![0], 10, 10));
    world.then(SECOND, |world| world.lender_away = true);
    world.then(1_500 * MS, |world| world.call(0, 0, vec![0], 10, 10));
    world.run_until(3 * SECOND);
    assert_eq!(world.counts.served, 2, "within the lease (3 s) it goes on");
    world.then(3 * SECOND, |world| world.call(0, 0, vec![0], 10, 10));
    world.run_until(8 * SECOND);
    assert_eq!((world.counts.served, world.counts.away), (2, 1), "past it, no new reservation");
    world.lender_away = false;
    world.then(SECOND, |world| world.call(0, 0, vec![0], 10, 10));
    world.run_until(11 * SECOND);
    assert_eq!(world.counts.served, 3);
}

#[test]
fn the_next_window_is_lent_ahead_and_nothing_waits_at_midnight() {
    let mut world = world(3, 100_000);
    world.before_midnight(70_000);
    world.plan = Plan { reserve: (10, 20), until: 90 * SECOND, ..Plan::default() };
    world.clients(6);
    world.run_until(60 * SECOND);
    let waited = world.counts.waited;
    world.run_until(90 * SECOND);
    assert_eq!(world.counts.waited, waited, "no call waited for the new window's first lend");
    let windows: Vec<Window> = world.standing(0).iter().map(|s| s.window).collect();
    assert_eq!(windows.len(), 2);
    world.wind_down();
    assert!(world.standing(0).iter().all(|s| s.leased == 0 && s.forfeited == 0));
}

#[test]
fn a_lend_of_a_dead_process_is_not_carried_out_between_its_report_and_its_closing() {
    let mut world = directed(1, 1_000);
    world.then(MS, |world| world.call(0, 0, vec![0], 10, 10));
    world.run_until(3 * SECOND);
    let row = world.standing(0)[0].rows[0];
    world.kill(0);
    world.start(0);
    let (now, ledger) = (world.now(), world.pods[0].ledger.clone().unwrap());
    let report = ledger.outgoing(now).unwrap();
    let told = world.lend(&report.batch);
    let mut late = report.batch.clone();
    late.incarnation = row.incarnation;
    late.money[0].number = row.number + 1;
    late.money[0].lend = Some(Lend { at_least: row.totals.granted + 100, background: false });
    assert_eq!(world.lend(&late).money[0].granted, row.totals.granted);
    ledger.feed(now, &report, Ok(told));
    ledger.tick(now);
    let closing = ledger.outgoing(now).unwrap();
    let told = world.lend(&closing.batch);
    ledger.feed(now, &closing, Ok(told));
    assert_eq!((world.standing(0)[0].forfeited, world.standing(0)[0].leased, ledger.open_rows()), (0, 0, 0));
}

#[test]
fn a_changed_limit_and_a_disablement_return_what_is_not_reserved() {
    let mut world = directed(1, 100_000);
    let long_call = |world: &mut World| {
        world.plan.lasts = (60_000, 60_000);
        world.call(0, 0, vec![0], 10, 10);
    };
    world.then(MS, long_call);
    world.run_until(3 * SECOND);
    assert!(world.standing(0)[0].leased > 100);
    (world.accounts[0].1, world.revision) = (90_000, 2);
    world.activate(0);
    world.run_until(3 * SECOND + 100 * MS);
    assert_eq!((world.standing(0)[0].leased, world.standing(0)[0].limit), (10, 90_000));
    world.then(MS, long_call);
    world.run_until(4 * SECOND);
    assert!(world.standing(0)[0].leased > 100);
    let (now, pod) = (world.now(), &world.pods[0]);
    pod.ledger.as_ref().unwrap().disable(now, &pod.accounts[0]);
    world.flush(0);
    world.run_until(4 * SECOND + 100 * MS);
    assert_eq!(world.standing(0)[0].leased, 20, "two calls in flight keep what they have");
}

#[test]
fn what_is_left_follows_a_changed_limit_before_the_lender_answers() {
    let mut world = directed(1, 1_000);
    world.then(MS, |world| world.call(0, 0, vec![0], 1_000, 1_000));
    world.run_until(2 * SECOND);
    let left = |world: &World| {
        let pod = &world.pods[0];
        pod.ledger.as_ref().unwrap().left(world.now(), &pod.accounts[0])
    };
    assert_eq!(left(&world), 0);
    for (limit, revision, after) in [(3_000, 2, 2_000), (500, 3, 0), (1_200, 4, 200)] {
        (world.accounts[0].1, world.revision) = (limit, revision);
        world.activate(0);
        assert_eq!(left(&world), after, "at once");
        world.run_until(2 * SECOND + revision * 100 * MS);
        assert_eq!(left(&world), after, "when the lender has answered");
    }
}

#[test]
fn a_pod_that_hears_of_tightness_returns_what_it_does_not_need() {
    let mut world = directed(2, 10_000);
    world.then(MS, |world| world.call(0, 0, vec![0], 10, 10));
    world.then(SECOND, |world| {
        world.plan.lasts = (9_000, 9_000);
        world.call(1, 0, vec![0], 9_890, 9_890);
    });
    world.run_until(2_500 * MS);
    assert_eq!(world.standing(0)[0].leased, 9_890 + 90);
    world.then(MS, |world| {
        world.plan.lasts = (10, 10);
        world.call(0, 0, vec![0], 10, 10);
    });
    world.run_until(5 * SECOND);
    assert_eq!((world.standing(0)[0].leased, world.counts.waited), (9_890, 2), "without a recall");
}

#[test]
fn a_pod_takes_over_the_window_that_the_lender_holds() {
    let mut world = directed(1, 1_000);
    // Another pod, with other time-zone data, was first; its window ends in 5 s.
    let now = world.now();
    let stored = Window { start: now.wall - 3_600_000, end: now.wall + 5_000 };
    let ask = smartflow_ledger::message::MoneyAsk {
        account: world.id(0),
        window: stored,
        incarnation: Incarnation(5),
        pod: PodId(5),
        number: 1,
        totals: smartflow_ledger::message::Totals::default(),
        reservation: 1,
        lend: Some(Lend { at_least: 995, background: false }),
        limit: Some((1_000, world.spec(0).revision)),
        close: false,
        closed_total: 0,
        counted: false,
    };
    let batch = smartflow_ledger::message::Batch {
        incarnation: Incarnation(5),
        pod: PodId(5),
        recalls_after: 0,
        money: vec![ask],
        rates: Vec::new(),
    };
    world.lend(&batch);
    world.then(100 * MS, |world| world.call(0, 0, vec![0], 5, 5));
    world.then(SECOND, |world| world.call(0, 0, vec![0], 5, 5));
    world.run_until(4 * SECOND);
    assert_eq!((world.counts.served, world.counts.refused), (1, 1), "one purse for both");
    assert_eq!(world.standing(0).len(), 1);
    world.then(5 * SECOND, |world| world.call(0, 0, vec![0], 5, 5));
    world.run_until(12 * SECOND);
    assert_eq!(world.counts.served, 2, "once it has ended, the pod's own window opens");
    assert_eq!(world.standing(0).iter().map(|s| s.spent).collect::<Vec<_>>(), [5, 5]);
}

#[test]
fn a_lender_that_lost_its_grants_of_a_live_pod_hears_of_them() {
    let mut world = directed(1, 1_000);
    world.then(MS, |world| {
        world.plan.lasts = (5_000, 5_000);
        world.call(0, 0, vec![0], 600, 600);
    });
    world.run_until(2 * SECOND);
    assert_eq!(world.standing(0)[0].leased, 600);
    world.book = smartflow_ledger::book::Book::new(2);
    world.run_until(4 * SECOND);
    let standing = &world.standing(0)[0];
    assert_eq!((standing.leased, standing.rows.len()), (600, 1), "sent again on the new generation");
    assert_eq!(standing.rows[0].pod, PodId(0));
    assert_ne!(standing.rows[0].incarnation, Incarnation(0));
}

#[test]
fn l14_a_lender_that_lost_its_data_hears_of_windows_that_ended_and_left_memory() {
    let mut world = directed(1, 1_000);
    world.before_midnight(10_000);
    world.then(SECOND, |world| world.call(0, 0, vec![0], 600, 600));
    // The day after, until the window before is closed and forgotten in memory.
    for second in 11..20 {
        world.then(second * SECOND, |world| world.call(0, 0, vec![0], 10, 10));
    }
    world.run_until(22 * SECOND);
    let before = world.counts.script_calls;
    world.run_until(25 * SECOND);
    let usual = world.counts.script_calls - before;
    let spent =
        |world: &World| world.standing(0).iter().map(|day| (day.spent, day.leased)).collect::<Vec<_>>();
    assert_eq!(spent(&world)[0], (600, 0), "{:?}", world.standing(0));
    let today = spent(&world)[1].0;
    world.book = smartflow_ledger::book::Book::new(2);
    world.run_until(30 * SECOND);
    assert_eq!(
        spent(&world).iter().map(|day| day.0).collect::<Vec<_>>(),
        [600, today],
        "both days are told again"
    );
    assert!(
        world.standing(0)[0].rows.iter().all(|row| row.closed.is_some()),
        "and the first is closed again"
    );
    // Once: what is told is told, and another loss begins anew.
    let before = world.counts.script_calls;
    world.run_until(33 * SECOND);
    assert_eq!(world.counts.script_calls - before, usual, "it repeats itself");
    world.book = smartflow_ledger::book::Book::new(3);
    world.run_until(40 * SECOND);
    assert_eq!(spent(&world)[0].0, 600, "also a second time");
}

#[test]
fn l14_what_a_closed_predecessor_spent_is_counted_once_by_a_lender_that_lost_its_data() {
    let mut world = directed(2, 1_000);
    for call in 0..20 {
        world.then(call * 20 * MS + 1, |world| {
            world.plan.lasts = (10, 10);
            world.call(0, 0, vec![0], 10, 10);
        });
    }
    world.then(450 * MS, |world| world.crash(0));
    // The other pod and the one that came back both hear of C.
    for second in 2..6 {
        world.then(second * SECOND, |world| {
            world.call(0, 0, vec![0], 10, 10);
            world.call(1, 1, vec![0], 10, 10);
        });
    }
    world.run_until(9 * SECOND);
    let sums = |world: &World| {
        let stands = &world.standing(0)[0];
        (stands.spent, stands.forfeited, stands.closed_total)
    };
    let before = sums(&world);
    assert_eq!((before.0, before.1), (280, 0));
    assert!(before.2 >= 200, "the first life is closed: {before:?}");
    for generation in 2..4 {
        world.book = smartflow_ledger::book::Book::new(generation);
        let end = world.time + 4 * SECOND;
        world.run_until(end);
        assert_eq!(sums(&world), before, "in generation {generation}");
    }
}
