//! The way out: batches of objects to wherever the gateways take them from, one at a time, each answered.

use crate::lease::Term;
use crate::status::{Fleet, Revision};
use rand::Rng;
use smartflow_compile::{Carried, ObjectRef, Settings};
use smartflow_snapshot::ContentHash;
use smartflow_transport::publisher::LastGood;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Shortest pause after a failure; doubled with each, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// What is to be published at once.
#[derive(Debug)]
pub struct Batch {
    /// What gateways are told of objects; `None` = they are gone.
    pub entries: Vec<(ObjectRef, Option<Carried>)>,
    /// Objects that some ready gateway could not read as they are now: what is published of them stays.
    pub keep: BTreeSet<ObjectRef>,
    /// Hash of what they were compiled to.
    pub content: ContentHash,
    /// What the compiler was told beside the objects.
    pub settings: Settings,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct OutletError {
    /// In words.
    pub why: String,
    /// What was published before is lost, or another's: everything is to be published anew.
    pub anew: bool,
}

/// Where publications go.
pub trait Outlet: Send + 'static {
    /// Publishes `batch` under `term`. With `whole` it is all that there is: whatever else is published is taken back.
    fn publish(
        &mut self,
        term: Term,
        whole: bool,
        batch: Batch,
    ) -> impl Future<Output = Result<Revision, OutletError>> + Send;

    /// The valid spec that was last published of `id`, for an object that is invalid now.
    fn last_good(
        &mut self,
        term: Term,
        id: &ObjectRef,
    ) -> impl Future<Output = Result<Option<LastGood>, OutletError>> + Send;

    /// What the gateways run, and whether what was published under `term` is still there; `None` = this replica does not
    /// write.
    fn fleet(&mut self, term: Option<Term>) -> impl Future<Output = Result<Fleet, OutletError>> + Send;
}

/// What the publisher is asked for.
#[derive(Debug)]
pub enum Job {
    /// Publish a batch.
    Publish {
        /// Under which term.
        term: Term,
        /// It is all that there is.
        whole: bool,
        /// What.
        batch: Batch,
    },
    /// Find out what there is: which valid specs were published of objects that are invalid now, and what gateways run.
    Recall {
        /// Under which term.
        term: Term,
        /// Of which.
        ids: Vec<ObjectRef>,
    },
}

/// A job that was tried.
#[derive(Debug)]
pub enum Ended {
    /// A batch is published.
    Published {
        /// What was in it.
        ids: Vec<ObjectRef>,
        /// The revision that contains it.
        revision: Revision,
    },
    /// These specs were published, and what the gateways run was told.
    Recalled(Vec<(ObjectRef, LastGood)>),
    /// It failed.
    Failed {
        /// What was to be published.
        ids: Vec<ObjectRef>,
        /// Why.
        error: OutletError,
    },
    /// Nothing was asked for: what was published is lost.
    Lost(OutletError),
}

/// How often it is asked what the gateways run.
const ASK: Duration = Duration::from_millis(100);

/// Without trouble for so long, the next pause is the shortest again: what is lost again and again, as somebody writes to
/// the store, is published anew less and less often.
const CALM: Duration = Duration::from_secs(60);

/// How long to wait after trouble.
struct Pause {
    next: Duration,
    last: Option<Instant>,
}

impl Pause {
    async fn wait(&mut self) {
        if self.last.is_none_or(|last| last.elapsed() > CALM) {
            self.next = SHORTEST;
        }
        let share = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(self.next.mul_f64(share)).await;
        (self.next, self.last) = ((self.next * 2).min(LONGEST), Some(Instant::now()));
    }
}

