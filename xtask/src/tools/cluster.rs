//! Builds etcd, kube-apiserver, kubectl and kube-controller-manager from their published Go modules, once per version.
//!
//! Each program is put into place by a rename, and Go's own cache keeps what was compiled: an interrupted build goes on
//! where it was. A lock lets only one build run at a time; who waits finds everything built.

use super::go;
use crate::process::{self, ProcessError};
use smartflow_programs::{ALL, Module, Places, Program, uses_existing};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A line of progress so often.
const PROGRESS: Duration = Duration::from_secs(20);
/// So many of Go's last lines are shown when it fails.
const LAST_WORDS: usize = 30;

/// Why the programs of the test cluster are not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// There is no folder to keep them in.
    #[error("where to keep tools is not known: set SMARTFLOW_TOOLS_DIR or HOME")]
    NoPlace,
    /// A file of the cache could not be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Go could not be installed or started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Go refused to build.
    #[error("cannot build {program} with {go}:\n{last_words}")]
    Build {
        /// The program's name.
        program: &'static str,
        /// The Go that was used.
        go: String,
        /// What it said last.
        last_words: String,
    },
}

/// Builds what is missing. False when nothing is needed, because tests use a cluster that runs already.
pub(crate) fn build(root: &Path) -> Result<bool, ClusterError> {
    if uses_existing() {
        return Ok(false);
    }
    let places = Places::read();
    let (Some(cache), Some(built)) = (places.root(), places.built()) else {
        return Err(ClusterError::NoPlace);
    };
    if missing(&places).next().is_none() {
        return Ok(true);
    }
    fs::create_dir_all(&built).map_err(|source| ClusterError::Write { path: built.clone(), source })?;
    let lock = locked(&cache.join("lock"))?;
    // Somebody else may have built while this one waited.
    if missing(&places).next().is_some() {
        let go = go::find(root, &cache)?;
        for program in missing(&places) {
            make(&go, program, &built)?;
        }
    }
    drop(lock);
    Ok(true)
}

fn missing(places: &Places) -> impl Iterator<Item = &'static Program> {
    const { &ALL }.iter().filter(|program| places.find(program).is_err())
}

/// Held until dropped; the system releases it also when this process is killed.
fn locked(path: &Path) -> Result<File, ClusterError> {
    let fault = |source| ClusterError::Write { path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            println!("another build of the test cluster's programs is running: waiting for it");
        }
        Err(TryLockError::Error(source)) => return Err(fault(source)),
    }
    file.lock().map_err(fault)?;
    Ok(file)
}

/// Builds one program beside its place, then moves it there.
fn make(go: &Path, program: &'static Program, built: &Path) -> Result<(), ClusterError> {
    let start = Instant::now();
    println!("building {} {} (minutes, once)", program.name, program.module.version());
    let module = sources(program.module, built)?;
    let part = module.join(format!("{}.part", program.name));
    let mut command = Command::new(go);
    command.current_dir(&module);
    command.args(["build", "-v", "-mod=readonly", "-trimpath", "-ldflags", &stamp(program.module), "-o"]);
    command.arg(&part).arg(program.package);
    // Pure Go needs no C compiler. Settings of the user's own (a workspace, flags) would build something else.
    command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOWORK", "off").env("GOFLAGS", "");
    compile(&mut command, program, go, start)?;
    let place = built.join(program.name);
    fs::rename(&part, &place).map_err(|source| ClusterError::Write { path: place, source })?;
    println!("built {} ({:.0} s)", program.name, start.elapsed().as_secs_f32());
    Ok(())
}

/// Writes the module's two files into the cache, so that Go never writes into the source tree.
fn sources(module: &Module, built: &Path) -> Result<PathBuf, ClusterError> {
    let folder = built.join("modules").join(module.name);
    fs::create_dir_all(&folder).map_err(|source| ClusterError::Write { path: folder.clone(), source })?;
    for (name, text) in [("go.mod", module.manifest), ("go.sum", module.sums)] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| ClusterError::Write { path, source })?;
    }
    Ok(folder)
}

