//! A Kubernetes control plane of the test's own: etcd and kube-apiserver, with our definitions, ready in a few seconds.
//!
//! `cargo xtask tools` builds the programs; `KUBEBUILDER_ASSETS` names others. With `USE_EXISTING_CLUSTER=true` the
//! current context of the user's kubeconfig is used and nothing is started; [`Cluster::own`] is then None.

mod audit;
mod certificates;
mod existing;
pub mod kstatus;
mod kubeconfig;
mod kubectl;
mod own;
mod plane;
mod server;

pub use audit::Write;
pub use kubectl::{Kubectl, Said};
pub use own::Own;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// An API server that tests talk to.
pub struct Cluster {
    // Before the folder: servers end before their files go.
    own: Option<Own>,
    kubeconfig: PathBuf,
    folder: TempDir,
}

impl Cluster {
    /// Starts one for this test alone (T1: etcd and kube-apiserver), with our definitions established. Ended when
    /// dropped, and in any case with the test process.
    ///
    /// # Panics
    /// When the programs are not there, or the server is not ready in time (with its log).
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("smartflow-cluster-").tempdir().expect("a folder");
        crate::watchdog::folder(folder.path());
        let kubeconfig = folder.path().join("admin.kubeconfig");
        let own = if smartflow_programs::uses_existing() {
            existing::kubeconfig(&kubeconfig);
            None
        } else {
            Some(Own::start(folder.path(), &kubeconfig).await)
        };
        let cluster = Self { own, kubeconfig, folder };
        cluster.define().await;
        cluster
    }

    /// The one that the tests of this program share; each keeps to namespaces of its own.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// The servers, when they are ours: to stop, start and count.
    #[must_use]
    pub fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.kubeconfig, &self.folder.path().join("kubectl"))
    }

    /// Makes a namespace for one test, `<stem>-<something>`, with these labels (`a=b`).
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn namespace(&self, stem: &str, labels: &[&str]) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{stem}-{:x}-{number}", std::process::id());
        let _ = self.kubectl().run(&["create", "namespace", &name]).await.done();
        if !labels.is_empty() {
            let _ = self.kubectl().run(&[&["label", "namespace", &name], labels].concat()).await.done();
        }
        name
    }

    /// A kubeconfig with a token of this service account, which must exist: what a pod of it may do.
    ///
    /// # Panics
    /// When the API server gives no token.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let arguments = ["create", "token", account, "--duration=4h"];
        let token = self.kubectl().in_namespace(namespace).run(&arguments).await.done();
        let path = self.folder.path().join(format!("{namespace}.{account}.kubeconfig"));
        let view = ["config", "view", "--raw", "--flatten", "--minify", "--output=json"];
        let mut config: Value =
            serde_json::from_str(&self.kubectl().run(&view).await.done()).expect("a kubeconfig");
        config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
        std::fs::write(&path, config.to_string()).expect("a kubeconfig");
        path
    }

    /// kubectl with a kubeconfig of [`Self::kubeconfig_of`].
    #[must_use]
    pub fn kubectl_with(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(kubeconfig, &self.folder.path().join("kubectl"))
    }

    /// Installs `crds/yaml` and waits until the server serves the kinds.
    async fn define(&self) {
        let definitions = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/yaml");
        let apply = ["apply", "--filename", definitions];
        let _ = self.kubectl().run(&apply).await.done();
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "--filename", definitions];
        let _ = self.kubectl().run(&wait).await.done();
    }
}

/// Asks until `done` says so.
///
/// # Panics
/// When `limit` passes first, saying what was awaited.
pub async fn until<F: Future<Output = bool>>(what: &str, limit: Duration, mut done: impl FnMut() -> F) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