/// Does one job after the other and tells what the gateways run, until nobody asks any more.
pub async fn run(
    mut outlet: impl Outlet,
    terms: watch::Receiver<Option<Term>>,
    mut jobs: mpsc::Receiver<Job>,
    ended: mpsc::Sender<Ended>,
    fleet: watch::Sender<Fleet>,
) {
    let mut ask = tokio::time::interval(ASK);
    ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut failed, mut lost) = (Pause { next: SHORTEST, last: None }, Pause { next: SHORTEST, last: None });
    loop {
        let end = tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { return };
                let end = work(&mut outlet, job, &fleet).await;
                match end {
                    Ended::Failed { .. } => failed.wait().await,
                    _ => failed.last = None,
                }
                Some(end)
            }
            _ = ask.tick() => {
                let term = *terms.borrow();
                let end = look(&mut outlet, term, &fleet).await;
                if end.is_some() {
                    lost.wait().await;
                }
                end
            }
        };
        if let Some(end) = end
            && ended.send(end).await.is_err()
        {
            return;
        }
    }
}

async fn work(outlet: &mut impl Outlet, job: Job, fleet: &watch::Sender<Fleet>) -> Ended {
    match job {
        Job::Publish { term, whole, batch } => {
            let ids: Vec<ObjectRef> = batch.entries.iter().map(|(id, _)| id.clone()).collect();
            match outlet.publish(term, whole, batch).await {
                Ok(revision) => Ended::Published { ids, revision },
                Err(error) => {
                    Ended::Failed { ids, error: OutletError { anew: error.anew || whole, ..error } }
                }
            }
        }
        Job::Recall { term, ids } => match recall(outlet, term, &ids).await {
            Ok((specs, now)) => {
                fleet.send_replace(now);
                Ended::Recalled(specs)
            }
            Err(error) => Ended::Failed { ids: Vec::new(), error },
        },
    }
}

/// What may be published depends on who would have to read it.
async fn recall(
    outlet: &mut impl Outlet,
    term: Term,
    ids: &[ObjectRef],
) -> Result<(Vec<(ObjectRef, LastGood)>, Fleet), OutletError> {
    let mut specs = Vec::new();
    for id in ids {
        specs.extend(outlet.last_good(term, id).await?.map(|spec| (id.clone(), spec)));
    }
    Ok((specs, outlet.fleet(Some(term)).await?))
}

async fn look(outlet: &mut impl Outlet, term: Option<Term>, fleet: &watch::Sender<Fleet>) -> Option<Ended> {
    let (now, lost) = match outlet.fleet(term).await {
        Ok(now) => (now, None),
        Err(error) if error.anew => (Fleet::Unreadable, Some(Ended::Lost(error))),
        Err(error) => {
            tracing::debug!(%error, "nobody knows what the gateways run");
            (Fleet::Unreadable, None)
        }
    };
    fleet.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is published is lost each time that it is looked at.
    struct Leaky;

    impl Outlet for Leaky {
        async fn publish(&mut self, _: Term, _: bool, _: Batch) -> Result<Revision, OutletError> {
            Ok(Revision { epoch: 1, number: 1 })
        }

        async fn last_good(&mut self, _: Term, _: &ObjectRef) -> Result<Option<LastGood>, OutletError> {
            Ok(None)
        }

        async fn fleet(&mut self, _: Option<Term>) -> Result<Fleet, OutletError> {
            Err(OutletError { why: "lost".to_owned(), anew: true })
        }
    }

    /// Whoever writes to the store over and over does not have everything published anew several times a second.
    #[tokio::test(start_paused = true)]
    async fn what_is_lost_again_and_again_is_published_anew_less_and_less_often() {
        let (terms, jobs, fleet) = (watch::channel(None), mpsc::channel(1), watch::channel(Fleet::default()));
        let (ended_in, mut ended) = mpsc::channel(1);
        let _running = tokio::spawn(run(Leaky, terms.1, jobs.1, ended_in, fleet.0));
        let (until, mut lost) = (Instant::now() + Duration::from_secs(60), 0);
        while let Ok(Some(Ended::Lost(_))) = tokio::time::timeout_at(until, ended.recv()).await {
            lost += 1;
        }
        assert!((10..40).contains(&lost), "{lost} times in a minute");
        assert!(fleet.1.has_changed().is_ok());
    }
}
