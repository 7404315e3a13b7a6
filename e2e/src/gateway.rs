//! The gateway as a process: started on free ports, watched, killed, started again, and never left behind.

use crate::client::{Answer, Client};
use crate::world::World;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Ports for gateways begin here.
const FIRST_PORT: u16 = 20_000;
/// So many of them.
const PORTS: u32 = 12_000;
const STARTS_WITHIN: Duration = Duration::from_secs(15);

/// A running gateway and its data folder; killed when dropped, also by a panic.
pub struct Gateway {
    /// Where callers connect.
    pub traffic: SocketAddr,
    /// Metrics, health, conditions.
    pub admin: SocketAddr,
    child: Child,
    /// Flags that say what it serves.
    source: Vec<String>,
    home: TempDir,
    launch: Launch,
}

/// How a gateway is started, beside its ports and folders.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
}

impl Gateway {
    /// Starts the gateway for a world and waits until it is ready.
    ///
    /// # Panics
    /// When the binary is not built, or it is not ready in time (with its log).
    pub async fn start(world: &World) -> Self {
        Self::start_with(world, &[]).await
    }

    /// The same with further arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(world: &World, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        Self::launch(world, Launch { arguments, ..Launch::default() }).await
    }

    /// The same with arguments and environment.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn launch(world: &World, launch: Launch) -> Self {
        let world = world.path().display().to_string();
        Self::serving(&["--world", &world], launch).await
    }

    /// Starts one that serves what an operator publishes in this Redis, and waits until it is ready.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn follow(redis: &str, sealing_key_file: &Path, arguments: &[&str]) -> Self {
        let file = sealing_key_file.display().to_string();
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        let launch = Launch { arguments, ..Launch::default() };
        Self::serving(&["--redis", redis, "--sealing-key-file", &file], launch).await
    }

    async fn serving(source: &[&str], launch: Launch) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (traffic, admin) = (free_port(), free_port());
        let source: Vec<String> = source.iter().map(|&word| word.to_owned()).collect();
        let child = spawn(&source, home.path(), traffic, admin, &launch);
        let mut gateway = Self { traffic, admin, child, source, home, launch };
        gateway.ready().await;
        gateway
    }

    async fn ready(&mut self) {
        let start = Instant::now();
        // Its traffic port may speak TLS; the admin port answers once it serves.
        let probe = Client::new(self.admin, "");
        loop {
            if let Some(status) = self.child.try_wait().expect("the child's state") {
                panic!("the gateway ended at start with {status}:\n{}", self.log());
            }
            let answer = probe.try_send("GET", "/readyz", bytes::Bytes::new()).await;
            if answer.is_ok_and(|a| a.status == 200) {
                return;
            }
            assert!(start.elapsed() < STARTS_WITHIN, "the gateway is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A caller with this key.
    #[must_use]
    pub fn client(&self, token: &str) -> Client {
        Client::new(self.traffic, token)
    }

    /// A page of the admin port.
    pub async fn admin_page(&self, path: &str) -> Answer {
        Client::new(self.admin, "").get(path).await
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("the end of the child");
    }

    /// Starts it again on the same ports, world and data folder, and waits until it is ready.
    pub async fn again(&mut self) {
        self.child = spawn(&self.source, self.home.path(), self.traffic, self.admin, &self.launch);
        self.ready().await;
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|s| s.success()), "SIGTERM was not sent");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child's state") {
                return status;
            }
            assert!(start.elapsed() < limit, "the gateway did not end:\n{}\n{}", self.threads(), self.tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// True when any finished file in this folder of the data folder contains `text`.
    #[must_use]
    pub fn keeps(&self, folder: &str, text: &str) -> bool {
        let files = std::fs::read_dir(self.data().join(folder)).into_iter().flatten().flatten();
        let finished = files.map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "json"));
        finished.flat_map(std::fs::read).any(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    }

    /// Everything that it logged, in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        let text = |name: &str| std::fs::read(self.home.path().join(name)).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&text("stdout")), String::from_utf8_lossy(&text("stderr")))
    }

    /// Its usage lines, one per call.
    #[must_use]
    pub fn usage(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.home.path().join("usage.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Open descriptors.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a live process").count()
    }

    /// Resident memory in KiB.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a live process");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }

    /// Its command line, as any user of the machine may read it.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn command_line(&self) -> String {
        let raw = std::fs::read(format!("/proc/{}/cmdline", self.child.id())).expect("a live process");
        String::from_utf8_lossy(&raw).replace('\0', " ")
    }

    /// Waits until `done` holds, or panics with the log.
    ///
    /// # Panics
    /// When `limit` passes first.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, limit: Duration, done: impl Fn() -> F) {
        let start = Instant::now();
        while !done().await {
            assert!(start.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where each of its threads stands, as the kernel tells it.
    fn threads(&self) -> String {
        let tasks =
            std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let of = |task: PathBuf| {
            let text = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
            let (name, waits, call) = (text("comm"), text("wchan"), text("syscall"));
            format!("thread {}: waits in {}, system call {}", name.trim(), waits.trim(), call.trim())
        };
        let all: Vec<String> = tasks.map(|task| of(task.path())).collect();
        all.join("\n")
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the gateway's last words\n{}", self.tail());
        }
    }
}

/// A port that is free, below those that the kernel gives to outgoing connections: one of those could take it before
/// the gateway does. Test processes that run side by side begin at different places.
fn free_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = std::process::id().wrapping_mul(131).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from(step % PORTS).expect("a small number");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().expect("the port just bound");
        }
    }
}

/// A program of ours that is built beside this test.
///
/// # Panics
/// When it is not there, saying what to run.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    // A test lies in target/<profile>/deps, a program in target/<profile>.
    let deps = test.parent().expect("a folder");
    let profile = if deps.ends_with("deps") { deps.parent().expect("target/<profile>") } else { deps };
    let binary = profile.join(name);
    assert!(
        binary.exists(),
        "{} is not built: run `cargo build -p {name}` first (`cargo xtask test` does)",
        binary.display()
    );
    binary
}

/// The gateway's binary: `SMARTFLOW_GATEWAY_BIN`, or the one built beside this test.
///
/// # Panics
/// When it is not there, saying what to run.
#[must_use]
pub fn binary() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting: which binary they run")]
    let chosen = std::env::var_os("SMARTFLOW_GATEWAY_BIN");
    if let Some(path) = chosen {
        return path.into();
    }
    built("smartflow-gateway")
}

fn spawn(source: &[String], home: &Path, traffic: SocketAddr, admin: SocketAddr, launch: &Launch) -> Child {
    let log = |name: &str| {
        let opened = std::fs::File::options().create(true).append(true).open(home.join(name));
        Stdio::from(opened.expect("a log file"))
    };
    Command::new(binary())
        .args(["--listen", &traffic.to_string(), "--admin-listen", &admin.to_string()])
        .args(source)
        .arg("--data-dir")
        .arg(home.join("data"))
        .arg("--usage-log")
        .arg(home.join("usage.jsonl"))
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .env_remove("HTTPS_PROXY")
        .env_remove("NO_PROXY")
        .stdin(Stdio::null())
        .stdout(log("stdout"))
        .stderr(log("stderr"))
        .spawn()
        .expect("the gateway starts")
}
