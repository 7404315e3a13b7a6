//! A certificate authority and a server's certificate for 127.0.0.1 and localhost, as PEM files.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Files of one server.
pub struct Files {
    /// The authority's certificate, for clients.
    pub ca: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Writes a fresh authority and a certificate signed by it into `folder`.
///
/// # Panics
/// When they cannot be made or written.
#[must_use]
pub fn write(folder: &Path) -> Files {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    // Its own name: OpenSSL takes a certificate whose issuer has the same name for one that signed itself.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "an authority for tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate().expect("a key");
    let ca = authority.self_signed(&authority_key).expect("an authority").pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    server.subject_alt_names.push(rcgen::SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let key = KeyPair::generate().expect("a key");
    let certificate = server.signed_by(&key, &issuer).expect("a certificate").pem();
    let save = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file in a temporary folder");
        path
    };
    Files {
        ca: save("ca.pem", ca),
        certificate: save("server.pem", certificate),
        key: save("server.key", key.serialize_pem()),
    }
}
