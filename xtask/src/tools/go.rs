//! A Go that builds Kubernetes rightly: the one on the machine when its release fits, else one from the module proxy.

use crate::process::{self, ProcessError};
use smartflow_programs::GO;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where distributions and Go's own installer put it, when the PATH does not say.
const ELSEWHERE: &str = "/usr/local/go/bin/go";

/// Finds or installs a Go of the release that is needed; `cache` keeps an installed one.
pub(super) fn find(root: &Path, cache: &Path) -> Result<PathBuf, ProcessError> {
    let installed = cache.join(format!("go-{GO}"));
    let ours = installed.join("bin/go");
    let known = [PathBuf::from("go"), PathBuf::from(ELSEWHERE), ours.clone()];
    if let Some(go) = known.iter().find(|go| release(go).is_some_and(|release| fits(&release))) {
        return Ok(go.clone());
    }
    println!("no Go {} here: fetching Go {GO} from the module proxy", minor(GO));
    let mut fetch = Command::new("python3");
    fetch.arg(root.join("e2e/programs/go.py")).arg(GO).arg(&installed);
    // Another Go may know a proxy that the environment does not name.
    if let Some(proxy) = known.iter().find_map(|go| proxy(go)) {
        fetch.env("GOPROXY", proxy);
    }
    process::run(&mut fetch)?;
    match release(&ours) {
        Some(release) if fits(&release) => Ok(ours),
        other => Err(ProcessError::Output {
            program: ours.display().to_string(),
            reason: format!("expected Go {GO}, it says {other:?}"),
        }),
    }
}

/// `1.26.8`, as `go version` has it.
fn release(go: &Path) -> Option<String> {
    // `local`: it must not fetch another release on its own, or it would name that one.
    let asked = process::quiet(Command::new(go).arg("version").env("GOTOOLCHAIN", "local"));
    let (true, text) = asked.ok()? else { return None };
    text.split_whitespace().find_map(|word| word.strip_prefix("go1.")).map(|rest| format!("1.{rest}"))
}

fn proxy(go: &Path) -> Option<String> {
    let (true, text) = process::quiet(Command::new(go).args(["env", "GOPROXY"])).ok()? else { return None };
    Some(text.trim().to_owned()).filter(|proxy| !proxy.is_empty())
}

/// Any patch release of the same minor release will do.
fn fits(release: &str) -> bool {
    minor(release) == minor(GO)
}

fn minor(release: &str) -> &str {
    release.rsplit_once('.').map_or(release, |(minor, _)| minor)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn only_the_release_that_kubernetes_names_fits() {
        assert!(fits("1.26.0") && fits("1.26.99"));
        assert!(!fits("1.27.1") && !fits("1.25.9") && !fits("1.2.6") && !fits("2.26.0"));
    }
}
