//! A provider of the snapshot, made ready once for all its calls.

use super::attempt::{CHAT, COUNT, EMBEDDINGS};
use super::gate::Gate;
use super::proxy::Proxy;
use super::tls::{TlsError, certificates, client};
use crate::routing::breaker::Breaker;
use http::{HeaderName, HeaderValue, Uri};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use smartflow_snapshot::{Auth, Protocol, Provider};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// What all upstreams share: trust and proxy of this process.
pub struct Network {
    /// Extra certificates of `--ca-file`.
    pub extra: Vec<CertificateDer<'static>>,
    /// TLS without a provider's own certificates.
    pub tls: Arc<ClientConfig>,
    /// `HTTPS_PROXY`.
    pub proxy: Option<Proxy>,
}

/// A provider, ready to be called, at one of its places.
pub struct Upstream {
    /// What was declared.
    pub provider: Arc<Provider>,
    /// Host of the place's URL; empty for `simulated`.
    pub host: Box<str>,
    /// Port of its URL.
    pub port: u16,
    /// Path of chat completions, or of messages.
    pub chat: Uri,
    /// Path of embeddings.
    pub embeddings: Uri,
    /// Path of counting tokens.
    pub count: Uri,
    /// The `host` header.
    pub authority: HeaderValue,
    /// Credential and fixed headers, ready to be added.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Set for https.
    pub tls: Option<Arc<ClientConfig>>,
    /// Set when it is reached through the proxy.
    pub proxy: Option<Proxy>,
    /// Further places of the same provider; empty for most.
    pub beside: Box<[Arc<Upstream>]>,
    /// Share of the calls beside them.
    pub weight: u32,
    /// Leaves it alone for a while when it cannot be connected to. Looked at only where there are others.
    pub breaker: Breaker,
    /// The way in, where its calls are bounded; one for all places.
    pub gate: Option<Arc<Gate>>,
    calls: AtomicU64,
}

/// Why a provider cannot be made ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// compile let a URL through that cannot be used.
    #[error("its base URL cannot be used: {0}")]
    Url(String),
    /// A header that HTTP does not allow; its value is not shown.
    #[error("its header `{0}` cannot be sent")]
    Header(String),
    /// Its certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Upstream {
    /// Makes `provider` ready. `old`: the same provider as it was, whose calls under way count.
    ///
    /// # Errors
    /// [`PrepareError`]; the provider is then absent and the fault is a finding.
    pub fn prepare(
        provider: &Arc<Provider>,
        network: &Network,
        old: Option<&Self>,
    ) -> Result<Self, PrepareError> {
        let gate = provider.concurrency.map(|bounds| match old.and_then(|o| o.gate.clone()) {
            Some(gate) => {
                gate.resize(bounds);
                gate
            }
            None => Gate::new(bounds),
        });
        let mut places = Vec::with_capacity(provider.endpoints.len());
        for endpoint in provider.endpoints.iter().skip(1) {
            let place = Self::at(provider, &endpoint.url, endpoint.weight, network)?;
            places.push(Arc::new(Self { gate: gate.clone(), ..place }));
        }
        let weight = provider.endpoints.first().map_or(1, |e| e.weight);
        let first = Self::at(provider, &provider.base_url, weight, network)?;
        Ok(Self { beside: places.into(), gate, ..first })
    }

    fn at(
        provider: &Arc<Provider>,
        base_url: &str,
        weight: u32,
        network: &Network,
    ) -> Result<Self, PrepareError> {
        let (beside, breaker, gate) = Default::default();
        if matches!(provider.protocol, Protocol::Simulated(_)) {
            return Ok(Self {
                provider: provider.clone(),
                host: "".into(),
                port: 0,
                chat: Uri::default(),
                embeddings: Uri::default(),
                count: Uri::default(),
                authority: HeaderValue::from_static("simulated"),
                headers: Vec::new(),
                tls: None,
                proxy: None,
                beside,
                weight,
                breaker,
                gate,
                calls: AtomicU64::new(0),
            });
        }
        let bad = |why: &str| PrepareError::Url(format!("{base_url}: {why}"));
        let url = url::Url::parse(base_url).map_err(|e| bad(&e.to_string()))?;
        let host: Box<str> = url.host_str().ok_or_else(|| bad("no host"))?.into();
        let port = url.port_or_known_default().ok_or_else(|| bad("no port"))?;
        let authority = url.port().map_or_else(|| host.to_string(), |p| format!("{host}:{p}"));
        let tls = match (url.scheme(), &provider.ca) {
            ("https", None) => Some(network.tls.clone()),
            ("https", Some(pem)) => {
                let place = format!("tls of provider {}", provider.name);
                let mut all = network.extra.clone();
                all.extend(certificates(pem, &place)?);
                Some(client(&all, &place)?)
            }
            _ => None,
        };
        let below = |path: &str| -> Result<Uri, PrepareError> {
            let uri = format!("{}{path}", url.path().trim_end_matches('/')).parse();
            uri.map_err(|_| bad("path cannot be sent"))
        };
        let anthropic = matches!(provider.protocol, Protocol::Anthropic);
        // Anthropic's own SDKs are given the URL without the version, OpenAI's with it: both are understood.
        let has_version = url.path().trim_end_matches('/').ends_with("/v1");
        let messages = format!("{}/messages", if has_version { "" } else { "/v1" });
        let proxy = network.proxy.as_ref().filter(|p| tls.is_some() && p.serves(&host)).cloned();
        Ok(Self {
            provider: provider.clone(),
            port,
            chat: if anthropic { below(&messages)? } else { below(CHAT)? },
            embeddings: below(EMBEDDINGS)?,
            count: below(&format!("{messages}/count_tokens"))?,
            authority: HeaderValue::try_from(authority).map_err(|_| bad("host cannot be sent"))?,
            headers: headers(provider)?,
            tls,
            proxy,
            host,
            beside,
            weight,
            breaker,
            gate,
            calls: AtomicU64::new(0),
        })
    }

    /// Where `path`, one of those of [`super::attempt`], is at this place.
    #[must_use]
    pub fn uri(&self, path: &str) -> &Uri {
        match path {
            EMBEDDINGS => &self.embeddings,
            COUNT => &self.count,
            _ => &self.chat,
        }
    }

    /// Number of this call, from 0; over all runtimes, as long as the provider stays as it is.
    pub fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

fn headers(provider: &Provider) -> Result<Vec<(HeaderName, HeaderValue)>, PrepareError> {
    let pair = |name: &str, value: &str, sensitive: bool| {
        let bad = || PrepareError::Header(name.to_owned());
        let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
        value.set_sensitive(sensitive);
        Ok::<_, PrepareError>((HeaderName::try_from(name).map_err(|_| bad())?, value))
    };
    let fixed = provider.headers.iter().map(|(name, value)| pair(name, value, true));
    let mut all: Vec<_> = fixed.collect::<Result<_, _>>()?;
    if let Auth::ApiKey { header, prefix, secret } = &provider.auth {
        all.push(pair(header, &format!("{prefix}{}", secret.open()), true)?);
    }
    Ok(all)
}
