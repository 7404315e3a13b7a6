//! Certificates and keys of a cluster: one authority, one server certificate, one key for tokens of service accounts.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

/// First address of the services' range, which the API server's own service gets.
const FIRST_SERVICE: &str = "10.0.0.1";

/// Where the files are.
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) server: PathBuf,
    pub(super) server_key: PathBuf,
    /// Signs the tokens of service accounts.
    pub(super) accounts_key: PathBuf,
    /// Its public half: the API server does not read it out of a PKCS #8 file.
    pub(super) accounts_public: PathBuf,
}

impl Certificates {
    /// Makes them and writes them into `folder`.
    pub(super) fn write(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "smartflow test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = || KeyPair::generate().expect("a key pair");
        let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc", FIRST_SERVICE];
        let server = CertificateParams::new(names.map(str::to_owned)).expect("names");
        let server_key = key();
        let certificate = server.signed_by(&server_key, &authority).expect("a certificate");
        let accounts = key();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file of the cluster");
            path
        };
        Self {
            authority: file("ca.crt", &authority.pem()),
            server: file("server.crt", &certificate.pem()),
            server_key: file("server.key", &server_key.serialize_pem()),
            accounts_key: file("accounts.key", &accounts.serialize_pem()),
            accounts_public: file("accounts.pub", &accounts.public_key_pem()),
        }
    }
}
