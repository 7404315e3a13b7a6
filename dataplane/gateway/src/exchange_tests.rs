//! What calls owe at their end, in a world in process: keys, budgets and a provider that is never called.

#![allow(clippy::unwrap_used)]

use crate::asked::Asked;
use crate::budget::hold::{Reserved, reserve};
use crate::budget::{
    self,
    clock::Clock,
    remote::{self, Remote},
};
use crate::edge::drain::Drain;
use crate::edge::routes::Call;
use crate::exchange::{Bill, End, Exchange};
use crate::identity::Caller;
use crate::live::Current;
use crate::pipeline::Endpoint;
use crate::routing::Way;
use crate::routing::health::Wards;
use crate::source::{Files, Options};
use crate::state::Reported;
use crate::telemetry::Metrics;
use crate::telemetry::usage::{Outcome, Writer};
use crate::upstream::{prepared::Network, tls};
use crate::worker::{Settings, Shared, Worker};
use bytes::Bytes;
use smartflow_dialect::Usage;
use smartflow_ledger::{Ledger, rate::RateDesk};
use smartflow_rig::redis::RedisServer;
use smartflow_snapshot::{ObjectName, Snapshot};
use smartflow_store::redis;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROVIDER: &str = r#"
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {name: vendor, namespace: default}
spec:
  provider: openai-compatible
  baseURL: http://127.0.0.1:9/v1
  auth: {none: {}}
  network: {allowPrivate: true}
  models:
    - {name: mock, price: {input: "1", output: "4", request: "0.01"}, maxOutput: 1000}
    - {name: hider, price: {input: "1", output: "4"}, maxOutput: 1000, hiddenOutput: Reasoning}
---
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: {name: watching, namespace: default}
spec:
  targets: {users: [watched]}
  enforcement: DryRun
  budget: {per: Policy, limitUSD: "0.0001", period: Lifetime}
---
apiVersion: smartflow.dev/v1alpha1
kind: Policy
metadata: {name: trusting, namespace: default}
spec:
  targets: {users: [trusted]}
  enforcement: DryRun
  budget: {per: Policy, limitUSD: "1", period: Lifetime}
  limits: {per: Policy, requestsPerMinute: 60}
"#;
const KEYS: &str = r#"
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: paid, namespace: default}
spec: {models: ["*"], budget: {limitUSD: "1.00", period: Lifetime}}
---
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: near, namespace: default}
spec: {models: ["*"], budget: {limitUSD: "0.04", period: Lifetime}}
---
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: trusted, namespace: default}
spec: {models: ["*"], owner: {user: trusted}}
---
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: counted, namespace: default}
spec: {models: ["*"], limits: {tokensPerDay: 100000}}
---
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: watched, namespace: default}
spec: {models: ["*"], owner: {user: watched}}
"#;
const ASK: &str = r#"{"model":"MODEL","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}"#;

/// Without a cap: the model's own is 1,000 tokens.
const OPEN: &str = r#"{"model":"MODEL","messages":[{"role":"user","content":"hello"}]}"#;

