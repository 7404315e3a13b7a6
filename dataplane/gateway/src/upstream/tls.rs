//! TLS towards providers: rustls with aws-lc-rs, the public roots, and what administrators add.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use thiserror::Error;

/// Why a TLS configuration cannot be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Not PEM.
    #[error("{place} is not a PEM certificate: {source}")]
    Pem {
        /// Where the text came from.
        place: String,
        /// What the parser said.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate that rustls refuses.
    #[error("{place} holds a certificate that cannot be used: {source}")]
    Certificate {
        /// Where the text came from.
        place: String,
        /// What rustls said.
        source: rustls::Error,
    },
    /// PEM without a certificate.
    #[error("{0} holds no certificate")]
    Empty(String),
    /// The crypto provider lacks a protocol version.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Certificates of a PEM text; `place` names it in errors.
///
/// # Errors
/// When the text is not PEM or holds no certificate.
pub fn certificates(pem: &str, place: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let list = parsed.map_err(|source| TlsError::Pem { place: place.to_owned(), source })?;
    if list.is_empty() { Err(TlsError::Empty(place.to_owned())) } else { Ok(list) }
}

/// A client configuration that trusts the public roots and `extra`, offering HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When one of `extra` cannot be used.
pub fn client(extra: &[CertificateDer<'static>], place: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        let added = roots.add(certificate.clone());
        added.map_err(|source| TlsError::Certificate { place: place.to_owned(), source })?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions.map_err(TlsError::Setup)?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
