//! What calls owe at their end, in a world in process: keys, budgets and a provider that is never called.

#![allow(clippy::unwrap_used)]

use crate::asked::Asked;
use crate::budget::hold::{Reserved, reserve};
use crate::budget::{self, clock::Clock};
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
use smartflow_snapshot::{ObjectName, Snapshot};
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
"#;
const KEYS: &str = r#"
apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {name: paid, namespace: default}
spec: {models: ["*"], budget: {limitUSD: "1.00", period: Lifetime}}
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

/// A gateway without listeners.
pub(crate) struct Bench {
    worker: Rc<Worker>,
    files: Files,
    _usage: Writer,
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (world, data_dir) = (dir.path().join("world"), dir.path().join("data"));
        std::fs::create_dir(&world).unwrap();
        std::fs::write(world.join("provider.yaml"), PROVIDER).unwrap();
        std::fs::write(world.join("keys.yaml"), KEYS).unwrap();
        let clock = Clock::default();
        let opened = budget::open(&data_dir, clock.now()).unwrap();
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
        let (ledger, desk, epoch) = (opened.ledger, opened.desk, opened.epoch);
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
        let live = self.worker.shared.current.load_full();
        let caller = self.caller(key);
        let (head, ()) = http::Request::new(()).into_parts();
        let call = Box::new(Call { head, id: self.worker.request_id(), started: Instant::now() });
        let mut exchange = Exchange::begin(&self.worker, call, Endpoint::Chat, caller.clone());
        let Way::Model(route) = caller.way(&self.worker, &live, model).unwrap() else { unreachable!() };
        exchange.route = Some(route.clone());
        let body = Bytes::from(ASK.replace("MODEL", model));
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
