//! Redis Sentinels (Debian's `redis-sentinel`) that watch one master.

use crate::port;
use crate::process::Process;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The name under which they know the master.
pub const MASTER: &str = "main";
const READY: Duration = Duration::from_secs(20);

/// A Sentinel; killed when dropped.
pub struct Sentinel {
    /// Its port on 127.0.0.1.
    pub port: u16,
    process: Process,
    _home: TempDir,
}

impl Sentinel {
    /// Three of them that watch the master on `port` and agree within a second that it is dead.
    ///
    /// # Panics
    /// When they are not installed or do not find each other.
    #[must_use]
    pub fn three(port: u16) -> [Self; 3] {
        let mut all = [(); 3].map(|()| Self::start(port));
        for sentinel in &mut all {
            let own = sentinel.port;
            let knows = move || {
                let says = cli(own, &["SENTINEL", "MASTER", MASTER]);
                let lines: Vec<&str> = says.lines().collect();
                lines.windows(2).any(|pair| pair == ["num-other-sentinels", "2"])
            };
            sentinel.process.until("it knows the two others", READY, knows);
        }
        all
    }

    fn start(master: u16) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let port = port::free();
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n",
            home.path().display()
        );
        let file = home.path().join("sentinel.conf");
        std::fs::write(&file, text).expect("a file in a temporary folder");
        let mut command = Command::new("redis-sentinel");
        command.arg(&file);
        let log = home.path().join("log");
        let mut process = Process::spawn(&format!("redis-sentinel on {port}"), &mut command, &log);
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        process.until("it accepts connections", READY, accepts);
        Self { port, process, _home: home }
    }

    /// Waits until it knows of `count` replicas, so that a failover has somewhere to go.
    pub fn knows_replicas(&mut self, count: usize) {
        let (port, count) = (self.port, count.to_string());
        let knows = move || {
            let says = cli(port, &["SENTINEL", "MASTER", MASTER]);
            let lines: Vec<&str> = says.lines().collect();
            lines.windows(2).any(|pair| pair == ["num-slaves", count.as_str()])
        };
        self.process.until("it knows the replicas", READY, knows);
    }

    /// Has a replica made the master; the old one lives on as a replica.
    ///
    /// # Panics
    /// When it refuses for long.
    pub fn demote_master(&mut self) {
        let port = self.port;
        let begun = move || cli(port, &["SENTINEL", "FAILOVER", MASTER]).trim() == "OK";
        self.process.until("it begins the failover", READY, begun);
    }
}

/// The address of a master that these Sentinels watch, for `--redis`.
#[must_use]
pub fn url(sentinels: &[Sentinel]) -> String {
    let hosts: Vec<String> = sentinels.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
    format!("redis-sentinel://{}/{MASTER}", hosts.join(","))
}

fn cli(port: u16, arguments: &[&str]) -> String {
    let ran = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output();
    String::from_utf8_lossy(&ran.expect("redis-cli runs").stdout).into_owned()
}
