//! One world from what was seen to what is said, without a client: notes in, changes compiled, what is to be published,
//! made and written asked for from outside.

use crate::accounts::Shown;
use crate::apply::Made;
use crate::events::{Notice, Reason};
use crate::gather::{Gather, Held, Taken, Wanted, is_ours};
use crate::publish::Batch;
use crate::skew::Skew;
use crate::spend::{Figures, Spending, Worth};
use crate::status::{Extra, Fleet, Known, Outcome, Progress, Queue, Revision, Wish};
use crate::unseen::{Unseen, unlabelled};
use crate::watch::{Note, Source, Synced};
use serde_json::{Value, json};
use smartflow_compile::{Change, Compiler, Kind, ObjectRef, Reason as Fault, Settings};
use smartflow_snapshot::{Key, ObjectName, Shards};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// Statuses that may be written a second (config-transport.md T11), and at once.
const STATUSES: (u32, usize) = (200, 16);
/// Secrets that may be made a second, and at once.
const SECRETS: (u32, usize) = (200, 16);

/// Figures of spend that may be written a second, landmarks apart (config-transport.md T11).
const SPENDS: u32 = 20;

/// The world of this replica.
pub struct Reconciler {
    /// How far the watches are.
    pub synced: Synced,
    /// What is there.
    pub gather: Gather,
    /// What of it was published and runs.
    pub progress: Progress,
    /// Statuses that are to be written.
    pub statuses: Queue,
    /// Secrets that are to be made, by their key.
    pub secrets: Queue,
    compiler: Compiler,
    settings: Settings,
    fleet: Fleet,
    spending: Spending,
    /// Figures that are worth showing when there is room.
    spends: Queue,
    skew: Skew,
    /// Secrets that are referred to and were not seen.
    pub unseen: Unseen,
    /// What is not published as it is.
    unpublished: BTreeSet<ObjectRef>,
    /// This replica publishes and writes.
    leads: bool,
}

/// A status that is to be written now.
#[derive(Debug)]
pub struct Write {
    /// Whose.
    pub id: ObjectRef,
    /// As it was last seen: the write is refused when it is not so any more.
    pub version: Box<str>,
    /// All fields of it that are ours.
    pub status: Value,
    /// What is told once it is written.
    pub notice: Option<Notice>,
}

impl Reconciler {
    /// An empty world.
    #[must_use]
    pub fn new(sources: &[Source], settings: &Settings, now: Instant) -> Self {
        Self {
            synced: Synced::new(sources),
            gather: Gather::new(settings),
            progress: Progress::default(),
            statuses: Queue::new(STATUSES.0, STATUSES.1, now),
            secrets: Queue::new(SECRETS.0, SECRETS.1, now),
            compiler: Compiler::new(settings),
            settings: settings.clone(),
            fleet: Fleet::default(),
            spending: Spending::default(),
            spends: Queue::new(SPENDS, usize::MAX, now),
            skew: Skew::default(),
            unseen: Unseen::default(),
            unpublished: BTreeSet::new(),
            leads: false,
        }
    }

    /// Takes in what a watch saw.
    pub fn take(&mut self, note: Note, now: Instant) {
        for gone in self.synced.take(&note) {
            self.gather.lose(&gone);
        }
        match note {
            Note::Set { seen, .. } => {
                let id = seen.id.clone();
                if id.kind == Kind::Secret {
                    self.unseen.forget(&id.name);
                }
                if self.gather.take(*seen) == Taken::Status && is_ours(id.kind) && self.leads {
                    self.look(&id, now);
                }
            }
            Note::Failed { source, why } => {
                tracing::warn!(source, why, "a watch does not work: what it saw stays in force");
            }
            Note::Listing { .. } | Note::Gone { .. } | Note::Listed { .. } => {}
        }
    }

