//! Virtual keys: their tokens and parents. There may be very many, so that an ordinary key costs an entry in a map and
//! the value that the snapshot has anyway.

use super::parents::Children;
use super::{Compiler, Dirty, entry_hash};
use crate::finding::{Finding, Reason};
use crate::kind::SecretKey;
use crate::kind::virtual_key::KeyDraft;
use crate::object::Kind;
use crate::report::Serving;
use smartflow_snapshot::{Key, ObjectName, TokenHash};
use std::collections::HashMap;
use std::sync::Arc;

/// Shortest token that may be brought along.
const MIN_TOKEN: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Keys {
    entries: HashMap<ObjectName, Entry>,
    pub(super) children: Children,
}

/// A key as it is published, when its spec is sound.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) key: Option<Arc<Key>>,
    extra: Option<Box<Extra>>,
}

/// What not every key has.
#[derive(Debug, Default, PartialEq)]
struct Extra {
    parent: Option<Arc<str>>,
    /// Its ancestors cannot be had.
    orphan: bool,
    unmatched: bool,
    last_good: bool,
    rare: Option<Box<Rare>>,
}

/// What few keys have.
#[derive(Debug, Default, PartialEq)]
struct Rare {
    own: Box<[Finding]>,
    references: Vec<Finding>,
    secret: Option<SecretKey>,
    /// Who has its token.
    in_use_by: Option<ObjectName>,
    /// The token, while somebody else has it.
    withheld: Option<TokenHash>,
}

impl Keys {
    pub(super) fn get(&self, name: &ObjectName) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &ObjectName) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.entries.keys()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&ObjectName, &mut Entry)> {
        self.entries.iter_mut()
    }
}

impl Entry {
    pub(super) fn parent(&self) -> Option<&Arc<str>> {
        self.extra.as_ref()?.parent.as_ref()
    }

    pub(super) fn is_unmatched(&self) -> bool {
        self.extra.as_ref().is_some_and(|e| e.unmatched)
    }

    pub(super) fn set_unmatched(&mut self, unmatched: bool) {
        self.change(|extra| extra.unmatched = unmatched);
    }

    pub(super) fn in_use_by(&self) -> Option<&ObjectName> {
        self.rare()?.in_use_by.as_ref()
    }

    pub(super) fn set_in_use_by(&mut self, owner: Option<ObjectName>) {
        self.change_rare(|rare| rare.in_use_by = owner);
    }

    fn rare(&self) -> Option<&Rare> {
        self.extra.as_ref()?.rare.as_deref()
    }

    /// The token that it claims, whoever has it.
    fn token(&self) -> Option<TokenHash> {
        self.key.as_ref().and_then(|k| k.token).or_else(|| self.rare()?.withheld)
    }

    fn change(&mut self, change: impl FnOnce(&mut Extra)) {
        let mut extra = self.extra.take().unwrap_or_default();
        change(&mut extra);
        self.extra = (*extra != Extra::default()).then_some(extra);
    }

    fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        self.change(|extra| {
            let mut rare = extra.rare.take().unwrap_or_default();
            change(&mut rare);
            extra.rare = (*rare != Rare::default()).then_some(rare);
        });
    }
}

impl Compiler {
    pub(super) fn set_key(
        &mut self,
        name: &ObjectName,
        draft: Option<KeyDraft>,
        last_good: bool,
        own: Box<[Finding]>,
        dirty: &mut Dirty,
    ) {
        let before = self.forget_key(name, dirty);
        let mut entry = Entry::default();
        let mut secret = None;
        if let Some(mut draft) = draft {
            draft.key.name = name.clone();
            self.pool.key(&mut draft.key);
            self.grants.join(&draft.key);
            secret = draft.token.secret().cloned();
            if let Some(parent) = draft.parent.map(|p| self.pool.text(Arc::from(p))) {
                let of = ObjectName::new(name.namespace.clone(), parent.clone());
                dirty.report(Kind::VirtualKey, &of);
                self.keys.children.add(of, name);
                entry.change(|extra| extra.parent = Some(parent));
            }
            entry.key = Some(Arc::new(draft.key));
        }
        entry.change(|extra| extra.last_good = last_good);
        entry.change_rare(|rare| (rare.own, rare.secret) = (own, secret));
        if before != (entry.key.is_some(), entry.parent().cloned()) {
            dirty.keys.extend(self.keys.descendants(name));
        }
        self.keys.entries.insert(name.clone(), entry);
    }

    pub(super) fn remove_key(&mut self, name: &ObjectName, dirty: &mut Dirty) {
        self.forget_key(name, dirty);
        dirty.keys.extend(self.keys.descendants(name));
    }

    /// Takes an entry out; returns what its descendants depend on: whether it was sound, and its parent.
    fn forget_key(&mut self, name: &ObjectName, dirty: &mut Dirty) -> (bool, Option<Arc<str>>) {
        let Some(old) = self.keys.entries.remove(name) else { return (false, None) };
        if let Some(token) = old.token() {
            self.unclaim(token, name);
        }
        if let Some(key) = &old.key {
            self.grants.leave(key);
        }
        if let Some(parent) = old.parent() {
            let of = ObjectName::new(name.namespace.clone(), parent.clone());
            self.keys.children.remove(&of, name);
            dirty.report(Kind::VirtualKey, &of);
        }
        (old.key.is_some(), old.parent().cloned())
    }