/// A gateway without listeners.
pub(crate) struct Bench {
    worker: Rc<Worker>,
    files: Files,
    _usage: Writer,
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::on(|data_dir, clock| {
            let opened = budget::open(data_dir, clock.now()).unwrap();
            (opened.ledger, opened.desk, opened.epoch)
        })
    }

    /// With a lender in Redis.
    pub(crate) fn on_redis(server: &RedisServer) -> (Self, Remote) {
        let mut remote = None;
        let bench = Self::on(|data_dir, clock| {
            let settings = remote::Settings {
                redis: redis::Options {
                    command_timeout: Duration::from_secs(5),
                    ..redis::Options::new(redis::Address::parse(&server.url()).unwrap())
                },
                lease: Duration::from_secs(600),
                allow_unreplicated: false,
                pod: None,
                makes_ledger: true,
            };
            let data_dir = data_dir.to_owned();
            // It starts a runtime of its own, which a thread of another one must not.
            let opening = std::thread::spawn(move || remote::open(&data_dir, clock, settings).unwrap());
            let opened = opening.join().unwrap();
            remote = Some(opened.remote);
            (opened.ledger, opened.desk, opened.epoch)
        });
        (bench, remote.unwrap())
    }

    fn on(open: impl FnOnce(&Path, Clock) -> (Ledger, RateDesk, u64)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (world, data_dir) = (dir.path().join("world"), dir.path().join("data"));
        std::fs::create_dir(&world).unwrap();
        std::fs::write(world.join("provider.yaml"), PROVIDER).unwrap();
        std::fs::write(world.join("keys.yaml"), KEYS).unwrap();
        let clock = Clock::default();
        let (ledger, desk, epoch) = open(&data_dir, clock);
        let options = Options { world, data_dir, platform_namespaces: Vec::new() };
        let (files, first) = Files::open(&options).unwrap();
        assert!(first.faulty.is_empty(), "{:?}", first.faulty);
        let network = Network { extra: Vec::new(), tls: tls::client(&[], "test").unwrap(), proxy: None };
        let current = Current::empty(network);
        current.activate(first.snapshot, None);
        let metrics = Metrics::default();
        let usage = Writer::start("off", 1, &metrics).unwrap();
        let settings = Settings {
            max_body: 1 << 20,
            max_reply: 1 << 20,
            client_timeout: Duration::from_secs(5),
            max_connections: 10,
            max_streams: 10,
            tls: None,
        };
        let (reported, drain, wards) = (Reported::default(), Drain::default(), Wards::default());
        let shared =
            Shared { current, ledger, desk, epoch, wards, reported, clock, metrics, drain, settings };
        let worker = Worker::new(Arc::new(shared), usage.queue(0).unwrap(), 1);
        Self { worker, files, _usage: usage, dir }
    }

    fn caller(&self, key: &str) -> Rc<Caller> {
        let live = self.worker.shared.current.load_full();
        let key = live.snapshot.keys_by_name.get(&ObjectName::new("default", key)).unwrap();
        Caller::of(&live, key).unwrap()
    }

    /// A call by `key` to `model` that is ready to be sent.
    pub(crate) async fn call(&self, key: &str, model: &str) -> (Box<Exchange>, Reserved) {
        self.call_with(key, model, ASK).await
    }

    async fn call_with(&self, key: &str, model: &str, ask: &str) -> (Box<Exchange>, Reserved) {
        let live = self.worker.shared.current.load_full();
        let caller = self.caller(key);
        let (head, ()) = http::Request::new(()).into_parts();
        let call = Box::new(Call { head, id: self.worker.request_id(), started: Instant::now() });
        let mut exchange = Exchange::begin(&self.worker, call, Endpoint::Chat, caller.clone());
        let Way::Model(route) = caller.way(&self.worker, &live, model).unwrap() else { unreachable!() };
        exchange.route = Some(route.clone());
        let body = Bytes::from(ask.replace("MODEL", model));
        let asked = Asked::scan(Endpoint::Chat, body).unwrap();
        let reserved = reserve(&mut exchange, &asked, &route).await.unwrap();
        (exchange, reserved)
    }

    /// Spent from the first budget of `key`.
    pub(crate) fn spent(&self, key: &str) -> i64 {
        let live = self.worker.shared.current.load_full();
        let room = crate::budget::guards::of_keys(&self.worker.books(&live), &self.caller(key)).unwrap();
        let shared = &self.worker.shared;
        shared.ledger.view(shared.clock.now(), &room.legs.first().unwrap().account).spent
    }
}

fn end(bill: Bill) -> End {
    End { outcome: Outcome::UpstreamFailed, status: 502, code: None, bill }
}

#[tokio::test]
async fn what_was_refused_costs_nothing_not_even_its_price_per_request() {
    let bench = Bench::start();
    let (mut exchange, _) = bench.call("paid", "mock").await;
    assert_eq!(exchange.finish(end(Bill::Nothing)), 0);
    assert_eq!(bench.spent("paid"), 0);
    let (mut exchange, _) = bench.call("paid", "mock").await;
    let usage = Usage { input: 10, output: 10, ..Usage::default() };
    assert_eq!(exchange.finish(end(Bill::Reported(usage))), 10_000_000 + 50_000);
    assert_eq!(exchange.finish(end(Bill::Held)), 0, "once");
    assert_eq!(bench.spent("paid"), 10_050_000);
}

