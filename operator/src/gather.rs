//! From what the watches saw to changes for the compiler: manifests read, the last valid spec in place of an invalid one,
//! tokens of generated keys filled in. Only reads; what is missing is asked for by [`Gather::wanted`].

use crate::watch::{Body, Seen, TokenSecret};
use serde_json::Value;
use smartflow_compile::{Change, Finding, Kind, Object, ObjectRef, Reason, Settings};
use smartflow_snapshot::ObjectName;
use smartflow_transport::publisher::LastGood;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All objects, as they were last seen.
#[derive(Default)]
pub struct Gather {
    settings: Settings,
    objects: HashMap<ObjectRef, Held>,
    tokens: HashMap<ObjectName, TokenSecret>,
    claims: Claims,
    /// Secrets that are there and neither ours nor open to be looked at: an attempt to make them told so.
    foreign: BTreeSet<ObjectName>,
    /// The last valid spec of objects that are invalid now, and of those that were not seen yet.
    kept: HashMap<ObjectRef, Box<str>>,
    /// What is to be compiled: read already, or to be read again.
    dirty: BTreeMap<ObjectRef, Option<Object>>,
    /// Keys whose token is to be made.
    wanted: BTreeMap<ObjectName, Wanted>,
}

/// An object as it was last seen.
#[derive(Debug)]
pub struct Held {
    /// Identity.
    pub uid: Box<str>,
    /// Counts changes of its spec.
    pub generation: i64,
    /// For writes that must be refused when somebody else wrote meanwhile.
    pub version: Box<str>,
    /// Its status.
    pub status: Value,
    /// Its token is in a Secret that somebody brought along.
    pub borrows: bool,
    manifest: Box<str>,
    /// When it was created, Unix seconds.
    created: i64,
    valid: bool,
    leaving: bool,
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The Secret that it belongs in.
    pub secret: ObjectName,
    /// Identity of the VirtualKey.
    pub owner: Box<str>,
}

/// What became of an object that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is to be compiled.
    Changed,
    /// Only its status differs, or nothing does.
    Status,
}

/// Which keys have their token in which Secret.
#[derive(Default)]
struct Claims {
    by_secret: HashMap<ObjectName, BTreeSet<ObjectName>>,
    by_key: HashMap<ObjectName, ObjectName>,
}

impl Claims {
    fn set(&mut self, key: &ObjectName, secret: Option<&ObjectName>) {
        if self.by_key.get(key) == secret {
            return;
        }
        if let Some(old) = self.by_key.remove(key)
            && let Some(keys) = self.by_secret.get_mut(&old)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.by_secret.remove(&old);
            }
        }
        if let Some(secret) = secret {
            self.by_key.insert(key.clone(), secret.clone());
            self.by_secret.entry(secret.clone()).or_default().insert(key.clone());
        }
    }
}