    /// True when there is something to compile and all that it could depend on was seen.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.gather.is_dirty() && self.synced.all()
    }

    /// Compiles what changed.
    pub fn compile(&mut self, now: Instant) {
        if !self.is_due() {
            return;
        }
        let changes = self.gather.changes();
        for change in &changes {
            self.note_change(change, now);
        }
        let compiled = self.compiler.apply(changes);
        for report in &compiled.reports {
            if report.findings.iter().any(|f| f.reason == Fault::SecretNotFound) {
                self.unseen.want(self.compiler.missing_secrets(&report.object));
            }
        }
        if self.leads {
            for id in compiled.reports.iter().map(|report| &report.object) {
                // What is told of these depends on others, too: on who uses the Secret, on the token that is in it.
                if id.kind == Kind::Secret || self.gather.held(id).is_some_and(|held| held.borrows) {
                    self.unpublished.insert(id.clone());
                }
                self.look(id, now);
            }
            self.look_for_secrets(now);
        }
    }

    fn note_change(&mut self, change: &Change, now: Instant) {
        let id = match change {
            Change::Set(object) => object.id(),
            Change::Remove(id) => id,
        };
        if let Change::Set(_) = change {
            self.progress.changed(id, now);
        } else {
            self.progress.forget(id);
            self.statuses.drop(id);
            self.secrets.drop(id);
            self.spends.drop(id);
            if id.kind == Kind::VirtualKey {
                self.spending.forget(&id.name);
            }
        }
        if self.leads {
            self.unpublished.insert(id.clone());
        }
    }

    fn look_for_secrets(&mut self, now: Instant) {
        let wanted: Vec<ObjectRef> = self.gather.wanted().keys().map(key).collect();
        wanted.iter().for_each(|id| self.secrets.put(id, now));
    }

    /// From now on this replica publishes and writes: all that it has is published, all statuses are looked at.
    pub fn lead(&mut self, now: Instant) {
        self.leads = true;
        self.progress.begin(now);
        self.publish_anew();
        let all: Vec<ObjectRef> = self.gather.all().filter(|id| is_ours(id.kind)).cloned().collect();
        for id in all.iter().filter(|id| id.kind == Kind::VirtualKey) {
            self.gather.held(id).into_iter().for_each(|held| self.spending.recall(&id.name, &held.status));
        }
        all.iter().for_each(|id| self.look(id, now));
        self.look_for_secrets(now);
    }

    /// Everything is to be published.
    pub fn publish_anew(&mut self) {
        self.unpublished = self.gather.all().cloned().collect();
    }

    /// This replica does not write any more.
    pub fn resign(&mut self) {
        self.leads = false;
        self.unpublished.clear();
        self.statuses.clear();
        self.secrets.clear();
        self.spends.clear();
        self.spending = Spending::default();
    }

    /// True when something is to be published.
    #[must_use]
    pub fn is_unpublished(&self) -> bool {
        !self.unpublished.is_empty()
    }

    /// What is to be published, once; [`Reconciler::published`] or [`Reconciler::unpublished`] must follow.
    pub fn take_unpublished(&mut self) -> Batch {
        let ids = std::mem::take(&mut self.unpublished);
        let mut keep = BTreeSet::new();
        let entry = |id: ObjectRef| {
            let carried = self.gather.object(&id).and_then(|object| self.compiler.carry(&object));
            self.skew.note(&id, carried.as_ref());
            if self.skew.withholds(&id) {
                keep.insert(id.clone());
            }
            (id, carried)
        };
        let entries = ids.into_iter().map(entry).collect();
        let content = self.compiler.snapshot().hash;
        Batch { entries, keep, content, settings: self.settings.clone() }
    }

    /// `ids` are published, all in `revision`. What changed meanwhile waits for the next.
    pub fn published(&mut self, ids: &[ObjectRef], revision: Revision, now: Instant) {
        let unpublished = &self.unpublished;
        let as_they_are = ids.iter().filter(|id| !unpublished.contains(id));
        self.progress.published(as_they_are, revision);
        for id in ids.iter().filter(|id| is_ours(id.kind)) {
            self.look(id, now);
        }
    }

    /// Whether a Secret that was looked for is there, without the label that would have shown it.
    pub fn looked(&mut self, secret: &ObjectName, is_there: bool) {
        let id = ObjectRef { kind: Kind::Secret, name: secret.clone() };
        match self.unseen.found(secret, is_there) {
            Some(true) => drop(self.gather.take(unlabelled(id))),
            Some(false) => self.gather.lose(&id),
            None => {}
        }
    }

    /// Looks again for what was not there, or belonged to others.
    pub fn look_again(&mut self) {
        self.gather.look_again();
        let compiler = &self.compiler;
        for secret in self.unseen.again(|secret| compiler.is_secret_used(secret)) {
            self.gather.lose(&ObjectRef { kind: Kind::Secret, name: secret });
        }
    }

    /// A publication failed: what was in it is to be published still.
    pub fn unpublished(&mut self, ids: Vec<ObjectRef>) {
        if self.leads {
            self.unpublished.extend(ids);
        }
    }

    /// What the gateways ran when it was told last.
    #[must_use]
    pub fn known_fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What the gateways run.
    pub fn fleet(&mut self, fleet: Fleet, now: Instant) {
        let mut touched: Vec<ObjectRef> = self.progress.pending().cloned().collect();
        for fleet in [&self.fleet, &fleet] {
            if let Some(Known { unusable, .. }) = fleet.known()
                && !unusable.is_empty()
            {
                let named = |id: &&ObjectRef| unusable.contains(&id.to_string());
                touched.extend(self.gather.all().filter(named).cloned());
            }
        }
        // While nobody is there, or nobody knows, what was said of skew stays.
        if let Some(reads) = fleet.known().and_then(|known| known.reads) {
            let concerned = self.skew.reads(Some(reads));
            if self.leads {
                self.unpublished.extend(concerned.iter().cloned());
            }
            touched.extend(concerned);
        }
        self.fleet = fleet;
        if self.leads {
            touched.iter().for_each(|id| self.look(id, now));
        }
    }

    /// Puts `id` in the queue when its status is not as it should be.
    fn look(&mut self, id: &ObjectRef, now: Instant) {
        let Some((wish, wait)) = self.wish(id) else { return self.statuses.drop(id) };
        if self.gather.held(id).is_some_and(|held| wish.is_met(&held.status)) {
            return self.statuses.drop(id);
        }
        match wait.filter(|at| *at > now) {
            Some(at) => self.statuses.wait(id, at),
            None => self.statuses.put(id, now),
        }
    }

    /// The status of `id` as it should be, and until when it is worth waiting with it.
    fn wish(&mut self, id: &ObjectRef) -> Option<(Wish, Option<Instant>)> {
        let held = self.gather.held(id)?;
        let mut report = self.compiler.report(id)?;
        self.skew.judge(&mut report);
        let standing = self.progress.standing(id, held.generation, &held.status, &self.fleet);
        let conditions = report.conditions(&standing.programmed);
        let accepted = conditions.iter().any(|c| c.kind == "Accepted" && c.status == "True");
        let wish = Wish { generation: held.generation, conditions, extra: self.extra(id) };
        Some((wish, standing.wait.filter(|_| accepted)))
    }

    fn extra(&self, id: &ObjectRef) -> Extra {
        let count = |n: Option<usize>| n.map_or(Value::Null, |n| json!(n));
        let snapshot = self.compiler.snapshot();
        let fields = match id.kind {
            Kind::LLMProvider => {
                vec![("models", count(snapshot.providers.get(&id.name).map(|p| p.models.len())))]
            }
            Kind::FallbackChain => {
                vec![("targets", count(snapshot.chains.get(&id.name).map(|c| c.targets.len())))]
            }
            Kind::VirtualKey => {
                let mut spent = self.spending.fields(&id.name);
                if snapshot.keys_by_name.get(&id.name).is_some_and(|key| key.budget.is_none()) {
                    spent = crate::spend::nothing();
                }
                let held = self.gather.held(id);
                let token = self.gather.token_of(&id.name);
                let token = token.filter(|(_, t)| t.owner.as_ref() == held.map(|h| &h.uid));
                spent.insert("secretName".to_owned(), token.map_or(Value::Null, |(s, _)| json!(*s.name)));
                spent.insert("tokenPrefix".to_owned(), token.map_or(Value::Null, |(_, t)| json!(*t.prefix)));
                return spent;
            }
            Kind::Policy | Kind::Secret | Kind::Namespace => Vec::new(),
        };
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The next status to be written; [`Queue::end`] of [`Reconciler::statuses`] must follow.
    pub fn next_write(&mut self, now: Instant) -> Option<Write> {
        while let Some(id) = self.statuses.next(now) {
            // It is written anyway: with the newest figures.
            if id.kind == Kind::VirtualKey {
                self.spending.show(&id.name);
            }
            let wish = self.wish(&id);
            let held = self.gather.held(&id);
            if let (Some((wish, _)), Some(held)) = (wish, held)
                && !wish.is_met(&held.status)
            {
                let status = wish.status(&held.status, jiff::Timestamp::now());
                let notice = rejection(&id, held, &wish);
                return Some(Write { version: held.version.clone(), status, notice, id });
            }
            self.statuses.end(&id, Outcome::Done, now);
        }
        None
    }

    /// The next Secret to be made; [`Queue::end`] of [`Reconciler::secrets`] must follow.
    pub fn next_secret(&mut self, now: Instant) -> Option<(ObjectRef, Wanted)> {
        while let Some(id) = self.secrets.next(now) {
            if let Some(wanted) = self.gather.wanted().get(&id.name) {
                return Some((id, wanted.clone()));
            }
            self.secrets.end(&id, Outcome::Done, now);
        }
        None
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> Shards<ObjectName, Arc<Key>> {
        self.compiler.snapshot().keys_by_name.clone()
    }

    /// What statuses say of gateways that ended.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        let keys = self.gather.all().filter(|id| id.kind == Kind::VirtualKey);
        keys.filter_map(|id| Shown::of(&id.name, &self.gather.held(id)?.status)).collect()
    }

    /// What is known now of the spend of `key`; returns what is worth an event.
    pub fn spent(&mut self, key_name: &ObjectName, figures: Figures, now: Instant) -> Option<Notice> {
        let id = key(key_name);
        let uid = self.gather.held(&id).filter(|_| self.leads)?.uid.clone();
        let (worth, warning) = self.spending.take(key_name, figures);
        match worth {
            Worth::Nothing => self.spends.drop(&id),
            Worth::Soon => self.spends.put(&id, now),
            Worth::Now => self.look(&id, now),
        }
        warning.map(|(reason, message)| Notice::of(&id, &uid, reason, message))
    }

    /// Shows figures that wait, as far as there is room; returns when there will be more.
    pub fn show_spends(&mut self, now: Instant) -> Option<Instant> {
        while let Some(id) = self.spends.next(now) {
            self.spends.end(&id, Outcome::Done, now);
            self.spending.show(&id.name);
            self.look(&id, now);
        }
        self.spends.wake(now)
    }

    /// A Secret that was to be made is there.
    pub fn made(&mut self, secret: &ObjectName, made: Made) {
        match made {
            Made::Ours(token) => self.gather.made(secret, token),
            Made::Foreign => self.gather.is_foreign(secret),
        }
    }
}

/// What is told when an object is not accepted, and its status did not say so before.
fn rejection(id: &ObjectRef, held: &Held, wish: &Wish) -> Option<Notice> {
    let now = wish.conditions.iter().find(|c| c.kind == "Accepted" && c.status == "False")?;
    let before = held.status.get("conditions").and_then(Value::as_array);
    let known = |c: &Value| c["type"] == now.kind && c["status"] == now.status && c["message"] == now.message;
    if before.is_some_and(|conditions| conditions.iter().any(known)) {
        return None;
    }
    let closed = wish.conditions.iter().any(|c| c.reason == "Closed");
    let reason = match now.reason {
        "GatewayTooOld" => Reason::GatewayTooOld,
        _ if closed => Reason::Closed,
        _ => Reason::Rejected,
    };
    Some(Notice::of(id, &held.uid, reason, now.message.clone()))
}

fn key(name: &ObjectName) -> ObjectRef {
    ObjectRef { kind: Kind::VirtualKey, name: name.clone() }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
