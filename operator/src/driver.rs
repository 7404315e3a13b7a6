//! The driver tells the story: what was seen is compiled once it is quiet, what changed is published, missing Secrets are
//! made, statuses are written. One task owns the world; everything that waits runs beside it and reports back.

use crate::accounts::{self, Shown, Told};
use crate::apply::{self, ApplyError, Made};
use crate::events::{Notice, Reason};
use crate::lease::Term;
use crate::publish::{Ended, Job, OutletError};
use crate::reconcile::Reconciler;
use crate::status::{Fleet, Outcome, WriteError, write};
use crate::telemetry::Telemetry;
use crate::unseen;
use crate::watch::Note;
use k8s_openapi::api::core::v1::ObjectReference;
use kube_client::Client;
use smartflow_compile::ObjectRef;
use smartflow_snapshot::ObjectName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// After a change, how long it must be quiet before it is compiled.
const QUIET: Duration = Duration::from_millis(3);
/// Longest that a change waits for quiet.
const IMPATIENCE: Duration = Duration::from_millis(10);
/// Notes that are taken at a time.
const BATCH: usize = 512;
/// How often it is looked again whether Secrets that stood in the way are gone, and whether missing ones are there.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What the driver is connected to.
pub struct Ports {
    /// Of the API server.
    pub client: Client,
    /// From the watches.
    pub notes: mpsc::Receiver<Note>,
    /// Whether this replica writes.
    pub terms: watch::Receiver<Option<Term>>,
    /// To the publisher: one batch at a time.
    pub jobs: mpsc::Sender<Job>,
    /// From the publisher.
    pub ended: mpsc::Receiver<Ended>,
    /// What the gateways run.
    pub fleet: watch::Receiver<Fleet>,
    /// What the ledger says.
    pub ledger: mpsc::Receiver<accounts::News>,
    /// Which keys there are, for whoever reads the ledger.
    pub told: watch::Sender<Told>,
    /// What events are about that concern no object.
    pub lease: ObjectReference,
    /// Events that are to be told.
    pub notices: mpsc::Sender<Notice>,
    /// What is counted.
    pub telemetry: Arc<Telemetry>,
}

/// Something that ran beside the driver is over.
enum Over {
    Status(ObjectRef, Result<Outcome, WriteError>, Option<Notice>),
    Secret(ObjectRef, ObjectName, Result<Made, ApplyError>),
    Looked(ObjectName, Result<bool, String>),
}

/// Owns the world.
pub struct Driver {
    world: Reconciler,
    ports: Ports,
    term: Option<Term>,
    /// Since when something waits to be compiled, and when it is.
    due: Option<(Instant, Instant)>,
    /// The publisher is at work.
    publishing: bool,
    /// The next batch is all that there is.
    whole: bool,
    /// What was published of objects that are invalid is known.
    recalled: bool,
    /// When figures of spend can be shown again.
    spends: Option<Instant>,
    /// What statuses said of spend when the term began.
    statuses: Option<Arc<[Shown]>>,
    work: JoinSet<Over>,
}

impl Driver {
    /// Around an empty world.
    #[must_use]
    pub fn new(world: Reconciler, ports: Ports) -> Self {
        Self {
            world,
            ports,
            term: None,
            due: None,
            publishing: false,
            whole: false,
            recalled: false,
            spends: None,
            statuses: None,
            work: JoinSet::new(),
        }
    }

