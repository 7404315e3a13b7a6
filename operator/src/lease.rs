//! Who writes: one Lease (`coordination.k8s.io`), held by one replica at a time.
//!
//! Another's Lease counts as over when it did not change for its whole duration *as seen here*, on this machine's
//! monotonic clock: clocks are never compared. The holder stops writing two seconds before that, so that nothing that it
//! began can end later ([`Term::until`]). The Lease also notes under which epoch was published last ([`EPOCH`]): the next
//! holder goes beyond it, and the store refuses whoever publishes under an older one.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube_client::api::PostParams;
use kube_client::{Api, Client, ResourceExt};
use rand::Rng;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Annotation with the newest epoch that a holder published under (config-transport.md T3).
pub const EPOCH: &str = "smartflow.dev/epoch";
/// Annotation with the generation of the newest ledger that was made (ledger.md L14a).
pub const LEDGER: &str = "smartflow.dev/ledger";
/// No write ends later than this before others may take over.
pub const MARGIN: Duration = Duration::from_secs(2);
/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Settings of the Lease.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are, unlike any other replica.
    pub holder: String,
    /// After how long without a renewal another replica may take over.
    pub duration: Duration,
}

/// A time in which this replica may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Counts terms of this process.
    pub number: u64,
    /// The newest epoch that the Lease noted; this replica publishes under a newer one.
    pub epoch: u64,
    /// No write may end later.
    pub until: Instant,
}

impl Term {
    /// How long a write that begins now may take; `None` = it must not begin.
    #[must_use]
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

/// Why the Lease could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The API server did not do as asked.
    #[error("Lease {name}: {source}")]
    Api {
        /// Its name.
        name: String,
        /// What it said.
        source: Box<kube_client::Error>,
    },
    /// The API server did not answer in time.
    #[error("Lease {name}: no answer within {ANSWER:?}")]
    Silence {
        /// Its name.
        name: String,
    },
    /// Somebody else has it now.
    #[error("Lease {name} is another replica's")]
    Lost {
        /// Its name.
        name: String,
    },
}

/// What is to be done about a Lease as it stands.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There is none.
    Create,
    /// It is ours, or nobody's, or its holder was silent for too long.
    Hold,
    /// Somebody else has it.
    Wait,
}

/// A Lease as it was seen, and since when it looks like that.
struct Seen {
    version: String,
    since: Instant,
}

/// Competes for the Lease until `stop` says so, then gives it back. What this replica may do is told through `terms`.
pub struct Elector {
    api: Api<Lease>,
    settings: Settings,
    seen: Option<Seen>,
    terms: watch::Sender<Option<Term>>,
    held: u64,
}

impl Elector {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(client: Client, settings: Settings, terms: watch::Sender<Option<Term>>) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        Self { api, settings, seen: None, terms, held: 0 }
    }

    /// Runs until `stop` changes.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.turn().await {
                tracing::warn!(%error, "the Lease could not be renewed or looked at");
            }
            if self.term().is_some_and(|t| t.left(Instant::now()).is_none()) {
                self.lose("it could not be renewed in time");
            }
            let pause = self.pause();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => break,
            }
        }
        if self.term().is_some() {
            self.lose("this replica ends");
            self.give_back().await;
        }
    }

    fn term(&self) -> Option<Term> {
        *self.terms.borrow()
    }

    fn lose(&self, why: &str) {
        tracing::info!(why, "this replica does not write any more");
        self.terms.send_replace(None);
    }

    /// A fifth of the duration, more or less: five attempts before others take over.
    fn pause(&self) -> Duration {
        let fifth = self.settings.duration / 5;
        let pause = fifth.mul_f64(rand::rng().random_range(0.8..1.0));
        match self.term() {
            Some(term) => pause.min(term.until.saturating_duration_since(Instant::now())),
            None => pause,
        }
    }

    /// Looks at the Lease, and takes or renews it where that is right.
    async fn turn(&mut self) -> Result<(), LeaseError> {
        let began = Instant::now();
        let lease = self.ask(self.api.get_opt(&self.settings.name)).await?;
        let step = self.judge(lease.as_ref(), Instant::now());
        let params = PostParams { field_manager: Some(crate::MANAGER.to_owned()), ..PostParams::default() };
        let written = match (step, lease) {
            (Step::Wait, _) => {
                if self.term().is_some() {
                    self.lose("another replica has the Lease");
                }
                return Ok(());
            }
            (Step::Hold, Some(lease)) => {
                let renewed = self.renewed(lease);
                self.ask(self.api.replace(&self.settings.name, &params, &renewed)).await
            }
            (Step::Create | Step::Hold, _) => {
                let new = self.renewed(Lease::default());
                self.ask(self.api.create(&params, &new)).await
            }
        };
        let lease = match written {
            Err(LeaseError::Api { source, .. }) if is_conflict(&source) => return Ok(()),
            written => written?,
        };
        self.hold(&lease, began);
        Ok(())
    }

    /// The term runs from before the request: others count from when they see its outcome.
    fn hold(&mut self, lease: &Lease, began: Instant) {
        self.seen = Some(Seen { version: lease.resource_version().unwrap_or_default(), since: began });
        let until = began + self.settings.duration.saturating_sub(MARGIN);
        let number = match self.term() {
            Some(term) => term.number,
            None => {
                self.held += 1;
                tracing::info!(holder = self.settings.holder, "this replica has the Lease and writes");
                self.held
            }
        };
        self.terms.send_replace(Some(Term { number, epoch: epoch(lease), until }));
    }

    fn judge(&mut self, lease: Option<&Lease>, now: Instant) -> Step {
        let Some(lease) = lease else { return Step::Create };
        let version = lease.resource_version().unwrap_or_default();
        let since = match &self.seen {
            Some(seen) if seen.version == version => seen.since,
            _ => now,
        };
        self.seen = Some(Seen { version, since });
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        let theirs = u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let over = now.duration_since(since) >= Duration::from_secs(theirs);
        if holder.is_empty() || holder == self.settings.holder || over { Step::Hold } else { Step::Wait }
    }

    fn renewed(&self, mut lease: Lease) -> Lease {
        let now = Timestamp::now();
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.settings.holder) {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
            spec.acquire_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(now));
            spec.holder_identity = Some(self.settings.holder.clone());
        }
        spec.lease_duration_seconds = i32::try_from(self.settings.duration.as_secs()).ok();
        spec.renew_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(now));
        lease.metadata.name = Some(self.settings.name.clone());
        lease.metadata.namespace = Some(self.settings.namespace.clone());
        lease
    }

    /// Lets the next replica begin at once.
    async fn give_back(&self) {
        let Some(seen) = &self.seen else { return };
        let patch = json!({
            "metadata": { "resourceVersion": seen.version },
            "spec": { "holderIdentity": "", "leaseDurationSeconds": 1 },
        });
        let params = kube_client::api::PatchParams::apply(crate::MANAGER);
        let patch = kube_client::api::Patch::Merge(&patch);
        if let Err(error) = self.ask(self.api.patch(&self.settings.name, &params, &patch)).await {
            tracing::warn!(%error, "the Lease could not be given back: it ends by itself");
        }
    }

    async fn ask<T>(&self, request: impl Future<Output = kube_client::Result<T>>) -> Result<T, LeaseError> {
        let name = || self.settings.name.clone();
        let answer = tokio::time::timeout(ANSWER.min(self.settings.duration / 3), request).await;
        answer
            .map_err(|_| LeaseError::Silence { name: name() })?
            .map_err(|source| LeaseError::Api { name: name(), source: Box::new(source) })
    }
}