#[tokio::test]
async fn a_key_that_only_counts_tokens_is_told_what_its_calls_cost() {
    let bench = Bench::start();
    let (mut exchange, _) = bench.call("counted", "hider").await;
    let usage = Usage { input: 10, output: 10, ..Usage::default() };
    assert_eq!(exchange.finish(end(Bill::Counted(usage))), 50_000);
    assert_eq!(bench.spent("counted"), 20, "tokens");
}

#[tokio::test]
async fn of_hidden_output_nothing_can_be_counted() {
    let bench = Bench::start();
    let seen = Usage { input: 10, output: 3, ..Usage::default() };
    let (exchange, _) = bench.call("paid", "mock").await;
    assert!(matches!(exchange.unreported(seen), Bill::Counted(usage) if usage == seen));
    let (mut exchange, reserved) = bench.call("paid", "hider").await;
    let before = bench.spent("paid");
    let bill = exchange.unreported(seen);
    assert!(matches!(bill, Bill::Held), "its 100 tokens may all have been thoughts");
    exchange.leave(bill);
    drop(exchange);
    assert_eq!(bench.spent("paid") - before, reserved.plan.unwrap().first);
}

#[tokio::test]
async fn a_dry_run_budget_tells_of_keys_that_have_none_of_their_own() {
    let bench = Bench::start();
    // The call may cost $0.0004 for its output alone, four times what the policy would grant.
    let (exchange, _) = bench.call("watched", "hider").await;
    assert_eq!(exchange.would_block.len(), 1, "told, and not blocked");
}

/// Until it is so.
async fn until(mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(30), "never");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_first_call_of_a_dry_run_on_a_lender_elsewhere_is_billed_and_not_called_blocked() {
    let server = RedisServer::start();
    let (bench, _remote) = Bench::on_redis(&server);
    let ledger = &bench.worker.shared.ledger;
    let clock = bench.worker.shared.clock;
    let usage = Usage { input: 10, output: 10, ..Usage::default() };
    for spent in [50_000, 100_000] {
        let (mut exchange, _) = bench.call("trusted", "hider").await;
        assert_eq!(exchange.would_block, [], "nobody has refused it");
        let route = exchange.route.clone().unwrap();
        exchange.finish(end(Bill::Reported(usage)));
        assert_eq!(exchange.would_block, []);
        let account = &route.guards.dry[0].1.legs[0].account;
        assert_eq!(ledger.view(clock.now(), account).spent, spent);
        // The second one finds the lender's answer.
        until(|| ledger.generation() > 0).await;
    }
    let (exchange, _) = bench.call("watched", "hider").await;
    assert_eq!(exchange.would_block.len(), 1, "what cannot fit is told at once");
}

#[tokio::test]
async fn l20_the_first_call_of_a_pod_is_shortened_to_what_other_pods_have_left() {
    let server = RedisServer::start();
    let (first, _remote) = Bench::on_redis(&server);
    let (second, _other) = Bench::on_redis(&server);
    let (mut exchange, _) = first.call_with("near", "hider", OPEN).await;
    // 37,500,000 of 40,000,000 nano-USD: the next call of 1,000 tokens would cost more than 4,000,000.
    let usage = Usage { output: 9_375, ..Usage::default() };
    assert_eq!(exchange.finish(end(Bill::Reported(usage))), 37_500_000);
    let shared = &first.worker.shared;
    until(|| {
        shared.ledger.tick(shared.clock.now());
        shared.ledger.has_said_all()
    })
    .await;
    let (exchange, reserved) = second.call_with("near", "hider", OPEN).await;
    let plan = reserved.plan.unwrap();
    assert!(plan.lowered && (256..700).contains(&plan.cap.unwrap()), "{plan:?}");
    drop(exchange);
}