/// What the linker writes into the program. Unstamped, Kubernetes reports v0.0.0, which clients refuse.
fn stamp(module: &Module) -> String {
    let version = module.version();
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let stamps = [
        ("gitVersion", format!("v{version}")),
        ("gitMajor", major.to_owned()),
        ("gitMinor", minor.to_owned()),
        ("gitTreeState", "clean".to_owned()),
        ("gitCommit", "module".to_owned()),
        ("buildDate", "1970-01-01T00:00:00Z".to_owned()),
    ];
    let stamps = stamps.map(|(name, value)| format!(" -X k8s.io/component-base/version.{name}={value}"));
    format!("-s -w{}", stamps.concat())
}

/// Runs Go and says now and then how far it is: a CI that hears nothing for minutes believes a job dead.
fn compile(
    command: &mut Command,
    program: &'static Program,
    go: &Path,
    start: Instant,
) -> Result<(), ClusterError> {
    let fault = |source| ProcessError::Start { program: go.display().to_string(), source };
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(fault)?;
    let mut last_words = VecDeque::with_capacity(LAST_WORDS);
    let (mut lines, mut told) = (0_usize, Instant::now());
    let output = child.stderr.take().into_iter().flat_map(|output| BufReader::new(output).lines());
    for line in output.map_while(Result::ok) {
        lines += 1;
        if last_words.len() == LAST_WORDS {
            last_words.pop_front();
        }
        last_words.push_back(line);
        if told.elapsed() > PROGRESS {
            told = Instant::now();
            println!("  {}: {lines} packages, {:.0} s", program.name, start.elapsed().as_secs_f32());
        }
    }
    if child.wait().map_err(fault)?.success() {
        return Ok(());
    }
    let last_words = Vec::from(last_words).join("\n");
    Err(ClusterError::Build { program: program.name, go: go.display().to_string(), last_words })
}

/// Prints what is there, each program with its own answer, so that a broken file shows here and not in a test.
pub(crate) fn show() -> Result<(), ProcessError> {
    let places = Places::read();
    for program in ALL {
        let Ok(path) = places.find(&program) else { continue };
        let argument =
            if program.name == "kubectl" { &["version", "--client"][..] } else { &["--version"][..] };
        let text = process::capture(Command::new(&path).args(argument))?;
        println!("{} ({})", text.lines().next().unwrap_or_default(), path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{locked, missing, sources, stamp};
    use smartflow_programs::{ALL, Places};
    use std::fs;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn what_is_there_is_not_built_again() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::at(folder.path().to_owned());
        assert_eq!(missing(&places).count(), ALL.len());
        let built = places.built().unwrap();
        fs::create_dir_all(&built).unwrap();
        fs::write(built.join("kubectl"), "").unwrap();
        assert!(missing(&places).all(|program| program.name != "kubectl"));
        assert_eq!(missing(&places).count(), ALL.len() - 1);
    }

    #[test]
    fn a_second_build_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = locked(&path).unwrap();
        let (sender, receiver) = mpsc::sync_channel(1);
        let second = std::thread::spawn(move || sender.send(locked(&path).is_ok()));
        assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err(), "it did not wait");
        drop(first);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(true));
        second.join().unwrap().unwrap();
    }

    #[test]
    fn the_server_is_told_its_version_and_go_its_sums() {
        let folder = tempfile::tempdir().unwrap();
        let module = ALL[1].module;
        let stamp = stamp(module);
        assert!(stamp.contains(&format!("version.gitVersion=v{} ", module.version())), "{stamp}");
        let sources = sources(module, folder.path()).unwrap();
        assert_eq!(fs::read_to_string(sources.join("go.sum")).unwrap(), module.sums);
    }
}
