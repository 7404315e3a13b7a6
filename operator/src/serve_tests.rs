//! How it ends.

use super::*;
use crate::args::Cli;
use crate::lease::Term;
use crate::publish::{Batch, OutletError};
use crate::scripted::{Answer, Asked, Kept, client, refusal};
use crate::status::Revision;
use clap::Parser;
use serde_json::json;
use smartflow_compile::ObjectRef;
use smartflow_transport::publisher::LastGood;
use std::sync::Mutex;
use tokio::sync::Notify;

type Log = Arc<Mutex<Vec<&'static str>>>;

/// An API server with nothing in it but a Lease.
fn empty(log: &Log) -> Client {
    let (log, mut lease) = (log.clone(), Kept::default());
    client(move |asked: Asked| -> Answer {
        if asked.path.contains("/leases") {
            if asked.body.pointer("/spec/holderIdentity").is_some_and(|holder| holder == "") {
                log.lock().unwrap().push("released");
            }
            return lease.answer(&asked);
        }
        match asked.path.contains("watch=") || asked.method != "GET" {
            true => refusal(500, "InternalError"),
            false => (200, json!({ "metadata": { "resourceVersion": "1" }, "items": [] })),
        }
    })
}

/// Publishes, slowly.
#[derive(Clone, Default)]
struct Slow {
    log: Log,
    begun: Arc<Notify>,
    panics: bool,
}

impl Outlet for Slow {
    async fn publish(&mut self, term: Term, _: bool, _: Batch) -> Result<Revision, OutletError> {
        self.begun.notify_one();
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.log.lock().unwrap().push("published");
        Ok(Revision { epoch: term.epoch, number: 1 })
    }

    async fn last_good(&mut self, _: Term, _: &ObjectRef) -> Result<Option<LastGood>, OutletError> {
        Ok(None)
    }

    async fn fleet(&mut self, _: Option<Term>) -> Result<Fleet, OutletError> {
        assert!(!self.panics, "on purpose");
        Ok(Fleet::default())
    }
}

async fn start(outlet: Slow, stop: watched::Receiver<bool>) -> Result<(), ServeError> {
    let settings = Cli::parse_from(["smartflow-operator", "--admin-listen=127.0.0.1:0"]).run;
    let (client, lease) = (empty(&outlet.log), lease(&settings));
    run(&settings, Outside { client, outlet, lease, ledger: None }, stop).await
}

/// Whoever cannot publish any more must not hold the Lease, and say that all is well, for ever.
#[tokio::test(start_paused = true)]
async fn when_a_task_ends_early_all_of_it_ends_and_says_so() {
    let (_stop, stopped) = watched::channel(false);
    let outlet = Slow { panics: true, ..Slow::default() };
    let ended = tokio::time::timeout(Duration::from_secs(60), start(outlet, stopped)).await;
    let ended = ended.expect("it does not go on without its publisher");
    assert!(matches!(ended, Err(ServeError::Ended("the publisher"))), "{ended:?}");
}

/// The next leader begins as soon as the Lease is free: whatever is being published comes first.
#[tokio::test(start_paused = true)]
async fn the_lease_is_given_back_once_nothing_is_written_any_more() {
    let (stop, stopped) = watched::channel(false);
    let outlet = Slow::default();
    let (log, begun) = (outlet.log.clone(), outlet.begun.clone());
    let running = tokio::spawn(start(outlet, stopped));
    begun.notified().await;
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(*log.lock().unwrap(), ["published", "released"]);
}
