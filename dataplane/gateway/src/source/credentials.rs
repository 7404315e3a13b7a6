//! References in Secrets' values: `env://NAME` and `file://path`. They are followed here, so that compiling stays pure.

use super::stamp::Stamp;
use super::watch::Interest;
use super::world::Variable;
use smartflow_compile::{Finding, Object, Reason, SecretValue};
use smartflow_snapshot::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Largest file that a reference leads to.
const MOST_BYTES: u64 = 1 << 20;

/// Looks up a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The environment of this process.
#[must_use]
pub fn process_environment() -> Environment {
    #[expect(clippy::disallowed_methods, reason = "a Secret names the variable; no setting is read here")]
    Arc::new(|name| std::env::var(name).ok())
}

/// Where a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reference {
    /// In a variable of the environment.
    Environment(String),
    /// In a file.
    File(PathBuf),
}

impl Reference {
    /// The reference that `value` is, if it is one. Relative paths begin at the world's folder.
    pub(super) fn of(value: &str, world: &Path) -> Option<Self> {
        let value = value.trim();
        if let Some(name) = value.strip_prefix("env://") {
            return Some(Self::Environment(name.to_owned()));
        }
        // `join` keeps an absolute path as it is.
        value.strip_prefix("file://").map(|path| Self::File(world.join(path)))
    }

    /// State of the file, when it is one and there.
    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Environment(_) => None,
            Self::File(path) => std::fs::metadata(path).ok().map(|data| Stamp::of(&data)),
        }
    }

    /// What it refers to. The line break that most editors leave at the end of a file does not count.
    ///
    /// # Errors
    /// A finding on `path`, which is where the reference stands; it names the variable or file, never content.
    pub(super) fn follow(&self, environment: &Environment, path: &str) -> Result<Secret, Finding> {
        match self {
            Self::Environment(name) => match environment(name).map(Zeroizing::new) {
                Some(value) if !value.is_empty() => Ok(Secret::new(&value)),
                found => {
                    let what = if found.is_some() { "is empty" } else { "is not set" };
                    let message = format!("The environment variable {name} {what}.");
                    let fix = format!("Set {name} in the environment that the gateway is started in.");
                    Err(Finding::reference(Reason::SecretUnresolved, path, message, fix))
                }
            },
            Self::File(file) => match read(file) {
                Ok(value) if !value.is_empty() => Ok(Secret::new(&value)),
                Ok(_) => Err(file_fault(file, "is empty", path)),
                Err(why) => Err(file_fault(file, &format!("cannot be read: {why}"), path)),
            },
        }
    }
}

/// Follows references, and knows which files they led to.
pub(super) struct Credentials {
    world: PathBuf,
    environment: Environment,
    followed: BTreeMap<PathBuf, Followed>,
    /// References to the environment, where somebody asks for them.
    pub(super) variables: Option<Vec<Variable>>,
}

/// A file that a reference leads to.
#[derive(Default)]
struct Followed {
    stamp: Option<Stamp>,
    /// Fingerprint of what was last read; `None` = nothing usable.
    value: Option<String>,
    /// Files in the world that refer to it.
    users: BTreeSet<Arc<str>>,
}

impl Credentials {
    /// Nothing followed yet. Relative paths begin at `world`.
    pub(super) fn new(world: PathBuf, environment: Environment) -> Self {
        Self { world, environment, followed: BTreeMap::new(), variables: None }
    }

    /// `file` is about to be read anew, or is gone.
    pub(super) fn forget(&mut self, file: &str) {
        self.followed.retain(|_, followed| {
            followed.users.remove(file);
            !followed.users.is_empty()
        });
    }

