//! A replica of the operator in the test's process, and gateways that run at once whatever is published.

use clap::Parser;
use kube_client::Config;
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use smartflow_compile::{Carried, ObjectRef};
use smartflow_operator::args::{Cli, Run};
use smartflow_operator::lease::Term;
use smartflow_operator::publish::{Batch, Outlet, OutletError};
use smartflow_operator::serve::{self, Outside};
use smartflow_operator::status::{Fleet, Known, Revision};
use smartflow_rig::cluster::Cluster;
use smartflow_transport::publisher::LastGood;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is published, as three gateways run it.
#[derive(Clone, Default)]
pub(crate) struct Gateways(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    runs: BTreeMap<ObjectRef, Carried>,
    watermark: Option<Revision>,
    ready: usize,
    store_is_away: bool,
}

impl Gateways {
    /// Three of them.
    pub(crate) fn three() -> Self {
        let gateways = Self::default();
        gateways.ready(3);
        gateways
    }

    /// So many are ready.
    pub(crate) fn ready(&self, ready: usize) {
        self.0.lock().unwrap().ready = ready;
    }

    /// Nothing can be published or known.
    pub(crate) fn store_is_away(&self, away: bool) {
        self.0.lock().unwrap().store_is_away = away;
    }

    /// True when they run this object.
    pub(crate) fn run(&self, object: &str) -> bool {
        self.0.lock().unwrap().runs.keys().any(|id| id.to_string() == object)
    }

    /// Objects that they run.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().runs.len()
    }
}

impl Outlet for Gateways {
    async fn publish(&mut self, term: Term, whole: bool, batch: Batch) -> Result<Revision, OutletError> {
        let mut state = self.0.lock().unwrap();
        if state.store_is_away {
            return Err(away());
        }
        if whole {
            state.runs.clear();
        }
        for (id, object) in batch.entries {
            match object {
                Some(object) => drop(state.runs.insert(id, object)),
                None => drop(state.runs.remove(&id)),
            }
        }
        let number = state.watermark.map_or(1, |at| at.number + 1);
        let revision = Revision { epoch: term.epoch, number };
        state.watermark = Some(revision);
        Ok(revision)
    }

    async fn last_good(&mut self, _: Term, id: &ObjectRef) -> Result<Option<LastGood>, OutletError> {
        let state = self.0.lock().unwrap();
        let kept = |c: &Carried| Some(LastGood { spec: c.spec()?.to_owned(), created: c.created() });
        Ok(state.runs.get(id).and_then(kept))
    }

    async fn fleet(&mut self, _: Option<Term>) -> Result<Fleet, OutletError> {
        let state = self.0.lock().unwrap();
        if state.store_is_away {
            return Err(away());
        }
        let watermark = state.watermark.filter(|_| state.ready > 0);
        Ok(Fleet::Known(Known { ready: state.ready, watermark, ..Known::default() }))
    }
}

fn away() -> OutletError {
    OutletError { why: "the store is away".to_owned(), anew: false }
}

/// A replica that runs.
pub(crate) struct Replica {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    port: u16,
}

impl Replica {
    /// Starts one as the administrator.
    pub(crate) async fn start(cluster: &Cluster, gateways: &Gateways, flags: &[&str]) -> Self {
        Self::start_as(cluster.kubeconfig(), gateways, flags).await
    }

    /// Starts one with another kubeconfig.
    pub(crate) async fn start_as(kubeconfig: &Path, gateways: &Gateways, flags: &[&str]) -> Self {
        let settings = settings(flags);
        let port = settings.admin_listen.port();
        // The first of several in a process sets it up.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let outside = Outside {
            client: smartflow_operator::cluster::client(config).unwrap(),
            outlet: gateways.clone(),
            lease: serve::lease(&settings),
            ledger: None,
        };
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(async move { serve::run(&settings, outside, stopped).await.unwrap() });
        Self { stop, running, port }
    }

    /// Kills it: nothing is given back.
    pub(crate) fn kill(self) {
        self.running.abort();
    }

    /// `/readyz`: whether it is, and what it says.
    pub(crate) async fn readiness(&self) -> (bool, String) {
        let (head, body) = self.get("/readyz").await;
        (head.starts_with("HTTP/1.1 200"), body)
    }

    /// A metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let (_, page) = self.get("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    async fn get(&self, path: &str) -> (String, String) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return Default::default();
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn end(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }
}

fn settings(flags: &[&str]) -> Run {
    let port = smartflow_rig::port::free();
    let admin = format!("--admin-listen=127.0.0.1:{port}");
    let given = ["smartflow-operator", &admin].into_iter().chain(flags.iter().copied());
    Cli::parse_from(given).run
}