    /// Runs until `stop` changes or the watches are gone.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut again = tokio::time::interval(LOOK_AGAIN);
        loop {
            let wake = self.wake();
            tokio::select! {
                taken = self.ports.notes.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    self.take(&mut batch);
                }
                () = tokio::time::sleep_until(wake) => {}
                Some(over) = self.work.join_next() => self.over(over),
                Some(ended) = self.ports.ended.recv() => self.ended(ended),
                Some(news) = self.ports.ledger.recv() => self.ledger(news),
                Ok(()) = self.ports.terms.changed() => self.turn(),
                Ok(()) = self.ports.fleet.changed() => {
                    let fleet = self.ports.fleet.borrow_and_update().clone();
                    self.fleet(fleet);
                }
                _ = again.tick() => self.world.look_again(),
                _ = stop.changed() => return,
            }
            self.proceed();
        }
    }

    fn ledger(&mut self, news: accounts::News) {
        match news {
            accounts::News::Spent(spends) => {
                for (key, figures) in spends {
                    let notice = self.world.spent(&key, figures, Instant::now());
                    notice.into_iter().for_each(|n| self.tell(n));
                }
            }
            accounts::News::Event(reason, message) => {
                self.tell(Notice { about: self.ports.lease.clone(), reason, message });
            }
        }
    }

    /// Whoever reads the ledger does so for the replica that writes, once all keys are known.
    fn tell_accounts(&mut self) {
        let term = self.term.filter(|_| self.world.synced.all() && !self.world.is_due());
        if term.is_none() {
            self.statuses = None;
            self.ports.told.send_if_modified(|told| std::mem::take(told).term.is_some());
            return;
        }
        let world = &self.world;
        let statuses = self.statuses.get_or_insert_with(|| world.shown().into()).clone();
        self.ports.told.send_replace(Told { term, keys: world.keys(), statuses });
    }

    fn fleet(&mut self, fleet: Fleet) {
        self.ports.telemetry.fleet(&fleet);
        let news = if self.term.is_some() { fleet.news(self.world.known_fleet()) } else { Vec::new() };
        for (reason, message) in news {
            self.tell(Notice { about: self.ports.lease.clone(), reason, message });
        }
        self.world.fleet(fleet, Instant::now());
    }

    /// When to look without being told.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let due = self.due.map(|(_, at)| at);
        let mut times = vec![due, self.world.synced.wake()];
        if let Some(term) = self.term.filter(|term| term.left(now).is_some()) {
            let queues = [self.world.statuses.wake(now), self.world.secrets.wake(now)];
            times.extend(queues.into_iter().chain([self.spends, Some(term.until)]));
        }
        times.into_iter().flatten().min().unwrap_or(now + LOOK_AGAIN)
    }

    fn take(&mut self, batch: &mut Vec<Note>) {
        let now = Instant::now();
        let behind = self.world.synced.all();
        batch.drain(..).for_each(|note| self.world.take(note, now));
        if self.world.is_due() {
            let since = self.due.map_or(now, |(since, _)| since);
            self.due = Some((since, (now + QUIET).min(since + IMPATIENCE)));
        }
        if behind != self.world.synced.all() {
            tracing::info!("all kinds were listed: from here on what is absent is gone");
        }
        self.ports.telemetry.synced(&self.world.synced);
    }

    /// Does whatever can be done now.
    fn proceed(&mut self) {
        let now = Instant::now();
        if self.world.synced.forgive(now) {
            self.ports.telemetry.synced(&self.world.synced);
        }
        if self.due.is_none_or(|(_, at)| at <= now) {
            // Also where nothing is left to be compiled: a moment that is past would wake up at once, for ever.
            self.due = None;
            if self.world.is_due() {
                self.world.compile(now);
                self.ports.telemetry.compiled(now.elapsed());
                self.tell_accounts();
            }
        }
        while let Some(secret) = self.world.unseen.take() {
            let client = self.ports.client.clone();
            self.work.spawn(async move {
                let looked = unseen::look(client, &secret).await;
                Over::Looked(secret, looked)
            });
        }
        let Some(term) = self.term else { return };
        let Some(left) = term.left(now) else { return };
        self.publish(term);
        self.spends = self.world.show_spends(now);
        while let Some(due) = self.world.next_write(now) {
            let client = self.ports.client.clone();
            self.work.spawn(async move {
                let written = write(client, &due.id, &due.version, due.status, left).await;
                Over::Status(due.id, written, due.notice)
            });
        }
        while let Some((id, wanted)) = self.world.next_secret(now) {
            let client = self.ports.client.clone();
            self.work.spawn(async move {
                let made = apply::make(client, &id.name, &wanted, left).await;
                Over::Secret(id, wanted.secret, made)
            });
        }
        self.ports.telemetry.depth(self.world.statuses.depth());
    }

    /// Hands the publisher what is to be done, when it has nothing else to do: before anything is published, what is
    /// published of objects that are invalid now must be known.
    fn publish(&mut self, term: Term) {
        if self.publishing || !self.world.synced.all() {
            return;
        }
        let job = if !self.recalled {
            Job::Recall { term, ids: self.world.gather.lost() }
        } else if self.whole || self.world.is_unpublished() {
            Job::Publish { term, whole: self.whole, batch: self.world.take_unpublished() }
        } else {
            return;
        };
        match self.ports.jobs.try_send(job) {
            Ok(()) => (self.publishing, self.whole) = (true, self.whole && !self.recalled),
            Err(_) => tracing::error!("the publisher is gone"),
        }
    }

    fn ended(&mut self, ended: Ended) {
        let now = Instant::now();
        match ended {
            Ended::Published { ids, revision } => {
                self.publishing = false;
                self.ports.telemetry.published(true);
                self.world.published(&ids, revision, now);
            }
            Ended::Recalled(specs) => {
                (self.publishing, self.recalled) = (false, true);
                let fleet = self.ports.fleet.borrow_and_update().clone();
                self.fleet(fleet);
                specs.iter().for_each(|(id, published)| self.world.gather.recall(id, published));
                self.world.compile(now);
            }
            Ended::Failed { ids, error } => {
                self.publishing = false;
                self.ports.telemetry.published(false);
                tracing::warn!(%error, "nothing was published: it is tried again");
                self.world.unpublished(ids);
                self.anew(&error);
            }
            Ended::Lost(error) if self.term.is_some() && !self.whole => {
                tracing::warn!(%error, "what was published is lost: it is published anew");
                let (about, message) = (self.ports.lease.clone(), error.to_string());
                self.tell(Notice { about, reason: Reason::Republished, message });
                self.anew(&error);
            }
            Ended::Lost(_) => {}
        }
    }

    fn anew(&mut self, error: &OutletError) {
        if error.anew && self.term.is_some() {
            self.whole = true;
            self.world.publish_anew();
        }
    }

    /// The Lease came, went, or was renewed.
    fn turn(&mut self) {
        let term = *self.ports.terms.borrow_and_update();
        let number = |term: Option<Term>| term.map(|t| t.number);
        let before = std::mem::replace(&mut self.term, term);
        if number(before) == number(term) {
            return self.tell_accounts();
        }
        self.ports.telemetry.leads(term.is_some());
        self.world.resign();
        if term.is_some() {
            self.world.lead(Instant::now());
            (self.whole, self.recalled) = (true, false);
        }
        self.statuses = None;
        self.tell_accounts();
    }

    fn over(&mut self, over: Result<Over, tokio::task::JoinError>) {
        let now = Instant::now();
        match over {
            Ok(Over::Status(id, written, notice)) => {
                let outcome = written.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a status was not written: it is tried again");
                    Outcome::Failed
                });
                self.ports.telemetry.wrote(outcome);
                self.world.statuses.end(&id, outcome, now);
                notice.filter(|_| outcome == Outcome::Done).into_iter().for_each(|n| self.tell(n));
            }
            Ok(Over::Secret(id, secret, made)) => {
                let outcome = match made {
                    Ok(made) => {
                        if let (Made::Ours(_), Some(held)) = (&made, self.world.gather.held(&id)) {
                            let message = format!("Secret {} holds the token.", secret.name);
                            self.tell(Notice::of(&id, &held.uid, Reason::TokenCreated, message));
                        }
                        self.world.made(&secret, made);
                        Outcome::Done
                    }
                    Err(error) => {
                        tracing::warn!(%error, "it is tried again");
                        Outcome::Failed
                    }
                };
                self.world.secrets.end(&id, outcome, now);
            }
            Ok(Over::Looked(secret, Ok(is_there))) => self.world.looked(&secret, is_there),
            Ok(Over::Looked(secret, Err(why))) => {
                tracing::debug!(%secret, why, "nobody knows whether this Secret lacks its label or is not there");
                self.world.unseen.failed(&secret);
            }
            Err(error) => tracing::error!(%error, "a task ended early"),
        }
    }

    /// An event is a courtesy: when too many wait, it is left out.
    fn tell(&self, notice: Notice) {
        let _ = self.ports.notices.try_send(notice);
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
