//! Providers: their Secrets, and who may use them.

use super::{Compiler, Dirty, entry_hash};
use crate::finding::{Finding, Reason};
use crate::kind::SecretKey;
use crate::kind::provider::{Offer, ProviderDraft};
use crate::object::Kind;
use crate::report::Serving;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smartflow_snapshot::{Auth, Namespaces, ObjectName, Provider};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Providers {
    entries: BTreeMap<ObjectName, Entry>,
}

#[derive(Debug)]
pub(super) struct Entry {
    draft: Option<Arc<ProviderDraft>>,
    last_good: bool,
    own: Box<[Finding]>,
    references: Vec<Finding>,
    served: bool,
}

impl ProviderDraft {
    /// Secrets that it refers to.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretKey> {
        self.credential.iter().map(|c| &c.secret).chain(&self.ca)
    }
}

impl Providers {
    pub(super) fn get(&self, name: &ObjectName) -> Option<&Entry> {
        self.entries.get(name)
    }

    fn get_mut(&mut self, name: &ObjectName) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.entries.keys()
    }

    /// Keys of the Secret `secret` that the provider refers to.
    pub(super) fn keys_of<'a>(
        &'a self,
        provider: &ObjectName,
        secret: &'a ObjectName,
    ) -> impl Iterator<Item = &'a str> {
        let draft = self.entries.get(provider).and_then(|e| e.draft.as_ref());
        let refers = move |s: &&SecretKey| *s.name == *secret.name;
        draft.into_iter().flat_map(|d| d.secrets()).filter(refers).map(|s| &*s.key)
    }

    pub(super) fn set(
        &mut self,
        name: &ObjectName,
        draft: Option<Arc<ProviderDraft>>,
        last_good: bool,
        own: Box<[Finding]>,
    ) {
        let entry = Entry { draft, last_good, own, references: Vec::new(), served: false };
        self.entries.insert(name.clone(), entry);
    }

    pub(super) fn withdraw(&mut self, name: &ObjectName) {
        self.entries.remove(name);
    }
}

impl Compiler {
    pub(super) fn provider_report(&self, name: &ObjectName) -> Option<(Serving, Vec<Finding>)> {
        let entry = self.providers.get(name)?;
        let serving = match (entry.served, entry.last_good) {
            (false, _) => Serving::Nothing,
            (true, true) => Serving::LastGood,
            (true, false) => Serving::Current,
        };
        let mut findings: Vec<Finding> = entry.own.iter().chain(&entry.references).cloned().collect();
        if let Some(provider) = self.snapshot.providers.get(name) {
            findings.extend(self.names.findings(provider));
        }
        Some((serving, findings))
    }

    /// Works out the providers that changes touch, directly, through a Secret, or through labels of namespaces.
    pub(super) fn resolve_providers(&mut self, dirty: &mut Dirty) {
        for secret in &dirty.secrets {
            for user in self.secrets.users(secret) {
                match user.kind {
                    Kind::LLMProvider => dirty.providers.insert(user.name.clone()),
                    Kind::VirtualKey => dirty.keys.insert(user.name.clone()),
                    Kind::FallbackChain | Kind::Policy | Kind::Secret | Kind::Namespace => false,
                };
            }
        }
        if dirty.namespaces {
            let selects =
                |e: &Entry| e.draft.as_ref().is_some_and(|d| matches!(d.access, Offer::Selector(_)));
            let selecting = self.providers.entries.iter().filter(|(_, e)| selects(e)).map(|(name, _)| name);
            dirty.providers.extend(selecting.cloned());
        }
        for name in std::mem::take(&mut dirty.providers) {
            dirty.report(Kind::LLMProvider, &name);
            self.resolve_provider(&name, dirty);
        }
    }

    fn resolve_provider(&mut self, name: &ObjectName, dirty: &mut Dirty) {
        let draft = self.providers.get(name).and_then(|e| e.draft.clone());
        let mut references = Vec::new();
        let provider = draft.and_then(|draft| self.complete(&draft, &mut references)).map(Arc::new);
        if let Some(entry) = self.providers.get_mut(name) {
            entry.references = references;
            entry.served = provider.is_some();
        }
        if self.snapshot.providers.get(name) == provider.as_ref() {
            return;
        }
        let served = Arc::make_mut(&mut self.snapshot.providers);
        let old = match &provider {
            Some(provider) => served.insert(name.clone(), provider.clone()),
            None => served.remove(name),
        };
        let hash = |p: &Arc<Provider>| entry_hash("provider", p);
        let hashes =
            (old.as_ref().map(hash).unwrap_or_default(), provider.as_ref().map(hash).unwrap_or_default());
        self.snapshot.hash = self.snapshot.hash.minus(hashes.0).plus(hashes.1);
        dirty.offers.push((old, provider));
    }

    /// The provider with what it refers to, or findings that say what is missing.
    fn complete(&self, draft: &ProviderDraft, findings: &mut Vec<Finding>) -> Option<Provider> {
        let name = &draft.provider.name;
        let mut provider = draft.provider.clone();
        if let Some(credential) = &draft.credential {
            let path = "spec.auth.apiKey.secretRef";
            let secret = self.secrets.value(&name.namespace, &credential.secret, path).and_then(|secret| {
                // It becomes the value of a header.
                let clean = secret.open().bytes().all(|b| (b' '..=b'~').contains(&b));
                clean.then_some(secret).ok_or_else(|| {
                    let message = "The key holds characters that a header cannot carry.";
                    let fix = "Store the key alone, as the provider shows it.";
                    Finding::reference(Reason::SecretInvalid, &format!("{path}.key"), message, fix)
                })
            });
            match secret {
                Ok(secret) => {
                    let (header, prefix) = (credential.header.clone(), credential.prefix.clone());
                    provider.auth = Auth::ApiKey { header, prefix, secret };
                }
                Err(finding) => findings.push(finding),
            }
        }
        if let Some(ca) = &draft.ca {
            let path = "spec.tls.caSecretRef";
            match self.secrets.value(&name.namespace, ca, path) {
                Ok(pem) if is_pem(pem.open()) => provider.ca = Some(pem.open().into()),
                Ok(_) => {
                    let fix = "Store PEM: -----BEGIN CERTIFICATE----- and what follows.";
                    let message = "The value is not a certificate.";
                    findings.push(Finding::reference(
                        Reason::SecretInvalid,
                        &format!("{path}.key"),
                        message,
                        fix,
                    ));
                }
                Err(finding) => findings.push(finding),
            }
        }
        provider.access = match &draft.access {
            Offer::All => Namespaces::All,
            Offer::Same => Namespaces::Only(BTreeSet::from([(&*name.namespace).into()])),
            Offer::Selector(selector) => {
                let mut places = self.namespaces.matching(selector);
                places.insert((&*name.namespace).into());
                Namespaces::Only(places)
            }
        };
        findings.is_empty().then_some(provider)
    }
}

/// At least one certificate in PEM, and each block whole.
fn is_pem(text: &str) -> bool {
    let mut blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1).peekable();
    blocks.peek().is_some()
        && blocks.all(|block| {
            let body = block.split_once("-----END CERTIFICATE-----").map(|(body, _)| body);
            let base64: Option<String> = body.map(|b| b.split_whitespace().collect());
            base64.is_some_and(|b| STANDARD.decode(b).is_ok_and(|der| !der.is_empty()))
        })
}
