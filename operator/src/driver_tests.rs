//! When the driver wakes up.

use super::*;
use crate::scripted::{client, refusal};
use crate::status::Revision;
use crate::watch::sources;
use smartflow_compile::Settings;

/// A driver, and the ends that others have.
struct Scene {
    driver: Driver,
    terms: watch::Sender<Option<Term>>,
    jobs: mpsc::Receiver<Job>,
    watches: usize,
}

impl Scene {
    fn new() -> Self {
        let sources = sources(&[]);
        let world = Reconciler::new(&sources, &Settings::default(), Instant::now());
        let (terms_in, terms) = watch::channel(None);
        let (jobs, jobs_out) = mpsc::channel(1);
        let ports = Ports {
            client: client(|_| refusal(500, "InternalError")),
            notes: mpsc::channel(1).1,
            terms,
            jobs,
            ended: mpsc::channel(1).1,
            fleet: watch::channel(Fleet::default()).1,
            ledger: mpsc::channel(1).1,
            told: watch::channel(Default::default()).0,
            lease: ObjectReference::default(),
            notices: mpsc::channel(1).0,
            telemetry: Arc::default(),
        };
        Self { driver: Driver::new(world, ports), terms: terms_in, jobs: jobs_out, watches: sources.len() }
    }

    fn take(&mut self, notes: impl IntoIterator<Item = Note>) {
        self.driver.take(&mut notes.into_iter().collect());
        self.driver.proceed();
    }

    /// All watches are through their lists; the first of them names `one`.
    fn list(&mut self, one: Option<Note>) {
        let first = [Note::Listing { source: 0 }].into_iter().chain(one).chain([Note::Listed { source: 0 }]);
        let others = 1..self.watches;
        let others = others.flat_map(|source| [Note::Listing { source }, Note::Listed { source }]);
        self.take(first.chain(others));
    }
}

fn policy() -> Note {
    let manifest = serde_json::json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": "Policy",
        "metadata": { "name": "p", "namespace": "n", "uid": "u", "resourceVersion": "1" },
        "spec": { "limits": { "requestsPerMinute": 1 } },
    });
    let object = serde_json::from_value(manifest).unwrap();
    let seen = crate::watch::Seen::of(smartflow_compile::Kind::Policy, object).unwrap();
    Note::Set { source: 0, seen: Box::new(seen) }
}

#[tokio::test(start_paused = true)]
async fn what_was_compiled_early_wakes_nobody_up_any_more() {
    let mut scene = Scene::new();
    // The Lease is had before the lists are through.
    let until = Instant::now() + Duration::from_secs(9);
    scene.terms.send_replace(Some(Term { number: 1, epoch: 0, until }));
    scene.driver.turn();
    scene.driver.proceed();
    scene.list(Some(policy()));
    assert!(matches!(scene.jobs.try_recv(), Ok(Job::Recall { .. })));
    assert!(scene.driver.due.is_some(), "it waits to be compiled");
    scene.driver.ended(Ended::Recalled(Vec::new()));
    scene.driver.proceed();
    assert!(matches!(scene.jobs.try_recv(), Ok(Job::Publish { .. })), "it was compiled for that");
    scene.driver.ended(Ended::Published { ids: Vec::new(), revision: Revision { epoch: 1, number: 1 } });
    tokio::time::advance(IMPATIENCE).await;
    scene.driver.proceed();
    assert!(scene.driver.wake() > Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_quiet_since_it_failed_works_again() {
    let mut scene = Scene::new();
    scene.list(None);
    scene.take([Note::Failed { source: 0, why: "connection refused".to_owned() }]);
    let behind = |scene: &Scene| scene.driver.ports.telemetry.readiness().1.len();
    assert_eq!(behind(&scene), 1);
    let woken = scene.driver.wake();
    tokio::time::advance(woken - Instant::now()).await;
    scene.driver.proceed();
    assert_eq!(behind(&scene), 0, "kube says nothing when a watch goes on");
    assert!(scene.driver.wake() > Instant::now());
}
