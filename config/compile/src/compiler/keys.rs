//! Virtual keys: their tokens and parents. There may be very many, so that of an ordinary key nothing is kept but the
//! value that the snapshot has anyway.

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
/// Most entries that one finding names.
const SHOWN: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Those that are not ordinary, and for the time of a step those that are being worked out. All others are in the
    /// snapshot, with nothing to add.
    entries: HashMap<ObjectName, Entry>,
    pub(super) children: Children,
}

/// A key as it is published, when its spec is sound.
#[derive(Debug, Default)]
pub(super) struct Entry {
    key: Option<Arc<Key>>,
    extra: Option<Box<Extra>>,
}

/// What an ordinary key does not have.
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
    /// The name of the parent that `name` asks for.
    pub(super) fn parent(&self, name: &ObjectName) -> Option<&Arc<str>> {
        self.entries.get(name)?.parent()
    }

    /// Who has the token of `name`, when it is not `name`.
    pub(super) fn in_use_by(&self, name: &ObjectName) -> Option<&ObjectName> {
        self.entries.get(name)?.rare()?.in_use_by.as_ref()
    }
}

impl Entry {
    fn parent(&self) -> Option<&Arc<str>> {
        self.extra.as_ref()?.parent.as_ref()
    }

    pub(super) fn is_unmatched(&self) -> bool {
        self.extra.as_ref().is_some_and(|e| e.unmatched)
    }

    pub(super) fn set_unmatched(&mut self, unmatched: bool) {
        self.change(|extra| extra.unmatched = unmatched);
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
    /// A key whose spec is sound.
    pub(super) fn sound_key(&self, name: &ObjectName) -> Option<&Arc<Key>> {
        match self.keys.entries.get(name) {
            Some(entry) => entry.key.as_ref(),
            None => self.snapshot.keys_by_name.get(name),
        }
    }

    /// True when the VirtualKey is declared, sound or not.
    pub(super) fn has_key(&self, name: &ObjectName) -> bool {
        self.keys.entries.contains_key(name) || self.snapshot.keys_by_name.get(name).is_some()
    }

    /// The token that a key claims, whoever has it.
    pub(super) fn token_claimed(&self, name: &ObjectName) -> Option<TokenHash> {
        match self.keys.entries.get(name) {
            Some(entry) => entry.token(),
            None => self.snapshot.keys_by_name.get(name)?.token,
        }
    }

    /// All VirtualKeys that are declared.
    pub(super) fn key_names(&self) -> impl Iterator<Item = &ObjectName> {
        let ordinary = self.snapshot.keys_by_name.iter().map(|(name, _)| name);
        self.keys.entries.keys().chain(ordinary.filter(|n| !self.keys.entries.contains_key(*n)))
    }

    /// The entry of a key, to be changed and then given to [`Self::close_key`].
    pub(super) fn open_key(&mut self, name: &ObjectName) -> Option<&mut Entry> {
        if !self.keys.entries.contains_key(name) {
            let key = self.snapshot.keys_by_name.get(name)?.clone();
            self.keys.entries.insert(key.name.clone(), Entry { key: Some(key), extra: None });
        }
        self.keys.entries.get_mut(name)
    }

    /// Forgets the entry when the snapshot says it all.
    pub(super) fn close_key(&mut self, name: &ObjectName) {
        let Some(entry) = self.keys.entries.get(name) else { return };
        let published = self.snapshot.keys_by_name.get(name);
        if entry.extra.is_none() && published.is_some() && entry.key.as_ref() == published {
            self.keys.entries.remove(name);
        }
    }

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
        self.publish(name, None);
        dirty.keys.extend(self.keys.descendants(name));
    }

