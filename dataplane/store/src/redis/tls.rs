//! TLS to Redis: rustls with aws-lc-rs, the public roots, and what administrators add.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why a file with certificates cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Not to be read, or not PEM.
    #[error("{path} is not a PEM file with certificates: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: rustls::pki_types::pem::Error,
    },
    /// It holds no certificate.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// A certificate that rustls refuses, or no usable protocol version.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

pub(super) fn client(extra: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra {
        let fault = |source| TlsError::Pem { path: path.to_owned(), source };
        let list: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fault)?.collect();
        let list = list.map_err(fault)?;
        if list.is_empty() {
            return Err(TlsError::Empty(path.to_owned()));
        }
        for certificate in list {
            roots.add(certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