    /// Works out the keys that changes touch: tokens from Secrets, ancestors, who has a token that several claim.
    pub(super) fn resolve_keys(&mut self, dirty: &mut Dirty) {
        for name in dirty.keys.clone() {
            self.resolve_key(&name);
            dirty.report(Kind::VirtualKey, &name);
        }
        self.settle_tokens(dirty);
        for name in &dirty.keys {
            self.publish_key(name);
        }
        self.publish_tokens();
    }

    fn resolve_key(&mut self, name: &ObjectName) {
        let Some(entry) = self.keys.get(name) else { return };
        let (Some(key), claimed) = (entry.key.clone(), entry.token()) else { return };
        let mut references = Vec::new();
        let token = match entry.rare().and_then(|r| r.secret.as_ref()) {
            Some(secret) => self.token_of(&name.namespace, secret, &mut references),
            None => claimed,
        };
        if token.is_none() && references.is_empty() {
            let fix = "Wait until it is made, or bring one along: existingSecretRef or sha256.";
            references.push(Finding::reference(Reason::TokenPending, "", "The key has no token yet.", fix));
        }
        let ancestors = self.ancestors(name);
        let orphan = ancestors.is_err();
        references.extend(ancestors.err());
        let unmatched = self.is_unmatched(&key);
        if let Some(claimed) = claimed {
            self.unclaim(claimed, name);
        }
        if let Some(entry) = self.keys.get_mut(name) {
            entry.change(|extra| (extra.orphan, extra.unmatched) = (orphan, unmatched));
            let same = key.token == token;
            entry.change_rare(|rare| {
                (rare.references, rare.in_use_by) = (references, None);
                rare.withheld = if same { None } else { token };
            });
            if let Some(own) = entry.key.as_mut().filter(|k| !same && k.token.is_some()) {
                Arc::make_mut(own).token = None;
            }
        }
        if let Some(token) = token {
            self.claim(token, name);
        }
    }

    fn token_of(&self, namespace: &str, secret: &SecretKey, faults: &mut Vec<Finding>) -> Option<TokenHash> {
        let path = "spec.existingSecretRef";
        match self.secrets.value(namespace, secret, path) {
            Ok(token) if token.open().chars().count() >= MIN_TOKEN => {
                Some(TokenHash::of(token.open().as_bytes()))
            }
            Ok(_) => {
                let message = format!("The token has fewer than {MIN_TOKEN} characters.");
                let fix = "Store a longer, random one: openssl rand -hex 24.";
                let path = format!("{path}.key");
                faults.push(Finding::reference(Reason::TokenTooShort, &path, message, fix));
                None
            }
            Err(finding) => {
                faults.push(finding);
                None
            }
        }
    }

    /// Brings the snapshot's entry by name up to date.
    fn publish_key(&mut self, name: &ObjectName) {
        let old = self.snapshot.keys_by_name.get(name).cloned();
        let parents = self.ancestors(name);
        let mut new = None;
        if let (Some(entry), Ok(parents)) = (self.keys.get_mut(name), parents)
            && let Some(mut key) = entry.key.take()
        {
            let claimed = key.token.or_else(|| entry.rare()?.withheld);
            let (token, withheld) =
                if entry.in_use_by().is_some() { (None, claimed) } else { (claimed, None) };
            entry.change_rare(|rare| rare.withheld = withheld);
            if key.token != token || key.parents != parents {
                let key = Arc::make_mut(&mut key);
                (key.token, key.parents) = (token, parents);
            }
            // The snapshot's own value, when it says the same: nothing is kept twice.
            let key = old.clone().filter(|o| *o == key).unwrap_or(key);
            entry.key = Some(key.clone());
            new = Some(key);
        }
        if old == new {
            return;
        }
        match &new {
            Some(key) => self.snapshot.keys_by_name.insert(name.clone(), key.clone()),
            None => self.snapshot.keys_by_name.remove(name),
        };
        let hash = |key: &Option<Arc<Key>>| key.as_ref().map(|k| entry_hash("key", k)).unwrap_or_default();
        self.snapshot.hash = self.snapshot.hash.minus(hash(&old)).plus(hash(&new));
    }

    pub(super) fn key_report(&self, name: &ObjectName) -> Option<(Serving, Vec<Finding>)> {
        let entry = self.keys.get(name)?;
        let extra = entry.extra.as_deref();
        let callable =
            entry.key.as_ref().is_some_and(|k| k.token.is_some()) && !extra.is_some_and(|e| e.orphan);
        let serving = match (callable, extra.is_some_and(|e| e.last_good)) {
            (false, _) => Serving::Nothing,
            (true, true) => Serving::LastGood,
            (true, false) => Serving::Current,
        };
        let mut findings = Vec::new();
        if let Some(rare) = entry.rare() {
            findings.extend(rare.own.iter().chain(&rare.references).cloned());
            if let Some(owner) = &rare.in_use_by {
                let message = format!("VirtualKey {owner} has the same token.");
                findings.push(Finding::error(
                    Reason::TokenInUse,
                    "",
                    message,
                    "Give this key a token of its own.",
                ));
            }
        }
        // A key that only pays for others grants nothing, as it should.
        let pays = |key: &Key| key.models.0.is_empty() && self.keys.children.any(name);
        if let Some(key) = entry.key.as_ref().filter(|k| entry.is_unmatched() && !pays(k)) {
            let (message, fix) = if key.models.0.is_empty() {
                ("The key grants no model.", "List models: exact names, prefix* or *.")
            } else {
                (
                    "No model that exists here matches.",
                    "Compare the names with those of the LLMProviders that the namespace may use.",
                )
            };
            findings.push(Finding::reference(Reason::NoModelMatches, "spec.models", message, fix).warning());
        }
        Some((serving, findings))
    }
}