#[tokio::test]
async fn l4_who_loads_a_limit_last_has_the_newest_also_when_another_started_later() {
    let server = RedisServer::start();
    let (mut first, _remote) = Bench::on_redis(&server);
    let (later, other) = Bench::on_redis(&server);
    for bench in [&first, &later] {
        drop(bench.call("near", "hider").await);
    }
    let limit = || {
        let kept = "local all = redis.call('KEYS', 'smartflow:ledger:1:a:*') return redis.call('HGET', all[1], 'limit')";
        server.cli(&["EVAL", kept, "0"])
    };
    assert_eq!(limit(), "40000000");
    std::thread::spawn(move || other.end()).join().unwrap();
    std::fs::write(first.dir.path().join("world/keys.yaml"), KEYS.replace("0.04", "0.01")).unwrap();
    crate::state::activate(&first.worker.shared, first.files.next_change().unwrap());
    drop(first.call("near", "hider").await);
    until(|| limit() == "10000000").await;
}

#[tokio::test]
async fn l4_a_key_that_is_withdrawn_gives_back_what_it_holds() {
    let server = RedisServer::start();
    let (mut bench, _remote) = Bench::on_redis(&server);
    let usage = Usage { input: 10, output: 10, ..Usage::default() };
    let (mut exchange, _) = bench.call("near", "hider").await;
    exchange.finish(end(Bill::Reported(usage)));
    let (shared, caller) = (bench.worker.shared.clone(), bench.caller("near"));
    let room = {
        let live = shared.current.load_full();
        crate::budget::guards::of_keys(&bench.worker.books(&live), &caller).unwrap()
    };
    let leased = || {
        let rows = "local sum = 0 for _, key in ipairs(redis.call('KEYS', 'smartflow:ledger:1:w:*:9223372036854775807')) do \
                    sum = sum + string.match(redis.call('HGET', key, 'T'), '^%d+ (%d+)') end return tostring(sum)";
        server.cli(&["EVAL", rows, "0"])
    };
    until(|| {
        shared.ledger.tick(shared.clock.now());
        shared.ledger.has_said_all()
    })
    .await;
    assert_ne!(leased(), "0", "a lease is out");
    let keys = KEYS.replace(
        r#"spec: {models: ["*"], budget: {limitUSD: "0.04""#,
        r#"spec: {models: ["*"], disabled: true, budget: {limitUSD: "0.04""#,
    );
    std::fs::write(bench.dir.path().join("world/keys.yaml"), keys).unwrap();
    crate::state::activate(&shared, bench.files.next_change().unwrap());
    until(|| leased() == "0").await;
    assert!(shared.ledger.view(shared.clock.now(), &room.legs[0].account).disabled);
    std::fs::write(bench.dir.path().join("world/keys.yaml"), KEYS).unwrap();
    crate::state::activate(&shared, bench.files.next_change().unwrap());
    let (exchange, _) = bench.call("near", "hider").await;
    drop(exchange);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_gets_no_further_slice() {
    let mut bench = Bench::start();
    let caller = bench.caller("paid");
    let admitted = |bench: &Bench| caller.is_still_admitted(&bench.worker.shared.current.load(), 0);
    assert!(admitted(&bench));
    let mut serve = |keys: &str| {
        std::fs::write(bench.dir.path().join("world/keys.yaml"), keys).unwrap();
        let world = bench.files.next_change().unwrap();
        bench.worker.shared.current.activate(world.snapshot, None);
    };
    serve(
        &KEYS.replace(r#"spec: {models: ["*"], budget"#, r#"spec: {models: ["*"], disabled: true, budget"#),
    );
    assert!(!admitted(&bench), "disabled");
    bench.worker.shared.current.activate(Snapshot::default(), None);
    assert!(!admitted(&bench), "deleted");
}

#[tokio::test]
async fn a_caller_that_leaves_pays_only_once_the_request_is_under_way() {
    let bench = Bench::start();
    let (exchange, _) = bench.call("paid", "hider").await;
    drop(exchange);
    assert_eq!(bench.spent("paid"), 0, "nothing was sent");
    let (exchange, reserved) = bench.call("paid", "hider").await;
    exchange.sent.set(true);
    drop(exchange);
    assert_eq!(bench.spent("paid"), reserved.plan.unwrap().first, "sent, and nothing is known of it");
}