impl Gather {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), ..Self::default() }
    }

    /// An object as it was last seen.
    #[must_use]
    pub fn held(&self, id: &ObjectRef) -> Option<&Held> {
        self.objects.get(id)
    }

    /// What is known of the Secret that holds the token of `key`.
    #[must_use]
    pub fn token_of(&self, key: &ObjectName) -> Option<(&ObjectName, &TokenSecret)> {
        let secret = self.claims.by_key.get(key)?;
        self.tokens.get_key_value(secret)
    }

    /// All objects that are compiled.
    pub fn all(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    /// Keys whose token is to be made.
    #[must_use]
    pub fn wanted(&self) -> &BTreeMap<ObjectName, Wanted> {
        &self.wanted
    }

    /// True when something is to be compiled.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Objects that are invalid, and of which no valid spec is known.
    #[must_use]
    pub fn lost(&self) -> Vec<ObjectRef> {
        let lost = |(id, held): &(&ObjectRef, &Held)| {
            !held.valid && is_ours(id.kind) && !self.kept.contains_key(*id)
        };
        self.objects.iter().filter(lost).map(|(id, _)| id.clone()).collect()
    }

    /// A spec that was valid once, known from what is published. One of an object that was deleted, and made again under
    /// the same name while no operator ran, is another object's.
    pub fn recall(&mut self, id: &ObjectRef, published: &LastGood) {
        let same = |held: &Held| !held.valid && held.created == published.created;
        if self.objects.get(id).is_some_and(same) && !self.kept.contains_key(id) {
            self.kept.insert(id.clone(), published.spec.as_str().into());
            self.dirty.entry(id.clone()).or_default();
        }
    }

    /// Takes in an object as it is now.
    pub fn take(&mut self, seen: Seen) -> Taken {
        let Seen { id, uid, generation, version, leaving, body } = seen;
        let (manifest, status) = match body {
            Body::Token(secret) => return self.take_token(&id, secret),
            Body::Declared { manifest, status } => (manifest, status),
        };
        if id.kind == Kind::Secret {
            self.lose_token(&id.name);
        }
        let text: Box<str> = manifest.to_string().into();
        let borrows = manifest.pointer("/spec/existingSecretRef").is_some();
        if let Some(held) = self.objects.get_mut(&id)
            && (&held.uid, &held.manifest, held.leaving) == (&uid, &text, leaving)
        {
            (held.generation, held.version, held.status) = (generation, version, status);
            return Taken::Status;
        }
        let created = created(&manifest);
        let object = match declared(manifest, &self.settings) {
            Ok(object) => object,
            Err(finding) => {
                tracing::warn!(object = %id, %finding, "an object is left as it was");
                return Taken::Status;
            }
        };
        let valid = object.is_valid();
        let old = self.objects.insert(
            id.clone(),
            Held {
                uid: uid.clone(),
                generation,
                version,
                status,
                borrows,
                manifest: text,
                created,
                valid,
                leaving,
            },
        );
        match old {
            _ if valid => drop(self.kept.remove(&id)),
            Some(old) if old.uid != uid => drop(self.kept.remove(&id)),
            Some(old) if old.valid => {
                let spec = read(&old.manifest, &self.settings).and_then(|old| old.spec().map(Into::into));
                self.kept.extend(spec.map(|spec| (id.clone(), spec)));
            }
            _ => {}
        }
        self.dirty.insert(id, Some(object));
        Taken::Changed
    }

    fn take_token(&mut self, id: &ObjectRef, secret: TokenSecret) -> Taken {
        if self.objects.remove(id).is_some() {
            self.dirty.insert(id.clone(), None);
        }
        self.foreign.remove(&id.name);
        if self.tokens.get(&id.name) == Some(&secret) {
            return Taken::Status;
        }
        self.tokens.insert(id.name.clone(), secret);
        self.touch_keys_of(&id.name);
        Taken::Changed
    }

    fn lose_token(&mut self, secret: &ObjectName) {
        if self.tokens.remove(secret).is_some() {
            self.touch_keys_of(secret);
        }
    }

    fn touch_keys_of(&mut self, secret: &ObjectName) {
        for key in self.claims.by_secret.get(secret).into_iter().flatten() {
            let id = ObjectRef { kind: Kind::VirtualKey, name: key.clone() };
            self.dirty.entry(id).or_default();
        }
    }

    /// An object is gone.
    pub fn lose(&mut self, id: &ObjectRef) {
        if id.kind == Kind::Secret {
            self.lose_token(&id.name);
            self.foreign.remove(&id.name);
        }
        self.kept.remove(id);
        if self.objects.remove(id).is_some() {
            self.dirty.insert(id.clone(), None);
        }
    }

    /// A Secret was made, or found, that the watch may not have shown yet.
    pub fn made(&mut self, secret: &ObjectName, token: TokenSecret) {
        let id = ObjectRef { kind: Kind::Secret, name: secret.clone() };
        self.take_token(&id, token);
    }

    /// A Secret is there that a token cannot be written to: it belongs to somebody else.
    pub fn is_foreign(&mut self, secret: &ObjectName) {
        if self.foreign.insert(secret.clone()) {
            self.touch_keys_of(secret);
        }
    }

    /// Forgets that Secrets belong to others, so that making them is tried again.
    pub fn look_again(&mut self) {
        for secret in std::mem::take(&mut self.foreign) {
            self.touch_keys_of(&secret);
        }
    }

    /// What the compiler is to be told.
    pub fn changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|(id, object)| self.change(id, object)).collect()
    }

    /// The object as it is in force; `None` = it is gone, or about to be.
    #[must_use]
    pub fn object(&mut self, id: &ObjectRef) -> Option<Object> {
        match self.change(id.clone(), None) {
            Change::Set(object) => Some(*object),
            Change::Remove(_) => None,
        }
    }

    fn change(&mut self, id: ObjectRef, object: Option<Object>) -> Change {
        let held = self.objects.get(&id);
        // What grants is over as soon as its end is wished for; what restricts, when it is gone.
        let held = held.filter(|held| !held.leaving || id.kind == Kind::Policy);
        let Some((held, object)) =
            held.and_then(|held| Some((held, object.or_else(|| read(&held.manifest, &self.settings))?)))
        else {
            if id.kind == Kind::VirtualKey {
                self.claims.set(&id.name, None);
                self.wanted.remove(&id.name);
            }
            return Change::Remove(id);
        };
        let uid = held.uid.clone();
        let object = match self.kept.get(&id) {
            Some(spec) if !held.valid => object.with_last_good(spec),
            _ => object,
        };
        if id.kind != Kind::VirtualKey {
            return Change::Set(Box::new(object));
        }
        Change::Set(Box::new(self.with_token(object, uid)))
    }

    fn with_token(&mut self, object: Object, uid: Box<str>) -> Object {
        let key = object.id().name.clone();
        self.wanted.remove(&key);
        if !object.needs_token() {
            self.claims.set(&key, None);
            return object;
        }
        let secret = object.token_secret();
        self.claims.set(&key, Some(&secret));
        match self.tokens.get(&secret) {
            Some(held) if held.owner.as_ref() == Some(&uid) => match held.token {
                Some(token) => object.with_token(token),
                None => object.blame(emptied(&secret)),
            },
            None if !self.foreign.contains(&secret) && !self.is_credential(&secret) => {
                self.wanted.insert(key, Wanted { secret, owner: uid });
                object
            }
            _ => object.blame(not_owned(&secret)),
        }
    }

    fn is_credential(&self, secret: &ObjectName) -> bool {
        self.objects.contains_key(&ObjectRef { kind: Kind::Secret, name: secret.clone() })
    }
}

