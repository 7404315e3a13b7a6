//! Objects to entries of a snapshot, recomputing only what a change touches.

mod carry;
mod chains;
mod grants;
mod keys;
mod name_index;
mod namespaces;
mod parents;
mod policies;
mod pool;
mod providers;
mod secrets;
mod tokens;

use crate::finding::Finding;
use crate::kind::virtual_key::{KeyDraft, TokenSource};
use crate::object::{Body, Kind, Object, ObjectRef};
use crate::report::{Report, Serving};
use crate::resources::{Resources, Settings};
use serde::Serialize;
use smartflow_snapshot::{ContentHash, Names, ObjectName, Provider, Snapshot, TokenHash};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A change to the world.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object is new or says something else.
    Set(Box<Object>),
    /// An object is gone.
    Remove(ObjectRef),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The world, compiled.
    pub snapshot: Snapshot,
    /// Of a full compile: the report of every object. Of a change: the reports that may differ from before. In order.
    pub reports: Vec<Report>,
}

/// Changes that are compiled at a time.
const STEP: usize = 512;

/// Compiles a world at once.
#[must_use]
pub fn compile(resources: &Resources, settings: &Settings) -> Compiled {
    // Keys last: what they grant and refer to is then there, and is asked for once.
    let (keys, others): (Vec<_>, Vec<_>) = resources.iter().partition(|o| o.id().kind == Kind::VirtualKey);
    let all = others.into_iter().chain(keys);
    Compiler::new(settings).apply(all.map(|o| Change::Set(Box::new(o.clone()))))
}

/// A compiled world that can be changed.
#[derive(Debug)]
pub struct Compiler {
    platform: Vec<Box<str>>,
    snapshot: Snapshot,
    pool: pool::Pool,
    namespaces: namespaces::Namespaces,
    secrets: secrets::Secrets,
    providers: providers::Providers,
    chains: chains::Chains,
    names: name_index::NameIndex,
    keys: keys::Keys,
    grants: grants::Groups,
    tokens: tokens::Tokens,
    policies: policies::Policies,
}

/// A provider as it was and as it is.
type Offer = (Option<Arc<Provider>>, Option<Arc<Provider>>);
/// A chain as it was and as it is.
type Claim = (Option<chains::Claimant>, Option<chains::Claimant>);

/// What is to be computed anew.
#[derive(Debug, Default)]
struct Dirty {
    secrets: BTreeSet<ObjectName>,
    providers: BTreeSet<ObjectName>,
    chains: BTreeSet<ObjectName>,
    keys: BTreeSet<ObjectName>,
    policies: bool,
    /// Namespaces came, went, or changed their labels.
    namespaces: bool,
    /// Providers that changed.
    offers: Vec<Offer>,
    /// Chains that changed.
    claims: Vec<Claim>,
    /// Whose report may differ.
    reports: BTreeSet<ObjectRef>,
}

impl Dirty {
    fn report(&mut self, kind: Kind, name: &ObjectName) {
        self.reports.insert(ObjectRef { kind, name: name.clone() });
    }
}

