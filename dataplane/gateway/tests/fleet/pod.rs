//! Gateways as processes that run what an operator publishes.

use smartflow_rig::port;
use smartflow_rig::process::Process;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway; its data folder stays when it is started again.
pub(crate) struct Pod {
    pub(crate) process: Process,
    pub(crate) traffic: u16,
    pub(crate) admin: u16,
    home: TempDir,
    arguments: Vec<String>,
}

/// Status and body.
pub(crate) type Answer = (u16, String);

impl Pod {
    /// Starts; it may never become ready.
    pub(crate) fn start(redis: &str, key_file: &Path, more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut arguments = vec!["--redis".to_owned(), redis.to_owned(), "--sealing-key-file".to_owned()];
        arguments.push(key_file.display().to_string());
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        let (traffic, admin) = (port::free(), port::free());
        let process = spawn(home.path(), traffic, admin, &arguments);
        let mut pod = Self { process, traffic, admin, home, arguments };
        pod.until("its admin port answers", |pod| pod.try_get(pod.admin, "/healthz", "").is_some());
        pod
    }

    /// Kills it and starts it again.
    pub(crate) fn again(&mut self) {
        self.process.kill();
        self.process = spawn(self.home.path(), self.traffic, self.admin, &self.arguments);
        self.until("its admin port answers", |pod| pod.try_get(pod.admin, "/healthz", "").is_some());
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Length of its last-good file.
    pub(crate) fn kept(&self) -> u64 {
        std::fs::metadata(self.data_dir().join("config.sealed")).map_or(0, |data| data.len())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn ready(&mut self) {
        self.until("it is ready", |pod| pod.admin_page("/readyz").0 == 200);
    }

    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let begun = std::time::Instant::now();
        while !done(self) {
            assert!(self.process.ended().is_none(), "it ended before {what}:\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    pub(crate) fn admin_page(&self, path: &str) -> Answer {
        self.try_get(self.admin, path, "").unwrap_or_default()
    }

    /// A chat request with this key.
    pub(crate) fn chat(&self, token: &str) -> Answer {
        self.ask(token, "simulated-chat")
    }

    /// A chat request to this model.
    pub(crate) fn ask(&self, token: &str, model: &str) -> Answer {
        chat(self.traffic, token, model).unwrap_or_default()
    }

    /// Cents that its own statement says a key has spent; `None` while it cannot be told.
    pub(crate) fn spent(&self, token: &str) -> Option<u64> {
        let page = self.try_get(self.traffic, "/v1/usage", &format!("authorization: Bearer {token}\r\n"))?;
        let page: serde_json::Value = serde_json::from_str(&page.1).ok()?;
        let spent = page["budgets"][0]["spent_usd"].as_str()?;
        let (dollars, fraction) = spent.split_once('.').unwrap_or((spent, ""));
        assert_eq!(
            fraction.trim_end_matches('0').get(2..).unwrap_or_default(),
            "",
            "{spent} is not in cents"
        );
        format!("{dollars}{fraction:0<2.2}").parse().ok()
    }

    /// A metric with its labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = self.admin_page("/metrics").1;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    fn try_get(&self, port: u16, path: &str, headers: &str) -> Option<Answer> {
        send(port, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
    }
}

fn spawn(home: &Path, traffic: u16, admin: u16, arguments: &[String]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartflow-gateway"));
    command.args([
        "--listen",
        &format!("127.0.0.1:{traffic}"),
        "--admin-listen",
        &format!("127.0.0.1:{admin}"),
    ]);
    command.args([
        "--data-dir",
        &home.join("data").display().to_string(),
        "--threads",
        "1",
        "--usage-log",
        "off",
    ]);
    command.args(arguments);
    Process::spawn("smartflow-gateway", &mut command, &home.join("log"))
}

/// A chat request to the gateway at this port.
pub(crate) fn chat(port: u16, token: &str, model: &str) -> Option<Answer> {
    let tokens = crate::traffic::TOKENS;
    let body = format!(
        r#"{{"model":"{model}","max_tokens":{tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    send(port, &head)
}

fn send(port: u16, request: &str) -> Option<Answer> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}
