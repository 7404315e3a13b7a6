//! L14 on a real Redis: what was lost is put together again, once, and nothing is lent twice meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::tests::*;
use super::*;
use crate::{
    account::PodId,
    message::{MoneyAsk, Totals},
};
use smartflow_rig::redis::{RedisServer, Setup};
use std::time::Instant;

fn of(pod: u128, ask: MoneyAsk) -> MoneyAsk {
    MoneyAsk { incarnation: Incarnation(pod), pod: PodId(pod), ..ask }
}

/// Says it until the ledger lends.
async fn lent(lender: &RedisLender, pod: u128, at_least: i64) {
    let (start, mut number) = (Instant::now(), 1_000);
    while say(lender, of(pod, ask(number, Totals::default(), at_least))).await.granted < at_least {
        number += 1;
        assert!(start.elapsed() < LIMIT, "never lends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn l14_a_ledger_made_by_one_who_knew_of_no_other_lends_nothing_once_somebody_does() {
    let server = RedisServer::start();
    let short = RedisOptions { lease_millis: 1_500, ..LEASE };
    let old = fresh(&server, short).await;
    assert_eq!(say(&old, ask(1, Totals::default(), 400)).await.granted, 400);
    let closing = MoneyAsk { close: true, ..of(0xB, ask(1, totals(0, 50, 0), 0)) };
    assert_eq!(say(&old, closing).await.closed_total, 50);
    server.cli(&["FLUSHALL"]);
    // A pod with an empty data dir goes first: to its knowledge there never was a ledger.
    let newcomer = RedisLender::new(old.redis.clone(), short);
    newcomer.create(&Creation::default()).await.unwrap().unwrap();
    assert_eq!(say(&newcomer, of(0xC, ask(1, Totals::default(), 100))).await.granted, 100);
    // The old one knows C, and what it holds.
    let told = MoneyAsk { closed_total: 50, ..ask(2, totals(400, 100, 0), 0) };
    let answer = say(&old, told).await;
    assert_eq!(
        (answer.spent, answer.closed_total, answer.forfeited),
        (100, 50, 50),
        "C is not gone for good"
    );
    assert!(old.health().recovering);
    let refused = say(&newcomer, of(0xC, ask(2, totals(100, 0, 0), 200))).await;
    assert_eq!((refused.granted, refused.short), (100, false), "others may know more: nothing is lent now");
    let start = Instant::now();
    lent(&newcomer, 0xC, 550).await;
    assert!(start.elapsed() >= Duration::from_millis(1_300), "{:?}", start.elapsed());
    assert_eq!(
        say(&newcomer, of(0xC, ask(2_000, totals(550, 0, 0), 551))).await.granted,
        550,
        "400 + 50 + 550"
    );
}

#[tokio::test]
async fn l5_answers_of_a_new_ledger_are_above_every_generation_that_a_pod_knows() {
    let server = RedisServer::start();
    let short = RedisOptions { lease_millis: 300, ..LEASE };
    let lender = fresh(&server, short).await;
    let ahead = lender.generation().await.unwrap().unwrap() + 1_000_000;
    // Heard from a ledger whose server had a clock that was ahead.
    lender.has_heard(ahead);
    let answers = Lender::exchange(&lender, NOW, &heartbeat(0xA)).await.unwrap();
    assert!(answers.generation > ahead && answers.recovering, "{answers:?}");
    lent(&lender, 0xA, 10).await;
}

#[tokio::test]
async fn l14_what_was_said_to_be_counted_counts_once() {
    let server = RedisServer::start();
    let lender = fresh(&server, RedisOptions { lease_millis: 300, ..LEASE }).await;
    say(&lender, of(0xD, ask(1, Totals::default(), 500))).await;
    let told = totals(500, 400, 60);
    let closed = say(&lender, MoneyAsk { close: true, ..of(0xD, ask(2, told, 0)) }).await;
    assert_eq!((closed.closed_total, closed.forfeited), (440, 40));
    server.cli(&["FLUSHALL"]);
    lender
        .create(&Creation { lost: true, pods: vec![PodId(0xA)], ..Creation::default() })
        .await
        .unwrap()
        .unwrap();
    let first = say(&lender, MoneyAsk { closed_total: 440, ..ask(1, Totals::default(), 0) }).await;
    assert_eq!((first.closed_total, first.forfeited), (440, 440), "known as a sum");
    let again = MoneyAsk { close: true, counted: true, closed_total: 440, ..of(0xD, ask(3, told, 0)) };
    for _ in 0..2 {
        let second = say(&lender, again).await;
        assert_eq!((second.closed_total, second.spent, second.forfeited), (440, 400, 40), "known as a row");
    }
    // A closing that nobody knew of yet does add to C.
    let new = MoneyAsk { close: true, ..of(0xE, ask(1, totals(100, 100, 0), 0)) };
    assert_eq!(say(&lender, new).await.closed_total, 540);
}

#[test]
fn l5_a_row_that_was_folded_is_not_made_again() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut server = RedisServer::start_with(Setup { durable: true, ..Setup::default() });
    let start = 1_795_262_400_000_000_u64;
    let set = |server: &RedisServer, hours: u64| {
        server.cli(&["SET", "fold:ledger:1:clock", &(start + hours * 3_600_000_000).to_string()]);
    };
    let lender = |server: &RedisServer| {
        let redis = runtime.block_on(connect(server, "fold"));
        RedisLender::with_scripts(redis, LEASE, Scripts::with_simulated_clock())
    };
    set(&server, 0);
    let first = lender(&server);
    runtime.block_on(first.create(&Creation::default())).unwrap().unwrap();
    let lifetime = |ask: MoneyAsk| MoneyAsk { window: Window::LIFETIME, ..ask };
    let dead =
        |close, counted| lifetime(MoneyAsk { close, counted, ..of(0xD, ask(9, totals(500, 400, 60), 0)) });
    runtime.block_on(say(&first, lifetime(of(0xD, ask(1, Totals::default(), 500)))));
    assert_eq!(runtime.block_on(say(&first, dead(true, false))).closed_total, 440);
    for hour in 1..=49 {
        set(&server, hour);
        runtime.block_on(say(&first, lifetime(ask(hour, Totals::default(), 0))));
    }
    let stands = runtime.block_on(first.standing(AccountId(7))).unwrap().remove(0);
    assert!(stands.rows.iter().all(|row| row.incarnation != Incarnation(0xD)), "{stands:?}");
    assert_eq!((stands.spent, stands.forfeited, stands.closed_total), (400, 40, 440));
    // Redis is started again and lost nothing; everybody says all they know, in either way.
    server.restart();
    let next = lender(&server);
    for ask in [dead(false, false), dead(true, false), dead(true, true)] {
        let answer = runtime.block_on(say(&next, MoneyAsk { closed_total: 440, ..ask }));
        assert_eq!((answer.spent, answer.closed_total, answer.forfeited), (400, 440, 40), "{ask:?}");
        assert!(answer.closed && answer.granted == 500);
    }
    let kept = runtime.block_on(next.standing(AccountId(7))).unwrap().remove(0);
    let back = PutBack {
        account: AccountId(7),
        window: Window::LIFETIME,
        closed_total: 440,
        limit: None,
        rows: vec![],
    };
    assert_eq!(runtime.block_on(next.put_back(&back)).unwrap(), 0);
    assert_eq!(runtime.block_on(next.standing(AccountId(7))).unwrap().remove(0), kept);
}

#[tokio::test]
async fn l2_a_lifetime_account_of_which_a_predecessor_speaks_first_stays() {
    let server = RedisServer::start();
    let lender = fresh(&server, LEASE).await;
    let lifetime = |ask: MoneyAsk| MoneyAsk { window: Window::LIFETIME, ..ask };
    let dead = MoneyAsk { limit: None, close: true, ..of(0xD, ask(1, totals(9, 9, 0), 0)) };
    say(&lender, lifetime(dead)).await;
    say(&lender, lifetime(ask(1, Totals::default(), 10))).await;
    let key = format!("{}:ledger:1:a:{}", lender.redis.prefix(), AccountId(7));
    assert_eq!(server.cli(&["PTTL", &key]), "-1", "the account of a Lifetime budget goes when it is purged");
    assert!(lender.purge(AccountId(7)).await.unwrap());
    let left = server.cli(&["KEYS", &format!("{}:*:{}*", lender.redis.prefix(), AccountId(7))]);
    assert_eq!(left, "", "all of it");
}
