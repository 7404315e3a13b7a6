//! LLMProvider: where models are, how to authenticate, what they cost.

use super::namespace::Labels;
use super::provider_models::models;
use super::{SecretKey, typed};
use crate::catalog::{Entry, EntryAuth, EntryProtocol, catalog};
use crate::finding::{Finding, Reason};
use crate::schema::nearest;
use crate::value::{UrlFault, base_url, duration};
use serde_json::Value;
use smartflow_crds as crds;
use smartflow_snapshot::{
    Auth, Concurrency, Endpoint, Namespaces, ObjectName, Protocol, Provider, Simulation, Timeouts,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// Name of the provider that answers by itself.
pub(crate) const SIMULATED: &str = "simulated";
/// Name of any other provider that speaks OpenAI's API.
pub(crate) const COMPATIBLE: &str = "openai-compatible";
/// Name of any other provider that speaks Anthropic's API.
pub(crate) const ANTHROPIC_COMPATIBLE: &str = "anthropic-compatible";
/// Longest of the deadlines and delays.
const LONGEST: Duration = Duration::from_secs(3600);

/// A provider whose spec is sound, without what it refers to.
#[derive(Clone, Debug)]
pub(crate) struct ProviderDraft {
    /// Without its credential (`auth` is `None` where there is one), its CA, and who may use it.
    pub(crate) provider: Provider,
    pub(crate) credential: Option<Credential>,
    pub(crate) ca: Option<SecretKey>,
    pub(crate) access: Offer,
}

/// A key in a header.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) secret: SecretKey,
    pub(crate) header: Box<str>,
    pub(crate) prefix: Box<str>,
}

/// Whom a provider is offered to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Offer {
    Same,
    All,
    Selector(Labels),
}

/// What is being read.
struct Reader<'a> {
    spec: &'a crds::LLMProviderSpec,
    entry: Option<&'static Entry>,
    findings: &'a mut Vec<Finding>,
}

/// The draft, or findings that say why there is none.
pub(crate) fn draft(name: &ObjectName, spec: &Value, findings: &mut Vec<Finding>) -> Option<ProviderDraft> {
    let spec: crds::LLMProviderSpec = typed(spec, findings)?;
    let faults = findings.iter().filter(|f| f.is_error()).count();
    let mut reader = Reader { spec: &spec, entry: catalog().get(&spec.provider), findings };
    reader.check_name();
    let (auth, credential) = reader.auth();
    let endpoints = reader.endpoints();
    let first = endpoints.first().map(|e| e.url.clone());
    let provider = Provider {
        name: name.clone(),
        catalog: spec.provider.as_str().into(),
        protocol: reader.protocol(),
        habits: reader.entry.map(|e| e.habits.as_slice().into()).unwrap_or_default(),
        base_url: first.unwrap_or_else(|| reader.base_url().into()),
        endpoints: if endpoints.len() > 1 { endpoints } else { Box::default() },
        concurrency: reader.concurrency(),
        auth,
        headers: reader.headers(),
        models: models(&spec, reader.entry, reader.findings),
        timeouts: reader.timeouts(),
        allow_private: spec.network.as_ref().is_some_and(|n| n.allow_private),
        ca: None,
        access: Namespaces::All,
    };
    let ca = spec.tls.as_ref().and_then(|t| t.ca_secret_ref.as_ref()).map(Into::into);
    let sound = findings.iter().filter(|f| f.is_error()).count() == faults;
    sound.then(|| ProviderDraft { provider, credential, ca, access: offer(&spec) })
}

fn offer(spec: &crds::LLMProviderSpec) -> Offer {
    let Some(access) = spec.access.as_ref().and_then(|a| a.namespaces.as_ref()) else { return Offer::Same };
    match (access.from, &access.selector) {
        (crds::FromNamespaces::All, _) => Offer::All,
        (crds::FromNamespaces::Selector, Some(selector)) => {
            let pair = |(k, v): (&String, &String)| (k.as_str().into(), v.as_str().into());
            Offer::Selector(selector.match_labels.iter().map(pair).collect())
        }
        (crds::FromNamespaces::Same | crds::FromNamespaces::Selector, _) => Offer::Same,
    }
}

