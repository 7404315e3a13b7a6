//! Redis servers (Debian's `redis-server`).

use crate::certificate;
use crate::port;
use crate::process::Process;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A server on a busy machine is ready within this.
const READY: Duration = Duration::from_secs(20);

/// What kind of server.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// TLS only, with a certificate of its own authority.
    pub tls: bool,
    /// Lines of its configuration: `maxmemory-policy allkeys-lru`, `user gateway on >secret ~* +@all` …
    pub lines: Vec<String>,
    /// Port of the master that it copies.
    pub replica_of: Option<u16>,
    /// Keeps its data over [`RedisServer::restart`], synced at each write.
    pub durable: bool,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
}

/// A running server; killed when dropped.
pub struct RedisServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    setup: Setup,
    process: Process,
    home: TempDir,
    ca: Option<PathBuf>,
}

impl RedisServer {
    /// A plain server.
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// A server of this kind.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with(setup: Setup) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let port = port::free();
        let ca = configure(&setup, port, home.path());
        let process = launch(&setup, home.path(), port);
        let mut server = Self { port, setup, process, home, ca };
        server.ready();
        server
    }

    fn ready(&mut self) {
        let port = self.port;
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        self.process.until("it accepts connections", READY, accepts);
    }

    /// Its address for `--redis`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.setup.tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The authority of its certificate, with TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// Runs a command with `redis-cli`; what it printed.
    ///
    /// # Panics
    /// When `redis-cli` cannot be run.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(ca) = &self.ca {
            command.arg("--tls").arg("--cacert").arg(ca);
        }
        let ran = command.args(arguments).output().expect("redis-cli runs");
        String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
    }

    /// A figure of `INFO`.
    ///
    /// # Panics
    /// When there is no such field, or it is no number.
    #[must_use]
    pub fn figure(&self, section: &str, field: &str) -> u64 {
        let info = self.cli(&["INFO", section]);
        let found = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let text = found.unwrap_or_else(|| panic!("no {field} in INFO {section}:\n{info}"));
        text.trim().parse().expect("a number")
    }

    /// The process, for signals.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port; its data is there again only with [`Setup::durable`].
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(&self.setup, self.home.path(), self.port);
        self.ready();
    }
}

fn launch(setup: &Setup, home: &Path, port: u16) -> Process {
    let mut command = Command::new("redis-server");
    command.arg(home.join("redis.conf")).current_dir(home);
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
    Process::spawn(&format!("redis-server on {port}"), &mut command, &home.join("log"))
}

/// Writes the configuration; the authority's file, with TLS.
fn configure(setup: &Setup, port: u16, home: &Path) -> Option<PathBuf> {
    let mut text = format!("bind 127.0.0.1\ndir {}\ndaemonize no\nsave \"\"\n", home.display());
    text.push_str("repl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n");
    let mut ca = None;
    if setup.tls {
        let files = certificate::write(home);
        let _ = writeln!(text, "port 0\ntls-port {port}\ntls-auth-clients no\ntls-replication yes");
        let _ = writeln!(
            text,
            "tls-cert-file {}\ntls-key-file {}",
            files.certificate.display(),
            files.key.display()
        );
        let _ = writeln!(text, "tls-ca-cert-file {}", files.ca.display());
        ca = Some(files.ca);
    } else {
        let _ = writeln!(text, "port {port}");
    }
    if setup.durable {
        text.push_str("appendonly yes\nappendfsync always\n");
    }
    if let Some(master) = setup.replica_of {
        let _ = writeln!(text, "replicaof 127.0.0.1 {master}");
    }
    setup.lines.iter().for_each(|line| {
        let _ = writeln!(text, "{line}");
    });
    std::fs::write(home.join("redis.conf"), text).expect("a file in a temporary folder");
    ca
}