impl Compiler {
    /// An empty world.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let platform: Vec<Box<str>> =
            settings.platform_namespaces.iter().map(|n| n.as_str().into()).collect();
        let names = Names { platform: platform.iter().map(|n| (&**n).into()).collect(), ..Names::default() };
        let mut snapshot = Snapshot { names: Arc::new(names), ..Snapshot::default() };
        snapshot.hash = entry_hash("platform", &platform);
        Self {
            platform,
            snapshot,
            pool: pool::Pool::default(),
            namespaces: namespaces::Namespaces::default(),
            secrets: secrets::Secrets::default(),
            providers: providers::Providers::default(),
            chains: chains::Chains::default(),
            names: name_index::NameIndex::default(),
            keys: keys::Keys::default(),
            grants: grants::Groups::default(),
            tokens: tokens::Tokens::default(),
            policies: policies::Policies::default(),
        }
    }

    /// Applies changes in order and compiles what they touch. What comes out does not depend on how changes are cut
    /// into steps, so that many are taken a few at a time: that bounds the memory in between.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Compiled {
        let mut changes = changes.into_iter().peekable();
        let mut touched = Vec::new();
        while changes.peek().is_some() {
            touched.extend(self.step(changes.by_ref().take(STEP)));
        }
        touched.sort_unstable();
        touched.dedup();
        let reports = touched.iter().filter_map(|id| self.report(id)).collect();
        Compiled { snapshot: self.snapshot.clone(), reports }
    }

    /// Returns whose reports may differ.
    fn step(&mut self, changes: impl Iterator<Item = Change>) -> BTreeSet<ObjectRef> {
        let mut dirty = Dirty::default();
        for change in changes {
            match change {
                Change::Set(object) => self.set(*object, &mut dirty),
                Change::Remove(id) => self.remove(&id, &mut dirty),
            }
        }
        self.resolve_providers(&mut dirty);
        self.resolve_chains(&mut dirty);
        self.resolve_names(&mut dirty);
        self.resolve_keys(&mut dirty);
        self.resolve_policies(&mut dirty);
        self.pool.sweep();
        dirty.reports
    }

    /// The world as it is compiled now.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The report of one object; `None` when there is no such object.
    #[must_use]
    pub fn report(&self, id: &ObjectRef) -> Option<Report> {
        let (serving, findings) = match id.kind {
            Kind::LLMProvider => self.provider_report(&id.name)?,
            Kind::FallbackChain => self.chain_report(&id.name)?,
            Kind::VirtualKey => self.key_report(&id.name)?,
            Kind::Policy => self.policies.report(&id.name)?,
            Kind::Secret => (Serving::Current, self.secrets.report(&id.name)?),
            Kind::Namespace => (Serving::Current, self.namespaces.report(&id.name)?),
        };
        let without = match id.kind {
            Kind::FallbackChain if serving != Serving::Nothing => self.left_out(&id.name),
            _ => Vec::new(),
        };
        Some(Report { object: id.clone(), serving, without, findings })
    }

    /// All objects, in no order.
    pub fn objects(&self) -> impl Iterator<Item = ObjectRef> {
        let of = |kind| move |name: &ObjectName| ObjectRef { kind, name: name.clone() };
        self.providers
            .names()
            .map(of(Kind::LLMProvider))
            .chain(self.chains.names().map(of(Kind::FallbackChain)))
            .chain(self.key_names().map(of(Kind::VirtualKey)))
            .chain(self.policies.names().map(of(Kind::Policy)))
            .chain(self.secrets.names().map(of(Kind::Secret)))
            .chain(self.namespaces.names().map(|name| ObjectRef { kind: Kind::Namespace, name }))
    }

    fn set(&mut self, object: Object, dirty: &mut Dirty) {
        let Object { mut id, findings, body, last_good, created, .. } = object;
        id.name.namespace = self.pool.text(id.name.namespace);
        if !self.contains(&id) {
            dirty.namespaces |= self.namespaces.settle(&id);
        }
        dirty.reports.insert(id.clone());
        let findings: Box<[Finding]> = findings.into();
        match body {
            Body::Provider(draft) => {
                let secrets = draft.iter().flat_map(|d| d.secrets());
                for secret in self.use_secrets(&id, secrets) {
                    // What is carried of them are the values that providers use.
                    dirty.report(Kind::Secret, &secret);
                }
                self.providers.set(&id.name, draft, last_good, findings);
                dirty.providers.insert(id.name);
            }
            Body::Chain(draft) => self.set_chain(&id.name, draft, last_good, findings, dirty),
            Body::Key { draft, generated, .. } => {
                let draft = draft.map(|draft| with_token(*draft, generated, created));
                self.use_secrets(&id, draft.iter().filter_map(|d| d.token.secret()));
                self.set_key(&id.name, draft, last_good, findings, dirty);
                dirty.keys.insert(id.name);
            }
            Body::Policy(draft) => {
                let gone = self.policies.set(&id.name, draft, last_good, findings);
                self.snapshot.hash = self.snapshot.hash.minus(gone);
                dirty.policies = true;
            }
            Body::Secret(data) => {
                self.secrets.set(&id.name, data, findings);
                dirty.secrets.insert(id.name);
            }
            Body::Namespace(labels) => {
                dirty.namespaces |= self.namespaces.set(&id.name.name, labels, findings)
            }
        }
    }

    fn remove(&mut self, id: &ObjectRef, dirty: &mut Dirty) {
        if !self.contains(id) {
            return;
        }
        dirty.namespaces |= self.namespaces.leave(id);
        for secret in self.use_secrets(id, std::iter::empty()) {
            dirty.report(Kind::Secret, &secret);
        }
        match id.kind {
            Kind::LLMProvider => {
                self.providers.withdraw(&id.name);
                dirty.providers.insert(id.name.clone());
            }
            Kind::FallbackChain => self.withdraw_chain(&id.name, dirty),
            Kind::VirtualKey => {
                self.remove_key(&id.name, dirty);
                dirty.keys.insert(id.name.clone());
            }
            Kind::Policy => {
                self.snapshot.hash = self.snapshot.hash.minus(self.policies.remove(&id.name));
                dirty.policies = true;
            }
            Kind::Secret => {
                self.secrets.remove(&id.name);
                dirty.secrets.insert(id.name.clone());
            }
            Kind::Namespace => dirty.namespaces |= self.namespaces.remove(&id.name.name),
        }
    }

    fn contains(&self, id: &ObjectRef) -> bool {
        match id.kind {
            Kind::LLMProvider => self.providers.get(&id.name).is_some(),
            Kind::FallbackChain => self.chains.contains(&id.name),
            Kind::VirtualKey => self.has_key(&id.name),
            Kind::Policy => self.policies.contains(&id.name),
            Kind::Secret => self.secrets.report(&id.name).is_some(),
            Kind::Namespace => self.namespaces.report(&id.name).is_some(),
        }
    }

    fn is_platform(&self, namespace: &str) -> bool {
        self.platform.iter().any(|p| **p == *namespace)
    }
}

fn with_token(mut draft: KeyDraft, generated: Option<TokenHash>, created: i64) -> KeyDraft {
    draft.key.created = created;
    if draft.token == TokenSource::Generated {
        draft.key.token = generated;
    }
    draft
}

/// Hash of an entry of the snapshot.
fn entry_hash<T: Serialize>(kind: &str, entry: &T) -> ContentHash {
    // Only maps with keys that are not strings cannot be written, and no entry has one.
    ContentHash::of_json(&(kind, entry)).unwrap_or_default()
}