impl Reader<'_> {
    fn error(&mut self, reason: Reason, path: &str, message: impl Into<Box<str>>, fix: impl Into<Box<str>>) {
        self.findings.push(Finding::error(reason, path, message, fix));
    }

    fn is_simulated(&self) -> bool {
        self.spec.provider == SIMULATED
    }

    fn check_name(&mut self) {
        let name = &self.spec.provider;
        if self.entry.is_some() || self.is_simulated() || self.is_compatible() {
            return self.check_simulated();
        }
        let known = catalog().keys().map(String::as_str).chain([SIMULATED, COMPATIBLE, ANTHROPIC_COMPATIBLE]);
        let fix = match nearest(name, known.clone()) {
            Some(near) => format!("Did you mean {near}?"),
            None => format!(
                "Write openai-compatible or anthropic-compatible and a baseURL, or one of {}.",
                known.collect::<Vec<_>>().join(", ")
            ),
        };
        let message = format!("There is no provider {name} in the catalog.");
        self.error(Reason::UnknownProvider, "spec.provider", message, fix);
    }

    /// Fields that a provider without a network would ignore are refused.
    fn check_simulated(&mut self) {
        let spec = self.spec;
        let credential = spec.auth.as_ref().is_some_and(|a| a.none.is_none());
        let idle = [
            ("spec.auth", credential),
            ("spec.headers", !spec.headers.is_empty()),
            ("spec.tls", spec.tls.is_some()),
            ("spec.network", spec.network.is_some()),
        ];
        let simulated = self.is_simulated();
        for (path, _) in idle.into_iter().filter(|(_, is_set)| *is_set && simulated) {
            let message = "Provider simulated answers in process and has no use for this.";
            self.error(Reason::NotAllowed, path, message, "Remove it.");
        }
    }

    fn protocol(&mut self) -> Protocol {
        if !self.is_simulated() {
            return self.spoken();
        }
        let spec = self.spec.simulation.clone().unwrap_or_default();
        // The schema bounds them to 0..=100.
        let share =
            |percent: Option<i32>| u16::try_from(percent.unwrap_or(0)).unwrap_or(0).saturating_mul(100);
        Protocol::Simulated(Simulation {
            first_byte_delay: self
                .duration(spec.first_byte_delay.as_deref(), "spec.simulation.firstByteDelay"),
            chunk_delay: self.duration(spec.chunk_delay.as_deref(), "spec.simulation.chunkDelay"),
            rate_limited_per_10k: share(spec.rate_limited_percent),
            server_error_per_10k: share(spec.server_error_percent),
            cut_per_10k: share(spec.cut_percent),
        })
    }

    fn is_compatible(&self) -> bool {
        matches!(self.spec.provider.as_str(), COMPATIBLE | ANTHROPIC_COMPATIBLE)
    }

    /// What a provider with a network speaks.
    fn spoken(&self) -> Protocol {
        let anthropic = match self.entry {
            Some(entry) => entry.protocol == EntryProtocol::Anthropic,
            None => self.spec.provider == ANTHROPIC_COMPATIBLE,
        };
        if anthropic { Protocol::Anthropic } else { Protocol::OpenAi }
    }

    /// All endpoints; the first of them is also the one that [`Reader::base_url`] gives.
    fn endpoints(&mut self) -> Box<[Endpoint]> {
        let spec = self.spec;
        let one = |(i, e): (usize, &crds::Endpoint)| Endpoint {
            url: self.url(&e.url, &format!("spec.endpoints[{i}].url")).into(),
            weight: u32::try_from(e.weight).unwrap_or(0),
        };
        let endpoints: Box<[Endpoint]> = spec.endpoints.iter().enumerate().map(one).collect();
        if !endpoints.is_empty() && endpoints.iter().all(|e| e.weight == 0) {
            let fix = "Give at least one of them a weight above zero.";
            self.error(Reason::Invalid, "spec.endpoints", "All weights are zero.", fix);
        }
        endpoints
    }

    fn concurrency(&mut self) -> Option<Concurrency> {
        let most = u32::try_from(self.spec.max_concurrency?).ok().and_then(NonZeroU32::new)?;
        let queue = self.spec.queue.clone().unwrap_or_default();
        let wait = self.duration(Some(&queue.timeout), "spec.queue.timeout");
        Some(Concurrency { most, queue: u32::try_from(queue.length).unwrap_or(0), wait })
    }

    fn base_url(&mut self) -> String {
        let written = self.spec.base_url.as_deref().or_else(|| self.entry?.base_url.as_deref());
        let Some(url) = written else {
            if !self.is_simulated() && (self.entry.is_some() || self.is_compatible()) {
                let message = format!("Provider {} has no address of its own.", self.spec.provider);
                let fix = "Add baseURL, such as https://llm.example.com/v1.";
                self.error(Reason::Required, "spec.baseURL", message, fix);
            }
            return String::new();
        };
        self.url(url, "spec.baseURL")
    }

    fn url(&mut self, url: &str, path: &str) -> String {
        let allow_private = self.spec.network.as_ref().is_some_and(|n| n.allow_private);
        let fault = match base_url(url, allow_private) {
            Ok(normal) => return normal,
            Err(fault) => fault,
        };
        let (reason, message, fix) = match fault {
            UrlFault::Form => (
                Reason::Invalid,
                "This is not an http or https URL.",
                "Write one such as https://llm.example.com/v1.",
            ),
            UrlFault::Credentials => (
                Reason::NotAllowed,
                "The URL holds a user name or password.",
                "Take them out; use auth with a Secret.",
            ),
            UrlFault::Query => {
                (Reason::NotAllowed, "The URL holds a query or a fragment.", "Take it out; use headers.")
            }
            UrlFault::Private => (
                Reason::PrivateAddress,
                "The address is on this machine or in a private network.",
                "If that is meant, add network: {allowPrivate: true}.",
            ),
        };
        self.error(reason, path, message, fix);
        String::new()
    }

    fn auth(&mut self) -> (Auth, Option<Credential>) {
        let (header, prefix) = match self.entry.map(|e| &e.auth) {
            Some(EntryAuth::ApiKey { header, prefix }) => (header.as_str(), prefix.as_str()),
            _ if self.spec.provider == ANTHROPIC_COMPATIBLE => ("x-api-key", ""),
            _ => ("authorization", "Bearer "),
        };
        let Some(auth) = &self.spec.auth else {
            let asks_nothing = matches!(self.entry.map(|e| &e.auth), Some(EntryAuth::None {}));
            if !asks_nothing && !self.is_simulated() {
                let message = format!("Provider {} needs a credential.", self.spec.provider);
                let fix = "Add auth: {apiKey: {secretRef: {name: <Secret>, key: <key>}}}, or auth: {none: {}} if it asks for none.";
                self.error(Reason::Required, "spec.auth", message, fix);
            }
            return (Auth::None, None);
        };
        let Some(api_key) = &auth.api_key else {
            return (if auth.passthrough.is_some() { Auth::Passthrough } else { Auth::None }, None);
        };
        let header = api_key.header.as_deref().unwrap_or(header).to_ascii_lowercase();
        if header != "authorization" && is_reserved(&header) {
            let message = format!("The header {header} is set by the gateway.");
            self.error(
                Reason::NotAllowed,
                "spec.auth.apiKey.header",
                message,
                "Write the header that the provider asks for.",
            );
        }
        let credential = Credential {
            secret: (&api_key.secret_ref).into(),
            header: header.into(),
            prefix: api_key.prefix.as_deref().unwrap_or(prefix).into(),
        };
        (Auth::None, Some(credential))
    }

    fn headers(&mut self) -> Box<[(Box<str>, Box<str>)]> {
        let credential = self.spec.auth.as_ref().and_then(|a| a.api_key.as_ref()?.header.as_ref());
        let credential = credential.map(|h| h.to_ascii_lowercase());
        let mut headers: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(self.spec.headers.len());
        for (i, header) in self.spec.headers.iter().enumerate() {
            let name = header.name.to_ascii_lowercase();
            let path = format!("spec.headers[{i}].name");
            if is_reserved(&name) || credential.as_ref() == Some(&name) {
                let fix = "Remove it; a credential belongs under auth.";
                self.error(
                    Reason::NotAllowed,
                    &path,
                    format!("The header {name} is set by the gateway."),
                    fix,
                );
            } else if headers.iter().any(|(n, _)| **n == *name) {
                self.error(
                    Reason::Duplicate,
                    &path,
                    format!("The header {name} is here twice."),
                    "Keep one of the two.",
                );
            } else {
                headers.push((name.into(), header.value.trim_matches([' ', '\t']).into()));
            }
        }
        headers.sort();
        headers.into()
    }

    fn timeouts(&mut self) -> Timeouts {
        let spec = self.spec.timeouts.clone().unwrap_or_default();
        let mut read = |text: &str, field: &str| {
            let path = format!("spec.timeouts.{field}");
            let duration = self.duration(Some(text), &path);
            if duration.is_zero() && !self.findings.iter().any(|f| *f.path == *path) {
                self.error(
                    Reason::Invalid,
                    &path,
                    "No call can be that fast.",
                    "Write a duration above zero, such as 5s.",
                );
            }
            duration
        };
        Timeouts {
            connect: read(&spec.connect, "connect"),
            first_byte: read(&spec.first_byte, "firstByte"),
            idle: read(&spec.idle, "idle"),
            total: read(&spec.total, "total"),
        }
    }

    fn duration(&mut self, text: Option<&str>, path: &str) -> Duration {
        let Some(text) = text else { return Duration::ZERO };
        match duration(text) {
            Some(d) if d <= LONGEST => d,
            _ => {
                let fix = "Write at most 1h, as a whole number and a unit: 500ms, 30s, 5m.";
                self.error(Reason::Invalid, path, "This is longer than an hour, or not a duration.", fix);
                Duration::ZERO
            }
        }
    }
}

/// Headers that the gateway or HTTP itself sets, in lower case.
fn is_reserved(name: &str) -> bool {
    const SET: [&str; 17] = [
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    SET.contains(&name) || name.starts_with("proxy-") || name.starts_with("x-smartflow-")
}
