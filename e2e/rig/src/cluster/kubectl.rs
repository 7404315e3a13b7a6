//! `kubectl`, as people run it.

use super::server;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// kubectl with a kubeconfig, and as whom.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    cache: PathBuf,
    before: Vec<String>,
}

/// What one run said.
#[derive(Debug, Clone)]
pub struct Said {
    /// True when it ended with 0.
    pub ok: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    line: String,
}

impl Kubectl {
    /// Uses this kubeconfig's current context; `cache` keeps what kubectl learns of the server.
    pub(super) fn new(kubeconfig: &Path, cache: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), cache: cache.to_owned(), before: Vec::new() }
    }

    /// The same, in this namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.before.push(format!("--namespace={namespace}"));
        self
    }

    /// The same, acting as this user of these groups: what the server allows is what they may do.
    #[must_use]
    pub fn acting_as(mut self, user: &str, groups: &[&str]) -> Self {
        self.before.push(format!("--as={user}"));
        self.before.extend(groups.iter().map(|group| format!("--as-group={group}")));
        self
    }

    /// Runs it.
    ///
    /// # Panics
    /// When kubectl is not there or cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "").await
    }

    /// Runs it with this on its standard input.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let this = self.clone();
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || this.call(&arguments, &input)).await.expect("kubectl")
    }

    /// `kubectl apply -f -` with this YAML.
    pub async fn apply(&self, yaml: &str) -> Said {
        self.run_with(&["apply", "-f", "-"], yaml).await
    }

    /// `kubectl get`, as JSON.
    ///
    /// # Panics
    /// When it fails, or prints no JSON.
    pub async fn get(&self, arguments: &[&str]) -> serde_json::Value {
        let said = self.run(&[&["get", "--output=json"], arguments].concat()).await;
        serde_json::from_str(&said.done()).expect("kubectl's JSON")
    }

    fn call(&self, arguments: &[String], input: &str) -> Said {
        let mut command = Command::new(server::find("kubectl"));
        command.env("KUBECONFIG", &self.kubeconfig).env_remove("KUBERC");
        command.arg("--cache-dir").arg(&self.cache).args(&self.before).args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        let mut pipe = child.stdin.take().expect("its input");
        let input = input.to_owned();
        // From a thread of its own: kubectl may print before it has read everything. One that does not read is no fault.
        let writer = std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        let output = child.wait_with_output().expect("kubectl's output");
        writer.join().expect("the writer");
        Said {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            line: format!("kubectl {} {}", self.before.join(" "), arguments.join(" ")),
        }
    }
}

impl Said {
    /// Its output.
    ///
    /// # Panics
    /// When it failed, with what it said.
    #[must_use]
    #[track_caller]
    pub fn done(self) -> String {
        assert!(self.ok, "`{}` failed:\n{}{}", self.line, self.out, self.err);
        self.out
    }

    /// Why it was refused.
    ///
    /// # Panics
    /// When it was not.
    #[must_use]
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.ok, "`{}` was not refused:\n{}", self.line, self.out);
        self.err
    }
}