    /// Puts what they refer to in the place of references in a Secret that `file` declares.
    pub(super) fn resolve(&mut self, object: &mut Object, file: &Arc<str>) {
        let id = object.id().clone();
        for (key, value) in object.secret_values() {
            let SecretValue::Known(written) = value else { continue };
            let Some(reference) = Reference::of(written.open(), &self.world) else { continue };
            let (stamp, path) = (reference.stamp(), format!("stringData[{key}]"));
            let found = reference.follow(&self.environment, &path);
            if let (Reference::Environment(name), Some(variables)) = (&reference, &mut self.variables) {
                let (name, file, object) = (name.clone(), file.clone(), id.clone());
                variables.push(Variable { name, file, object, path: path.into() });
            }
            if let Reference::File(path) = reference {
                let followed = self.followed.entry(path).or_default();
                followed.stamp = stamp;
                followed.value = found.as_ref().ok().map(Secret::fingerprint);
                followed.users.insert(file.clone());
            }
            *value = match found {
                Ok(secret) => SecretValue::Known(secret),
                Err(finding) => SecretValue::Missing(Box::new(finding)),
            };
        }
    }

    /// Files in the world that refer to something which holds another value now.
    pub(super) fn stale(&self) -> BTreeSet<Arc<str>> {
        let mut stale = BTreeSet::new();
        for (path, followed) in &self.followed {
            let reference = Reference::File(path.clone());
            let now = reference.stamp();
            if followed.stamp.zip(now).is_some_and(|(then, now)| then.proves(&now)) {
                continue;
            }
            let value = reference.follow(&self.environment, "").ok();
            if value.as_ref().map(Secret::fingerprint) != followed.value {
                stale.extend(followed.users.iter().cloned());
            }
        }
        stale
    }

    /// Folders where a change may change a value.
    pub(super) fn interests(&self) -> impl Iterator<Item = (PathBuf, Interest)> {
        self.followed.keys().filter_map(|path| {
            let name = path.file_name()?.to_owned();
            Some((path.parent()?.to_owned(), Interest::Only([name].into())))
        })
    }
}

fn file_fault(file: &Path, what: &str, path: &str) -> Finding {
    let message = format!("The file {} {what}.", file.display());
    let fix = "Write the credential into it, readable by the gateway, or correct the path.";
    Finding::reference(Reason::SecretUnresolved, path, message, fix)
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let io = |e: std::io::Error| e.to_string();
    // Asked before it is opened, too: opening a pipe waits for a writer.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    if read as u64 > MOST_BYTES {
        return Err(format!("it is larger than {MOST_BYTES} bytes"));
    }
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Arc::new(|name| match name {
            "KEY" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    fn follow(value: &str, world: &Path) -> Result<Secret, Finding> {
        Reference::of(value, world).unwrap().follow(&environment(), "stringData[key]")
    }

    #[test]
    fn variables() {
        let world = Path::new("/world");
        assert_eq!(follow("env://KEY", world).unwrap().open(), "value");
        let absent = follow("env://ABSENT", world).unwrap_err();
        assert_eq!((absent.reason, &*absent.path), (Reason::SecretUnresolved, "stringData[key]"));
        assert!(absent.message.contains("ABSENT") && absent.fix.contains("ABSENT"));
        assert!(follow("env://EMPTY", world).unwrap_err().message.contains("is empty"));
        assert_eq!(Reference::of("sk-1234", world), None);
        assert_eq!(Reference::of("https://example.com", world), None);
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.txt"), "hunter2\n").unwrap();
        assert_eq!(follow("file://key.txt", dir.path()).unwrap().open(), "hunter2");
        let absolute = format!("file://{}", dir.path().join("key.txt").display());
        assert_eq!(follow(&absolute, Path::new("/elsewhere")).unwrap().open(), "hunter2");
        let absent = follow("file://other.txt", dir.path()).unwrap_err();
        assert!(absent.message.contains("other.txt") && !absent.fix.is_empty());
        std::fs::write(dir.path().join("large"), "x".repeat(2 << 20)).unwrap();
        assert!(follow("file://large", dir.path()).unwrap_err().message.contains("larger"));
        std::fs::write(dir.path().join("empty"), "\n").unwrap();
        assert!(follow("file://empty", dir.path()).unwrap_err().message.contains("is empty"));
        assert!(follow("file://.", dir.path()).unwrap_err().message.contains("not a file"));
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
        assert!(made.success());
        assert!(
            follow("file://pipe", dir.path()).unwrap_err().message.contains("not a file"),
            "nobody waits"
        );
    }
}
