//! The gateway as a process of its own: where it listens, where its keys are, how it is stopped.

use super::guard::Guard;
use super::lock::{Lock, Refused};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Longest wait for the traffic port to open, and for the process to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// The resources that it is started on.
pub(super) const WORLD: &str = "config/samples/quickstart";

/// Why the gateway is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// A file or a port could not be prepared, or the process not started or waited for.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another demo of this clone runs.
    #[error(
        "a demo of this clone runs already: {who}. End it with Ctrl-C where it runs, or by that kill; then try again"
    )]
    Runs {
        /// Its processes and its address.
        who: String,
    },
    /// It ended by itself.
    #[error("the gateway ended with {status}; its log: {log}", log = log.display())]
    Ended {
        /// How.
        status: std::process::ExitStatus,
        /// Where it says why.
        log: PathBuf,
    },
    /// It did not open its port, or did not stop, in time.
    #[error("the gateway did not {what} within {} s; its log: {log}", PATIENCE.as_secs(), log = log.display())]
    Late {
        /// What it should have done.
        what: &'static str,
        /// Where it says why.
        log: PathBuf,
    },
}

/// A gateway that runs until it is stopped or dropped.
pub(crate) struct Gateway {
    /// Dropped before the child is waited for.
    guard: Option<Guard>,
    child: Child,
    _lock: Lock,
    folder: PathBuf,
    /// When the process was started.
    pub(crate) started: Instant,
    /// Its traffic port.
    pub(crate) traffic: SocketAddr,
    /// Its admin port.
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    /// Starts it on the quickstart with an empty data folder, `target/demo`, and waits for its port.
    pub(crate) fn start(root: &Path) -> Result<Self, GatewayError> {
        let folder = root.join("target/demo");
        let mut lock = locked(&root.join("target"))?;
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(system("clear target/demo"))?;
        }
        fs::create_dir_all(&folder).map_err(system("make target/demo"))?;
        let log = File::create(folder.join("gateway.log")).map_err(system("make the log"))?;
        let errors = log.try_clone().map_err(system("share the log"))?;
        let (traffic, admin) = (free(8080)?, free(9090)?);
        // Beside this program, wherever cargo's target folder is.
        let program = std::env::current_exe().map_err(system("find smartflow-gateway"))?;
        let mut command = Command::new(program.with_file_name("smartflow-gateway"));
        command.current_dir(root).args(["--world", WORLD, "--data-dir"]).arg(folder.join("data"));
        command.args(["--listen", &traffic.to_string(), "--admin-listen", &admin.to_string()]);
        // The lock is its input: while it runs, also alone, the data folder is its own.
        let input = lock.share().map_err(system("share the lock"))?;
        command.stdin(input).stdout(log).stderr(errors);
        let started = Instant::now();
        let child = command.spawn().map_err(system("start smartflow-gateway"))?;
        let (own, its) = (std::process::id(), child.id());
        let who = format!("http://{traffic}/v1, processes {own} and {its} (kill {own} {its})");
        let told = lock.tell(&who).map_err(system("write the lock"));
        let mut gateway = Self { guard: None, child, _lock: lock, folder, started, traffic, admin };
        told?;
        gateway.guard = Some(Guard::over(&gateway.child).map_err(system("guard the gateway"))?);
        gateway.until("open its port", |gateway| TcpStream::connect(gateway.traffic).is_ok())?;
        Ok(gateway)
    }

    /// Where it logs.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("gateway.log")
    }

    /// The file with the token of a key of the quickstart.
    pub(crate) fn key_file(&self, key: &str) -> PathBuf {
        self.folder.join("data/keys/default").join(format!("{key}.token"))
    }

    /// The token of a key of the quickstart.
    pub(crate) fn token(&self, key: &str) -> Result<String, GatewayError> {
        let path = self.key_file(key);
        let token = fs::read_to_string(&path).map_err(system(&format!("read {}", path.display())))?;
        Ok(token.trim().to_owned())
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), GatewayError> {
        // From here on it ends, whatever becomes of this process.
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()]).status().map_err(system("run kill"))?;
        self.until("stop", |gateway| matches!(gateway.child.try_wait(), Ok(Some(_))))
    }

    /// Waits until it ends: Ctrl-C reaches it, too.
    pub(crate) fn wait(mut self) -> Result<(), GatewayError> {
        let status = self.child.wait().map_err(system("wait for the gateway"))?;
        if status.success() { Ok(()) } else { Err(GatewayError::Ended { status, log: self.log() }) }
    }

    fn until(&mut self, what: &'static str, done: impl Fn(&mut Self) -> bool) -> Result<(), GatewayError> {
        let start = Instant::now();
        while !done(self) {
            if what != "stop"
                && let Ok(Some(status)) = self.child.try_wait()
            {
                return Err(GatewayError::Ended { status, log: self.log() });
            }
            if start.elapsed() > PATIENCE {
                return Err(GatewayError::Late { what, log: self.log() });
            }
            #[expect(clippy::disallowed_methods, reason = "another process offers nothing to wait on")]
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.guard = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lock of the demos of this clone, in `target`.
fn locked(target: &Path) -> Result<Lock, GatewayError> {
    fs::create_dir_all(target).map_err(system("make target"))?;
    Lock::take(&target.join("demo.lock")).map_err(|refused| match refused {
        Refused::Held(who) if who.is_empty() => GatewayError::Runs { who: "it is starting".to_owned() },
        Refused::Held(who) => GatewayError::Runs { who },
        Refused::System(source) => GatewayError::System { what: "lock target/demo.lock".to_owned(), source },
    })
}

/// The usual port when it is free, else any.
fn free(usual: u16) -> Result<SocketAddr, GatewayError> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    at(usual).or_else(|_| at(0)).map_err(system("find a free port"))
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> GatewayError {
    let what = what.to_owned();
    move |source| GatewayError::System { what, source }
}