/// True when its status is ours to write.
#[must_use]
pub fn is_ours(kind: Kind) -> bool {
    !matches!(kind, Kind::Secret | Kind::Namespace)
}

fn read(manifest: &str, settings: &Settings) -> Option<Object> {
    declared(serde_json::from_str(manifest).ok()?, settings).ok()
}

/// The object, with when it was created.
fn declared(manifest: Value, settings: &Settings) -> Result<Object, Finding> {
    let created = created(&manifest);
    Ok(Object::read(manifest)?.with_created(created).confined(settings))
}

/// Unix seconds; 0 = not known.
fn created(manifest: &Value) -> i64 {
    let created = manifest.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    created.and_then(|t| t.parse::<jiff::Timestamp>().ok()).map_or(0, |t| t.as_second())
}

fn not_owned(secret: &ObjectName) -> Finding {
    let message =
        format!("Secret {secret} is there and belongs to somebody else: no token is written to it.");
    let fix = "Name another Secret, or delete that one; to use a token that is in it, set existingSecretRef.";
    Finding::error(Reason::SecretNotOwned, "spec.secretName", message, fix)
}

fn emptied(secret: &ObjectName) -> Finding {
    let message =
        format!("Secret {secret}, which was made for this key, does not hold a generated token any more.");
    Finding::error(
        Reason::SecretInvalid,
        "spec.secretName",
        message,
        "Delete the Secret: a new token is made.",
    )
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
