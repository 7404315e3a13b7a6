//! A replica of the operator as a process.

use smartflow_rig::process::Process;
use smartflow_rig::{port, watchdog};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A replica that runs; killed when dropped.
pub(crate) struct Operator {
    process: Process,
    port: u16,
    log: PathBuf,
}

impl Operator {
    /// Starts one; `home` keeps its log.
    pub(crate) fn start(home: &Path, kubeconfig: &Path, flags: &[String]) -> Self {
        let port = port::free();
        let log = home.join(format!("operator-{port}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_smartflow-operator"));
        command.env("KUBECONFIG", kubeconfig).arg(format!("--admin-listen=127.0.0.1:{port}"));
        command.args(flags);
        let process = Process::spawn("smartflow-operator", &mut command, &log);
        watchdog::guard(process.id());
        Self { process, port, log }
    }

    /// Its process, for signals.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// A metric, with its labels as they are written; `None` when it is not there, or nobody answers.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let page = self.get("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// True while it has the Lease.
    pub(crate) async fn leads(&self) -> bool {
        self.metric("smartflow_operator_leader").await == Some(1.0)
    }

    /// A page of its admin port; empty when nobody answers.
    pub(crate) async fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return String::new();
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes()).await.is_ok();
        if asked && stream.read_to_string(&mut answer).await.is_ok() { answer } else { String::new() }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.process.kill();
        watchdog::release(self.process.id());
    }
}