    /// Takes a key out, but for what is published of it; returns what its descendants depend on: whether it was sound,
    /// and its parent.
    fn forget_key(&mut self, name: &ObjectName, dirty: &mut Dirty) -> (bool, Option<Arc<str>>) {
        let key = self.sound_key(name).cloned();
        let old = self.keys.entries.remove(name).unwrap_or_else(|| Entry { key: key.clone(), extra: None });
        if let Some(token) = old.token() {
            self.unclaim(token, name);
        }
        if let Some(key) = &key {
            self.grants.leave(key);
        }
        if let Some(parent) = old.parent() {
            let of = ObjectName::new(name.namespace.clone(), parent.clone());
            self.keys.children.remove(&of, name);
            dirty.report(Kind::VirtualKey, &of);
        }
        (key.is_some(), old.parent().cloned())
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
        let Some(entry) = self.open_key(name) else { return };
        let (Some(key), claimed) = (entry.key.clone(), entry.token()) else { return };
        let secret = entry.rare().and_then(|r| r.secret.clone());
        let mut references = Vec::new();
        let token = match secret {
            Some(secret) => self.token_of(&name.namespace, &secret, &mut references),
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
        let same = key.token == token;
        if let Some(entry) = self.keys.entries.get_mut(name) {
            entry.change(|extra| (extra.orphan, extra.unmatched) = (orphan, unmatched));
            entry.change_rare(|rare| {
                (rare.references, rare.in_use_by) = (references, None);
                rare.withheld = if same { None } else { token };
            });
            if let Some(own) = entry.key.as_mut().filter(|k| !same && k.token.is_some()) {
                Arc::make_mut(own).token = None;
            }
        }
        if let Some(token) = token {
            self.claim(token, (key.created, name.clone()));
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
        let parents = self.ancestors(name);
        let published = self.snapshot.keys_by_name.get(name).cloned();
        let Some(entry) = self.keys.entries.get_mut(name) else { return };
        let mut new = None;
        if let Ok(parents) = parents
            && let Some(mut key) = entry.key.take()
        {
            let claimed = key.token.or_else(|| entry.rare()?.withheld);
            let in_use = entry.rare().is_some_and(|r| r.in_use_by.is_some());
            let (token, withheld) = if in_use { (None, claimed) } else { (claimed, None) };
            entry.change_rare(|rare| rare.withheld = withheld);
            if key.token != token || key.parents != parents {
                let key = Arc::make_mut(&mut key);
                (key.token, key.parents) = (token, parents);
            }
            // The snapshot's own value, when it says the same: nothing is kept twice.
            let key = published.filter(|p| *p == key).unwrap_or(key);
            entry.key = Some(key.clone());
            new = Some(key);
        }
        self.publish(name, new);
        self.close_key(name);
    }

    fn publish(&mut self, name: &ObjectName, new: Option<Arc<Key>>) {
        if self.snapshot.keys_by_name.get(name) == new.as_ref() {
            return;
        }
        let hash = |key: &Arc<Key>| entry_hash("key", key);
        let put = new.as_ref().map(hash).unwrap_or_default();
        let old = match new {
            Some(key) => self.snapshot.keys_by_name.insert(key),
            None => self.snapshot.keys_by_name.remove(name),
        };
        self.snapshot.hash = self.snapshot.hash.minus(old.as_ref().map(hash).unwrap_or_default()).plus(put);
    }

    pub(super) fn key_report(&self, name: &ObjectName) -> Option<(Serving, Vec<Finding>)> {
        let ordinary = Entry::default();
        let entry = match self.keys.entries.get(name) {
            None if !self.has_key(name) => return None,
            entry => entry.unwrap_or(&ordinary),
        };
        let key = self.sound_key(name);
        let extra = entry.extra.as_deref();
        let callable = key.is_some_and(|k| k.token.is_some()) && !extra.is_some_and(|e| e.orphan);
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
        findings.extend(key.filter(|_| entry.is_unmatched()).and_then(|key| self.unmatched(key)));
        Some((serving, findings))
    }

    /// The warning for a key that grants what does not exist, or nothing. One that only pays for others grants nothing,
    /// as it should.
    fn unmatched(&self, key: &Key) -> Option<Finding> {
        let unmatched = self.unmatched_entries(key);
        let mut names = unmatched.iter().take(SHOWN).map(|n| &**n).collect::<Vec<_>>().join(", ");
        if unmatched.len() > SHOWN {
            names.push_str(&format!(" and {} more", unmatched.len() - SHOWN));
        }
        let (message, fix) = match key.models.0.is_empty() {
            true if self.keys.children.any(&key.name) => return None,
            true => ("The key grants no model.".to_owned(), "List models: exact names, prefix* or *."),
            false => (
                format!("No model that exists here matches {names}."),
                "Compare it with the names that LLMProviders and FallbackChains have for this namespace; one that several have is nobody's.",
            ),
        };
        Some(Finding::reference(Reason::NoModelMatches, "spec.models", message, fix).warning())
    }
}

#[cfg(test)]
mod tests {
    use crate::compiler::{Change, Compiler};
    use crate::{Object, Settings};
    use serde_json::json;
    use smartflow_snapshot::TokenHash;

    fn set(manifest: serde_json::Value, name: &str) -> Change {
        let mut manifest = manifest;
        manifest["metadata"] = json!({ "name": name });
        manifest["apiVersion"] = json!("smartflow.dev/v1alpha1");
        Change::Set(Box::new(Object::read(manifest).unwrap().with_token(TokenHash::of(name.as_bytes()))))
    }

    /// A hundred thousand of them must not be kept twice.
    #[test]
    fn nothing_is_kept_of_ordinary_keys() {
        let mut compiler = Compiler::new(&Settings::default());
        let key = json!({ "kind": "VirtualKey", "spec": { "models": ["simulated-*"] } });
        compiler.apply((0..3).map(|i| set(key.clone(), &format!("k{i}"))));
        assert_eq!(compiler.keys.entries.len(), 3, "nothing matches yet, which is to be said of each");
        let provider = set(json!({ "kind": "LLMProvider", "spec": { "provider": "simulated" } }), "p");
        compiler.apply([provider, set(key, "k1")]);
        assert!(compiler.keys.entries.is_empty());
        assert_eq!((compiler.snapshot.keys.len(), compiler.key_names().count()), (3, 3));
    }
}