/// What an annotation of the Lease says.
///
/// # Errors
/// When the API server does not do as asked.
pub async fn noted(
    client: &Client,
    settings: &Settings,
    annotation: &str,
) -> Result<Option<String>, LeaseError> {
    let api: Api<Lease> = Api::namespaced(client.clone(), &settings.namespace);
    let name = || settings.name.clone();
    let lease = tokio::time::timeout(ANSWER, api.get(&settings.name)).await;
    let lease = lease.map_err(|_| LeaseError::Silence { name: name() })?;
    let lease = lease.map_err(|source| LeaseError::Api { name: name(), source: Box::new(source) })?;
    Ok(lease.annotations().get(annotation).cloned())
}

/// Notes something in the Lease for the next holder: the epoch that was published under, so that it goes beyond it; that
/// there is a ledger. Nothing is written when somebody else holds the Lease now.
///
/// # Errors
/// When the API server does not do as asked, or the term is over.
pub async fn note(
    client: &Client,
    settings: &Settings,
    term: Term,
    annotation: &str,
    text: &str,
) -> Result<(), LeaseError> {
    let name = || settings.name.clone();
    let left = term.left(Instant::now()).ok_or_else(|| LeaseError::Lost { name: name() })?;
    let noting = tokio::time::timeout(left.min(ANSWER), try_note(client, settings, annotation, text)).await;
    noting.map_err(|_| LeaseError::Silence { name: name() })?
}

async fn try_note(
    client: &Client,
    settings: &Settings,
    annotation: &str,
    text: &str,
) -> Result<(), LeaseError> {
    let api: Api<Lease> = Api::namespaced(client.clone(), &settings.namespace);
    let failed = |source| LeaseError::Api { name: settings.name.clone(), source: Box::new(source) };
    let manager = Some(crate::MANAGER.to_owned());
    let params = kube_client::api::PatchParams { field_manager: manager, ..Default::default() };
    loop {
        let lease = api.get(&settings.name).await.map_err(failed)?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder != Some(&settings.holder) {
            return Err(LeaseError::Lost { name: settings.name.clone() });
        }
        // By version: a replica that slept here must not write into the Lease of its successor.
        let patch = json!({ "metadata": {
            "resourceVersion": lease.resource_version(),
            "annotations": { annotation: text },
        } });
        match api.patch(&settings.name, &params, &kube_client::api::Patch::Merge(&patch)).await {
            // It was renewed meanwhile.
            Err(error) if is_conflict(&error) => {}
            patched => return patched.map(drop).map_err(failed),
        }
    }
}

fn epoch(lease: &Lease) -> u64 {
    lease.annotations().get(EPOCH).and_then(|e| e.parse().ok()).unwrap_or_default()
}

fn is_conflict(error: &kube_client::Error) -> bool {
    matches!(error, kube_client::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
