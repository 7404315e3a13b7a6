//! Secrets, and who refers to them.

use super::Compiler;
use crate::finding::{Finding, Reason};
use crate::kind::SecretKey;
use crate::kind::secret::{SecretData, SecretValue};
use crate::object::ObjectRef;
use smartflow_crds::CREDENTIAL_LABEL;
use smartflow_snapshot::{ObjectName, Secret};
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, Default)]
pub(super) struct Secrets {
    entries: HashMap<ObjectName, (SecretData, Box<[Finding]>)>,
    /// Objects that refer to a Secret, there or not.
    users: HashMap<ObjectName, BTreeSet<ObjectRef>>,
    /// The other way round.
    uses: HashMap<ObjectRef, BTreeSet<ObjectName>>,
}

impl Secrets {
    pub(super) fn set(&mut self, name: &ObjectName, data: SecretData, findings: Box<[Finding]>) {
        self.entries.insert(name.clone(), (data, findings));
    }

    pub(super) fn remove(&mut self, name: &ObjectName) {
        self.entries.remove(name);
    }

    /// Findings of a Secret, with those that arose when its references were resolved.
    pub(super) fn report(&self, name: &ObjectName) -> Option<Vec<Finding>> {
        let (data, own) = self.entries.get(name)?;
        let mut findings = own.to_vec();
        for value in data.values.values() {
            if let SecretValue::Missing(finding) = value
                && !findings.iter().any(|f| (f.reason, &f.path) == (finding.reason, &finding.path))
            {
                findings.push(Finding::clone(finding));
            }
        }
        Some(findings)
    }

    /// A Secret as it was declared.
    pub(super) fn get(&self, name: &ObjectName) -> Option<&SecretData> {
        self.entries.get(name).map(|(data, _)| data)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.entries.keys()
    }

    pub(super) fn users(&self, secret: &ObjectName) -> impl Iterator<Item = &ObjectRef> {
        self.users.get(secret).into_iter().flatten()
    }

    /// The value that an object of `namespace` refers to at `path`, without line breaks at its end.
    pub(super) fn value(&self, namespace: &str, secret: &SecretKey, path: &str) -> Result<Secret, Finding> {
        let SecretKey { name, key } = secret;
        let Some((data, _)) = self.entries.get(&ObjectName::new(namespace, &**name)) else {
            let fix = format!(
                "Create Secret {name} in namespace {namespace} with that label, or add the label to it."
            );
            let message =
                format!("There is no Secret {namespace}/{name} with the label {CREDENTIAL_LABEL}: \"true\".");
            return Err(Finding::reference(Reason::SecretNotFound, &format!("{path}.name"), message, fix));
        };
        if !data.labelled {
            let message = format!("Secret {namespace}/{name} may not be used as a credential.");
            let fix = format!("Add the label {CREDENTIAL_LABEL}: \"true\" to the Secret.");
            return Err(Finding::reference(Reason::SecretNotLabelled, &format!("{path}.name"), message, fix));
        }
        let path = format!("{path}.key");
        let value = match data.values.get(key) {
            Some(SecretValue::Known(value)) => value,
            Some(SecretValue::Missing(why)) => {
                let message = format!("Secret {namespace}/{name} has no usable value {key}: {}", why.message);
                return Err(Finding::reference(Reason::SecretUnresolved, &path, message, why.fix.clone()));
            }
            None => {
                let message = format!("Secret {namespace}/{name} has no key {key}.");
                let known: Vec<&str> = data.values.keys().map(|k| &**k).collect();
                let fix = format!("Add it to the Secret, or refer to one of its keys: {}.", known.join(", "));
                return Err(Finding::reference(Reason::SecretKeyNotFound, &path, message, fix));
            }
        };
        let text = value.open().trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            let message = format!("The value {key} of Secret {namespace}/{name} is empty.");
            return Err(Finding::reference(Reason::SecretInvalid, &path, message, "Store the credential."));
        }
        Ok(if text.len() == value.open().len() { value.clone() } else { Secret::new(text) })
    }
}

impl Compiler {
    /// Secrets that an object refers to and that are not there.
    pub fn missing_secrets(&self, id: &ObjectRef) -> impl Iterator<Item = &ObjectName> {
        let used = self.secrets.uses.get(id).into_iter().flatten();
        used.filter(|secret| !self.secrets.entries.contains_key(*secret))
    }

    /// True when some object refers to a Secret of this name.
    #[must_use]
    pub fn is_secret_used(&self, secret: &ObjectName) -> bool {
        self.secrets.users.contains_key(secret)
    }

    /// Notes which Secrets an object refers to now. Returns those, and those that it referred to before.
    pub(super) fn use_secrets<'a>(
        &mut self,
        id: &ObjectRef,
        secrets: impl Iterator<Item = &'a SecretKey>,
    ) -> BTreeSet<ObjectName> {
        let now: BTreeSet<ObjectName> =
            secrets.map(|s| ObjectName::new(id.name.namespace.clone(), &*s.name)).collect();
        let mut touched = self.secrets.uses.remove(id).unwrap_or_default();
        for secret in &touched {
            if let Some(users) = self.secrets.users.get_mut(secret) {
                users.remove(id);
                if users.is_empty() {
                    self.secrets.users.remove(secret);
                }
            }
        }
        for secret in &now {
            self.secrets.users.entry(secret.clone()).or_default().insert(id.clone());
        }
        touched.extend(now.iter().cloned());
        if !now.is_empty() {
            self.secrets.uses.insert(id.clone(), now);
        }
        touched
    }
}
