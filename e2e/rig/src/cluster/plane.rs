//! The control plane: which servers, with which settings, and users that its token file knows.

use super::certificates::Certificates;
use super::server::{Plan, flags, text};
use crate::port;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The administrator's token. Nothing but these tests is behind it.
pub(super) const ADMIN_TOKEN: &str = "admin-of-the-tests";
/// The audit log's file.
pub(super) const AUDIT_LOG: &str = "audit.jsonl";
/// Writes only, and of those only who wrote what: bodies would hold Secrets.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
";

/// Addresses and files of a control plane.
pub(super) struct Plane {
    pub(super) folder: PathBuf,
    pub(super) api: SocketAddr,
    pub(super) certificates: Certificates,
}

impl Plane {
    /// Writes everything that its servers read.
    pub(super) fn prepare(folder: &Path) -> Self {
        let certificates = Certificates::write(folder);
        let file =
            |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file of the cluster");
        file("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,system:masters\n"));
        file("audit-policy.yaml", AUDIT_POLICY);
        Self {
            folder: folder.to_owned(),
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, port::free())),
            certificates,
        }
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.join(name)).to_owned()
    }

    /// Returns how to start etcd, and its address.
    pub(super) fn etcd(&self) -> (Plan, String) {
        let (client, peer) =
            (format!("http://127.0.0.1:{}", port::free()), format!("http://127.0.0.1:{}", port::free()));
        let mut arguments = flags(&[
            ("data-dir", &self.path("etcd")),
            ("listen-client-urls", &client),
            ("advertise-client-urls", &client),
            ("listen-peer-urls", &peer),
            ("initial-advertise-peer-urls", &peer),
            ("initial-cluster", &format!("default={peer}")),
            ("log-level", "warn"),
        ]);
        // What is lost in a power cut is a test's.
        arguments.push("--unsafe-no-fsync".to_owned());
        (Plan { program: "etcd", arguments, folder: self.folder.clone() }, client)
    }

    /// Returns how to start the API server over this etcd.
    pub(super) fn apiserver(&self, etcd: &str) -> Plan {
        let certificates = &self.certificates;
        let arguments = flags(&[
            ("etcd-servers", etcd),
            ("bind-address", "127.0.0.1"),
            ("secure-port", &self.api.port().to_string()),
            ("tls-cert-file", text(&certificates.server)),
            ("tls-private-key-file", text(&certificates.server_key)),
            ("client-ca-file", text(&certificates.authority)),
            ("token-auth-file", &self.path("tokens.csv")),
            ("authorization-mode", "RBAC"),
            ("service-account-issuer", "https://kubernetes.default.svc"),
            ("service-account-key-file", text(&certificates.accounts_public)),
            ("service-account-signing-key-file", text(&certificates.accounts_key)),
            ("service-cluster-ip-range", "10.0.0.0/24"),
            ("allow-privileged", "true"),
            ("endpoint-reconciler-type", "none"),
            ("audit-policy-file", &self.path("audit-policy.yaml")),
            ("audit-log-path", &self.path(AUDIT_LOG)),
        ]);
        Plan { program: "kube-apiserver", arguments, folder: self.folder.clone() }
    }

    /// Returns how to start the controllers: garbage collection by owner, ends of namespaces, service accounts.
    pub(super) fn controllers(&self, kubeconfig: &Path) -> Plan {
        let certificates = &self.certificates;
        let arguments = flags(&[
            ("kubeconfig", text(kubeconfig)),
            ("service-account-private-key-file", text(&certificates.accounts_key)),
            ("root-ca-file", text(&certificates.authority)),
            ("use-service-account-credentials", "true"),
            ("leader-elect", "false"),
            ("secure-port", "0"),
            // With the defaults its controllers wait seconds behind their own limit.
            ("kube-api-qps", "500"),
            ("kube-api-burst", "1000"),
        ]);
        Plan { program: "kube-controller-manager", arguments, folder: self.folder.clone() }
    }
}
