//! Servers that are ours: started, stopped, started again, paused, and asked what was written.

use super::audit::{self, Write};
use super::kubeconfig;
use super::plane::{ADMIN_TOKEN, AUDIT_LOG, Plane};
use super::server::{Plan, Server};
use super::{Kubectl, until};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// On a busy machine with two cores; alone it takes two or three seconds.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// etcd, kube-apiserver and, when asked for, kube-controller-manager. Dropping it ends them, the youngest first: an API
/// server without its etcd would linger.
pub struct Own {
    servers: Mutex<Servers>,
    plane: Plane,
    kubeconfig: PathBuf,
}

// Fields are dropped from the first to the last.
struct Servers {
    controllers: Option<Server>,
    api: Option<Server>,
    /// How the API server is started.
    api_plan: Plan,
    etcd: Server,
}

impl Own {
    pub(super) async fn start(folder: &Path, kubeconfig: &Path) -> Self {
        let plane = Plane::prepare(folder);
        kubeconfig::write(
            kubeconfig,
            &format!("https://{}", plane.api),
            &plane.certificates.authority,
            ADMIN_TOKEN,
        );
        let (etcd, address) = plane.etcd();
        let api_plan = plane.apiserver(&address);
        // Together: the API server tries until etcd answers.
        let etcd = Server::start(&etcd);
        let api = Some(Server::start(&api_plan));
        let servers = Mutex::new(Servers { controllers: None, api, api_plan, etcd });
        let own = Self { servers, plane, kubeconfig: kubeconfig.to_owned() };
        own.ready().await;
        own
    }

    /// Where the API server listens, with TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.plane.api
    }

    /// Starts the controllers, too (T2): garbage collection by owner references, ends of namespaces, default service
    /// accounts. Does nothing when they run.
    ///
    /// # Panics
    /// When they do not work in time.
    pub async fn controllers(&self) {
        {
            let mut servers = self.servers();
            if servers.controllers.is_none() {
                servers.controllers = Some(Server::start(&self.plane.controllers(&self.kubeconfig)));
            }
        }
        let works = || async {
            self.servers().controllers.as_mut().into_iter().for_each(Server::assert_alive);
            self.kubectl().run(&["get", "serviceaccount", "default", "--namespace=default"]).await.ok
        };
        until("the controllers work", READY_WITHIN, works).await;
    }

    /// Kills the API server. Watches break, calls are refused.
    pub fn stop_api(&self) {
        drop(self.servers().api.take());
    }

    /// Starts it again at the same address and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start_api(&self) {
        {
            let mut servers = self.servers();
            if servers.api.is_none() {
                servers.api = Some(Server::start(&servers.api_plan));
            }
        }
        self.ready().await;
    }

    /// Makes the API server stand still: connections stay open and nothing answers.
    pub fn pause_api(&self) {
        self.servers().api.iter().for_each(|api| api.pause());
    }

    /// Lets it go on.
    pub fn resume_api(&self) {
        self.servers().api.iter().for_each(|api| api.resume());
    }

    /// All writes that the API server answered so far, oldest first.
    ///
    /// # Panics
    /// When the audit log cannot be understood.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        audit::read(&self.plane.folder.join(AUDIT_LOG))
    }

    async fn ready(&self) {
        let start = Instant::now();
        while !self.kubectl().run(&["get", "--raw=/readyz"]).await.ok {
            let mut servers = self.servers();
            servers.etcd.assert_alive();
            let Some(api) = &mut servers.api else { panic!("the API server was stopped while awaited") };
            api.assert_alive();
            assert!(start.elapsed() < READY_WITHIN, "the API server is not ready:\n{}", api.tail());
        }
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.kubeconfig, &self.plane.folder.join("kubectl"))
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        // A test that failed while it held this leaves servers that others can use.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
