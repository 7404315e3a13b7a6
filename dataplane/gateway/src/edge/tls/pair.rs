//! A certificate and its key, read and found to belong together.

use super::validity::{self, Validity};
use crate::upstream::tls::{TlsError, certificates};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest file that is read.
const LONGEST: u64 = 1024 * 1024;

/// Why a pair cannot be used. No text holds anything of the key.
#[derive(Debug, Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{flag}: cannot read {path}: {source}")]
    Read {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No certificates are in the certificate's file.
    #[error("--tls-cert: {0}")]
    Certificate(TlsError),
    /// No key is in the key's file.
    #[error(
        "--tls-key: {0} holds no private key that can be read: it takes one in PEM (PKCS#8, PKCS#1 or SEC1), not encrypted"
    )]
    Key(PathBuf),
    /// The key is another certificate's.
    #[error(
        "the key in {key} does not belong to the first certificate in {certificate}: write the server's certificate first, then its chain, and give its own key"
    )]
    Strangers {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The first certificate is not one.
    #[error("--tls-cert: the first certificate in {path} cannot be used: {why}")]
    Malformed {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A certificate with its key.
pub struct Pair {
    /// As rustls wants it.
    pub(super) key: Arc<CertifiedKey>,
    /// The certificate's file.
    pub place: String,
    /// From when until when it counts.
    pub validity: Validity,
}

/// The text of both files.
pub(super) struct Texts {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
}

fn text(flag: &'static str, path: &Path) -> Result<String, PairError> {
    let failed = |source| PairError::Read { flag, path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    // One byte more tells a file that is too long from one that just fits.
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(failed(io::Error::other("longer than 1 MiB")));
    }
    Ok(text)
}

/// Reads both files.
///
/// # Errors
/// [`PairError::Read`]
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Texts, PairError> {
    let key = Zeroizing::new(text("--tls-key", key)?);
    Ok(Texts { certificate: text("--tls-cert", certificate)?, key })
}

/// Makes a pair of what was read from `certificate` and `key`.
///
/// # Errors
/// All but [`PairError::Read`].
pub(super) fn parse(texts: &Texts, certificate: &Path, key: &Path) -> Result<Pair, PairError> {
    let place = certificate.display().to_string();
    let chain = certificates(&texts.certificate, &place).map_err(PairError::Certificate)?;
    let malformed = |why: String| PairError::Malformed { path: certificate.to_owned(), why };
    let first = chain.first().ok_or_else(|| malformed("there is none".to_owned()))?;
    let validity =
        validity::read(first).ok_or_else(|| malformed("it does not say how long it is valid".to_owned()))?;
    // What the parsers say may quote the file.
    let unreadable = || PairError::Key(key.to_owned());
    let private = PrivateKeyDer::from_pem_slice(texts.key.as_bytes()).map_err(|_| unreadable())?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let signing = provider.key_provider.load_private_key(private).map_err(|_| unreadable())?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            let (certificate, key) = (certificate.to_owned(), key.to_owned());
            return Err(PairError::Strangers { certificate, key });
        }
        Err(error) => return Err(malformed(error.to_string())),
    }
    Ok(Pair { key: Arc::new(certified), place, validity })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn made() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key);
        (certificate.unwrap().pem(), key.serialize_pem())
    }

    fn told(certificate: &str, key: &str) -> String {
        let texts = Texts { certificate: certificate.to_owned(), key: Zeroizing::new(key.to_owned()) };
        parse(&texts, Path::new("tls.crt"), Path::new("tls.key"))
            .map_or_else(|error| error.to_string(), |pair| pair.place)
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_told_with_the_file_and_without_the_key() {
        let ((certificate, key), (_, other)) = (made(), made());
        assert_eq!(told(&certificate, &key), "tls.crt");
        assert!(
            told(&certificate, &other)
                .contains("tls.key does not belong to the first certificate in tls.crt")
        );
        assert!(told("", &key).contains("tls.crt holds no certificate"));
        assert!(told(&key, &key).contains("tls.crt holds no certificate"));
        let body: String = key.lines().filter(|l| !l.starts_with('-')).collect();
        let broken = [
            certificate.clone(),
            String::new(),
            body.clone(),
            key.replacen("-----BEGIN PRIVATE", "-----BEGIN ENCRYPTED PRIVATE", 1),
            key.replacen("-----END", "----END", 1),
            key.replace(&body[..8], "!!!!!!!!"),
        ];
        for text in broken {
            let told = told(&certificate, &text);
            assert!(told.contains("tls.key holds no private key"), "{told}");
            assert!(
                body.as_bytes().windows(12).all(|w| !told.contains(&*String::from_utf8_lossy(w))),
                "{told}"
            );
        }
    }

    #[test]
    fn files_that_are_not_there_or_too_long_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        std::fs::write(&certificate, "x").unwrap();
        let told = read(&certificate, &key).map(|_| ()).unwrap_err().to_string();
        assert!(told.starts_with("--tls-key: cannot read") && told.contains("tls.key"), "{told}");
        std::fs::write(&key, "x".repeat(1024 * 1024 + 1)).unwrap();
        let told = read(&certificate, &key).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("longer than 1 MiB"), "{told}");
    }
}
