//! A folder of resources with a source that follows it, for tests.
#![allow(dead_code, unreachable_pub)] // Each test file uses its part.

use smartflow_compile::{Finding, Kind, ObjectRef, Reason, Serving};
use smartflow_gateway::source::{Environment, Files, Options, Stop, World};
use smartflow_snapshot::{ObjectName, Secret, TokenHash};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes, on a busy machine too.
const DEADLINE: Duration = Duration::from_secs(30);

/// A folder, a data dir, and an environment.
pub struct Folder {
    dir: TempDir,
    environment: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A source that follows a [`Folder`] on a thread of its own.
pub struct Source {
    worlds: Receiver<World>,
    stop: Option<Stop>,
    thread: Option<JoinHandle<()>>,
    /// The last world that was told.
    pub world: World,
}

impl Folder {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("world")).unwrap();
        Self { dir, environment: Arc::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("world").join(name)
    }

    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }

    pub fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces a file in one step, as editors and deployment tools do.
    pub fn replace(&self, name: &str, text: &str) {
        let next = self.path(".next");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.path(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn set(&self, variable: &str, value: &str) {
        self.environment.lock().unwrap().insert(variable.to_owned(), value.to_owned());
    }

    pub fn options(&self) -> Options {
        Options {
            world: self.path(""),
            data_dir: self.data(""),
            platform_namespaces: vec!["smartflow-system".to_owned()],
        }
    }

    /// Opens the folder, as after a (re)start.
    pub fn start(&self) -> Source {
        let variables = self.environment.clone();
        let environment: Environment = Arc::new(move |name| variables.lock().unwrap().get(name).cloned());
        let (mut files, world) = Files::open_in(&self.options(), environment).unwrap();
        let stop = files.stop();
        let (tell, worlds) = sync_channel(10_000);
        let thread = std::thread::spawn(move || {
            while let Some(world) = files.next_change() {
                tell.send(world).unwrap();
            }
        });
        Source { worlds, stop: Some(stop), thread: Some(thread), world }
    }
}

impl Source {
    /// Waits until a world is told for which `wanted` holds.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&World) -> bool) {
        let due = Instant::now() + DEADLINE;
        while !wanted(&self.world) {
            let left = due.saturating_duration_since(Instant::now());
            match self.worlds.recv_timeout(left) {
                Ok(world) => self.world = world,
                Err(_) => {
                    panic!("not seen: {what}; faulty {:?}, files {:?}", self.world.faulty, self.world.files)
                }
            }
        }
    }

    /// Ends it as SIGTERM does: everything that it learnt is in the data dir.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

pub fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

/// A provider that offers one model of the same name.
pub fn provider(name: &str) -> String {
    provider_at(name, "https://example.com/v1")
}

pub fn provider_at(name: &str, url: &str) -> String {
    format!(
        "---\napiVersion: smartflow.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec:\n  provider: openai-compatible\n  \
         baseURL: {url}\n  auth: {{none: {{}}}}\n  models: [{{name: model-{name}, price: {{input: \"1\", output: \"1\"}}}}]\n"
    )
}

/// A provider whose key is in a Secret of the same name.
pub fn provider_with_key(name: &str) -> String {
    provider(name).replace("{none: {}}", &format!("{{apiKey: {{secretRef: {{name: {name}, key: key}}}}}}"))
}

/// A Secret with the label that opens it, and one value.
pub fn secret(name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, labels: {{smartflow.dev/credential: \"true\"}}}}\nstringData: {{key: {value:?}}}\n"
    )
}

pub fn key(name: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: smartflow.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\nspec:\n  models: [\"*\"]\n{rest}"
    )
}

/// A policy that allows a user three calls a minute.
pub fn policy(name: &str, user: &str, rpm: &str) -> String {
    format!(
        "---\napiVersion: smartflow.dev/v1alpha1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n  targets: {{users: [{user}]}}\n  \
         limits: {{requestsPerMinute: {rpm}}}\n"
    )
}

/// Base URL of a provider that serves.
pub fn url(world: &World, provider: &str) -> Option<String> {
    world.snapshot.providers.get(&name(provider)).map(|p| p.base_url.to_string())
}

/// The credential that a provider is called with.
pub fn credential(world: &World, provider: &str) -> Option<Secret> {
    match &world.snapshot.providers.get(&name(provider))?.auth {
        smartflow_snapshot::Auth::ApiKey { secret, .. } => Some(secret.clone()),
        _ => None,
    }
}

pub fn serving(world: &World, kind: Kind, object: &str) -> Serving {
    let id = ObjectRef { kind, name: name(object) };
    world.faulty.get(&id).map_or(Serving::Current, |f| f.report.serving)
}

pub fn findings(world: &World, kind: Kind, object: &str) -> Vec<Finding> {
    let id = ObjectRef { kind, name: name(object) };
    world.faulty.get(&id).map(|f| f.report.findings.clone()).unwrap_or_default()
}

pub fn has(findings: &[Finding], reason: Reason) -> bool {
    findings.iter().any(|f| f.reason == reason && !f.fix.is_empty())
}

/// Findings of a file as such.
pub fn of_file(world: &World, file: &str) -> Vec<Finding> {
    world.files.iter().filter(|f| &*f.file == file).flat_map(|f| f.findings.clone()).collect()
}

/// The token of a generated key, and its hash.
pub fn token(path: &Path) -> (String, TokenHash) {
    let token = fs::read_to_string(path).unwrap().trim().to_owned();
    let hash = TokenHash::of(token.as_bytes());
    (token, hash)
}
